//! The indexes of keys of one partition, against the batches that its segments hold: a broker trusts an index that is whole, so one that
//! lacks a key would hide records from a lookup.

use tallymq_gateway::kafka::records::for_each_key;
use tallymq_model::{BatchHeader, Offset, TopicPartition};
use tallymq_storage::{
    disk::Disk,
    keys::{self, Facts, Finding, KeyHash, PostingSum, unread_term},
};

use super::Report;

/// What the indexes say, and what the batches give so far.
#[derive(Default)]
pub struct KeySums(Vec<Sum>);

struct Sum {
    file: String,
    facts: Facts,
    found: PostingSum,
    batches: u64,
    log_bytes: u64,
}

impl KeySums {
    /// Reads the indexes of a partition. What is damaged in them the broker refuses, so it is only told.
    pub fn read(disk: &dyn Disk, tp: TopicPartition, report: &mut Report) -> KeySums {
        let mut sums = Vec::new();
        let found = keys::check(disk, tp).unwrap_or_else(|error| {
            report.note(
                &format!("keys/{}/{}", tp.topic, tp.partition),
                0,
                format!("cannot be read: {error}"),
            );
            Vec::new()
        });
        for finding in found {
            match finding {
                Finding::Whole { file, facts } => {
                    let found = PostingSum::default();
                    sums.push(Sum { file, facts, found, batches: 0, log_bytes: 0 });
                }
                Finding::Refused(damage) => {
                    let reason = format!("{}; the index is not used and built again", damage.reason);
                    report.note(&damage.file, damage.position, reason);
                }
                Finding::Wrong(damage) => {
                    let reason = format!("{}: remove it, or lookups by key miss records", damage.reason);
                    report.damage(&damage.file, damage.position, reason);
                }
                Finding::Unfinished { file } => report.note(&file, 0, "an index that was not finished"),
            }
        }
        KeySums(sums)
    }

    /// A whole batch of the log.
    pub fn batch(&mut self, header: &BatchHeader, bytes: &[u8]) {
        let covering = |sum: &&mut Sum| (sum.facts.from..sum.facts.to).contains(&header.base_offset);
        for sum in self.0.iter_mut().filter(covering) {
            let relative = (header.base_offset.0 - sum.facts.from.0) as u32;
            sum.batches += 1;
            sum.log_bytes += bytes.len() as u64;
            let mut hashes = Vec::new();
            if for_each_key(header, bytes, &mut |key| hashes.push(KeyHash::of(key))).is_err() {
                sum.found.sum = sum.found.sum.wrapping_add(unread_term(relative));
                continue;
            }
            hashes.sort_unstable();
            hashes.dedup();
            hashes.into_iter().for_each(|hash| sum.found.add(hash, relative));
        }
    }

    /// All batches were there.
    pub fn compare(self, first: Offset, report: &mut Report) {
        for sum in self.0 {
            let facts = &sum.facts;
            if facts.to <= first {
                report.note(&sum.file, 0, "of records that are not in the log any more");
                continue;
            }
            // Segments in front of the log start are gone, and the first batches of a part with them.
            let is_cut = facts.from < first;
            let is_same =
                (sum.batches, sum.log_bytes, sum.found) == (facts.batches, facts.log_bytes, facts.postings);
            if !is_same && !is_cut {
                let reason =
                    "it does not hold the keys of the log: remove it, or lookups by key miss records";
                report.damage(&sum.file, 0, reason);
            }
        }
    }
}
