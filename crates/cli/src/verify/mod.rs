//! Checks a stopped data directory: identity, checkpoints, write-ahead log, segments, and each against the others. Reads
//! only, goes on behind each damage, and decides nothing about exit codes or output.
//!
//! ```text
//!  identity ─► how many groups
//!  checkpoints ─┐
//!  WAL entries ─┴► replay: the state at each checkpoint must be what the checkpoint says
//!                     │ expected batches, by partition and offset
//!  segments ──────────┴► checksums, offsets without gaps, producer sequences, the same batches as in the WAL
//!  indexes of keys ─► the keys of these batches
//!  journal ─► accounts: each equation, the balances by other code, each alarm and its loss
//! ```
//! What is behind a checkpoint's position in a segment is only a copy of what the WAL holds: it is cut off and written
//! again at the next start, so nothing there is damage.

mod accounts;
mod checkpoints;
mod identity;
mod keys;
mod lost;
mod machines;
mod replay;
mod report;
mod segments;
mod sequences;
mod wal;

use std::collections::BTreeMap;

use tallymq_broker::{account::journal::JOURNAL_TOPIC, data::DataGroup, metadata::Metadata};
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tallymq_storage::{disk::Disk, log::scan};

pub use lost::Lost;
pub use report::{Finding, Report};

use machines::{DataMachine, MetadataMachine};
use segments::Partition;

/// Told how far the check is.
pub trait Progress {
    /// This many partitions will be scanned.
    fn partitions(&self, count: u64);
    /// One of them is done.
    fn partition_done(&self);
}

/// Checks everything below `disk`.
pub fn verify(disk: &dyn Disk, progress: &dyn Progress) -> Report {
    let mut report = Report::default();
    let identity = identity::check(disk, &mut report);
    let log = wal::read(disk, &mut report);
    let known = identity.as_ref().map(|identity| identity.data_groups);
    let last = known.or_else(|| log.groups.keys().last().map(|group| group.0)).unwrap_or(0);
    for group in log.groups.keys().filter(|group| group.0 > last) {
        report.damage(
            "wal",
            0,
            format!("there are entries of Raft group {group}, but only groups 0 to {last} exist"),
        );
    }

    let machine = replay::group::<MetadataMachine>(disk, RaftGroup::METADATA, &log, &mut report);
    if let (Some(machine), Some(identity)) = (&machine, &identity) {
        identity::compare(identity, &machine.state, &mut report);
    }
    let topics = machine.map(|machine| machine.state).unwrap_or_default();
    let mut partitions: BTreeMap<TopicPartition, Partition> = BTreeMap::new();
    let mut states = Vec::new();
    for group in (1..=last).map(RaftGroup) {
        let Some(machine) = replay::group::<DataMachine>(disk, group, &log, &mut report) else {
            continue;
        };
        accounts::check(disk, &machine.books(group), &mut report);
        states.push(machine.into_partitions(group, &mut partitions));
    }
    let lost = check_partitions(disk, &partitions, progress, &mut report);
    name_lost(&lost, &partitions, (&topics, &states), &mut report);
    report
}

type LostRange = (TopicPartition, (Offset, Offset));

fn check_partitions(
    disk: &dyn Disk,
    partitions: &BTreeMap<TopicPartition, Partition>,
    progress: &dyn Progress,
    report: &mut Report,
) -> Vec<LostRange> {
    let mut lost = Vec::new();
    let on_disk = match scan::partitions(disk) {
        Ok(on_disk) => on_disk,
        Err(error) => {
            report.damage("topics", 0, format!("cannot be listed: {error}"));
            return lost;
        }
    };
    progress.partitions(partitions.len() as u64);
    for (tp, partition) in partitions {
        let ranges = segments::check(disk, *tp, partition, report);
        lost.extend(ranges.into_iter().map(|range| (*tp, range)));
        progress.partition_done();
    }
    for tp in on_disk.iter().filter(|tp| !partitions.contains_key(tp)) {
        let place = format!("topics/{}/{}", tp.topic, tp.partition);
        report.note(&place, 0, "belongs to no partition: what is left of a deleted one");
    }
    lost
}

/// Lost records by the names that people know.
fn name_lost(
    lost: &[LostRange],
    partitions: &BTreeMap<TopicPartition, Partition>,
    (metadata, states): (&Metadata, &[DataGroup]),
    report: &mut Report,
) {
    // The journal's own damage was told where the books were compared.
    for (tp, range) in lost.iter().filter(|(tp, _)| tp.topic != JOURNAL_TOPIC) {
        let Some(partition) = partitions.get(tp) else { continue };
        let topic = metadata.topics().by_id(tp.topic).map(|topic| topic.name.clone());
        let state = states.iter().find(|state| state.partition(*tp).is_some());
        let lost = Lost::new(*tp, *range, partition, topic, state);
        report.damage(&format!("topics/{}/{}", tp.topic, tp.partition), 0, lost.to_string());
        report.lost.push(lost);
    }
}
