//! DeleteTopics (key 20): delete topics by name or by id. Wire layout only, no meaning. Source: KIP-4,
//! KIP-516, KIP-599.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 1..=6, flexible 4..;

    /// DeleteTopics request: delete topics by name or by id.
    pub struct DeleteTopicsRequest {
        /// The name or topic ID of the topic.
        topics: Vec<DeleteTopicState>, versions 6..;
        /// The names of the topics to delete.
        topic_names: Vec<String>, versions 1..=5, ignorable true;
        /// The length of time in milliseconds to wait for the deletions to complete.
        timeout_ms: i32;
    }

    /// One element of [`DeleteTopicsRequest::topics`].
    pub struct DeleteTopicState {
        /// The topic name.
        name: Option<String>;
        /// The unique topic ID.
        topic_id: Uuid;
    }

    /// What a broker answers to [`DeleteTopicsRequest`].
    pub struct DeleteTopicsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The results for each topic we tried to delete.
        responses: Vec<DeletableTopicResult>;
    }

    /// One element of [`DeleteTopicsResponse::responses`].
    pub struct DeletableTopicResult {
        /// The topic name.
        name: Option<String>, nullable 6.., default Some(String::new());
        /// The unique topic ID.
        topic_id: Uuid, versions 6.., ignorable true;
        /// The deletion error, or 0 if the deletion succeeded.
        error_code: ErrorCode;
        /// The error message, or null if there was no error.
        error_message: Option<String>, versions 5.., ignorable true;
    }
}
