//! DeleteRecords (key 21): move the log start of partitions. Wire layout only, no meaning. Source: KIP-107.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=2, flexible 2..;

    /// DeleteRecords request: move the log start of partitions.
    pub struct DeleteRecordsRequest {
        /// Each topic that we want to delete records from.
        topics: Vec<DeleteRecordsTopic>;
        /// How long to wait for the deletion to complete, in milliseconds.
        timeout_ms: i32;
    }

    /// One element of [`DeleteRecordsRequest::topics`].
    pub struct DeleteRecordsTopic {
        /// The topic name.
        name: String;
        /// Each partition that we want to delete records from.
        partitions: Vec<DeleteRecordsPartition>;
    }

    /// One element of [`DeleteRecordsTopic::partitions`].
    pub struct DeleteRecordsPartition {
        /// The partition index.
        partition_index: i32;
        /// The deletion offset. -1 means that records should be truncated to the high watermark.
        offset: i64;
    }

    /// What a broker answers to [`DeleteRecordsRequest`].
    pub struct DeleteRecordsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// Each topic that we wanted to delete records from.
        topics: Vec<DeleteRecordsTopicResult>;
    }

    /// One element of [`DeleteRecordsResponse::topics`].
    pub struct DeleteRecordsTopicResult {
        /// The topic name.
        name: String;
        /// Each partition that we wanted to delete records from.
        partitions: Vec<DeleteRecordsPartitionResult>;
    }

    /// One element of [`DeleteRecordsTopicResult::partitions`].
    pub struct DeleteRecordsPartitionResult {
        /// The partition index.
        partition_index: i32;
        /// The partition low water mark.
        low_watermark: i64;
        /// The deletion error code, or 0 if the deletion succeeded.
        error_code: ErrorCode;
    }
}
