//! Record batches for tests, built field by field.

use bytes::{BufMut, Bytes, BytesMut};
use tallymq_model::batch::{CRC_START, crc32c};
use tallymq_model::{BatchHeader, PartitionIndex, Timestamp, TopicId, TopicPartition};
use uuid::Uuid;

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A batch to be. Fields are what the header gets, valid or not.
#[derive(Clone, Debug)]
pub struct Draft {
    pub base_offset: i64,
    pub attributes: i16,
    pub records: i32,
    pub last_offset_delta: Option<i32>,
    pub first_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
    pub body: Option<Vec<u8>>,
    pub magic: u8,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft {
            base_offset: 0,
            attributes: 0,
            records: 1,
            last_offset_delta: None,
            first_timestamp: NOW.0,
            max_timestamp: NOW.0,
            producer_id: -1,
            epoch: -1,
            base_sequence: -1,
            body: None,
            magic: 2,
        }
    }
}

impl Draft {
    pub fn of_producer(producer_id: i64, epoch: i16, base_sequence: i32, records: i32) -> Draft {
        Draft { producer_id, epoch, base_sequence, records, ..Draft::default() }
    }

    pub fn build(&self) -> Bytes {
        let body = self.body.clone().unwrap_or_else(|| (0..self.records.max(0)).flat_map(record).collect());
        let mut bytes = BytesMut::with_capacity(61 + body.len());
        bytes.put_i64(self.base_offset);
        bytes.put_i32((49 + body.len()) as i32);
        bytes.put_i32(-1);
        bytes.put_u8(self.magic);
        bytes.put_u32(0);
        bytes.put_i16(self.attributes);
        bytes.put_i32(self.last_offset_delta.unwrap_or(self.records - 1));
        bytes.put_i64(self.first_timestamp);
        bytes.put_i64(self.max_timestamp);
        bytes.put_i64(self.producer_id);
        bytes.put_i16(self.epoch);
        bytes.put_i32(self.base_sequence);
        bytes.put_i32(self.records);
        bytes.put_slice(&body);
        let crc = crc32c(&bytes[CRC_START..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes.freeze()
    }

    pub fn header(&self) -> BatchHeader {
        BatchHeader::parse(&self.build()).unwrap()
    }
}

/// One record: null key, one byte of value, no headers.
pub fn record(offset_delta: i32) -> Vec<u8> {
    record_at(offset_delta, 0)
}

pub fn record_at(offset_delta: i32, timestamp_delta: i64) -> Vec<u8> {
    let mut content = vec![0];
    varint(&mut content, timestamp_delta);
    varint(&mut content, i64::from(offset_delta));
    varint(&mut content, -1);
    varint(&mut content, 1);
    content.push(b'v');
    varint(&mut content, 0);
    let mut out = Vec::new();
    varint(&mut out, content.len() as i64);
    out.extend(content);
    out
}

pub fn varint(out: &mut Vec<u8>, value: i64) {
    let mut folded = ((value << 1) ^ (value >> 63)) as u64;
    while folded >= 0x80 {
        out.push(folded as u8 | 0x80);
        folded >>= 7;
    }
    out.push(folded as u8);
}

pub fn tp(topic: u128, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_u128(topic)), partition: PartitionIndex(partition) }
}
