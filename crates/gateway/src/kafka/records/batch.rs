//! Building a batch (KIP-98): what a producer of ours sends.

use bytes::{BufMut, Bytes, BytesMut};
use tallymq_model::batch::{CRC_START, HEADER_BYTES, LENGTH_PREFIX_BYTES, crc32c};
use tallymq_model::varint;

use super::{Compression, Record, compression::compress};

/// The idempotent producer that a batch is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of the batch's first record.
    pub base_sequence: i32,
}

/// How a batch is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchOptions {
    /// The codec of the records.
    pub compression: Compression,
    /// Who sends it; None without idempotence.
    pub producer: Option<Producer>,
}

/// One batch with these records, in order, ready to be produced. There must be at least one.
pub fn build_batch(records: &[Record], options: &BatchOptions) -> Bytes {
    debug_assert!(!records.is_empty(), "a batch has at least one record");
    let first_timestamp = records.first().map_or(0, |record| record.timestamp.0);
    let max_timestamp = records.iter().map(|record| record.timestamp.0).max().unwrap_or(0);
    let mut body = Vec::new();
    let mut record_bytes = Vec::new();
    for (delta, record) in records.iter().enumerate() {
        record_bytes.clear();
        put_record(&mut record_bytes, record, record.timestamp.0 - first_timestamp, delta as i64);
        varint::put(&mut body, record_bytes.len() as i64);
        body.extend_from_slice(&record_bytes);
    }
    let body = compress(options.compression, body);
    let producer = options.producer.unwrap_or(Producer { id: -1, epoch: -1, base_sequence: -1 });
    let mut batch = BytesMut::with_capacity(HEADER_BYTES + body.len());
    batch.put_i64(0);
    batch.put_i32((HEADER_BYTES - LENGTH_PREFIX_BYTES + body.len()) as i32);
    batch.put_i32(-1);
    batch.put_i8(2);
    batch.put_u32(0);
    batch.put_i16(options.compression as i16);
    batch.put_i32(records.len() as i32 - 1);
    batch.put_i64(first_timestamp);
    batch.put_i64(max_timestamp);
    batch.put_i64(producer.id);
    batch.put_i16(producer.epoch);
    batch.put_i32(producer.base_sequence);
    batch.put_i32(records.len() as i32);
    batch.put_slice(&body);
    let crc = crc32c(&batch[CRC_START..]);
    batch[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_be_bytes());
    batch.freeze()
}

fn put_record(out: &mut Vec<u8>, record: &Record, timestamp_delta: i64, offset_delta: i64) {
    out.push(0);
    varint::put(out, timestamp_delta);
    varint::put(out, offset_delta);
    put_nullable(out, record.key.as_deref());
    put_nullable(out, record.value.as_deref());
    varint::put(out, record.headers.len() as i64);
    for (name, value) in &record.headers {
        put_nullable(out, Some(name.as_bytes()));
        put_nullable(out, value.as_deref());
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            varint::put(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => varint::put(out, -1),
    }
}
