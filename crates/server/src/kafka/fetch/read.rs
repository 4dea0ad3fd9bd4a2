//! The reading part of a fetch: which logs, how many bytes of each, again after a wake-up. What memory does not have is
//! read on a thread that may block.

use std::sync::Arc;

use bytes::Bytes;
use tallymq_broker::data::check_epoch;
use tallymq_gateway::kafka::error_code::ErrorCode;
use tallymq_model::{LeaderEpoch, Offset, PartitionIndex, RaftGroup, TopicId, TopicPartition};
use tallymq_storage::log::{PartitionLog, ReadError};
use tokio::time::Instant;

use super::{
    sessions::{FetchContext, Followed, PartitionKey, TopicKey},
    woken_before,
};
use crate::{account::FetchedRange, kafka::errors::read_refusal, memory::Held, node::Node};

/// The most that one fetch takes at a time.
const READ_BYTES_MAX: usize = 16 << 20;
/// What a fetch takes when the budget is used up, and may take of the memory that is there anyway.
const READ_BYTES_MIN: usize = 256 << 10;

/// What one partition has to give.
pub(super) struct PartitionRead {
    /// Its place in the session.
    pub(super) at: usize,
    pub(super) key: PartitionKey,
    pub(super) error: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) log_start: i64,
    pub(super) records: Vec<Bytes>,
    pub(super) bytes: usize,
    /// There is more, and the bounds of the whole fetch leave no room for it.
    pub(super) is_cut: bool,
    /// What that is, for the account; None if there is nothing to be read. Empty where it is damaged.
    pub(super) range: Option<FetchedRange>,
    /// The log, if what is read there is damaged.
    pub(super) damaged: Option<Damaged>,
}

/// Where a read found damage.
pub(super) struct Damaged {
    pub(super) data: RaftGroup,
    pub(super) log: Arc<PartitionLog>,
    pub(super) at: Offset,
}

/// One partition to read.
#[derive(Clone)]
struct Planned {
    at: usize,
    key: PartitionKey,
    from: Offset,
    bytes_max: usize,
    log: Result<(RaftGroup, Arc<PartitionLog>), ErrorCode>,
}

/// All partitions of a fetch, in the order in which they get their share of the bytes.
pub(super) struct Reads {
    planned: Arc<Vec<Planned>>,
    bytes_max: usize,
}

impl Reads {
    pub(super) fn plan(node: &Node, fetch: &FetchContext, bytes_max: usize) -> Reads {
        let planned = fetch.partitions().map(|(at, key, followed)| Planned {
            at,
            key: key.clone(),
            from: Offset(followed.fetch_offset),
            bytes_max: followed.bytes_max.max(0) as usize,
            log: find(node, key, followed),
        });
        Reads { planned: Arc::new(planned.collect()), bytes_max }
    }

    /// The partitions that there are.
    pub(super) fn partitions(&self) -> impl Iterator<Item = TopicPartition> {
        let logs = self.planned.iter().filter_map(|planned| planned.log.as_ref().ok());
        logs.map(|(_, log)| log.topic_partition())
    }

    /// Reads until there are `bytes_min` bytes, or as many as one fetch takes, or an error, or until `deadline`. What is large holds memory of the budget.
    pub(super) async fn run_until(
        self,
        node: &Node,
        bytes_min: usize,
        deadline: Instant,
    ) -> (Vec<PartitionRead>, Option<Held>) {
        let (reads, held) = self.run(node).await;
        if self.planned.is_empty() || is_enough(&reads, bytes_min) || deadline <= Instant::now() {
            return (reads, held);
        }
        drop((reads, held));
        let registration = node.wakeups.register(self.partitions().collect());
        loop {
            // Once more, because something may have come before the registration.
            let (reads, held) = self.run(node).await;
            if is_enough(&reads, bytes_min) || !woken_before(&registration, deadline).await {
                return (reads, held);
            }
        }
    }

    async fn run(&self, node: &Node) -> (Vec<PartitionRead>, Option<Held>) {
        let from_memory = self.planned.iter().all(|planned| match &planned.log {
            Ok((_, log)) => log.is_in_memory(planned.from),
            Err(_) => true,
        });
        let planned = self.planned.clone();
        if from_memory && self.bytes_max <= READ_BYTES_MIN {
            return (read_all(&planned, self.bytes_max), None);
        }
        let mut held = node.fetch_budget.try_hold(self.bytes_max.min(READ_BYTES_MAX));
        let bytes_max = self.bytes_max.min(held.as_ref().map_or(READ_BYTES_MIN, Held::bytes));
        if from_memory {
            // Shared with the tail cache, but a client that does not read keeps it after the cache let go of it.
            let reads = read_all(&planned, bytes_max);
            let bytes: usize = reads.iter().map(|read| read.bytes).sum();
            if bytes <= READ_BYTES_MIN {
                return (reads, None);
            }
            held.iter_mut().for_each(|held| held.shrink_to(bytes));
            return (reads, held);
        }
        let reading = tokio::task::spawn_blocking(move || read_all(&planned, bytes_max));
        let reads = reading.await.expect("reading does not panic");
        let bytes = reads.iter().map(|read| read.bytes).sum();
        if let Some(held) = &mut held {
            held.shrink_to(bytes);
        }
        node.catchup.pay(bytes, node.startup.catchup_bytes_per_second).await;
        (reads, held)
    }
}

/// Whether waiting is of no use. Where records were left out because one fetch takes no more, it would bring nothing.
fn is_enough(reads: &[PartitionRead], bytes_min: usize) -> bool {
    let mut bytes = 0;
    for read in reads {
        if read.error != ErrorCode::None || read.is_cut {
            return true;
        }
        bytes += read.bytes;
    }
    bytes >= bytes_min
}

fn find(
    node: &Node,
    key: &PartitionKey,
    followed: &Followed,
) -> Result<(RaftGroup, Arc<PartitionLog>), ErrorCode> {
    let topic = match &key.topic {
        TopicKey::Name(name) => node.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?,
        TopicKey::Id(id) => node.topic_by_id(TopicId(*id)).ok_or(ErrorCode::UnknownTopicId)?,
    };
    let tp = TopicPartition { topic: topic.id, partition: PartitionIndex(key.partition) };
    let (handle, log) = node.partition(&topic, tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if followed.current_leader_epoch >= 0 {
        let current = handle.leader_epoch(tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        check_epoch(LeaderEpoch(followed.current_leader_epoch), current)
            .map_err(super::super::errors::epoch_refusal)?;
    }
    Ok((handle.id, log))
}

fn read_all(planned: &[Planned], bytes_max: usize) -> Vec<PartitionRead> {
    let mut left = bytes_max;
    let mut reads = Vec::with_capacity(planned.len());
    let mut any = false;
    for planned in planned {
        let read = read_one(planned, left, !any);
        left = left.saturating_sub(read.bytes);
        any |= read.bytes > 0;
        reads.push(read);
    }
    reads
}

fn read_one(planned: &Planned, left: usize, at_least_one: bool) -> PartitionRead {
    let nothing = |error| PartitionRead {
        at: planned.at,
        key: planned.key.clone(),
        error,
        high_watermark: -1,
        log_start: -1,
        records: Vec::new(),
        bytes: 0,
        is_cut: false,
        range: None,
        damaged: None,
    };
    let (data, log) = match &planned.log {
        Ok((data, log)) => (*data, log),
        Err(error) => return nothing(*error),
    };
    match log.read(planned.from, planned.bytes_max.min(left), at_least_one) {
        Ok(batches) => {
            let (log_start, log_end) = log.bounds();
            let (from, to) = (planned.from, batches.next.max(planned.from));
            PartitionRead {
                range: Some(FetchedRange { data, tp: log.topic_partition(), from, to }),
                high_watermark: log_end.0,
                log_start: log_start.0,
                records: batches.pieces,
                bytes: batches.bytes,
                is_cut: to < log_end && left <= planned.bytes_max,
                ..nothing(ErrorCode::None)
            }
        }
        Err(error) => {
            if !matches!(error, ReadError::OffsetOutOfRange { .. } | ReadError::Deleted) {
                tracing::error!(partition = %log.topic_partition(), offset = %planned.from, %error, "a read failed");
            }
            let is_damage = matches!(error, ReadError::Corrupt(_));
            let damaged = is_damage.then(|| Damaged { data, log: log.clone(), at: planned.from });
            // Whoever asks for what cannot be read takes a position there all the same.
            let (tp, from) = (log.topic_partition(), planned.from);
            let range = is_damage.then_some(FetchedRange { data, tp, from, to: from });
            PartitionRead { damaged, range, ..nothing(read_refusal(&error)) }
        }
    }
}
