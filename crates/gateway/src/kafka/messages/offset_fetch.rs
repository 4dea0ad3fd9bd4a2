//! OffsetFetch (key 9): read the positions of consumer groups. Wire layout only, no meaning. Source: KIP-447,
//! KIP-709, KIP-848.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 1..=10, flexible 6..;

    /// OffsetFetch request: read the positions of consumer groups.
    pub struct OffsetFetchRequest {
        /// The group to fetch offsets for.
        group_id: String, versions 1..=7;
        /// Each topic we would like to fetch offsets for, or null to fetch offsets for all topics.
        topics: Option<Vec<OffsetFetchRequestTopic>>, versions 1..=7, nullable 2..=7, default Some(Vec::new());
        /// Each group we would like to fetch offsets for.
        groups: Vec<OffsetFetchRequestGroup>, versions 8..;
        /// Whether broker should hold on returning unstable offsets but set a retriable error code for the
        /// partitions.
        require_stable: bool, versions 7..;
    }

    /// One element of [`OffsetFetchRequest::topics`].
    pub struct OffsetFetchRequestTopic {
        /// The topic name.
        name: String;
        /// The partition indexes we would like to fetch offsets for.
        partition_indexes: Vec<i32>;
    }

    /// One element of [`OffsetFetchRequest::groups`].
    pub struct OffsetFetchRequestGroup {
        /// The group ID.
        group_id: String;
        /// The member id.
        member_id: Option<String>, versions 9.., ignorable true;
        /// The member epoch if using the new consumer protocol (KIP-848).
        member_epoch: i32, versions 9.., default -1, ignorable true;
        /// Each topic we would like to fetch offsets for, or null to fetch offsets for all topics.
        topics: Option<Vec<OffsetFetchRequestTopics>>, default Some(Vec::new());
    }

    /// One element of [`OffsetFetchRequestGroup::topics`].
    pub struct OffsetFetchRequestTopics {
        /// The topic name.
        name: String, versions 8..=9, ignorable true;
        /// The topic ID.
        topic_id: Uuid, versions 10.., ignorable true;
        /// The partition indexes we would like to fetch offsets for.
        partition_indexes: Vec<i32>;
    }

    /// What a broker answers to [`OffsetFetchRequest`].
    pub struct OffsetFetchResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32, versions 3.., ignorable true;
        /// The responses per topic.
        topics: Vec<OffsetFetchResponseTopic>, versions 1..=7;
        /// The top-level error code, or 0 if there was no error.
        error_code: ErrorCode, versions 2..=7, ignorable true;
        /// The responses per group id.
        groups: Vec<OffsetFetchResponseGroup>, versions 8..;
    }

    /// One element of [`OffsetFetchResponse::topics`].
    pub struct OffsetFetchResponseTopic {
        /// The topic name.
        name: String;
        /// The responses per partition.
        partitions: Vec<OffsetFetchResponsePartition>;
    }

    /// One element of [`OffsetFetchResponseTopic::partitions`].
    pub struct OffsetFetchResponsePartition {
        /// The partition index.
        partition_index: i32;
        /// The committed message offset.
        committed_offset: i64;
        /// The leader epoch.
        committed_leader_epoch: i32, versions 5.., default -1, ignorable true;
        /// The partition metadata.
        metadata: Option<String>, default Some(String::new());
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
    }

    /// One element of [`OffsetFetchResponse::groups`].
    pub struct OffsetFetchResponseGroup {
        /// The group ID.
        group_id: String;
        /// The responses per topic.
        topics: Vec<OffsetFetchResponseTopics>;
        /// The group-level error code, or 0 if there was no error.
        error_code: ErrorCode;
    }

    /// One element of [`OffsetFetchResponseGroup::topics`].
    pub struct OffsetFetchResponseTopics {
        /// The topic name.
        name: String, versions 8..=9, ignorable true;
        /// The topic ID.
        topic_id: Uuid, versions 10.., ignorable true;
        /// The responses per partition.
        partitions: Vec<OffsetFetchResponsePartitions>;
    }

    /// One element of [`OffsetFetchResponseTopics::partitions`].
    pub struct OffsetFetchResponsePartitions {
        /// The partition index.
        partition_index: i32;
        /// The committed message offset.
        committed_offset: i64;
        /// The leader epoch.
        committed_leader_epoch: i32, default -1;
        /// The partition metadata.
        metadata: Option<String>, default Some(String::new());
        /// The partition-level error code, or 0 if there was no error.
        error_code: ErrorCode;
    }
}
