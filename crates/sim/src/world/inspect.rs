//! Looks at a recovered node: what was acknowledged stands where it was said to stand, byte for byte; nothing stands there
//! that nobody sent; what an idempotent producer sent stands there once; offsets have no gap; no committed position went
//! back. Changes nothing.

use std::collections::BTreeSet;

use bytes::Bytes;
use tallymq_broker::group::GroupId;
use tallymq_model::{BatchHeader, Offset, RaftGroup, TopicPartition};
use tallymq_replica::DataView;
use tallymq_storage::log::PartitionLog;

use super::{
    node::{DATA_GROUPS, Node},
    scene::{Promises, Scene, Sent},
};
use tallymq_gateway::kafka::records::read_records;

/// Base offset, length and epoch: what the log writes into a producer's batch.
const PATCHED_BYTES: usize = 16;

/// Looks at every partition. An error says which promise is broken, or is the disk's.
pub(super) fn all(node: &Node, scene: &mut Scene) -> Result<(), String> {
    for group in (1..=DATA_GROUPS).map(RaftGroup) {
        let view = node.data(group);
        let mut partitions: Vec<_> =
            view.state().partitions().map(|(tp, state)| (tp, state.log_start(), state.log_end())).collect();
        partitions.sort_unstable();
        for (tp, log_start, log_end) in partitions {
            let log = view.log(tp).ok_or_else(|| format!("{tp} has no log"))?;
            if log.bounds() != (log_start, log_end) {
                return Err(format!(
                    "{tp}: the state says {log_start} to {log_end}, the log {:?}",
                    log.bounds()
                ));
            }
            let chunk_bytes = 1 + scene.random.below(20_000) as usize;
            let bytes = read_whole(&log, chunk_bytes)?;
            scene.journal.note(log_end.0 as u64);
            let trim = scene.promises.trims.get(&tp).copied().unwrap_or(0);
            if log_start.0 > trim {
                return Err(format!("{tp} starts at {log_start}; nobody asked for more than {trim}"));
            }
            check_content(tp, &log, bytes, &scene.promises)?;
        }
        check_positions(&view, scene)?;
    }
    match node.store.damages().first() {
        Some(damage) => Err(format!("a crash damaged a segment: {damage:?}")),
        None => Ok(()),
    }
}

/// A commit that was not acknowledged may have moved a position on, never back.
fn check_positions(view: &DataView, scene: &Scene) -> Result<(), String> {
    let state = view.state();
    for ((group, tp), promised) in &scene.promises.positions {
        if state.partition(*tp).is_none() {
            continue;
        }
        let position = state.groups().positions().position(&GroupId::from(&group[..]), tp);
        let found = position.map(|position| position.offset.0);
        if found < Some(*promised) {
            return Err(format!("{group} committed {promised} in {tp}, and {found:?} is there"));
        }
    }
    Ok(())
}

fn read_whole(log: &std::sync::Arc<PartitionLog>, chunk_bytes: usize) -> Result<Bytes, String> {
    let (mut from, end) = log.bounds();
    let mut bytes = Vec::new();
    while from < end {
        let fetched = log.read(from, chunk_bytes, true).map_err(|error| error.to_string())?;
        if fetched.next <= from {
            return Err(format!("{}: nothing at {from} of {end}", log.topic_partition()));
        }
        fetched.pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
        from = fetched.next;
    }
    Ok(bytes.into())
}

fn check_content(
    tp: TopicPartition,
    log: &PartitionLog,
    mut bytes: Bytes,
    promises: &Promises,
) -> Result<(), String> {
    let log_start = log.log_start();
    let mut next: Option<Offset> = None;
    let mut stored = BTreeSet::new();
    let acknowledged = promises.acknowledged.get(&tp);
    let mut due = acknowledged.into_iter().flat_map(|all| all.range(log_start.0..)).peekable();
    while !bytes.is_empty() {
        let header = BatchHeader::parse(&bytes).map_err(|error| format!("{tp}: {error}"))?;
        let batch = bytes.split_to(header.size_bytes);
        let base = header.base_offset;
        if next.is_some_and(|next| next != base) || (next.is_none() && base > log_start) {
            return Err(format!("{tp}: a batch at {base} does not follow {next:?}"));
        }
        next = Some(header.next_offset());
        let (first, sent) = as_sent(tp, &header, &batch, promises)?;
        if due.peek().is_some_and(|(at, _)| **at <= base.0) {
            let (at, value) = due.next().expect("peeked");
            if *at != base.0 || *value != first {
                return Err(format!("{tp}: {value} was acknowledged at {at}; {first} stands at {base}"));
            }
        }
        if !stored.insert(first.clone()) && sent.idempotent {
            return Err(format!("{tp}: batch {first} of an idempotent producer is stored twice"));
        }
    }
    match due.next() {
        Some((at, value)) => Err(format!("{tp}: {value} was acknowledged at {at} and is not there")),
        None => Ok(()),
    }
}

/// The batch's first value and what was sent, if it is what somebody sent.
pub(super) fn as_sent<'p>(
    tp: TopicPartition,
    header: &BatchHeader,
    batch: &Bytes,
    promises: &'p Promises,
) -> Result<(String, &'p Sent), String> {
    let base = header.base_offset;
    let records = read_records(header, batch, 1 << 20).map_err(|error| format!("{tp}: {error}"))?;
    let first = records.first().and_then(|record| record.value.clone()).unwrap_or_default();
    let first = String::from_utf8_lossy(&first).into_owned();
    let Some(sent) = promises.sent.get(&first) else {
        return Err(format!("{tp}: nobody sent what stands at {base}: {first}"));
    };
    if batch[PATCHED_BYTES..] != sent.raw[PATCHED_BYTES..] {
        return Err(format!("{tp}: batch {first} at {base} is not as it was sent"));
    }
    Ok((first, sent))
}
