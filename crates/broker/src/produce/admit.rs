//! Admission of one partition's records from a produce request.

use bytes::{Bytes, BytesMut};
use tallymq_model::batch::stamp_append_time;
use tallymq_model::{BatchError, BatchHeader, Timestamp, TimestampType};
use thiserror::Error;

use super::records::{RecordError, walk_records};

const COMPRESSION_NONE: i16 = 0;
const COMPRESSION_ZSTD: i16 = 4;
/// Version of the Produce API from which on zstd is allowed (KIP-110).
const ZSTD_PRODUCE_VERSION: i16 = 7;
const NO_TIMESTAMP: Timestamp = Timestamp(-1);

/// When a producer wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredAcks {
    /// acks=0: never; an error closes the connection.
    Nothing,
    /// acks=1: answered like `All`, since nothing is readable before it is committed.
    Leader,
    /// acks=-1 ("all").
    All,
}

/// acks is neither -1, 0 nor 1. Kafka: INVALID_REQUIRED_ACKS (21).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("acks must be -1, 0 or 1, but it is {0}")]
pub struct UnknownAcks(pub i16);

impl TryFrom<i16> for RequiredAcks {
    type Error = UnknownAcks;

    fn try_from(acks: i16) -> Result<RequiredAcks, UnknownAcks> {
        match acks {
            0 => Ok(RequiredAcks::Nothing),
            1 => Ok(RequiredAcks::Leader),
            -1 => Ok(RequiredAcks::All),
            other => Err(UnknownAcks(other)),
        }
    }
}

/// What a topic and the request ask of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmitRules {
    /// Version of the produce request.
    pub request_version: i16,
    /// `max.message.bytes`: the largest batch.
    pub message_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie in the past; `i64::MAX` is "any".
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// Whether the records of uncompressed batches are walked as Kafka does: each one well-formed, offset deltas 0, 1, …, timestamps inside
    /// the limits. Costs one pass over the record heads.
    pub walk_records: bool,
}

/// A batch that may go to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its header, as stored.
    pub header: BatchHeader,
    /// Its bytes: the client's own, or for LogAppendTime a stamped copy.
    pub batch: Bytes,
}

/// Why records are refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AdmitError {
    /// No batch at all, or none that is whole: Kafka's reader skips what is cut short. Kafka: INVALID_RECORD (87).
    #[error("Produce requests must have at least one whole record batch per partition")]
    NoBatch,
    /// More than one batch. Kafka: INVALID_RECORD (87).
    #[error("Produce requests must have exactly one record batch per partition")]
    ManyBatches,
    /// A record format before magic 2. Kafka: INVALID_RECORD (87).
    #[error("Produce requests are only allowed to contain record batches with magic version 2, not {0}")]
    Magic(i8),
    /// Impossible length or wrong checksum. Kafka: CORRUPT_MESSAGE (2).
    #[error("{0}")]
    Corrupt(BatchError),
    /// Count, base offset or base sequence contradict the format. Kafka: INVALID_RECORD (87).
    #[error("{0}")]
    Inconsistent(String),
    /// The batch is larger than `max.message.bytes`. Kafka: MESSAGE_TOO_LARGE (10).
    #[error(
        "The record batch has {size_bytes} bytes, which exceeds the maximum configured value of {limit_bytes}."
    )]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// `max.message.bytes`.
        limit_bytes: usize,
    },
    /// Codec 5, 6 or 7. Kafka: CORRUPT_MESSAGE (2), since no valid batch has it.
    #[error("Unknown compression codec {0}")]
    UnknownCompression(i16),
    /// zstd before Produce version 7. Kafka: UNSUPPORTED_COMPRESSION_TYPE (76).
    #[error("Produce requests with version {0} are not allowed to use ZStandard compression")]
    ZstdTooEarly(i16),
    /// A timestamp too far from the broker's clock, or stamped as if by a broker. Kafka: INVALID_TIMESTAMP (32).
    #[error("{0}")]
    Timestamp(String),
    /// A transaction marker from a client. Kafka: INVALID_RECORD (87).
    #[error("Clients are not allowed to write control records.")]
    Control,
    /// A batch of a transaction that was never begun here: transactions are not served yet. Kafka answers INVALID_TXN_STATE (48) to a batch
    /// whose transaction it does not know, and clients treat that as fatal, as they should.
    #[error("the record batch belongs to a transaction, and no transaction is open")]
    NoTransaction,
    /// A record inside an uncompressed batch is malformed. Kafka: INVALID_RECORD (87).
    #[error("{0}")]
    Record(#[from] RecordError),
}

/// Checks the records that a client produced to one partition. `records` is the whole record set of the partition. The client's bytes are
/// copied only when the topic is LogAppendTime.
pub fn admit(records: Bytes, rules: &AdmitRules, now: Timestamp) -> Result<Admitted, AdmitError> {
    if records.is_empty() {
        return Err(AdmitError::NoBatch);
    }
    let header = BatchHeader::parse(&records).map_err(|error| match error {
        BatchError::UnsupportedMagic(magic @ 0..=1) => AdmitError::Magic(magic),
        BatchError::Truncated { .. } => AdmitError::NoBatch,
        other => AdmitError::Corrupt(other),
    })?;
    if header.size_bytes < records.len() {
        return Err(AdmitError::ManyBatches);
    }
    check_compression(&header, rules)?;
    if header.size_bytes > rules.message_bytes_max {
        let (size_bytes, limit_bytes) = (header.size_bytes, rules.message_bytes_max);
        return Err(AdmitError::TooLarge { size_bytes, limit_bytes });
    }
    header.check_crc(&records).map_err(AdmitError::Corrupt)?;
    check_header(&header)?;
    check_timestamps(&header, rules, now)?;
    if rules.walk_records && header.compression() == COMPRESSION_NONE {
        walk_records(&header, &records, |timestamp| check_timestamp(timestamp, rules, now))?;
    }
    Ok(match rules.timestamp_type {
        TimestampType::CreateTime => Admitted { header, batch: records },
        TimestampType::LogAppendTime => stamped(header, &records, now)?,
    })
}

fn check_compression(header: &BatchHeader, rules: &AdmitRules) -> Result<(), AdmitError> {
    match header.compression() {
        COMPRESSION_NONE..COMPRESSION_ZSTD => Ok(()),
        COMPRESSION_ZSTD if rules.request_version >= ZSTD_PRODUCE_VERSION => Ok(()),
        COMPRESSION_ZSTD => Err(AdmitError::ZstdTooEarly(rules.request_version)),
        unknown => Err(AdmitError::UnknownCompression(unknown)),
    }
}

fn check_header(header: &BatchHeader) -> Result<(), AdmitError> {
    let inconsistent = |reason: String| Err(AdmitError::Inconsistent(reason));
    if header.base_offset.0 != 0 {
        return inconsistent(format!(
            "The baseOffset of the record batch in the append should be 0, but it is {}",
            header.base_offset
        ));
    }
    if let Err(error) = header.check_count() {
        return inconsistent(error.to_string());
    }
    if header.is_control() {
        return Err(AdmitError::Control);
    }
    if header.is_transactional() {
        return Err(AdmitError::NoTransaction);
    }
    if header.has_delete_horizon() {
        return inconsistent("Only compaction sets a delete horizon".to_owned());
    }
    if header.has_producer() && header.base_sequence.0 < 0 {
        return inconsistent(format!(
            "Invalid sequence number {} in record batch with producerId {}",
            header.base_sequence, header.producer_id
        ));
    }
    if header.has_producer() && header.producer_epoch.0 < 0 {
        return inconsistent(format!(
            "Invalid epoch {} in record batch with producerId {}",
            header.producer_epoch, header.producer_id
        ));
    }
    Ok(())
}

fn check_timestamps(header: &BatchHeader, rules: &AdmitRules, now: Timestamp) -> Result<(), AdmitError> {
    if header.timestamp_type() == TimestampType::LogAppendTime {
        let reason =
            "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime.";
        return Err(AdmitError::Timestamp(reason.to_owned()));
    }
    check_timestamp(header.first_timestamp, rules, now).map_err(AdmitError::Timestamp)?;
    check_timestamp(header.max_timestamp, rules, now).map_err(AdmitError::Timestamp)
}

fn check_timestamp(timestamp: Timestamp, rules: &AdmitRules, now: Timestamp) -> Result<(), String> {
    if timestamp == NO_TIMESTAMP || rules.timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let earliest = now.0.saturating_sub(rules.timestamp_before_max_ms);
    let latest = now.0.saturating_add(rules.timestamp_after_max_ms);
    if (earliest..=latest).contains(&timestamp.0) {
        return Ok(());
    }
    Err(format!(
        "Timestamp {timestamp} of message is out of range. The timestamp should be within [{earliest}, {latest}]"
    ))
}

/// The one copy that admission makes: the checksum covers the timestamps.
fn stamped(header: BatchHeader, records: &Bytes, now: Timestamp) -> Result<Admitted, AdmitError> {
    let mut batch = BytesMut::from(&records[..header.size_bytes]);
    stamp_append_time(&mut batch, now);
    let batch = batch.freeze();
    let header = BatchHeader::parse(&batch).map_err(AdmitError::Corrupt)?;
    Ok(Admitted { header, batch })
}
