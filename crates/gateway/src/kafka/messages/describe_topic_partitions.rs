//! DescribeTopicPartitions (key 75): partitions of topics, page by page. Wire layout only, no meaning.
//! Source: KIP-966.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=0, flexible 0..;

    /// DescribeTopicPartitions request: partitions of topics, page by page.
    pub struct DescribeTopicPartitionsRequest {
        /// The topics to fetch details for.
        topics: Vec<TopicRequest>;
        /// The maximum number of partitions included in the response.
        response_partition_limit: i32, default 2000;
        /// The first topic and partition index to fetch details for.
        cursor: Option<Cursor>;
    }

    /// One element of [`DescribeTopicPartitionsRequest::topics`].
    pub struct TopicRequest {
        /// The topic name.
        name: String;
    }

    /// The value of [`DescribeTopicPartitionsRequest::cursor`].
    pub struct Cursor {
        /// The name for the first topic to process.
        topic_name: String;
        /// The partition index to start with.
        partition_index: i32;
    }

    /// What a broker answers to [`DescribeTopicPartitionsRequest`].
    pub struct DescribeTopicPartitionsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// Each topic in the response.
        topics: Vec<DescribeTopicPartitionsResponseTopic>;
        /// The next topic and partition index to fetch details for.
        next_cursor: Option<Cursor>;
    }

    /// One element of [`DescribeTopicPartitionsResponse::topics`].
    pub struct DescribeTopicPartitionsResponseTopic {
        /// The topic error, or 0 if there was no error.
        error_code: ErrorCode;
        /// The topic name.
        name: Option<String>, default Some(String::new());
        /// The topic id.
        topic_id: Uuid;
        /// True if the topic is internal.
        is_internal: bool;
        /// Each partition in the topic.
        partitions: Vec<DescribeTopicPartitionsResponsePartition>;
        /// 32-bit bitfield to represent authorized operations for this topic.
        topic_authorized_operations: i32, default i32::MIN;
    }

    /// One element of [`DescribeTopicPartitionsResponseTopic::partitions`].
    pub struct DescribeTopicPartitionsResponsePartition {
        /// The partition error, or 0 if there was no error.
        error_code: ErrorCode;
        /// The partition index.
        partition_index: i32;
        /// The ID of the leader broker.
        leader_id: i32;
        /// The leader epoch of this partition.
        leader_epoch: i32, default -1;
        /// The set of all nodes that host this partition.
        replica_nodes: Vec<i32>;
        /// The set of nodes that are in sync with the leader for this partition.
        isr_nodes: Vec<i32>;
        /// The new eligible leader replicas otherwise.
        eligible_leader_replicas: Option<Vec<i32>>;
        /// The last known ELR.
        last_known_elr: Option<Vec<i32>>;
        /// The set of offline replicas of this partition.
        offline_replicas: Vec<i32>;
    }
}
