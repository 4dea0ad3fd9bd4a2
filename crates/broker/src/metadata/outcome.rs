//! What applying a metadata command says. Nothing here is an error of the log: a refusal is an answer.

use std::sync::Arc;

use tallymq_model::{PartitionIndex, ProducerId, RaftGroup, TopicId};
use thiserror::Error;

use super::command::ConfigVersion;
use super::topic::Topic;
use super::topic_name::TopicNameError;

/// The answer to one [`super::MetadataCommand`].
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataOutcome {
    /// To `Bootstrap`: what counts, from the first time.
    Bootstrapped {
        /// The cluster's id.
        cluster_id: String,
        /// How many data groups there are.
        data_groups: u32,
    },
    /// To `RegisterNode`.
    NodeRegistered,
    /// To `CreateTopic`: the topic, with the data group of each partition.
    TopicCreated(Result<Arc<Topic>, CreateTopicError>),
    /// To `DeleteTopic`: the topic as it was.
    TopicDeleted(Result<Arc<Topic>, UnknownTopic>),
    /// To `CreatePartitions`: the topic as it is now, and the first new partition.
    PartitionsCreated(Result<(Arc<Topic>, PartitionIndex), CreatePartitionsError>),
    /// To `SetConfigs`: the version after the change.
    ConfigsSet(Result<ConfigVersion, SetConfigsError>),
    /// To `AllocateProducerIds`.
    ProducerIds(Result<ProducerIdBlock, ProducerIdsExhausted>),
    /// To `PlaceGroup`: the data group that coordinates it.
    GroupPlaced(Result<RaftGroup, PlaceGroupError>),
    /// To `ForgetGroup`: whether it was known.
    GroupForgotten(bool),
}

/// Producer ids that belong to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first one.
    pub first: ProducerId,
    /// How many.
    pub count: i64,
}

/// Why a topic is not made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CreateTopicError {
    /// Kafka: INVALID_TOPIC_EXCEPTION (17).
    #[error(transparent)]
    InvalidName(#[from] TopicNameError),
    /// Kafka: TOPIC_ALREADY_EXISTS (36).
    #[error("Topic '{0}' already exists.")]
    TopicExists(String),
    /// Names that differ only in `.` and `_` would clash in metric names. Kafka: INVALID_TOPIC_EXCEPTION (17).
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collides {
        /// The new name.
        name: String,
        /// The topic that is there.
        existing: String,
    },
    /// The id is taken: the command was sent twice.
    #[error("the topic id {0} is taken")]
    IdTaken(TopicId),
    /// The partitions cannot be placed so.
    #[error(transparent)]
    Plan(#[from] PartitionPlanError),
}

/// Why partitions cannot be placed as asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PartitionPlanError {
    /// Kafka: INVALID_PARTITIONS (37).
    #[error("Number of partitions must be larger than 0, but it is {0}.")]
    InvalidPartitions(i64),
    /// Kafka: INVALID_PARTITIONS (37).
    #[error("{asked} more partitions would exceed the limit of {limit} in the cluster.")]
    TooManyPartitions {
        /// Partitions asked for.
        asked: i64,
        /// The cluster's limit.
        limit: i64,
    },
    /// Kafka: INVALID_REPLICATION_FACTOR (38).
    #[error("Unable to replicate the partition {replicas} time(s): there are {nodes} broker(s).")]
    InvalidReplicationFactor {
        /// Replicas asked for.
        replicas: i64,
        /// Nodes in the cluster.
        nodes: usize,
    },
    /// Kafka: INVALID_REPLICA_ASSIGNMENT (39).
    #[error("{0}")]
    InvalidAssignment(String),
    /// Nothing can be placed before the cluster is set up.
    #[error(transparent)]
    NotBootstrapped(#[from] NotBootstrapped),
}

/// Why partitions are not added.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CreatePartitionsError {
    /// Kafka: UNKNOWN_TOPIC_OR_PARTITION (3).
    #[error(transparent)]
    UnknownTopic(#[from] UnknownTopic),
    /// Kafka: INVALID_PARTITIONS (37).
    #[error("The topic currently has {current} partition(s); {asked} would not be an increase.")]
    NotAnIncrease {
        /// Partitions there.
        current: i32,
        /// Partitions asked for.
        asked: i32,
    },
    /// The partitions cannot be placed so.
    #[error(transparent)]
    Plan(#[from] PartitionPlanError),
}

/// Why overrides are not replaced.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SetConfigsError {
    /// Kafka: UNKNOWN_TOPIC_OR_PARTITION (3).
    #[error(transparent)]
    UnknownTopic(#[from] UnknownTopic),
    /// Somebody else changed them in between: read again, edit again.
    #[error("the settings were changed in between: they have version {0:?}")]
    Changed(ConfigVersion),
    /// So many groups have overrides already. Kafka: POLICY_VIOLATION (44).
    #[error("{0} groups have settings of their own, as many as may")]
    TooManyGroups(usize),
    /// The group's name is longer than [`super::GROUP_ID_BYTES_MAX`]. Kafka: INVALID_GROUP_ID (24).
    #[error("the group id has {0} bytes, more than it may have")]
    GroupNameTooLong(usize),
}

/// Why a consumer group gets no place.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PlaceGroupError {
    /// Kafka: GROUP_MAX_SIZE_REACHED (81), which clients do not retry.
    #[error("there are {limit} consumer groups, as many as there may be")]
    TooManyGroups {
        /// The limit.
        limit: u32,
    },
    /// The name is longer than [`super::GROUP_ID_BYTES_MAX`]. Kafka: INVALID_GROUP_ID (24).
    #[error("the group id has {0} bytes, more than it may have")]
    NameTooLong(usize),
    /// Nothing can be placed before the cluster is set up.
    #[error(transparent)]
    NotBootstrapped(#[from] NotBootstrapped),
}

/// There is no such topic.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("This server does not host the topic {0}.")]
pub struct UnknownTopic(pub TopicId);

/// The cluster has no id and no data groups yet.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the cluster is not set up yet")]
pub struct NotBootstrapped;

/// 2^63 producer ids are used up.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("there are no producer ids left")]
pub struct ProducerIdsExhausted;
