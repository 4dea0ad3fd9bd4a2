//! The records inside an uncompressed batch, walked without allocating: each length must fit, offset deltas must
//! count up from 0, timestamps must pass.
//!
//! ```text
//! | length | attributes | timestamp delta | offset delta | key length | key | value length | value | headers | header … |
//! | varint | i8         | varlong         | varint       | varint     |     | varint       |       | varint  | key, value
//! ```
//!
//! Varints are zigzag-folded; a key, value or header value of length -1 is null.

use tallymq_model::batch::HEADER_BYTES;
use tallymq_model::{BatchHeader, Timestamp, varint};
use thiserror::Error;

/// Which record is malformed, and how. Kafka: INVALID_RECORD (87), or INVALID_TIMESTAMP (32) for [`RecordError::Timestamp`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// Its lengths do not fit the bytes.
    #[error("record {0} of the batch is malformed")]
    Malformed(i32),
    /// Its offset delta is not its place in the batch.
    #[error("record {record} of the batch has offset delta {delta}")]
    OffsetDelta {
        /// Its place.
        record: i32,
        /// What it says.
        delta: i64,
    },
    /// There are bytes behind the last record.
    #[error("{0} bytes follow the last record of the batch")]
    Trailing(usize),
    /// Its timestamp is out of range.
    #[error("record {record} of the batch: {reason}")]
    Timestamp {
        /// Its place.
        record: i32,
        /// Why not.
        reason: String,
    },
}

/// Walks the records of an uncompressed `batch`.
pub(super) fn walk_records(
    header: &BatchHeader,
    batch: &[u8],
    check_timestamp: impl Fn(Timestamp) -> Result<(), String>,
) -> Result<(), RecordError> {
    let mut rest = &batch[HEADER_BYTES..header.size_bytes];
    for record in 0..header.record_count {
        let malformed = || RecordError::Malformed(record);
        let mut body = take_sized(&mut rest).flatten().ok_or_else(malformed)?;
        take(&mut body, 1).ok_or_else(malformed)?;
        let timestamp_delta = varint::take(&mut body).ok_or_else(malformed)?;
        let delta = varint::take(&mut body).ok_or_else(malformed)?;
        if delta != i64::from(record) {
            return Err(RecordError::OffsetDelta { record, delta });
        }
        let timestamp = header.first_timestamp.0.saturating_add(timestamp_delta);
        check_timestamp(Timestamp(timestamp)).map_err(|reason| RecordError::Timestamp { record, reason })?;
        walk_content(&mut body).ok_or_else(malformed)?;
        if !body.is_empty() {
            return Err(malformed());
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(RecordError::Trailing(rest.len())) }
}

fn walk_content(body: &mut &[u8]) -> Option<()> {
    take_sized(body)?;
    take_sized(body)?;
    let headers = varint::take(body)?;
    if headers < 0 || headers > body.len() as i64 {
        return None;
    }
    for _ in 0..headers {
        take_sized(body)??;
        take_sized(body)?;
    }
    Some(())
}

/// A length and so many bytes; `Some(None)` is null.
fn take_sized<'a>(from: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint::take(from)? {
        -1 => Some(None),
        length => take(from, usize::try_from(length).ok()?).map(Some),
    }
}

fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}
