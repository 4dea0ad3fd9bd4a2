//! Metadata (key 3): brokers, topics, partitions and who leads them. Wire layout only, no meaning. Source:
//! KIP-4, KIP-516, KIP-700.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=13, flexible 9..;

    /// Metadata request: brokers, topics, partitions and who leads them.
    pub struct MetadataRequest {
        /// The topics to fetch metadata for.
        topics: Option<Vec<MetadataRequestTopic>>, nullable 1.., default Some(Vec::new());
        /// If this is true, the broker may auto-create topics that we requested which do not already exist,
        /// if it is configured to do so.
        allow_auto_topic_creation: bool, versions 4.., default true;
        /// Whether to include cluster authorized operations.
        include_cluster_authorized_operations: bool, versions 8..=10;
        /// Whether to include topic authorized operations.
        include_topic_authorized_operations: bool, versions 8..;
    }

    /// One element of [`MetadataRequest::topics`].
    pub struct MetadataRequestTopic {
        /// The topic id.
        topic_id: Uuid, versions 10.., ignorable true;
        /// The topic name.
        name: Option<String>, nullable 10.., default Some(String::new());
    }

    /// What a broker answers to [`MetadataRequest`].
    pub struct MetadataResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 3.., ignorable true;
        /// A list of brokers present in the cluster.
        brokers: Vec<MetadataResponseBroker>;
        /// The cluster ID that responding broker belongs to.
        cluster_id: Option<String>, versions 2.., ignorable true;
        /// The ID of the controller broker.
        controller_id: i32, versions 1.., default -1, ignorable true;
        /// Each topic in the response.
        topics: Vec<MetadataResponseTopic>;
        /// 32-bit bitfield to represent authorized operations for this cluster.
        cluster_authorized_operations: i32, versions 8..=10, default i32::MIN;
        /// The top-level error code, or 0 if there was no error.
        error_code: ErrorCode, versions 13.., ignorable true;
    }

    /// One element of [`MetadataResponse::brokers`].
    pub struct MetadataResponseBroker {
        /// The broker ID.
        node_id: i32;
        /// The broker hostname.
        host: String;
        /// The broker port.
        port: i32;
        /// The rack of the broker, or null if it has not been assigned to a rack.
        rack: Option<String>, versions 1.., ignorable true;
    }

    /// One element of [`MetadataResponse::topics`].
    pub struct MetadataResponseTopic {
        /// The topic error, or 0 if there was no error.
        error_code: ErrorCode;
        /// The topic name. Null for non-existing topics queried by ID. This is never null when ErrorCode is
        /// zero. One of Name and TopicId is always populated.
        name: Option<String>, nullable 12.., default Some(String::new());
        /// The topic id. Zero for non-existing topics queried by name. This is never zero when ErrorCode is
        /// zero. One of Name and TopicId is always populated.
        topic_id: Uuid, versions 10.., ignorable true;
        /// True if the topic is internal.
        is_internal: bool, versions 1.., ignorable true;
        /// Each partition in the topic.
        partitions: Vec<MetadataResponsePartition>;
        /// 32-bit bitfield to represent authorized operations for this topic.
        topic_authorized_operations: i32, versions 8.., default i32::MIN;
    }

    /// One element of [`MetadataResponseTopic::partitions`].
    pub struct MetadataResponsePartition {
        /// The partition error, or 0 if there was no error.
        error_code: ErrorCode;
        /// The partition index.
        partition_index: i32;
        /// The ID of the leader broker.
        leader_id: i32;
        /// The leader epoch of this partition.
        leader_epoch: i32, versions 7.., default -1, ignorable true;
        /// The set of all nodes that host this partition.
        replica_nodes: Vec<i32>;
        /// The set of nodes that are in sync with the leader for this partition.
        isr_nodes: Vec<i32>;
        /// The set of offline replicas of this partition.
        offline_replicas: Vec<i32>, versions 5.., ignorable true;
    }
}
