//! Fetch (key 1): read record batches from partitions, inside a session. Wire layout only, no meaning.
//! Source: KIP-74, KIP-227, KIP-320, KIP-392, KIP-516.

use uuid::Uuid;

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;
use crate::kafka::wire::Records;

schema! {
    versions 4..=18, flexible 12..;

    /// Fetch request: read record batches from partitions, inside a session.
    pub struct FetchRequest {
        /// The clusterId if known. This is used to validate metadata fetches prior to broker registration.
        cluster_id: Option<String>, versions 12.., tag 0, ignorable true;
        /// The broker ID of the follower, of -1 if this request is from a consumer.
        replica_id: i32, versions 4..=14, default -1;
        /// The state of the replica in the follower.
        replica_state: ReplicaState, versions 15.., tag 1;
        /// The maximum time in milliseconds to wait for the response.
        max_wait_ms: i32;
        /// The minimum bytes to accumulate in the response.
        min_bytes: i32;
        /// The maximum bytes to fetch. See KIP-74 for cases where this limit may not be honored.
        max_bytes: i32, default i32::MAX;
        /// This setting controls the visibility of transactional records. Using READ_UNCOMMITTED
        /// (isolation_level = 0) makes all records visible. With READ_COMMITTED (isolation_level = 1),
        /// non-transactional and COMMITTED transactional records are visible. To be more concrete,
        /// READ_COMMITTED returns all data from offsets smaller than the current LSO (last stable offset),
        /// and enables the inclusion of the list of aborted transactions in the result, which allows
        /// consumers to discard ABORTED transactional records.
        isolation_level: i8;
        /// The fetch session ID.
        session_id: i32, versions 7.., ignorable true;
        /// The fetch session epoch, which is used for ordering requests in a session.
        session_epoch: i32, versions 7.., default -1, ignorable true;
        /// The topics to fetch.
        topics: Vec<FetchTopic>;
        /// In an incremental fetch request, the partitions to remove.
        forgotten_topics_data: Vec<ForgottenTopic>, versions 7..;
        /// Rack ID of the consumer making this request.
        rack_id: String, versions 11.., ignorable true;
    }

    /// The value of [`FetchRequest::replica_state`].
    pub struct ReplicaState {
        /// The replica ID of the follower, or -1 if this request is from a consumer.
        replica_id: i32, default -1;
        /// The epoch of this follower, or -1 if not available.
        replica_epoch: i64, default -1;
    }

    /// One element of [`FetchRequest::topics`].
    pub struct FetchTopic {
        /// The name of the topic to fetch.
        topic: String, versions 4..=12, ignorable true;
        /// The unique topic ID.
        topic_id: Uuid, versions 13.., ignorable true;
        /// The partitions to fetch.
        partitions: Vec<FetchPartition>;
    }

    /// One element of [`FetchTopic::partitions`].
    pub struct FetchPartition {
        /// The partition index.
        partition: i32;
        /// The current leader epoch of the partition.
        current_leader_epoch: i32, versions 9.., default -1, ignorable true;
        /// The message offset.
        fetch_offset: i64;
        /// The epoch of the last fetched record or -1 if there is none.
        last_fetched_epoch: i32, versions 12.., default -1;
        /// The earliest available offset of the follower replica. The field is only used when the request is
        /// sent by the follower.
        log_start_offset: i64, versions 5.., default -1, ignorable true;
        /// The maximum bytes to fetch from this partition. See KIP-74 for cases where this limit may not be
        /// honored.
        partition_max_bytes: i32;
        /// The directory id of the follower fetching.
        replica_directory_id: Uuid, versions 17.., tag 0, ignorable true;
        /// The high-watermark known by the replica. -1 if the high-watermark is not known and
        /// 9223372036854775807 if the feature is not supported.
        high_watermark: i64, versions 18.., tag 1, default i64::MAX, ignorable true;
    }

    /// One element of [`FetchRequest::forgotten_topics_data`].
    pub struct ForgottenTopic {
        /// The topic name.
        topic: String, versions 7..=12, ignorable true;
        /// The unique topic ID.
        topic_id: Uuid, versions 13.., ignorable true;
        /// The partitions indexes to forget.
        partitions: Vec<i32>;
    }

    /// What a broker answers to [`FetchRequest`].
    pub struct FetchResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The top level response error code.
        error_code: ErrorCode, versions 7.., ignorable true;
        /// The fetch session ID, or 0 if this is not part of a fetch session.
        session_id: i32, versions 7..;
        /// The response topics.
        responses: Vec<FetchableTopicResponse>;
        /// Endpoints for all current-leaders enumerated in PartitionData, with errors NOT_LEADER_OR_FOLLOWER
        /// & FENCED_LEADER_EPOCH.
        node_endpoints: Vec<NodeEndpoint>, versions 16.., tag 0;
    }

    /// One element of [`FetchResponse::responses`].
    pub struct FetchableTopicResponse {
        /// The topic name.
        topic: String, versions 4..=12, ignorable true;
        /// The unique topic ID.
        topic_id: Uuid, versions 13.., ignorable true;
        /// The topic partitions.
        partitions: Vec<PartitionData>;
    }

    /// One element of [`FetchableTopicResponse::partitions`].
    pub struct PartitionData {
        /// The partition index.
        partition_index: i32;
        /// The error code, or 0 if there was no fetch error.
        error_code: ErrorCode;
        /// The current high water mark.
        high_watermark: i64;
        /// The last stable offset (or LSO) of the partition. This is the last offset such that the state of
        /// all transactional records prior to this offset have been decided (ABORTED or COMMITTED).
        last_stable_offset: i64, default -1;
        /// The current log start offset.
        log_start_offset: i64, versions 5.., default -1, ignorable true;
        /// In case divergence is detected based on the `LastFetchedEpoch` and `FetchOffset` in the request,
        /// this field indicates the largest epoch and its end offset such that subsequent records are known
        /// to diverge.
        diverging_epoch: EpochEndOffset, versions 12.., tag 0;
        /// The current leader of the partition.
        current_leader: LeaderIdAndEpoch, versions 12.., tag 1;
        /// In the case of fetching an offset less than the LogStartOffset, this is the end offset and epoch
        /// that should be used in the FetchSnapshot request.
        snapshot_id: SnapshotId, versions 12.., tag 2;
        /// The aborted transactions.
        aborted_transactions: Option<Vec<AbortedTransaction>>, default Some(Vec::new());
        /// The preferred read replica for the consumer to use on its next fetch request.
        preferred_read_replica: i32, versions 11.., default -1;
        /// The record data.
        records: Option<Records>, default Some(Records::new());
    }

    /// The value of [`PartitionData::diverging_epoch`].
    pub struct EpochEndOffset {
        /// The largest epoch.
        epoch: i32, default -1;
        /// The end offset of the epoch.
        end_offset: i64, default -1;
    }

    /// The value of [`PartitionData::current_leader`].
    pub struct LeaderIdAndEpoch {
        /// The ID of the current leader or -1 if the leader is unknown.
        leader_id: i32, default -1;
        /// The latest known leader epoch.
        leader_epoch: i32, default -1;
    }

    /// The value of [`PartitionData::snapshot_id`].
    pub struct SnapshotId {
        /// The end offset of the epoch.
        end_offset: i64, default -1;
        /// The largest epoch.
        epoch: i32, default -1;
    }

    /// One element of [`PartitionData::aborted_transactions`].
    pub struct AbortedTransaction {
        /// The producer id associated with the aborted transaction.
        producer_id: i64;
        /// The first offset in the aborted transaction.
        first_offset: i64;
    }

    /// One element of [`FetchResponse::node_endpoints`].
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
