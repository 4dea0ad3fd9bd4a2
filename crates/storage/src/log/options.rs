//! What the log of a node and the log of one partition can be told. Plain values; nothing is checked here.

/// Options of a [`LogStore`](super::LogStore), one per node.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Bytes of batches kept in memory for readers near the end, over all partitions. What is not yet written counts
    /// and is never dropped, so the cache may be larger while the writer is behind.
    pub tail_cache_bytes_max: u64,
    /// Open segment files, over all partitions.
    pub open_files_max: usize,
    /// Bytes of one write to one partition, exceeded only by a single larger batch.
    pub write_bytes_max: usize,
    /// How long the writer's thread lets appends gather, in milliseconds, unless much or a checkpoint waits.
    pub linger_ms: u64,
    /// Unwritten bytes that end the linger.
    pub linger_bytes_max: u64,
    /// Durable checkpoints that must no longer need a file before it is removed: as many as are kept on disk.
    pub checkpoints_kept: u8,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            tail_cache_bytes_max: 128 << 20,
            open_files_max: 1024,
            write_bytes_max: 4 << 20,
            linger_ms: 20,
            linger_bytes_max: 4 << 20,
            checkpoints_kept: 2,
        }
    }
}

/// Options of one partition; they may be changed at any time and hold for the next roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionOptions {
    /// Bytes of a segment file (Kafka's `segment.bytes`), exceeded only by a single larger batch.
    pub segment_bytes_max: u32,
    /// Milliseconds of record time in a segment file (Kafka's `segment.ms`).
    pub segment_ms_max: u64,
    /// Bytes between two entries of the sparse index (Kafka's `index.interval.bytes`).
    pub index_interval_bytes: u32,
}

impl Default for PartitionOptions {
    fn default() -> Self {
        PartitionOptions {
            segment_bytes_max: 1 << 30,
            segment_ms_max: 7 * 24 * 3600 * 1000,
            index_interval_bytes: 32 << 10,
        }
    }
}
