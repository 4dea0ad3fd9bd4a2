//! What applying a data group's command says. Nothing here is an error of the log: a refusal is an answer.

use tallymq_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicPartition};
use thiserror::Error;

use crate::account::AccountOutcome;
use crate::group::GroupOutcome;

/// The answer to one [`super::DataCommand`].
#[derive(Clone, Debug, PartialEq)]
pub enum DataOutcome {
    /// To `OpenPartitions`: those that did not exist before.
    Opened(Vec<TopicPartition>),
    /// To `ClosePartitions`: those that existed.
    Closed(Vec<TopicPartition>),
    /// To `Produce`.
    Produced(Result<Produced, ProduceRefusal>),
    /// To `MoveLogStart`.
    LogStartMoved(Result<LogStartMoved, MoveLogStartError>),
    /// To `ExpireProducers`.
    ProducersExpired {
        /// Producers forgotten, summed over the partitions.
        count: u64,
    },
    /// To `Group`, except for commits.
    Group(GroupOutcome),
    /// To `Group` with a commit of positions; what is in neither list is committed.
    PositionsCommitted {
        /// Partitions where a newer generation or epoch has committed. Kafka: ILLEGAL_GENERATION (22) or STALE_MEMBER_EPOCH (113).
        fenced: Vec<TopicPartition>,
        /// Partitions that are not here (any more, or yet). Kafka: UNKNOWN_TOPIC_OR_PARTITION (3).
        unknown: Vec<TopicPartition>,
    },
    /// To `Account`.
    Account(AccountOutcome),
}

/// Where a produced batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produced {
    /// It is new: append it to the partition's log, at `base_offset`, with `leader_epoch`.
    Appended {
        /// The offset of its first record.
        base_offset: Offset,
        /// The epoch to patch in.
        leader_epoch: LeaderEpoch,
        /// The partition's log start.
        log_start: Offset,
    },
    /// It was stored before (KIP-98): append nothing and answer as then.
    Duplicate {
        /// The offset that it got.
        base_offset: Offset,
        /// Its max timestamp.
        timestamp: Timestamp,
        /// The partition's log start.
        log_start: Offset,
    },
}

/// Why a batch is not stored.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProduceRefusal {
    /// The partition is not here (any more). Kafka: UNKNOWN_TOPIC_OR_PARTITION (3).
    #[error("the partition does not exist")]
    UnknownPartition,
    /// A gap or a repeat from before the window. Kafka: OUT_OF_ORDER_SEQUENCE_NUMBER (45).
    #[error("out of order sequence number for producer {producer}: {got} (incoming), {last} (current end)")]
    OutOfOrderSequence {
        /// The producer.
        producer: ProducerId,
        /// The batch's first sequence.
        got: Sequence,
        /// The last sequence stored; -1 when the epoch is new.
        last: Sequence,
    },
    /// A newer instance of the producer has written. Kafka: INVALID_PRODUCER_EPOCH (47).
    #[error("the epoch {got} of producer {producer} is smaller than the last seen epoch {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer: ProducerId,
        /// The batch's epoch.
        got: ProducerEpoch,
        /// The newest epoch seen.
        current: ProducerEpoch,
    },
}

/// The log start after a `MoveLogStart`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStartMoved {
    /// Where it was.
    pub from: Offset,
    /// Where it is: never lower than before.
    pub log_start: Offset,
}

/// Why a log start does not move.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MoveLogStartError {
    /// The partition is not here (any more). Kafka: UNKNOWN_TOPIC_OR_PARTITION (3).
    #[error("the partition does not exist")]
    UnknownPartition,
    /// It would be behind the log end. Kafka: OFFSET_OUT_OF_RANGE (1).
    #[error("the offset {to} is not between 0 and the log end {log_end}")]
    OutOfRange {
        /// What was asked for.
        to: Offset,
        /// The log end.
        log_end: Offset,
    },
}
