//! The newest batches of one partition in memory: what is still to be written, and behind it what readers near the
//! end are served from. The batch's bytes are the producer's, shared; the sixteen bytes that the broker sets are
//! made when they are needed.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tallymq_model::{
    LeaderEpoch, Offset, Timestamp,
    batch::{PATCHED_PREFIX_BYTES, patched_prefix},
};

/// One batch.
#[derive(Clone, Debug)]
pub(super) struct TailBatch {
    /// As the producer sent it; the first sixteen bytes are not served.
    pub bytes: Bytes,
    /// Offset of its first record.
    pub base: Offset,
    /// Offset of its last record, relative to the base.
    pub last_offset_delta: i32,
    /// Epoch of the leader that appended it.
    pub epoch: LeaderEpoch,
    /// Its largest timestamp.
    pub max_timestamp: Timestamp,
}

impl TailBatch {
    /// The offset behind the batch.
    pub(super) fn next(&self) -> Offset {
        self.base.plus(i64::from(self.last_offset_delta) + 1)
    }

    /// What stands in front of the rest in the file and in answers.
    pub(super) fn prefix(&self) -> [u8; PATCHED_PREFIX_BYTES] {
        patched_prefix(self.base, self.bytes.len(), self.epoch)
    }

    /// What follows the prefix.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[PATCHED_PREFIX_BYTES..]
    }
}

/// Batches in offset order without gaps. The first `written` are in the file and may be dropped.
///
/// Invariant: `written <= batches.len()`.
#[derive(Debug, Default)]
pub(super) struct Tail {
    batches: VecDeque<TailBatch>,
    written: usize,
}

impl Tail {
    /// The first offset in memory.
    pub(super) fn first(&self) -> Option<Offset> {
        self.batches.front().map(|batch| batch.base)
    }

    /// Adds the next batch, not yet written.
    pub(super) fn push(&mut self, batch: TailBatch) {
        debug_assert!(
            self.batches.back().is_none_or(|last| last.next() == batch.base),
            "the tail has no gaps"
        );
        self.batches.push_back(batch);
    }

    /// What is to be written, in order.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.written..)
    }

    /// Notes that the next `count` batches are in the file.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written += count;
        debug_assert!(self.written <= self.batches.len(), "written batches were in memory");
    }

    /// Drops up to `count` written batches from the front and returns their bytes.
    pub(super) fn evict(&mut self, count: usize) -> u64 {
        let count = count.min(self.written);
        self.written -= count;
        let bytes = self.batches.drain(..count).map(|batch| batch.bytes.len() as u64).sum();
        if self.batches.is_empty() {
            self.batches = VecDeque::new();
        } else if self.batches.capacity() > 64 && self.batches.len() < self.batches.capacity() / 4 {
            self.batches.shrink_to(self.batches.len() * 2);
        }
        bytes
    }

    /// Collects batches from the one that contains `from` on, at most `bytes_max` bytes, but at least one if
    /// `at_least_one`. Each batch is two pieces: its prefix and the rest. Returns the bytes and the offset behind.
    pub(super) fn collect(
        &self,
        from: Offset,
        bytes_max: usize,
        at_least_one: bool,
        pieces: &mut Vec<Bytes>,
    ) -> Option<Run> {
        let start = self.batches.partition_point(|batch| batch.next() <= from);
        let (mut bytes, mut end) = (0, start);
        for batch in self.batches.range(start..) {
            if bytes + batch.bytes.len() > bytes_max && !(at_least_one && end == start) {
                break;
            }
            bytes += batch.bytes.len();
            end += 1;
        }
        let (first, last) = (self.batches.get(start)?, self.batches.get(end.checked_sub(1)?)?);
        if end == start {
            return None;
        }
        let run = Run { base: first.base, next: last.next(), bytes };
        let mut prefixes = BytesMut::with_capacity((end - start) * PATCHED_PREFIX_BYTES);
        for batch in self.batches.range(start..end) {
            prefixes.extend_from_slice(&batch.prefix());
            pieces.push(prefixes.split().freeze());
            pieces.push(batch.bytes.slice(PATCHED_PREFIX_BYTES..));
        }
        Some(run)
    }

    /// The first batch with a record not before `from` whose max timestamp is at least `at`.
    pub(super) fn find_timestamp(&self, at: Timestamp, from: Offset) -> Option<&TailBatch> {
        let start = self.batches.partition_point(|batch| batch.next() <= from);
        self.batches.range(start..).find(|batch| batch.max_timestamp >= at)
    }

    /// The batch that contains `offset`.
    pub(super) fn containing(&self, offset: Offset) -> Option<&TailBatch> {
        let batch = self.batches.get(self.batches.partition_point(|batch| batch.next() <= offset))?;
        (batch.base <= offset).then_some(batch)
    }
}

/// Whole batches that were collected one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Base offset of the first.
    pub base: Offset,
    /// The offset behind the last.
    pub next: Offset,
    /// All their bytes.
    pub bytes: usize,
}
