//! OffsetCommit (key 8): store the positions of a consumer group. Wire layout only, no meaning. Source:
//! KIP-211, KIP-345, KIP-848.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 2..=10, flexible 8..;

    /// OffsetCommit request: store the positions of a consumer group.
    pub struct OffsetCommitRequest {
        /// The unique group identifier.
        group_id: String;
        /// The generation of the group if using the classic group protocol or the member epoch if using the
        /// consumer protocol.
        generation_id_or_member_epoch: i32, default -1;
        /// The member ID assigned by the group coordinator.
        member_id: String;
        /// The unique identifier of the consumer instance provided by end user.
        group_instance_id: Option<String>, versions 7..;
        /// The time period in ms to retain the offset.
        retention_time_ms: i64, versions 2..=4, default -1, ignorable true;
        /// The topics to commit offsets for.
        topics: Vec<OffsetCommitRequestTopic>;
    }

    /// One element of [`OffsetCommitRequest::topics`].
    pub struct OffsetCommitRequestTopic {
        /// The topic name.
        name: String, versions 2..=9, ignorable true;
        /// The topic ID.
        topic_id: Uuid, versions 10.., ignorable true;
        /// Each partition to commit offsets for.
        partitions: Vec<OffsetCommitRequestPartition>;
    }

    /// One element of [`OffsetCommitRequestTopic::partitions`].
    pub struct OffsetCommitRequestPartition {
        /// The partition index.
        partition_index: i32;
        /// The message offset to be committed.
        committed_offset: i64;
        /// The leader epoch of this partition.
        committed_leader_epoch: i32, versions 6.., default -1, ignorable true;
        /// Any associated metadata the client wants to keep.
        committed_metadata: Option<String>, default Some(String::new());
    }

    /// What a broker answers to [`OffsetCommitRequest`].
    pub struct OffsetCommitResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 3.., ignorable true;
        /// The responses for each topic.
        topics: Vec<OffsetCommitResponseTopic>;
    }

    /// One element of [`OffsetCommitResponse::topics`].
    pub struct OffsetCommitResponseTopic {
        /// The topic name.
        name: String, versions 2..=9, ignorable true;
        /// The topic ID.
        topic_id: Uuid, versions 10.., ignorable true;
        /// The responses for each partition in the topic.
        partitions: Vec<OffsetCommitResponsePartition>;
    }

    /// One element of [`OffsetCommitResponseTopic::partitions`].
    pub struct OffsetCommitResponsePartition {
        /// The partition index.
        partition_index: i32;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
    }
}
