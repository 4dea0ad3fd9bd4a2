//! One partition's segments: what storage's scan finds in them, sequences, and the same batches as in the WAL.

use std::collections::{BTreeMap, BTreeSet};

use tallymq_model::{BatchHeader, Offset, TopicPartition};
use tallymq_storage::{
    disk::Disk,
    log::{
        LogPosition,
        scan::{self, Finding},
    },
};

use super::{Report, keys::KeySums, machines::Expected, sequences::Sequences};

/// What a partition's log must hold.
pub struct Partition {
    /// How far the newest checkpoint says that it is synced.
    pub position: LogPosition,
    /// The batches that the WAL holds, by base offset.
    pub expected: BTreeMap<Offset, Expected>,
}

/// Checks one partition. Gives back the offsets that cannot be read any more.
pub fn check(
    disk: &dyn Disk,
    tp: TopicPartition,
    partition: &Partition,
    report: &mut Report,
) -> Vec<(Offset, Offset)> {
    report.counts.partitions += 1;
    let mut sequences = Sequences::default();
    let mut seen: BTreeSet<(Offset, Offset)> = BTreeSet::new();
    let mut keys = KeySums::read(disk, tp, report);
    let scanned = scan::partition(disk, tp, Some(&partition.position), &mut |found| match found {
        Finding::Batch { file, position, header, bytes, behind_checkpoint } => {
            let place = Place { file, position, behind_checkpoint };
            compare(partition, header, &place, report);
            if !behind_checkpoint {
                seen.insert((header.base_offset, header.next_offset()));
                keys.batch(header, bytes);
                if let Err(reason) = sequences.check(header) {
                    report.damage(file, position, reason);
                }
            }
        }
        Finding::Damage(damage) => report.damage(&damage.file, damage.position, damage.reason),
        Finding::IndexDamage(damage) => {
            report.note(&damage.file, damage.position, format!("{}; it is made again", damage.reason));
        }
        Finding::TornTail(damage) => {
            let reason = format!("behind the checkpoint, comes again from the WAL: {}", damage.reason);
            report.note(&damage.file, damage.position, reason);
        }
        Finding::Leftover { file } => report.note(&file, 0, "no log needs it any more"),
    });
    let summary = match scanned {
        Ok(summary) => summary,
        Err(error) => {
            report.damage(&directory(tp), 0, format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    report.counts.segments += summary.segments;
    report.counts.batches += summary.batches;
    report.counts.bytes += summary.bytes;
    report.counts.unchecked_bytes += summary.unchecked_bytes;
    if summary.damages == 0 {
        check_complete(tp, partition, &seen, report);
        let first =
            partition.position.segments.first().map_or(partition.position.log_end, |first| first.base);
        keys.compare(first, report);
    }
    check_behind(partition, &mut sequences, report);
    if summary.damages == 0 {
        return Vec::new();
    }
    scan::lost(disk, tp, &partition.position).unwrap_or_else(|error| {
        report.damage(&directory(tp), 0, format!("cannot be read: {error}"));
        Vec::new()
    })
}

fn directory(tp: TopicPartition) -> String {
    format!("topics/{}/{}", tp.topic, tp.partition)
}

struct Place<'a> {
    file: &'a str,
    position: u64,
    behind_checkpoint: bool,
}

/// The stored batch must be the one in the WAL, with the epoch that it got when it was applied.
fn compare(partition: &Partition, header: &BatchHeader, place: &Place<'_>, report: &mut Report) {
    let Some(expected) = partition.expected.get(&header.base_offset) else {
        return;
    };
    report.counts.compared += 1;
    let given = &expected.header;
    let same =
        (header.crc, header.size_bytes, header.leader_epoch) == (given.crc, given.size_bytes, expected.epoch);
    if same {
        return;
    }
    let (offset, wal) = (header.base_offset, &expected.file);
    if place.behind_checkpoint {
        report.note(
            place.file,
            place.position,
            format!(
                "behind the checkpoint and not what {wal} has for offset {offset}; comes again from there"
            ),
        );
        return;
    }
    let at = expected.position;
    report.damage(
        place.file,
        place.position,
        format!("the batch at offset {offset} is not the one in {wal} at byte {at}"),
    );
}

/// What the WAL holds and the checkpoint calls synced must be in the segments.
fn check_complete(
    tp: TopicPartition,
    partition: &Partition,
    seen: &BTreeSet<(Offset, Offset)>,
    report: &mut Report,
) {
    let position = &partition.position;
    for (base, expected) in partition.expected.range(..position.log_end) {
        let behind = base.plus(i64::from(expected.header.last_offset_delta) + 1);
        if behind > position.log_start && !seen.contains(&(*base, behind)) {
            let reason = format!("its batch for offset {base} of partition {tp} is not in the segments");
            report.damage(&expected.file, expected.position, reason);
        }
    }
}

/// What the WAL holds beyond the checkpoint must continue the log.
fn check_behind(partition: &Partition, sequences: &mut Sequences, report: &mut Report) {
    let mut next = partition.position.log_end;
    for (base, expected) in partition.expected.range(next..) {
        if *base != next {
            let reason = format!("its batch begins at offset {base}, {next} was due");
            report.damage(&expected.file, expected.position, reason);
        }
        if let Err(reason) = sequences.check(&expected.header) {
            report.damage(&expected.file, expected.position, reason);
        }
        next = base.plus(i64::from(expected.header.last_offset_delta) + 1);
    }
}
