//! The Kafka record batch, format v2 (magic 2): the unit that is produced, stored and fetched. Only the header is
//! read here; the records inside, possibly compressed, are not touched.
//!
//! ```text
//!  0        8       12      16     17     21     23       27        35        43        51     53   57      61
//!  | base   | batch | leader| magic| crc  | attri| last   | first   | max     | producer| prod.| base| record| records …
//!  | offset | length| epoch | = 2  | 32c  | butes| offset | time-   | time-   | id      | epoch| seq.| count |
//!  | i64    | i32   | i32   | i8   | u32  | i16  | delta  | stamp   | stamp   | i64     | i16  | i32 | i32   |
//!                                         ^ the CRC covers from here to the end
//! ```
//!
//! `batch length` counts from the leader epoch on. Base offset and leader epoch lie outside of the CRC, so that the
//! broker can set them without touching the rest.

use thiserror::Error;

use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Bytes of the fixed header, up to the first record.
pub const HEADER_BYTES: usize = 61;
/// Bytes in front of what `batch length` counts: base offset and the length itself.
pub const LENGTH_PREFIX_BYTES: usize = 12;
/// The bytes that the broker may rewrite: base offset, batch length, leader epoch. The CRC covers none of them.
pub const PATCHED_PREFIX_BYTES: usize = 16;
/// Where the bytes that the CRC covers begin.
pub const CRC_START: usize = 21;
const MAGIC_V2: i8 = 2;
const TIMESTAMP_TYPE_BIT: i16 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;
const DELETE_HORIZON_BIT: i16 = 1 << 6;
const COMPRESSION_MASK: i16 = 0b111;

/// Whose clock a batch's timestamps are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at admission.
    LogAppendTime,
}

/// Why a batch is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BatchError {
    /// Fewer bytes than the header says or needs.
    #[error("the batch is cut short: {have} bytes of {need}")]
    Truncated {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// A length field that no valid batch has.
    #[error("the batch length {0} is impossible")]
    BadLength(i32),
    /// An old or unknown record format.
    #[error("the record format has magic {0}, only 2 is stored")]
    UnsupportedMagic(i8),
    /// The checksum does not match.
    #[error("the batch checksum is {stored:#010x} but its bytes give {computed:#010x}")]
    Crc {
        /// In the header.
        stored: u32,
        /// Over the bytes.
        computed: u32,
    },
    /// Record count and offset delta contradict each other.
    #[error("{records} records do not fit a last offset delta of {last_offset_delta}")]
    BadCount {
        /// Records by the header.
        records: i32,
        /// Last offset delta by the header.
        last_offset_delta: i32,
    },
}

/// The fixed header of one batch, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes of the whole batch, prefix included.
    pub size_bytes: usize,
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// The stored checksum (CRC-32C).
    pub crc: u32,
    /// Compression, timestamp type, transactional and control bits.
    pub attributes: i16,
    /// Offset of the last record, relative to the base.
    pub last_offset_delta: i32,
    /// Timestamp of the first record.
    pub first_timestamp: Timestamp,
    /// The largest timestamp, or the append time.
    pub max_timestamp: Timestamp,
    /// The idempotent producer, or [`ProducerId::NONE`].
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Its sequence number for the first record.
    pub base_sequence: Sequence,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Parses the header at the front of `bytes`, which must hold the whole batch; bytes behind it are ignored.
    /// Does not compute the checksum: see [`BatchHeader::check_crc`].
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader::parse_prefix(bytes)?;
        if bytes.len() < header.size_bytes {
            return Err(BatchError::Truncated { need: header.size_bytes, have: bytes.len() });
        }
        Ok(header)
    }

    /// Parses the header when only its first [`HEADER_BYTES`] need be there.
    pub fn parse_prefix(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        if bytes.len() < PATCHED_PREFIX_BYTES + 1 {
            return Err(BatchError::Truncated { need: HEADER_BYTES, have: bytes.len() });
        }
        let magic = bytes[16] as i8;
        if magic != MAGIC_V2 {
            return Err(BatchError::UnsupportedMagic(magic));
        }
        if bytes.len() < HEADER_BYTES {
            return Err(BatchError::Truncated { need: HEADER_BYTES, have: bytes.len() });
        }
        let length = i32_at(bytes, 8);
        if length < (HEADER_BYTES - LENGTH_PREFIX_BYTES) as i32 {
            return Err(BatchError::BadLength(length));
        }
        Ok(BatchHeader {
            base_offset: Offset(i64_at(bytes, 0)),
            size_bytes: length as usize + LENGTH_PREFIX_BYTES,
            leader_epoch: LeaderEpoch(i32_at(bytes, 12)),
            crc: i32_at(bytes, 17) as u32,
            attributes: i16_at(bytes, 21),
            last_offset_delta: i32_at(bytes, 23),
            first_timestamp: Timestamp(i64_at(bytes, 27)),
            max_timestamp: Timestamp(i64_at(bytes, 35)),
            producer_id: ProducerId(i64_at(bytes, 43)),
            producer_epoch: ProducerEpoch(i16_at(bytes, 51)),
            base_sequence: Sequence(i32_at(bytes, 53)),
            record_count: i32_at(bytes, 57),
        })
    }

    /// Computes the checksum over the batch in `bytes` and compares it with the stored one.
    pub fn check_crc(&self, bytes: &[u8]) -> Result<(), BatchError> {
        let computed = crc32c(&bytes[CRC_START..self.size_bytes]);
        if computed == self.crc { Ok(()) } else { Err(BatchError::Crc { stored: self.crc, computed }) }
    }

    /// Checks that count and offset delta agree, as a producer's batch (never compacted) must have them.
    pub fn check_count(&self) -> Result<(), BatchError> {
        if self.record_count > 0 && self.last_offset_delta == self.record_count - 1 {
            Ok(())
        } else {
            Err(BatchError::BadCount {
                records: self.record_count,
                last_offset_delta: self.last_offset_delta,
            })
        }
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset behind the batch.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Compression codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; others are unknown.
    pub fn compression(&self) -> i16 {
        self.attributes & COMPRESSION_MASK
    }

    /// Whose clock the timestamps are from.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Holds a control record (a transaction marker), never application data.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// The first timestamp is a delete horizon (only compaction writes that).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_BIT != 0
    }

    /// Sent by an idempotent producer.
    pub fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }
}

/// The sixteen bytes that go in front of a stored batch instead of the producer's: base offset, length, leader epoch.
pub fn patched_prefix(
    base_offset: Offset,
    size_bytes: usize,
    epoch: LeaderEpoch,
) -> [u8; PATCHED_PREFIX_BYTES] {
    let mut prefix = [0; PATCHED_PREFIX_BYTES];
    prefix[..8].copy_from_slice(&base_offset.0.to_be_bytes());
    prefix[8..12].copy_from_slice(&((size_bytes - LENGTH_PREFIX_BYTES) as i32).to_be_bytes());
    prefix[12..].copy_from_slice(&epoch.0.to_be_bytes());
    prefix
}

/// Rewrites timestamp type, max timestamp and CRC for a `LogAppendTime` topic. `batch` must be one whole valid batch.
pub fn stamp_append_time(batch: &mut [u8], now: Timestamp) {
    let attributes = i16_at(batch, 21) | TIMESTAMP_TYPE_BIT;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&now.0.to_be_bytes());
    let crc = crc32c(&batch[CRC_START..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// CRC-32C (Castagnoli), as the record batch uses it.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let mut buffer = [0; 8];
    buffer.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_matches_the_check_value_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_short_or_hostile_header_is_an_error_and_never_a_panic() {
        for length in 0..HEADER_BYTES + 4 {
            let mut bytes = vec![0xff; length];
            if length > 16 {
                bytes[16] = 2;
            }
            assert!(BatchHeader::parse(&bytes).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn sequences_wrap_as_kafkas_do() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(7).plus(5), Sequence(12));
    }
}
