//! What the tests of the log share: batches, a naive model of a partition, and reading a log whole.

use bytes::{BufMut, Bytes, BytesMut};
use tallymq_model::{
    BatchHeader, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition,
    batch::{crc32c, patched_prefix},
};
use tallymq_storage::log::{
    FetchedBatches, LogOptions, PartitionLog, PartitionOptions, ReadError, SegmentWriter, Step,
};
use uuid::Uuid;

/// A partition by number.
pub fn tp(number: u32) -> TopicPartition {
    TopicPartition {
        topic: TopicId(Uuid::from_u128(u128::from(number / 4) + 1)),
        partition: PartitionIndex((number % 4) as i32),
    }
}

/// Options under which little data already rolls, evicts and closes files.
pub fn small_log() -> LogOptions {
    LogOptions {
        tail_cache_bytes_max: 6_000,
        open_files_max: 3,
        write_bytes_max: 3_000,
        ..LogOptions::default()
    }
}

pub fn small_segments() -> PartitionOptions {
    PartitionOptions { segment_bytes_max: 8_000, segment_ms_max: 5_000, index_interval_bytes: 700 }
}

/// A producer's batch, not compressed: one record per timestamp, each with `value_bytes` of a value made of `seed`.
pub fn batch(timestamps: &[i64], value_bytes: usize, seed: u64) -> Bytes {
    let mut records = Vec::new();
    let value: Vec<u8> =
        (0..value_bytes as u64).map(|at| (seed.wrapping_mul(31).wrapping_add(at * 7) >> 3) as u8).collect();
    for (number, timestamp) in timestamps.iter().enumerate() {
        let mut body = vec![0];
        varint(timestamp - timestamps[0], &mut body);
        varint(number as i64, &mut body);
        varint(-1, &mut body);
        varint(value.len() as i64, &mut body);
        body.extend(&value);
        varint(0, &mut body);
        varint(body.len() as i64, &mut records);
        records.extend(body);
    }
    let mut out = BytesMut::new();
    out.put_i64(0);
    out.put_i32(49 + records.len() as i32);
    out.put_i32(-1);
    out.put_i8(2);
    out.put_u32(0);
    out.put_i16(0);
    out.put_i32(timestamps.len() as i32 - 1);
    out.put_i64(timestamps[0]);
    out.put_i64(*timestamps.iter().max().unwrap());
    out.put_i64(-1);
    out.put_i16(-1);
    out.put_i32(-1);
    out.put_i32(timestamps.len() as i32);
    out.put_slice(&records);
    let crc = crc32c(&out[21..]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out.freeze()
}

fn varint(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A batch as it must be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub base: Offset,
    pub next: Offset,
    pub raw: Bytes,
    pub bytes: Vec<u8>,
    pub timestamps: Vec<i64>,
    pub epoch: LeaderEpoch,
}

/// A partition, naively.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub batches: Vec<Stored>,
    pub log_start: Offset,
}

impl Model {
    pub fn log_end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |last| last.next)
    }

    /// Adds a batch and returns it.
    pub fn push(&mut self, raw: Bytes, timestamps: &[i64], epoch: LeaderEpoch) -> &Stored {
        let base = self.log_end();
        let mut bytes = patched_prefix(base, raw.len(), epoch).to_vec();
        bytes.extend(&raw[16..]);
        let next = base.plus(timestamps.len() as i64);
        self.batches.push(Stored { base, next, raw, bytes, timestamps: timestamps.to_vec(), epoch });
        self.batches.last().unwrap()
    }

    /// What a read from a file or from memory must give at least, and at most.
    pub fn check_read(&self, from: Offset, bytes_max: usize, at_least_one: bool, fetched: &FetchedBatches) {
        let bytes = fetched.pieces.concat();
        assert_eq!(bytes.len(), fetched.bytes);
        let first = self.batches.partition_point(|batch| batch.next <= from);
        let mut at = 0;
        let mut count = 0;
        for batch in &self.batches[first..] {
            if at == bytes.len() {
                break;
            }
            assert_eq!(&bytes[at..at + batch.bytes.len()], batch.bytes, "batch at {}", batch.base);
            at += batch.bytes.len();
            count += 1;
        }
        assert_eq!(at, bytes.len(), "nothing behind the log end");
        if count > 0 {
            assert_eq!(
                (fetched.base, fetched.next),
                (self.batches[first].base, self.batches[first + count - 1].next)
            );
        }
        assert!(
            fetched.bytes <= bytes_max || (at_least_one && count == 1),
            "{} of {bytes_max}",
            fetched.bytes
        );
        if count == 0
            && let Some(batch) = self.batches.get(first)
        {
            assert!(!at_least_one && batch.bytes.len() > bytes_max, "a batch that fits was left out");
        }
    }

    /// The log gives all and nothing else.
    pub fn check_whole(&self, log: &PartitionLog, chunk_bytes: usize) {
        assert_eq!(log.bounds(), (self.log_start, self.log_end()));
        let mut from = self.log_start;
        while from < self.log_end() {
            let fetched =
                log.read(from, chunk_bytes, true).unwrap_or_else(|error| panic!("at {from}: {error}"));
            self.check_read(from, chunk_bytes, true, &fetched);
            assert!(fetched.next > from);
            from = fetched.next;
        }
        assert_eq!(log.read(from, chunk_bytes, true).unwrap().bytes, 0);
        for outside in [self.log_start.plus(-1), self.log_end().plus(1)] {
            assert!(matches!(log.read(outside, 1, true), Err(ReadError::OffsetOutOfRange { .. })));
        }
    }

    /// The first batch with a visible record, whose max timestamp is at least `at`.
    pub fn find_timestamp(&self, at: i64) -> Option<&Stored> {
        let visible = self.batches.iter().filter(|batch| batch.next > self.log_start);
        visible.into_iter().find(|batch| batch.timestamps.iter().any(|timestamp| *timestamp >= at))
    }
}

/// Appends a model's batch.
pub fn append(log: &std::sync::Arc<PartitionLog>, stored: &Stored) {
    let header = BatchHeader::parse(&stored.raw).unwrap();
    log.append(&header, stored.raw.clone(), stored.base, stored.epoch).unwrap();
}

/// Steps until nothing is left to do.
pub fn write_all(writer: &mut SegmentWriter) {
    while writer.step().unwrap() != Step::Idle {}
}
