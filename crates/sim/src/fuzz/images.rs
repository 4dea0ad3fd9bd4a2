//! Data directories that somebody damaged: an input is a list of edits, eight bytes each, to the files of a sample. Some
//! edits make the checksums right again, so that lies and not only damage are met. Nothing may panic or take what a length
//! claims; what is found is not judged here but by the damage tests.
//!
//! ```text
//! edit: kind u8 | file u8 | position u24 | a u8 | b u8 | c u8
//! ```

use std::sync::Arc;

use bytes::Bytes;
use tallymq_model::{
    LogIndex, Offset, RaftGroup, Term, Timestamp, TopicPartition,
    batch::{HEADER_BYTES, crc32c},
};
use tallymq_replica::decode_data_checkpoint;
use tallymq_storage::{
    checkpoint,
    disk::{Disk, MemoryDisk, OpenMode, Random},
    log::{LogOptions, LogPosition, LogStore, PartitionOptions, scan},
    wal::{self, Nanos, Wal, WalRecord},
};

use super::Target;
use crate::world::{self, Samples};

/// The world whose remains are damaged.
const WORLD: u64 = 5;
const EDIT_BYTES: usize = 8;
const EDITS_MAX: usize = 64;
const PAGE_BYTES: usize = 4096;
/// A commit group's header: its CRC at 8 covers what follows; the one at 64 its records' heads (`docs/formats.md`).
const WAL_HEADER_BYTES: usize = 80;

/// Lists of edits to begin with.
fn edits() -> Vec<Vec<u8>> {
    let mut random = Random::new(11);
    let mut list = |count: usize| (0..count * EDIT_BYTES).map(|_| random.next_u64() as u8).collect();
    (0..200).map(|number| list(1 + number % 6)).collect()
}

/// A disk with one folder of another.
fn folder_of(disk: &MemoryDisk, folder: &str) -> MemoryDisk {
    const HEALTHY: &str = "a healthy disk";
    let copy = MemoryDisk::new();
    for path in disk.paths().iter().filter(|path| path.starts_with(folder)) {
        let (parent, _) = path.rsplit_once('/').expect("in a folder");
        copy.create_dir(parent).expect(HEALTHY);
        let file = copy.open(path, OpenMode::Create).expect(HEALTHY);
        file.write_at(&[&disk.bytes(path).expect(HEALTHY)], 0).expect(HEALTHY);
    }
    copy.sync_all().expect(HEALTHY);
    copy
}

/// Does the edits of `input` to the files of `disk` whose paths begin with `folder`.
fn damage(disk: &MemoryDisk, folder: &str, input: &[u8], reseal: fn(&mut [u8], usize)) {
    let mut paths = disk.paths();
    paths.retain(|path| path.starts_with(folder));
    let mut kept: Vec<u8> = Vec::new();
    for edit in input.chunks_exact(EDIT_BYTES).take(EDITS_MAX) {
        let Some(path) = paths.get(usize::from(edit[1]) % paths.len().max(1)).cloned() else { return };
        let position = usize::from(edit[2]) << 16 | usize::from(edit[3]) << 8 | usize::from(edit[4]);
        let (a, b, c) = (edit[5], edit[6], edit[7]);
        let change = |bytes: &mut Vec<u8>| {
            let position = position % bytes.len().max(1);
            let page = position / PAGE_BYTES * PAGE_BYTES;
            let page_end = (page + PAGE_BYTES).min(bytes.len());
            match edit[0] % 12 {
                0 | 1 => bytes.iter_mut().skip(position).take(1).for_each(|byte| *byte ^= 1 << (a & 7)),
                2 => bytes.iter_mut().skip(position).zip([a, b, c]).for_each(|(byte, new)| *byte = new),
                3 => bytes.iter_mut().skip(position).take(4).for_each(|byte| *byte = 0xff),
                4 => bytes.iter_mut().skip(position).take(usize::from(a)).for_each(|byte| *byte = 0),
                5 => bytes[page..page_end].fill(0),
                6 => kept = bytes[page..page_end].to_vec(),
                7 => bytes[page..page_end].iter_mut().zip(&kept).for_each(|(byte, new)| *byte = *new),
                8 => bytes.truncate(position),
                9 => bytes.extend([a, b, c].repeat(usize::from(a) * 8)),
                // near the begin, where the heads are
                10 => bytes.iter_mut().skip(position % 160).zip([a, b]).for_each(|(byte, new)| *byte = new),
                _ => reseal(bytes, position),
            }
        };
        disk.damage(&path, change).expect("the file is listed");
        if edit[0] == 255 {
            disk.remove_file(&path).expect("the file is listed");
            paths.retain(|other| *other != path);
        }
    }
}

fn reseal_wal(bytes: &mut [u8], position: usize) {
    let page = position / PAGE_BYTES * PAGE_BYTES;
    let Some(group) = bytes.get_mut(page..).filter(|group| group.len() >= WAL_HEADER_BYTES) else { return };
    if page == 0 {
        let crc = [&group[..12], &group[16..48]].concat();
        group[12..16].copy_from_slice(&crc32c(&crc).to_le_bytes());
        return;
    }
    let number = |at: usize| u32::from_le_bytes([group[at], group[at + 1], group[at + 2], group[at + 3]]);
    let meta_end = WAL_HEADER_BYTES.saturating_add(number(56) as usize).min(group.len());
    let crc = crc32c(&group[WAL_HEADER_BYTES..meta_end]);
    group[64..68].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c(&group[12..WAL_HEADER_BYTES]);
    group[8..12].copy_from_slice(&crc.to_le_bytes());
}

pub(super) fn wal() -> Target {
    let Samples { disk, wal: options, .. } = world::samples(WORLD);
    let disk = folder_of(&disk, &options.directory);
    let run = move |input: &[u8]| {
        let disk = disk.duplicate();
        damage(&disk, &options.directory, input, reseal_wal);
        let _ = wal::scan(&disk, &options.directory, &mut |_| {});
        let Ok((wal, mut committer, recovered)) = Wal::open(Arc::new(disk), options.clone()) else {
            return false;
        };
        for (group, state) in recovered.groups {
            let Some((last, term)) = state.last else { continue };
            let _ = wal.read(group, state.first, last.next(), 1 << 20);
            let payload = vec![Bytes::from_static(b"next")];
            let next = WalRecord::Entry { group, index: last.next(), term, payload };
            wal.submit(vec![next], Box::new(|_| {}));
        }
        let purge = WalRecord::Purge { group: RaftGroup(1), through: LogIndex(3) };
        wal.submit(vec![purge], Box::new(|_| {}));
        (0..4).all(|now| committer.step(Nanos(now)).is_ok())
    };
    Target { name: "wal", seeds: edits(), run: Box::new(run) }
}

fn reseal_batch(bytes: &mut [u8], position: usize) {
    let mut at = 0;
    while let Some(batch) = bytes.get_mut(at..).filter(|batch| batch.len() >= HEADER_BYTES) {
        let length = u32::from_be_bytes([batch[8], batch[9], batch[10], batch[11]]) as usize;
        let end = length.saturating_add(12).min(batch.len());
        if end < HEADER_BYTES {
            return;
        }
        if at + end > position {
            let crc = crc32c(&batch[21..end]);
            batch[17..21].copy_from_slice(&crc.to_be_bytes());
            return;
        }
        at += end;
    }
}

/// Every partition of a sample with its position.
fn positions(samples: &Samples) -> Vec<(TopicPartition, LogPosition)> {
    let data = samples.states.iter().filter(|(group, _)| *group != RaftGroup::METADATA);
    let decoded = data.filter_map(|(_, state)| decode_data_checkpoint(state.clone()).ok());
    let mut positions: Vec<_> = decoded.flat_map(|(_, positions)| positions).collect();
    positions.sort_unstable_by_key(|(tp, _)| *tp);
    positions
}

pub(super) fn segment() -> Target {
    let samples = world::samples(WORLD);
    let positions = positions(&samples);
    let disk = folder_of(&samples.disk, "topics");
    let run = move |input: &[u8]| {
        let disk = disk.duplicate();
        damage(&disk, "topics", input, reseal_batch);
        let mut whole = true;
        for (tp, position) in &positions {
            for position in [None, Some(position)] {
                let found = scan::partition(&disk, *tp, position, &mut |_| {});
                whole &= found.is_ok_and(|found| found.damages == 0);
            }
        }
        let (store, mut writer) = LogStore::new(Arc::new(disk), LogOptions::default());
        for (tp, position) in &positions {
            let log = store.open(*tp, RaftGroup(1), PartitionOptions::default(), position.clone());
            let (mut from, end) = log.bounds();
            while from < end {
                match log.read(from, 10_000, true) {
                    Ok(fetched) if fetched.next > from => from = fetched.next,
                    _ => from = Offset(from.0 + 1 + (end.0 - from.0) / 8),
                }
            }
            let _ = log.find_timestamp(Timestamp(50), Offset(0));
            let _ = log.max_timestamp();
        }
        whole && writer.step().is_ok()
    };
    Target { name: "segment", seeds: edits(), run: Box::new(run) }
}

fn reseal_checkpoint(bytes: &mut [u8], _: usize) {
    if bytes.len() >= 60 {
        let crc = crc32c(&bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_be_bytes());
        let crc = crc32c(&bytes[60..]);
        bytes[52..56].copy_from_slice(&crc.to_be_bytes());
        let crc = crc32c(&bytes[16..56]);
        bytes[56..60].copy_from_slice(&crc.to_be_bytes());
    }
}

pub(super) fn checkpoints() -> Target {
    let disk = folder_of(&world::samples(WORLD).disk, "groups");
    let run = move |input: &[u8]| {
        let disk = disk.duplicate();
        damage(&disk, "groups", input, reseal_checkpoint);
        let mut taken = false;
        for group in (0..3).map(RaftGroup) {
            let Ok(Some(loaded)) = checkpoint::load(&disk, group) else { continue };
            taken |= loaded.checkpoint.term >= Term(0);
            if group != RaftGroup::METADATA {
                let _ = decode_data_checkpoint(loaded.checkpoint.state.concat().into());
            }
        }
        taken
    };
    Target { name: "checkpoint", seeds: edits(), run: Box::new(run) }
}
