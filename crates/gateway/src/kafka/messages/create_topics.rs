//! CreateTopics (key 19): create topics. Wire layout only, no meaning. Source: KIP-4, KIP-525, KIP-516.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 2..=7, flexible 5..;

    /// CreateTopics request: create topics.
    pub struct CreateTopicsRequest {
        /// The topics to create.
        topics: Vec<CreatableTopic>;
        /// How long to wait in milliseconds before timing out the request.
        timeout_ms: i32, default 60000;
        /// If true, check that the topics can be created as specified, but don't create anything.
        validate_only: bool;
    }

    /// One element of [`CreateTopicsRequest::topics`].
    pub struct CreatableTopic {
        /// The topic name.
        name: String;
        /// The number of partitions to create in the topic, or -1 if we are either specifying a manual
        /// partition assignment or using the default partitions.
        num_partitions: i32;
        /// The number of replicas to create for each partition in the topic, or -1 if we are either
        /// specifying a manual partition assignment or using the default replication factor.
        replication_factor: i16;
        /// The manual partition assignment, or the empty array if we are using automatic assignment.
        assignments: Vec<CreatableReplicaAssignment>;
        /// The custom topic configurations to set.
        configs: Vec<CreatableTopicConfig>;
    }

    /// One element of [`CreatableTopic::assignments`].
    pub struct CreatableReplicaAssignment {
        /// The partition index.
        partition_index: i32;
        /// The brokers to place the partition on.
        broker_ids: Vec<i32>;
    }

    /// One element of [`CreatableTopic::configs`].
    pub struct CreatableTopicConfig {
        /// The configuration name.
        name: String;
        /// The configuration value.
        value: Option<String>, default Some(String::new());
    }

    /// What a broker answers to [`CreateTopicsRequest`].
    pub struct CreateTopicsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// Results for each topic we tried to create.
        topics: Vec<CreatableTopicResult>;
    }

    /// One element of [`CreateTopicsResponse::topics`].
    pub struct CreatableTopicResult {
        /// The topic name.
        name: String;
        /// The unique topic ID.
        topic_id: Uuid, versions 7.., ignorable true;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The error message, or null if there was no error.
        error_message: Option<String>;
        /// Optional topic config error returned if configs are not returned in the response.
        topic_config_error_code: ErrorCode, versions 5.., tag 0, ignorable true;
        /// Number of partitions of the topic.
        num_partitions: i32, versions 5.., default -1, ignorable true;
        /// Replication factor of the topic.
        replication_factor: i16, versions 5.., default -1, ignorable true;
        /// Configuration of the topic.
        configs: Option<Vec<CreatableTopicConfigs>>, versions 5.., default Some(Vec::new()), ignorable true;
    }

    /// One element of [`CreatableTopicResult::configs`].
    pub struct CreatableTopicConfigs {
        /// The configuration name.
        name: String;
        /// The configuration value.
        value: Option<String>, default Some(String::new());
        /// True if the configuration is read-only.
        read_only: bool;
        /// The configuration source.
        config_source: i8, default -1;
        /// True if this configuration is sensitive.
        is_sensitive: bool;
    }
}
