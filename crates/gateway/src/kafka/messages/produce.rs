//! Produce (key 0): append record batches to partitions. Wire layout only, no meaning. Source: KIP-98,
//! KIP-467, KIP-516, KIP-951.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;
use crate::kafka::wire::Records;

schema! {
    versions 3..=13, flexible 9..;

    /// Produce request: append record batches to partitions.
    pub struct ProduceRequest {
        /// The transactional ID, or null if the producer is not transactional.
        transactional_id: Option<String>;
        /// The number of acknowledgments the producer requires the leader to have received before considering
        /// a request complete. Allowed values: 0 for no acknowledgments, 1 for only the leader and -1 for the
        /// full ISR.
        acks: i16;
        /// The timeout to await a response in milliseconds.
        timeout_ms: i32;
        /// Each topic to produce to.
        topic_data: Vec<TopicProduceData>;
    }

    /// One element of [`ProduceRequest::topic_data`].
    pub struct TopicProduceData {
        /// The topic name.
        name: String, versions 3..=12, ignorable true;
        /// The unique topic ID.
        topic_id: Uuid, versions 13.., ignorable true;
        /// Each partition to produce to.
        partition_data: Vec<PartitionProduceData>;
    }

    /// One element of [`TopicProduceData::partition_data`].
    pub struct PartitionProduceData {
        /// The partition index.
        index: i32;
        /// The record data to be produced.
        records: Option<Records>, default Some(Records::new());
    }

    /// What a broker answers to [`ProduceRequest`].
    pub struct ProduceResponse {
        /// Each produce response.
        responses: Vec<TopicProduceResponse>;
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// Endpoints for all current-leaders enumerated in PartitionProduceResponses, with errors
        /// NOT_LEADER_OR_FOLLOWER.
        node_endpoints: Vec<NodeEndpoint>, versions 10.., tag 0;
    }

    /// One element of [`ProduceResponse::responses`].
    pub struct TopicProduceResponse {
        /// The topic name.
        name: String, versions 3..=12, ignorable true;
        /// The unique topic ID.
        topic_id: Uuid, versions 13.., ignorable true;
        /// Each partition that we produced to within the topic.
        partition_responses: Vec<PartitionProduceResponse>;
    }

    /// One element of [`TopicProduceResponse::partition_responses`].
    pub struct PartitionProduceResponse {
        /// The partition index.
        index: i32;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The base offset.
        base_offset: i64;
        /// The timestamp returned by broker after appending the messages. If CreateTime is used for the
        /// topic, the timestamp will be -1. If LogAppendTime is used for the topic, the timestamp will be the
        /// broker local time when the messages are appended.
        log_append_time_ms: i64, default -1;
        /// The log start offset.
        log_start_offset: i64, versions 5.., default -1, ignorable true;
        /// The batch indices of records that caused the batch to be dropped.
        record_errors: Vec<BatchIndexAndErrorMessage>, versions 8.., ignorable true;
        /// The global error message summarizing the common root cause of the records that caused the batch to
        /// be dropped.
        error_message: Option<String>, versions 8.., ignorable true;
        /// The leader broker that the producer should use for future requests.
        current_leader: LeaderIdAndEpoch, versions 10.., tag 0;
    }

    /// One element of [`PartitionProduceResponse::record_errors`].
    pub struct BatchIndexAndErrorMessage {
        /// The batch index of the record that caused the batch to be dropped.
        batch_index: i32;
        /// The error message of the record that caused the batch to be dropped.
        batch_index_error_message: Option<String>;
    }

    /// The value of [`PartitionProduceResponse::current_leader`].
    pub struct LeaderIdAndEpoch {
        /// The ID of the current leader or -1 if the leader is unknown.
        leader_id: i32, default -1;
        /// The latest known leader epoch.
        leader_epoch: i32, default -1;
    }

    /// One element of [`ProduceResponse::node_endpoints`].
    pub struct NodeEndpoint {
        /// The ID of the associated node.
        node_id: i32;
        /// The node's hostname.
        host: String;
        /// The node's port.
        port: i32;
        /// The rack of the node, or null if it has not been assigned to a rack.
        rack: Option<String>;
    }
}
