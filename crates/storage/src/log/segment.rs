//! What is known in memory of a segment file. Nothing here opens one.

use tallymq_model::{Offset, Timestamp};

use super::{options::PartitionOptions, position::SegmentPosition, tail::TailBatch};

/// One segment as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentView {
    /// First offset.
    pub base: Offset,
    /// The offset behind its last record.
    pub end: Offset,
    /// The largest timestamp in it; -1 if there is none.
    pub max_timestamp: Timestamp,
    /// Bytes of its file.
    pub bytes: u64,
    /// Whether nothing is appended to it any more.
    pub sealed: bool,
}

impl SegmentPosition {
    /// A segment that nothing was written to yet.
    pub(super) fn empty(base: Offset) -> SegmentPosition {
        SegmentPosition {
            base,
            bytes: 0,
            first_timestamp: Timestamp(-1),
            max_timestamp: Timestamp(-1),
            max_timestamp_base: base,
        }
    }

    /// Whether `batch` belongs into a new segment: by bytes, by record time, or because offsets relative to the base
    /// would not fit 31 bits (Kafka's `LogSegment.shouldRoll`).
    pub(super) fn is_full_for(&self, batch: &TailBatch, options: &PartitionOptions) -> bool {
        let waited_ms = batch.max_timestamp.0.saturating_sub(self.first_timestamp.0);
        self.bytes > 0
            && (self.bytes + batch.bytes.len() as u64 > u64::from(options.segment_bytes_max)
                || (self.first_timestamp.0 >= 0
                    && waited_ms > options.segment_ms_max.min(i64::MAX as u64) as i64)
                || batch.next().0 - self.base.0 > i64::from(i32::MAX))
    }

    /// Notes a batch at the end.
    pub(super) fn extend(&mut self, batch: &TailBatch) {
        if self.bytes == 0 {
            self.first_timestamp = batch.max_timestamp;
        }
        if batch.max_timestamp > self.max_timestamp {
            self.max_timestamp = batch.max_timestamp;
            self.max_timestamp_base = batch.base;
        }
        self.bytes += batch.bytes.len() as u64;
    }
}
