//! DescribeLogDirs (key 35): sizes of the replicas on disk. Wire layout only, no meaning. Source: KIP-113,
//! KIP-827.

use crate::kafka::error_code::ErrorCode;
use crate::kafka::schema::schema;

schema! {
    versions 1..=5, flexible 2..;

    /// DescribeLogDirs request: sizes of the replicas on disk.
    pub struct DescribeLogDirsRequest {
        /// Each topic that we want to describe log directories for, or null for all topics.
        topics: Option<Vec<DescribableLogDirTopic>>, default Some(Vec::new());
    }

    /// One element of [`DescribeLogDirsRequest::topics`].
    pub struct DescribableLogDirTopic {
        /// The topic name.
        topic: String;
        /// The partition indexes.
        partitions: Vec<i32>;
    }

    /// What a broker answers to [`DescribeLogDirsRequest`].
    pub struct DescribeLogDirsResponse {
        /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero
        /// if the request did not violate any quota.
        throttle_time_ms: i32;
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode, versions 3.., ignorable true;
        /// The log directories.
        results: Vec<DescribeLogDirsResult>;
    }

    /// One element of [`DescribeLogDirsResponse::results`].
    pub struct DescribeLogDirsResult {
        /// The error code, or 0 if there was no error.
        error_code: ErrorCode;
        /// The absolute log directory path.
        log_dir: String;
        /// The topics.
        topics: Vec<DescribeLogDirsTopic>;
        /// The total size in bytes of the volume the log directory is in. This value does not include the
        /// size of data stored in remote storage.
        total_bytes: i64, versions 4.., default -1, ignorable true;
        /// The usable size in bytes of the volume the log directory is in. This value does not include the
        /// size of data stored in remote storage.
        usable_bytes: i64, versions 4.., default -1, ignorable true;
        /// True if this log directory is cordoned.
        is_cordoned: bool, versions 5.., ignorable true;
    }

    /// One element of [`DescribeLogDirsResult::topics`].
    pub struct DescribeLogDirsTopic {
        /// The topic name.
        name: String;
        /// The partitions.
        partitions: Vec<DescribeLogDirsPartition>;
    }

    /// One element of [`DescribeLogDirsTopic::partitions`].
    pub struct DescribeLogDirsPartition {
        /// The partition index.
        partition_index: i32;
        /// The size of the log segments in this partition in bytes.
        partition_size: i64;
        /// The lag of the log's LEO w.r.t. partition's HW (if it is the current log for the partition) or
        /// current replica's LEO (if it is the future log for the partition).
        offset_lag: i64;
        /// True if this log is created by AlterReplicaLogDirsRequest and will replace the current log of the
        /// replica in the future.
        is_future_key: bool;
    }
}
