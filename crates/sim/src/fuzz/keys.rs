//! Indexes of keys that somebody changed, also with checksums made right again: nothing may panic or take what a number claims.

use std::sync::Arc;

use bytes::Bytes;
use tallymq_gateway::kafka::records::{BatchOptions, Record, build_batch, for_each_key};
use tallymq_model::{
    BatchHeader, LeaderEpoch, LogIndex, Offset, PartitionIndex, RaftGroup, TopicId, TopicPartition,
    batch::crc32c,
};
use tallymq_storage::{
    disk::{Disk, MemoryDisk, OpenMode},
    keys::{Build, BuildStep, Finding, KeyHash, KeyIndexes, Unreadable, check},
    log::{LogOptions, LogPosition, LogStore, PartitionOptions, Step},
};

use super::Target;

const HEALTHY: &str = "a healthy disk";
const HEADER_BYTES: usize = 92;
const BLOCK_BYTES: usize = 4096;

fn tp() -> TopicPartition {
    TopicPartition { topic: TopicId::default(), partition: PartitionIndex(0) }
}

fn path() -> String {
    format!("keys/{}/0/{:020}.keys", tp().topic, 0)
}

/// The index of a log of so many batches.
fn sample(batches: i64) -> Vec<u8> {
    let disk = MemoryDisk::new();
    let (store, mut writer) = LogStore::new(Arc::new(disk.clone()), LogOptions::default());
    let log = store.open(tp(), RaftGroup(1), PartitionOptions::default(), LogPosition::default());
    for batch in 0..batches {
        let key = |number: i64| Some(Bytes::from(format!("key {}", batch * 7 + number * number)));
        let records: Vec<Record> =
            (0..5).map(|number| Record { key: key(number), ..Record::default() }).collect();
        let bytes = build_batch(&records, &BatchOptions::default());
        let header = BatchHeader::parse(&bytes).expect("just built");
        log.append(&header, bytes, Offset(batch * 5), LeaderEpoch(0)).expect("in order");
    }
    let mark = store.begin_checkpoint(RaftGroup(1));
    while writer.step().expect(HEALTHY) != Step::Idle {}
    store.finish_checkpoint(&mark).expect(HEALTHY);
    store.checkpoint_durable(mark, LogIndex(1));
    let range = log.range(Offset(0), log.log_end()).expect("it is written");
    let mut build = Build::begin(Arc::new(disk.clone()), tp(), range).expect(HEALTHY);
    let mut extract = |header: &BatchHeader, batch: &[u8], sink: &mut dyn FnMut(&[u8])| {
        for_each_key(header, batch, sink).map_err(|_| Unreadable)
    };
    while !matches!(build.step(&mut extract).expect(HEALTHY), BuildStep::Done(_)) {}
    disk.bytes(&path()).expect("it was built")
}

/// Makes the checksums of header, blocks and table right, as far as the file reaches.
fn reseal(bytes: &mut [u8]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let crc = crc32c(&bytes[..88]);
    bytes[88..92].copy_from_slice(&crc.to_be_bytes());
    let identity = crc32c(&[&bytes[16..36], &bytes[40..56]].concat());
    let sealed = |number: u32, covered: &[u8]| {
        crc32c(&[&identity.to_be_bytes()[..], &number.to_be_bytes(), covered].concat()).to_be_bytes()
    };
    let blocks = u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
    let table = HEADER_BYTES.saturating_add(blocks.saturating_mul(BLOCK_BYTES)).min(bytes.len());
    let (blocks, table) = bytes[HEADER_BYTES..].split_at_mut(table - HEADER_BYTES);
    for (number, block) in blocks.chunks_exact_mut(BLOCK_BYTES).enumerate() {
        let crc = sealed(number as u32, &block[4..]);
        block[..4].copy_from_slice(&crc);
    }
    if let Some((covered, crc)) = table.split_last_chunk_mut::<4>() {
        *crc = sealed(u32::MAX, covered);
    }
}

/// Looks into a file, whole and key by key; true if it is an index.
fn look(bytes: &[u8]) -> bool {
    let disk = MemoryDisk::new();
    disk.create_dir(&format!("keys/{}/0", tp().topic)).expect(HEALTHY);
    let file = disk.open(&path(), OpenMode::Create).expect(HEALTHY);
    file.write_at(&[bytes], 0).expect(HEALTHY);
    let found = check(&disk, tp()).expect(HEALTHY);
    let is_whole = found.iter().any(|finding| matches!(finding, Finding::Whole { .. }));
    let indexes = KeyIndexes::new(Arc::new(disk));
    indexes.load().expect(HEALTHY);
    for part in indexes.parts(tp()) {
        for key in ["key 0", "key 16", "nobody"] {
            let found = indexes.find(tp(), &part, KeyHash::of(key.as_bytes()), (Offset(i64::MAX), 100));
            let Ok(found) = found else { break };
            assert!(found.batches.len() <= 100);
        }
    }
    is_whole
}

pub(super) fn index() -> Target {
    let run = |input: &[u8]| {
        let mut resealed = input.to_vec();
        reseal(&mut resealed);
        let taken = look(input);
        look(&resealed) || taken
    };
    Target { name: "key-index", seeds: [1, 40, 900].map(sample).into(), run: Box::new(run) }
}
