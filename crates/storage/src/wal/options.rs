//! What can be set about the write-ahead log, and how it is fitted to the disk it is on.

use std::time::Duration;

use crate::disk::Space;

use super::format::PAGE_BYTES;

/// A point in time, in nanoseconds since any fixed start; it never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The point `delay` later.
    pub fn plus(self, delay: Duration) -> Nanos {
        Nanos(self.0.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// When a commit group is synced. Chosen per broker, never per topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Before anything in it is acknowledged.
    Sync,
    /// Acknowledged once written, synced after an interval or a number of bytes, whichever is first. Votes and the
    /// metadata group are synced all the same.
    Async {
        /// The longest time that something acknowledged stays unsynced.
        interval: Duration,
        /// The most bytes that something acknowledged stays unsynced.
        bytes: u64,
    },
}

/// Settings of the write-ahead log.
#[derive(Clone, Debug)]
pub struct WalOptions {
    /// Directory of the log's files, relative to the data directory.
    pub directory: String,
    /// Bytes of one file, rounded to pages; smaller on a small disk.
    pub file_bytes: u64,
    /// Bytes of all files together; at most a tenth of the file system. From half of it on checkpoints are wanted.
    pub bytes_max: u64,
    /// Bytes of queued records after which a commit group takes no further submission.
    pub group_bytes_max: usize,
    /// When to sync.
    pub flush: Flush,
    /// How long after the queue ran empty the closing group is written.
    pub closing_delay: Duration,
    /// Files kept prepared in advance.
    pub spare_files: usize,
    /// Added to each sync by the committer's thread, to tune for disks whose sync is slow. Zero in production.
    pub sync_delay: Duration,
}

impl Default for WalOptions {
    fn default() -> WalOptions {
        WalOptions {
            directory: "wal".to_owned(),
            file_bytes: 64 << 20,
            bytes_max: 1 << 30,
            group_bytes_max: 2 << 20,
            flush: Flush::Sync,
            closing_delay: Duration::from_millis(20),
            spare_files: 2,
            sync_delay: Duration::ZERO,
        }
    }
}

/// Files in a log that is full; fewer would make recycling coarse.
const FILES_MIN: u64 = 8;
/// Pages in the smallest file: header, snapshot, and room for a few groups.
const FILE_PAGES_MIN: u64 = 8;

impl WalOptions {
    /// The settings fitted to a file system: the total is at most a tenth of it, a file at most an eighth of that.
    pub(super) fn fitted_to(&self, space: Space) -> WalOptions {
        let smallest = FILE_PAGES_MIN * PAGE_BYTES;
        let bytes_max = self.bytes_max.min(space.total_bytes / 10).max(smallest * FILES_MIN);
        let file_bytes = self.file_bytes.min(bytes_max / FILES_MIN).max(smallest);
        WalOptions { bytes_max, file_bytes: file_bytes / PAGE_BYTES * PAGE_BYTES, ..self.clone() }
    }
}
