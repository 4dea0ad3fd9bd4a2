//! ListOffsets (key 2): find the offset for a timestamp, or the first or last one. Wire layout only, no
//! meaning. Source: KIP-79, KIP-405, KIP-734, KIP-1005.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 1..=11, flexible 6..;

    /// ListOffsets request: find the offset for a timestamp, or the first or last one.
    pub struct ListOffsetsRequest {
        /// The broker ID of the requester, or -1 if this request is being made by a normal consumer.
        replica_id: i32;
        /// This setting controls the visibility of transactional records. Using READ_UNCOMMITTED
        /// (isolation_level = 0) makes all records visible. With READ_COMMITTED (isolation_level = 1),
        /// non-transactional and COMMITTED transactional records are visible. To be more concrete,
        /// READ_COMMITTED returns all data from offsets smaller than the current LSO (last stable offset),
        /// and enables the inclusion of the list of aborted transactions in the result, which allows
        /// consumers to discard ABORTED transactional records.
        isolation_level: i8, versions 2..;
        /// Each topic in the request.
        topics: Vec<ListOffsetsTopic>;
        /// The timeout to await a response in milliseconds for requests that require reading from remote
        /// storage for topics enabled with tiered storage.
        timeout_ms: i32, versions 10.., ignorable true;
    }

    /// One element of [`ListOffsetsRequest::topics`].
    pub struct ListOffsetsTopic {
        /// The topic name.
        name: String;
        /// Each partition in the request.
        partitions: Vec<ListOffsetsPartition>;
    }

    /// One element of [`ListOffsetsTopic::partitions`].
    pub struct ListOffsetsPartition {
        /// The partition index.
        partition_index: i32;
        /// The current leader epoch.
        current_leader_epoch: i32, versions 4.., default -1, ignorable true;
        /// The current timestamp.
        timestamp: i64;
    }

    /// What a broker answers to [`ListOffsetsRequest`].
    pub struct ListOffsetsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 2.., ignorable true;
        /// Each topic in the response.
        topics: Vec<ListOffsetsTopicResponse>;
    }

    /// One element of [`ListOffsetsResponse::topics`].
    pub struct ListOffsetsTopicResponse {
        /// The topic name.
        name: String;
        /// Each partition in the response.
        partitions: Vec<ListOffsetsPartitionResponse>;
    }

    /// One element of [`ListOffsetsTopicResponse::partitions`].
    pub struct ListOffsetsPartitionResponse {
        /// The partition index.
        partition_index: i32;
        /// The partition error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The timestamp associated with the returned offset.
        timestamp: i64, default -1;
        /// The returned offset.
        offset: i64, default -1;
        /// The leader epoch associated with the returned offset.
        leader_epoch: i32, versions 4.., default -1;
    }
}
