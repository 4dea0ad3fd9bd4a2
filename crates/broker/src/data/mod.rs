//! A data group: the partitions whose records it orders, and what is decided about them. `apply` is deterministic,
//! reads only this group's state, and cannot fail, only answer.

mod command;
mod epochs;
mod outcome;
mod partition;
mod producers;

pub use command::{DataCommand, LogStartReason, MoveLogStart, OpenPartition, Produce};
pub use epochs::{EpochEnd, EpochList, EpochMismatch, UNKNOWN_EPOCH, UNKNOWN_OFFSET, check_epoch};
pub use outcome::{DataOutcome, LogStartMoved, MoveLogStartError, ProduceRefusal, Produced};
pub use partition::Partition;
pub use producers::{PRODUCERS_MAX, ProducerDescription, Producers, WINDOW_BATCHES};

use std::collections::BTreeSet;

use bytes::Bytes;
use tallymq_model::{LogIndex, Term, Timestamp, TopicPartition};

use crate::ApplyContext;
use crate::codec::{DecodeError, Parts, Reader};
use crate::group::{GroupCommand, GroupOutcome, Groups};
use crate::hash::IdMap;

const STATE_VERSION: u8 = 1;

/// The durable state of one data group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataGroup {
    applied: LogIndex,
    term: Term,
    partitions: IdMap<TopicPartition, Partition>,
    groups: Groups,
}

impl DataGroup {
    /// A group without partitions.
    pub fn new() -> DataGroup {
        DataGroup::default()
    }

    /// The next command of the log.
    pub fn apply(&mut self, at: ApplyContext, command: &DataCommand) -> DataOutcome {
        debug_assert!(at.index >= self.applied && at.term >= self.term, "commands are applied in log order");
        self.applied = at.index;
        self.term = at.term;
        match command {
            DataCommand::Produce(produce) => {
                DataOutcome::Produced(match self.partitions.get_mut(&produce.tp) {
                    Some(partition) => partition.produce(produce, at.term),
                    None => Err(ProduceRefusal::UnknownPartition),
                })
            }
            DataCommand::OpenPartitions { partitions } => DataOutcome::Opened(self.open(partitions, at.term)),
            DataCommand::ClosePartitions { partitions } => DataOutcome::Closed(self.close(partitions)),
            DataCommand::MoveLogStart(moved) => {
                DataOutcome::LogStartMoved(match self.partitions.get_mut(&moved.tp) {
                    Some(partition) => partition.move_log_start(moved.to),
                    None => Err(MoveLogStartError::UnknownPartition),
                })
            }
            DataCommand::ExpireProducers { idle_before } => {
                DataOutcome::ProducersExpired { count: self.expire_producers(*idle_before) }
            }
            DataCommand::Group(command) => self.apply_group(at, command.clone()),
        }
    }

    fn open(&mut self, partitions: &[OpenPartition], term: Term) -> Vec<TopicPartition> {
        let mut opened = Vec::new();
        for open in partitions {
            self.partitions.entry(open.tp).or_insert_with(|| {
                opened.push(open.tp);
                Partition::open(open.leader_epoch, term)
            });
        }
        opened
    }

    /// A partition closes when its topic is deleted, so the topic's positions go too.
    fn close(&mut self, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        let topics: BTreeSet<_> = partitions.iter().map(|tp| tp.topic).collect();
        topics.into_iter().for_each(|topic| self.groups.topic_deleted(topic));
        partitions.iter().copied().filter(|tp| self.partitions.remove(tp).is_some()).collect()
    }

    fn apply_group(&mut self, at: ApplyContext, mut command: GroupCommand) -> DataOutcome {
        let mut unknown = Vec::new();
        if let GroupCommand::CommitPositions { positions, .. } = &mut command {
            positions.retain(|commit| {
                let known = self.partitions.contains_key(&commit.partition);
                if !known {
                    unknown.push(commit.partition);
                }
                known
            });
        }
        match self.groups.apply(at, command) {
            GroupOutcome::PositionsCommitted { fenced } => {
                DataOutcome::PositionsCommitted { fenced, unknown }
            }
            other => DataOutcome::Group(other),
        }
    }

    fn expire_producers(&mut self, idle_before: Timestamp) -> u64 {
        self.partitions.values_mut().map(|partition| partition.producers_mut().expire(idle_before)).sum()
    }

    /// One partition.
    pub fn partition(&self, tp: TopicPartition) -> Option<&Partition> {
        self.partitions.get(&tp)
    }

    /// All partitions, in no order.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = (TopicPartition, &Partition)> {
        self.partitions.iter().map(|(&tp, partition)| (tp, partition))
    }

    /// The consumer groups that are coordinated here, and the positions in the partitions that are here.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The newest log index that was applied.
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The newest term that was applied.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Appends the whole state to `out`. The same state gives the same bytes.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(STATE_VERSION);
        out.put_u64(self.applied.0);
        out.put_u64(self.term.0);
        out.put_length(self.partitions.len());
        let mut sorted: Vec<_> = self.partitions.iter().collect();
        sorted.sort_unstable_by_key(|(tp, _)| **tp);
        for (tp, partition) in sorted {
            out.put_topic_partition(*tp);
            partition.encode(out);
        }
        self.groups.encode(out);
    }

    /// Reads the state from the front of `bytes`.
    pub fn decode(bytes: &mut Bytes) -> Result<DataGroup, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.version("a data group's state", STATE_VERSION)?;
        let applied = LogIndex(reader.u64("the applied index")?);
        let term = Term(reader.u64("the applied term")?);
        let count = reader.count("partitions", 23)?;
        let mut partitions = IdMap::default();
        partitions.reserve(count);
        for _ in 0..count {
            let tp = reader.topic_partition("a partition")?;
            partitions.insert(tp, Partition::decode(&mut reader)?);
        }
        let groups = Groups::decode(bytes)?;
        Ok(DataGroup { applied, term, partitions, groups })
    }
}
