//! DescribeProducers (key 61): the idempotent and transactional producers of partitions. Wire layout only, no
//! meaning. Source: KIP-664.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=0, flexible 0..;

    /// DescribeProducers request: the idempotent and transactional producers of partitions.
    pub struct DescribeProducersRequest {
        /// The topics to list producers for.
        topics: Vec<TopicRequest>;
    }

    /// One element of [`DescribeProducersRequest::topics`].
    pub struct TopicRequest {
        /// The topic name.
        name: String;
        /// The indexes of the partitions to list producers for.
        partition_indexes: Vec<i32>;
    }

    /// What a broker answers to [`DescribeProducersRequest`].
    pub struct DescribeProducersResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// Each topic in the response.
        topics: Vec<TopicResponse>;
    }

    /// One element of [`DescribeProducersResponse::topics`].
    pub struct TopicResponse {
        /// The topic name.
        name: String;
        /// Each partition in the response.
        partitions: Vec<PartitionResponse>;
    }

    /// One element of [`TopicResponse::partitions`].
    pub struct PartitionResponse {
        /// The partition index.
        partition_index: i32;
        /// The partition error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The partition error message, which may be null if no additional details are available.
        error_message: Option<String>;
        /// The active producers for the partition.
        active_producers: Vec<ProducerState>;
    }

    /// One element of [`PartitionResponse::active_producers`].
    pub struct ProducerState {
        /// The producer id.
        producer_id: i64;
        /// The producer epoch.
        producer_epoch: i32;
        /// The last sequence number sent by the producer.
        last_sequence: i32, default -1;
        /// The last timestamp sent by the producer.
        last_timestamp: i64, default -1;
        /// The current epoch of the producer group.
        coordinator_epoch: i32;
        /// The current transaction start offset of the producer.
        current_txn_start_offset: i64, default -1;
    }
}
