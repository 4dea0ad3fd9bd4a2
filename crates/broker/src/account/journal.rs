//! The journal's records: events in record batches like any partition's, made from what was applied and so the same on
//! every node. Reads and writes no file.
//!
//! ```text
//! batch   magic 2, no compression, no producer; base offset and leader epoch are set where it is appended
//! record  key null, value one event, timestamp the event's
//! ```
//! Topic and partition of the journal exist for no client: no metadata names them.

use bytes::{Bytes, BytesMut};
use tallymq_model::batch::{CRC_START, HEADER_BYTES, crc32c};
use tallymq_model::{
    BatchError, BatchHeader, LeaderEpoch, Offset, PartitionIndex, RaftGroup, TopicId, TopicPartition, varint,
};
use thiserror::Error;
use uuid::Uuid;

use super::event::JournalEvent;
use crate::codec::{DecodeError, Parts};

/// The topic that no client has: version 8 of a UUID (RFC 9562 §5.8), which the broker gives to no topic.
pub const JOURNAL_TOPIC: TopicId = TopicId(Uuid::from_u128(0x7461_6c6c_796d_8100_8000_6a6f_7572_6e6c));
/// Bytes of records from which on a batch takes no further event.
const BATCH_BYTES: usize = 512 * 1024;

/// Where a data group's journal is kept.
pub fn partition(group: RaftGroup) -> TopicPartition {
    TopicPartition { topic: JOURNAL_TOPIC, partition: PartitionIndex(group.0 as i32) }
}

/// The events of one command, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalAppend {
    /// The offset of the first.
    pub base_offset: Offset,
    /// The journal's leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// In order; not empty.
    pub events: Vec<JournalEvent>,
}

/// A batch for the journal's log.
#[derive(Clone, Debug)]
pub struct JournalBatch {
    /// Where it goes.
    pub base_offset: Offset,
    /// Parsed from `bytes`.
    pub header: BatchHeader,
    /// The whole batch.
    pub bytes: Bytes,
}

/// Why a journal's batch cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JournalError {
    /// The batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// An event.
    #[error("the event at journal offset {offset}: {error}")]
    Event {
        /// Where it is.
        offset: Offset,
        /// Why.
        error: DecodeError,
    },
    /// The frame around an event.
    #[error("the record at journal offset {0} is malformed")]
    Record(Offset),
}

impl JournalAppend {
    /// The batches to append, in order: one, unless there is very much to say.
    pub fn batches(&self) -> Vec<JournalBatch> {
        let mut batches = Vec::with_capacity(1);
        let mut draft = Draft::new(self.base_offset);
        for event in &self.events {
            draft.push(event);
            if draft.records.len() >= BATCH_BYTES {
                let next = draft.base_offset.plus(i64::from(draft.count));
                batches.push(std::mem::replace(&mut draft, Draft::new(next)).finish());
            }
        }
        if draft.count > 0 {
            batches.push(draft.finish());
        }
        batches
    }
}

/// A batch that is being written.
struct Draft {
    base_offset: Offset,
    count: i32,
    first_timestamp: i64,
    max_timestamp: i64,
    records: Vec<u8>,
}

impl Draft {
    fn new(base_offset: Offset) -> Draft {
        Draft { base_offset, count: 0, first_timestamp: 0, max_timestamp: 0, records: Vec::new() }
    }

    fn push(&mut self, event: &JournalEvent) {
        if self.count == 0 {
            self.first_timestamp = event.at.0;
            self.max_timestamp = event.at.0;
        }
        self.max_timestamp = self.max_timestamp.max(event.at.0);
        let mut value = Parts::new();
        event.encode(&mut value);
        let value = value.into_bytes();
        let mut body = vec![0];
        varint::put(&mut body, event.at.0.wrapping_sub(self.first_timestamp));
        varint::put(&mut body, i64::from(self.count));
        varint::put(&mut body, -1);
        varint::put(&mut body, value.len() as i64);
        body.extend_from_slice(&value);
        varint::put(&mut body, 0);
        varint::put(&mut self.records, body.len() as i64);
        self.records.extend_from_slice(&body);
        self.count += 1;
    }

    fn finish(self) -> JournalBatch {
        let mut bytes = BytesMut::zeroed(HEADER_BYTES);
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &self.base_offset.0.to_be_bytes());
        put(8, &((HEADER_BYTES - 12 + self.records.len()) as i32).to_be_bytes());
        put(16, &[2]);
        put(23, &(self.count - 1).to_be_bytes());
        put(27, &self.first_timestamp.to_be_bytes());
        put(35, &self.max_timestamp.to_be_bytes());
        put(43, &(-1_i64).to_be_bytes());
        put(51, &(-1_i16).to_be_bytes());
        put(53, &(-1_i32).to_be_bytes());
        put(57, &self.count.to_be_bytes());
        bytes.extend_from_slice(&self.records);
        let crc = crc32c(&bytes[CRC_START..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let bytes = bytes.freeze();
        let header = BatchHeader::parse(&bytes).expect("a batch written here parses");
        JournalBatch { base_offset: self.base_offset, header, bytes }
    }
}

/// The events of whole batches one behind the other, each with its offset in the journal, as a log's read gives them.
pub fn decode(batches: &[u8]) -> Result<Vec<(Offset, JournalEvent)>, JournalError> {
    let mut events = Vec::new();
    let mut rest = batches;
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest)?;
        header.check_crc(rest)?;
        header.check_count()?;
        let is_possible = header.base_offset.0.checked_add(i64::from(header.record_count)).is_some();
        if header.base_offset.0 < 0 || !is_possible {
            return Err(JournalError::Record(header.base_offset));
        }
        let (batch, behind) = rest.split_at(header.size_bytes);
        rest = behind;
        let mut records = &batch[HEADER_BYTES..];
        for at in 0..i64::from(header.record_count) {
            let offset = header.base_offset.plus(at);
            let value = take_value(&mut records).ok_or(JournalError::Record(offset))?;
            let event = JournalEvent::decode(Bytes::copy_from_slice(value));
            events.push((offset, event.map_err(|error| JournalError::Event { offset, error })?));
        }
    }
    Ok(events)
}

/// Takes one record off the front, and gives its value.
fn take_value<'a>(records: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint::take(records)?).ok().filter(|length| *length <= records.len())?;
    let (mut body, behind) = records.split_at(length);
    *records = behind;
    body = body.get(1..)?;
    let _timestamp_delta = varint::take(&mut body)?;
    let _offset_delta = varint::take(&mut body)?;
    let key = varint::take(&mut body)?;
    let length = usize::try_from(varint::take(&mut body)?).ok()?;
    body.get(..length).filter(|_| key == -1)
}

#[cfg(test)]
mod tests {
    use tallymq_model::Timestamp;

    use super::super::event::Happening;
    use super::*;

    fn append(count: usize) -> JournalAppend {
        let event = |at| JournalEvent {
            at: Timestamp(1_000 - at as i64),
            tp: Some(partition(RaftGroup(3))),
            group: Some("g".into()),
            what: Happening::Withdrawn { from: Offset(at as i64), to: Offset(at as i64 + 1) },
        };
        let events = (0..count).map(event).collect();
        JournalAppend { base_offset: Offset(40), leader_epoch: LeaderEpoch(1), events }
    }

    #[test]
    fn events_come_back_with_their_offsets_from_as_many_batches_as_it_takes() {
        for count in [1, 2, 30_000] {
            let append = append(count);
            let batches = append.batches();
            assert!(batches.iter().all(|batch| batch.bytes.len() < BATCH_BYTES + 1_024));
            assert_eq!(batches.len() > 1, count > 1_000);
            let mut next = append.base_offset;
            for batch in &batches {
                batch.header.check_crc(&batch.bytes).unwrap();
                batch.header.check_count().unwrap();
                assert_eq!((batch.base_offset, batch.header.base_offset), (next, next));
                next = batch.header.next_offset();
            }
            let all: Vec<u8> = batches.iter().flat_map(|batch| batch.bytes.to_vec()).collect();
            let expected: Vec<_> = (40..).map(Offset).zip(append.events.clone()).collect();
            assert_eq!(decode(&all).unwrap(), expected);
        }
    }

    #[test]
    fn damaged_batches_are_errors_and_never_a_panic() {
        let whole = append(3).batches().remove(0).bytes.to_vec();
        for cut in 1..whole.len() {
            assert!(decode(&whole[..cut]).is_err(), "cut to {cut} bytes");
        }
        for at in HEADER_BYTES..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            assert!(matches!(decode(&damaged), Err(JournalError::Batch(_))), "byte {at}");
            let crc = crc32c(&damaged[CRC_START..]);
            damaged[17..21].copy_from_slice(&crc.to_be_bytes());
            let _ = decode(&damaged);
        }
    }
}
