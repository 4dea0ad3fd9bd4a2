//! OffsetDelete (key 47): forget positions of a consumer group. Wire layout only, no meaning. Source:
//! KIP-496.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=0, flexible none;

    /// OffsetDelete request: forget positions of a consumer group.
    pub struct OffsetDeleteRequest {
        /// The unique group identifier.
        group_id: String;
        /// The topics to delete offsets for.
        topics: Vec<OffsetDeleteRequestTopic>;
    }

    /// One element of [`OffsetDeleteRequest::topics`].
    pub struct OffsetDeleteRequestTopic {
        /// The topic name.
        name: String;
        /// Each partition to delete offsets for.
        partitions: Vec<OffsetDeleteRequestPartition>;
    }

    /// One element of [`OffsetDeleteRequestTopic::partitions`].
    pub struct OffsetDeleteRequestPartition {
        /// The partition index.
        partition_index: i32;
    }

    /// What a broker answers to [`OffsetDeleteRequest`].
    pub struct OffsetDeleteResponse {
        /// The top-level error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The responses for each topic.
        topics: Vec<OffsetDeleteResponseTopic>;
    }

    /// One element of [`OffsetDeleteResponse::topics`].
    pub struct OffsetDeleteResponseTopic {
        /// The topic name.
        name: String;
        /// The responses for each partition in the topic.
        partitions: Vec<OffsetDeleteResponsePartition>;
    }

    /// One element of [`OffsetDeleteResponseTopic::partitions`].
    pub struct OffsetDeleteResponsePartition {
        /// The partition index.
        partition_index: i32;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
    }
}
