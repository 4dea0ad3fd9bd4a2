//! The ways in which operations on the log fail, one type per operation.

use std::{io, sync::Arc};

use tallymq_model::{LeaderEpoch, Offset};
use thiserror::Error;

/// Bytes on disk that are not what was written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file} is damaged at byte {position}: {reason}")]
pub struct Damage {
    /// Path of the file, relative to the data directory.
    pub file: String,
    /// Where in it, in bytes.
    pub position: u64,
    /// What is wrong there.
    pub reason: String,
}

/// Why a read answers nothing.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The offset is not in the log (any more, or yet).
    #[error("the log holds offsets {log_start} to {log_end}, exclusive")]
    OffsetOutOfRange {
        /// First offset.
        log_start: Offset,
        /// The offset behind the last record.
        log_end: Offset,
    },
    /// The bytes that should be served are damaged; nothing of them is served.
    #[error(transparent)]
    Corrupt(#[from] Damage),
    /// The file could not be read.
    #[error("reading {file}: {source}")]
    Io {
        /// Path of the file, relative to the data directory.
        file: String,
        /// The disk's answer.
        source: io::Error,
    },
    /// The partition was deleted.
    #[error("the partition was deleted")]
    Deleted,
}

/// Why a batch cannot be the next one. Both mean that the caller's state and the log do not belong together.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AppendError {
    /// The batch does not begin at the log end.
    #[error("a batch at offset {base} does not continue a log that ends at {log_end}")]
    NotContiguous {
        /// The log end.
        log_end: Offset,
        /// The batch's base offset.
        base: Offset,
    },
    /// The leader epoch falls.
    #[error("leader epoch {epoch} after {last}")]
    EpochFalls {
        /// Of the batch before.
        last: LeaderEpoch,
        /// Of the batch.
        epoch: LeaderEpoch,
    },
    /// The header does not describe the bytes.
    #[error(
        "the header speaks of {header_bytes} bytes and {records} records, the batch has {batch_bytes} bytes"
    )]
    BadHeader {
        /// Bytes by the header.
        header_bytes: usize,
        /// Offsets that the batch takes, by the header.
        records: i64,
        /// Bytes there.
        batch_bytes: usize,
    },
}

/// A write, a sync or a removal failed: the store takes part in nothing any more and the process must end, because
/// nothing may be assumed of the file any more.
#[derive(Clone, Debug, Error)]
#[error("{operation} {path}: {source}")]
pub struct WriteFailed {
    /// What was tried.
    pub operation: &'static str,
    /// Path of the file or directory, relative to the data directory.
    pub path: String,
    /// The disk's answer.
    pub source: Arc<io::Error>,
}

/// Why positions for a checkpoint could not be had.
#[derive(Clone, Debug, Error)]
pub enum FlushError {
    /// The disk failed, now or before.
    #[error(transparent)]
    Failed(#[from] WriteFailed),
    /// The segment writer is past the mark, and has left out what was appended before it.
    #[error("the segment writer passed a mark at offset {log_end} with all from {written_end} on unwritten")]
    Unwritten {
        /// The offset behind the last record written.
        written_end: Offset,
        /// The log end at the mark.
        log_end: Offset,
    },
    /// A later mark of the same group was begun.
    #[error("a later checkpoint was begun")]
    Superseded,
    /// The segment writer has ended.
    #[error("the segment writer has ended")]
    Closed,
}
