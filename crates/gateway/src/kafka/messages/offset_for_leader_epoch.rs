//! OffsetForLeaderEpoch (key 23): where a leader epoch ends. Wire layout only, no meaning. Source: KIP-101,
//! KIP-320.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 2..=4, flexible 4..;

    /// OffsetForLeaderEpoch request: where a leader epoch ends.
    pub struct OffsetForLeaderEpochRequest {
        /// The broker ID of the follower, of -1 if this request is from a consumer.
        replica_id: i32, versions 3.., default -2, ignorable true;
        /// Each topic to get offsets for.
        topics: Vec<OffsetForLeaderTopic>;
    }

    /// One element of [`OffsetForLeaderEpochRequest::topics`].
    pub struct OffsetForLeaderTopic {
        /// The topic name.
        topic: String;
        /// Each partition to get offsets for.
        partitions: Vec<OffsetForLeaderPartition>;
    }

    /// One element of [`OffsetForLeaderTopic::partitions`].
    pub struct OffsetForLeaderPartition {
        /// The partition index.
        partition: i32;
        /// An epoch used to fence consumers/replicas with old metadata. If the epoch provided by the client
        /// is larger than the current epoch known to the broker, then the UNKNOWN_LEADER_EPOCH error code
        /// will be returned. If the provided epoch is smaller, then the FENCED_LEADER_EPOCH error code will
        /// be returned.
        current_leader_epoch: i32, default -1;
        /// The epoch to look up an offset for.
        leader_epoch: i32;
    }

    /// What a broker answers to [`OffsetForLeaderEpochRequest`].
    pub struct OffsetForLeaderEpochResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// Each topic we fetched offsets for.
        topics: Vec<OffsetForLeaderTopicResult>;
    }

    /// One element of [`OffsetForLeaderEpochResponse::topics`].
    pub struct OffsetForLeaderTopicResult {
        /// The topic name.
        topic: String;
        /// Each partition in the topic we fetched offsets for.
        partitions: Vec<EpochEndOffset>;
    }

    /// One element of [`OffsetForLeaderTopicResult::partitions`].
    pub struct EpochEndOffset {
        /// The error code 0, or if there was no error.
        error_code: ErrorCode;
        /// The partition index.
        partition: i32;
        /// The leader epoch of the partition.
        leader_epoch: i32, default -1;
        /// The end offset of the epoch.
        end_offset: i64, default -1;
    }
}
