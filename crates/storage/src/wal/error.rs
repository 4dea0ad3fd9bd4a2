//! Why the log does not open, or does not give an entry.

use std::io;

use tallymq_model::{LogIndex, RaftGroup};
use thiserror::Error;

/// Why [`Wal::open`](super::Wal::open) refuses.
#[derive(Debug, Error)]
pub enum WalOpenError {
    /// Something that was synced is not there any more. Nothing was changed.
    #[error("{file} is damaged at byte {position}: {reason}. {repair}")]
    Damaged {
        /// The file, relative to the data directory.
        file: String,
        /// Where the damage begins.
        position: u64,
        /// What is wrong.
        reason: String,
        /// What a person can do.
        repair: &'static str,
    },
    /// A file of a format that this release does not know.
    #[error("{file} has format version {version} of the write-ahead log; this release reads version {known}")]
    UnknownVersion {
        /// The file, relative to the data directory.
        file: String,
        /// Its version.
        version: u32,
        /// The newest version known.
        known: u32,
    },
    /// The disk failed.
    #[error("the write-ahead log cannot be opened: {what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// How it failed.
        error: io::Error,
    },
}

/// Why [`Wal::read`](super::Wal::read) has no entries to give.
#[derive(Debug, Error)]
pub enum WalReadError {
    /// A checkpoint covers it.
    #[error("entries of group {group} through {through} are purged")]
    Purged {
        /// The group.
        group: RaftGroup,
        /// The last purged index.
        through: LogIndex,
    },
    /// Beyond the last committed entry.
    #[error("group {group} has no entry {index}; its last is {last}")]
    Missing {
        /// The group.
        group: RaftGroup,
        /// The index asked for.
        index: LogIndex,
        /// The last index that it has.
        last: LogIndex,
    },
    /// The bytes on disk are not those that were written.
    #[error("entry {index} of group {group} is damaged: {file} at byte {position}")]
    Corrupt {
        /// The group.
        group: RaftGroup,
        /// The entry.
        index: LogIndex,
        /// The file, relative to the data directory.
        file: String,
        /// Where its payload begins.
        position: u64,
    },
    /// The disk failed.
    #[error("an entry cannot be read: {0}")]
    Io(#[from] io::Error),
}
