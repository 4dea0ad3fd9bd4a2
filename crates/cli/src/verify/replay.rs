//! Replays a group's log from the oldest state that it reaches back to, and holds each checkpoint on the way against it.

use bytes::Bytes;
use tallymq_broker::ApplyContext;
use tallymq_consensus::{EntryId, stored_commands};
use tallymq_model::{LogIndex, RaftGroup};
use tallymq_storage::disk::Disk;

use super::{
    Report,
    checkpoints::{self, Checkpoint},
    machines::Machine,
    wal::{self, EntryPlace, GroupLog, Log},
};

/// The state at the end of a group's log; None if there is nothing to begin with.
pub fn group<M: Machine>(disk: &dyn Disk, group: RaftGroup, log: &Log, report: &mut Report) -> Option<M> {
    let checkpoints = checkpoints::read(disk, group, report);
    let empty = GroupLog::default();
    let log = log.groups.get(&group).unwrap_or(&empty);
    check_reach(group, log, &checkpoints, report);
    let mut states: Vec<(&Checkpoint, M)> = Vec::new();
    for checkpoint in &checkpoints {
        match M::restore(checkpoint.state.clone()) {
            Ok(state) => states.push((checkpoint, state)),
            Err(reason) => report.damage(&checkpoint.path, 0, reason),
        }
    }
    let (mut machine, mut applied) =
        if log.entries.contains_key(&LogIndex(1)) && log.reaches_back_to(LogIndex(1)) {
            (M::new(), LogIndex(0))
        } else {
            // The oldest that the log continues; else the newest, without what is missing behind it.
            let at = states.iter().position(|(checkpoint, _)| log.reaches_back_to(checkpoint.applied.next()));
            let at = at.or(states.len().checked_sub(1))?;
            let (checkpoint, state) = states.drain(..=at).next_back()?;
            (state, checkpoint.applied)
        };
    let mut states = states.into_iter().peekable();
    for (&index, place) in log.entries.range(applied.next()..) {
        if index != applied.next() {
            break;
        }
        if let Err(reason) = apply(disk, &mut machine, index, place, report) {
            report.damage(
                &place.file,
                place.position,
                format!("entry {index} of Raft group {group}: {reason}"),
            );
            break;
        }
        applied = index;
        while let Some((checkpoint, state)) = states.next_if(|(checkpoint, _)| checkpoint.applied == index) {
            machine.forget_as(&state);
            if state.encoded() != machine.encoded() {
                let reason =
                    format!("the state is not what the log gives at entry {index} of Raft group {group}");
                report.damage(&checkpoint.path, 0, reason);
            }
            machine.at_checkpoint(state);
        }
    }
    // A checkpoint that the log does not reach any more is newer than all there is.
    Some(states.last().map_or(machine, |(_, newest)| newest))
}

/// The newest whole checkpoint and the log must leave no hole between them.
fn check_reach(group: RaftGroup, log: &GroupLog, checkpoints: &[Checkpoint], report: &mut Report) {
    let covered = checkpoints.last().map_or(LogIndex(0), |newest| newest.applied);
    if log.purged_through > covered {
        let reason = format!(
            "Raft group {group} was purged through entry {}, but its newest whole checkpoint goes only to {covered}",
            log.purged_through
        );
        report.damage("wal", 0, reason);
    } else if !log.reaches_back_to(covered.next()) {
        let next = log.entries.range(covered.next()..).next();
        let (file, position) = next.map_or(("wal", 0), |(_, place)| (place.file.as_str(), place.position));
        let reason = format!("entries of Raft group {group} behind entry {covered} are missing");
        report.damage(file, position, reason);
    }
}

fn apply<M: Machine>(
    disk: &dyn Disk,
    machine: &mut M,
    index: LogIndex,
    place: &EntryPlace,
    report: &mut Report,
) -> Result<(), String> {
    let payload: Bytes = wal::payload(disk, place)?;
    let at = EntryId { term: place.term, index };
    let commands = stored_commands(payload, at).map_err(|error| error.to_string())?;
    report.counts.wal_entries += 1;
    for command in commands {
        machine.apply(ApplyContext { index, term: place.term }, command, place)?;
    }
    Ok(())
}
