//! CreatePartitions (key 37): add partitions to topics. Wire layout only, no meaning. Source: KIP-195.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 0..=3, flexible 2..;

    /// CreatePartitions request: add partitions to topics.
    pub struct CreatePartitionsRequest {
        /// Each topic that we want to create new partitions inside.
        topics: Vec<CreatePartitionsTopic>;
        /// The time in ms to wait for the partitions to be created.
        timeout_ms: i32;
        /// If true, then validate the request, but don't actually increase the number of partitions.
        validate_only: bool;
    }

    /// One element of [`CreatePartitionsRequest::topics`].
    pub struct CreatePartitionsTopic {
        /// The topic name.
        name: String;
        /// The new partition count.
        count: i32;
        /// The new partition assignments.
        assignments: Option<Vec<CreatePartitionsAssignment>>, default Some(Vec::new());
    }

    /// One element of [`CreatePartitionsTopic::assignments`].
    pub struct CreatePartitionsAssignment {
        /// The assigned broker IDs.
        broker_ids: Vec<i32>;
    }

    /// What a broker answers to [`CreatePartitionsRequest`].
    pub struct CreatePartitionsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The partition creation results for each topic.
        results: Vec<CreatePartitionsTopicResult>;
    }

    /// One element of [`CreatePartitionsResponse::results`].
    pub struct CreatePartitionsTopicResult {
        /// The topic name.
        name: String;
        /// The result error, or zero if there was no error.
        error_code: ErrorCode;
        /// The result message, or null if there was no error.
        error_message: Option<String>;
    }
}
