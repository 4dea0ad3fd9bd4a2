//! What the log says of a record: when it was stored and by which producer. The value stays where it is.

use serde::Serialize;
use tallymq_gateway::kafka::records::Record;
use tallymq_model::{BatchHeader, TimestampType};

use super::matching::{label, origin};

/// Bytes of a key that are shown.
const KEY_BYTES_MAX: usize = 256;

/// One record as it is stored.
#[derive(Debug, Serialize)]
pub struct StoredRecord {
    /// Its timestamp, in milliseconds.
    pub timestamp: i64,
    /// Whose clock that is: `create_time` (the producer's) or `log_append_time` (the broker's).
    pub timestamp_type: &'static str,
    /// The first offset of its batch.
    pub batch_from: i64,
    /// The offset behind its batch.
    pub batch_to: i64,
    /// The leader epoch that it was stored in.
    pub leader_epoch: i32,
    /// The idempotent producer's id, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer_id: Option<i64>,
    /// Its epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer_epoch: Option<i16>,
    /// The record's sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i32>,
    /// The producer instance of the sequence headers, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_producer: Option<String>,
    /// The number there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_sequence: Option<u64>,
    /// Where the record was stored first that this is a copy of, for retry or as a dead letter: `orders-0@17`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
    /// The key as text, cut to 256 bytes; bytes that are not UTF-8 are replaced.
    pub key: Option<String>,
    /// Bytes of the value; absent if it is null.
    pub value_bytes: Option<usize>,
    /// The headers' names.
    pub headers: Vec<String>,
    /// A control record of a transaction: not for consumers.
    pub is_control: bool,
}

impl StoredRecord {
    /// Of a record in its batch.
    pub fn new(header: &BatchHeader, record: &Record) -> StoredRecord {
        let delta = record.offset.0 - header.base_offset.0;
        let has_producer = header.has_producer();
        let sequence = i32::try_from(delta).ok().map(|delta| header.base_sequence.plus(delta).0);
        let label = label(record);
        let key =
            |key: &bytes::Bytes| String::from_utf8_lossy(&key[..key.len().min(KEY_BYTES_MAX)]).into_owned();
        StoredRecord {
            timestamp: record.timestamp.0,
            timestamp_type: match header.timestamp_type() {
                TimestampType::CreateTime => "create_time",
                TimestampType::LogAppendTime => "log_append_time",
            },
            batch_from: header.base_offset.0,
            batch_to: header.next_offset().0,
            leader_epoch: header.leader_epoch.0,
            producer_id: has_producer.then_some(header.producer_id.0),
            producer_epoch: has_producer.then_some(header.producer_epoch.0),
            sequence: sequence.filter(|_| has_producer),
            label_producer: label.map(|(producer, _)| producer.to_owned()),
            label_sequence: label.map(|(_, number)| number),
            copy_of: origin(record).map(|(topic, partition, offset)| format!("{topic}-{partition}@{offset}")),
            key: record.key.as_ref().map(key),
            value_bytes: record.value.as_ref().map(bytes::Bytes::len),
            headers: record.headers.iter().map(|(name, _)| name.clone()).collect(),
            is_control: header.is_control(),
        }
    }
}
