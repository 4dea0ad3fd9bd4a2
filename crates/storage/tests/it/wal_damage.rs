//! Damage to a log at rest: every 4 KiB block of every file flipped, zeroed, cut off, exchanged or rolled back. It is
//! found, with file and position, or it hits nothing needed; only the last group inside its window may go unnoticed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tallymq_model::{LogIndex, RaftGroup};
use tallymq_storage::{
    disk::{Disk, MemoryDisk, Random},
    wal::{Flush, Nanos, ScanItem, Step, Wal, WalOpenError, WalOptions, WalRecord, scan},
};

use crate::wal_model::{History, Model, entry, random_records, read_all, small_options};

const BLOCK_BYTES: usize = 4096;

/// A log, stopped.
struct Log {
    disk: MemoryDisk,
    full: Model,
    /// The state without what the last group brought, if it has no successor.
    without_last: Option<Model>,
    /// What each block held before.
    older: BTreeMap<(String, usize), Vec<Vec<u8>>>,
}

fn build(seed: u64, closed: bool) -> Log {
    let mut random = Random::new(seed);
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = Wal::open(Arc::new(disk.clone()), small_options()).unwrap();
    let mut history = History::new(false);
    let mut older = BTreeMap::new();
    let mut without_last = None;
    for round in 0..60 {
        let before = history.latest.clone();
        let mut records = random_records(&mut random, &history.latest);
        if round == 59 {
            records.push(entry(7, 1, 1, 5000));
        }
        history.submit(&wal, records);
        assert_eq!(committer.step(Nanos(round)).unwrap(), Step::Worked);
        without_last = Some(before);
        if random.one_in(4) {
            remember(&disk, &mut older);
        }
    }
    if closed {
        committer.finish(Nanos(60)).unwrap();
        without_last = None;
    }
    assert_eq!(history.acked(), 60);
    Log { disk, full: history.latest, without_last, older }
}

fn remember(disk: &MemoryDisk, older: &mut BTreeMap<(String, usize), Vec<Vec<u8>>>) {
    for path in disk.paths() {
        let bytes = disk.bytes(&path).unwrap();
        for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
            let versions = older.entry((path.clone(), number)).or_default();
            if versions.last().is_none_or(|last| last != block) {
                versions.push(block.to_vec());
            }
        }
    }
}

#[derive(Default, Debug)]
struct Tally {
    refused: usize,
    harmless: usize,
    last_group: usize,
}

/// Opens the damaged log; `blocks` were touched.
fn check(log: &Log, damaged: &MemoryDisk, path: &str, blocks: &[usize], what: &str, tally: &mut Tally) {
    let context = || format!("{what} of {path} blocks {blocks:?}");
    match Wal::open(Arc::new(damaged.duplicate()), small_options()) {
        Err(WalOpenError::Damaged { file, position, reason, repair }) => {
            assert_eq!(file, path, "{}: {reason}", context());
            let last = *blocks.iter().max().unwrap() * BLOCK_BYTES;
            assert!(position as usize <= last, "{}: at {position}: {reason}", context());
            assert!(!reason.is_empty() && !repair.is_empty());
            let mut damages = 0;
            scan(damaged, "wal", &mut |item| damages += usize::from(matches!(item, ScanItem::Damage { .. })))
                .unwrap();
            assert!(damages > 0, "{}: verification sees it too", context());
            tally.refused += 1;
        }
        Err(WalOpenError::UnknownVersion { file, .. }) => {
            assert_eq!(file, path);
            tally.refused += 1;
        }
        Err(error) => panic!("{}: {error}", context()),
        Ok((wal, _committer, _)) => {
            let found = read_all(&wal);
            if found == log.full {
                tally.harmless += 1;
            } else {
                assert!(Some(&found) == log.without_last.as_ref(), "{}: silently wrong", context());
                tally.last_group += 1;
            }
        }
    }
}

fn damage_every_block(log: &Log, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    for path in log.disk.paths() {
        let blocks = log.disk.bytes(&path).unwrap().len() / BLOCK_BYTES;
        for block in 0..blocks {
            for bit in [random.below(80 * 8), random.below(300 * 8), random.below(4096 * 8)] {
                let damaged = log.disk.duplicate();
                damaged.flip_bit(&path, (block * BLOCK_BYTES * 8) as u64 + bit).unwrap();
                check(log, &damaged, &path, &[block], "flip", &mut tally);
            }
            let damaged = log.disk.duplicate();
            damaged.zero_block(&path, block).unwrap();
            check(log, &damaged, &path, &[block], "zero", &mut tally);
            let damaged = log.disk.duplicate();
            damaged.cut(&path, block * BLOCK_BYTES).unwrap();
            check(log, &damaged, &path, &[block], "cut", &mut tally);
            let other = random.below(blocks as u64) as usize;
            let damaged = log.disk.duplicate();
            damaged.swap_blocks(&path, block, other).unwrap();
            check(log, &damaged, &path, &[block, other], "swap", &mut tally);
            for older in log.older.get(&(path.clone(), block)).into_iter().flatten() {
                let damaged = log.disk.duplicate();
                damaged.put_block(&path, block, older).unwrap();
                check(log, &damaged, &path, &[block], "rollback", &mut tally);
            }
        }
    }
    tally
}

#[test]
fn damage_to_a_closed_log_is_always_found() {
    for seed in 0..6 {
        let log = build(seed, true);
        let tally = damage_every_block(&log, &mut Random::new(seed));
        assert!(tally.refused > 50 && tally.last_group == 0, "seed {seed}: {tally:?}");
    }
}

#[test]
fn only_the_last_group_inside_its_window_can_go_unnoticed() {
    let mut last_groups = 0;
    for seed in 10..14 {
        let log = build(seed, false);
        let tally = damage_every_block(&log, &mut Random::new(seed));
        assert!(tally.refused > 50, "seed {seed}: {tally:?}");
        last_groups += tally.last_group;
    }
    assert!(last_groups > 0, "the window is there, and documented");
}

#[test]
fn a_missing_file_is_named() {
    let log = build(3, true);
    let live: Vec<String> = log.disk.paths().into_iter().filter(|path| path.ends_with(".wal")).collect();
    assert!(live.len() > 2);
    let damaged = log.disk.duplicate();
    damaged.remove_file(&live[live.len() - 2]).unwrap();
    match Wal::open(Arc::new(damaged), small_options()) {
        Err(WalOpenError::Damaged { file, .. }) => assert_eq!(file, live[live.len() - 2]),
        Err(error) => panic!("{error}"),
        Ok((wal, ..)) => assert!(read_all(&wal) == log.full, "nothing in it was needed"),
    }
}

#[test]
fn a_scan_reports_every_damage_and_goes_on_behind_it() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = Wal::open(Arc::new(disk.clone()), small_options()).unwrap();
    let mut history = History::new(false);
    for index in 1..=5 {
        history.submit(&wal, vec![entry(1, index, 1, 100)]);
        committer.step(Nanos(0)).unwrap();
    }
    committer.finish(Nanos(0)).unwrap();
    let mut positions = Vec::new();
    let path = "wal/0000000000000001.wal";
    let summary = scan(&disk, "wal", &mut |item| {
        if let ScanItem::Record { position, file, .. } = item {
            assert_eq!(file, path);
            positions.push(position);
        }
    })
    .unwrap();
    assert_eq!((summary.files, summary.records, summary.damages, positions.len()), (1, 5, 0, 5));
    disk.flip_bit(path, positions[1] * 8).unwrap();
    disk.flip_bit(path, positions[3] * 8).unwrap();
    let mut damages = Vec::new();
    let summary = scan(&disk, "wal", &mut |item| {
        if let ScanItem::Damage { position, .. } = item {
            damages.push(position);
        }
    })
    .unwrap();
    assert_eq!(damages, [positions[1] / 4096 * 4096, positions[3] / 4096 * 4096]);
    assert_eq!((summary.records, summary.damages), (3, 2));
}

#[test]
fn any_bytes_are_an_error_or_a_log_and_never_a_panic() {
    let log = build(5, true);
    let mut random = Random::new(99);
    let paths = log.disk.paths();
    for _ in 0..300 {
        let damaged = log.disk.duplicate();
        for _ in 0..1 + random.below(6) {
            let path = &paths[random.below(paths.len() as u64) as usize];
            let bits = damaged.bytes(path).unwrap().len() as u64 * 8;
            let block = random.below(bits / 8 / BLOCK_BYTES as u64) as usize;
            match random.below(4) {
                0 => {
                    let noise: Vec<u8> = (0..BLOCK_BYTES).map(|_| random.next_u64() as u8).collect();
                    damaged.put_block(path, block, &noise).unwrap();
                }
                1 => damaged.cut(path, random.below(bits / 8) as usize).unwrap(),
                _ => {
                    damaged.flip_bit(path, (block * BLOCK_BYTES) as u64 * 8 + random.below(100 * 8)).unwrap()
                }
            }
            if damaged.bytes(path).unwrap().len() < BLOCK_BYTES {
                break;
            }
        }
        let scanned = scan(&damaged, "wal", &mut |_| {});
        match Wal::open(Arc::new(damaged), small_options()) {
            Ok((wal, ..)) => drop(read_all(&wal)),
            Err(WalOpenError::Damaged { .. }) => assert!(scanned.unwrap().damages > 0),
            Err(WalOpenError::UnknownVersion { .. }) => assert!(scanned.is_err()),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn under_async_a_bad_group_is_damage_up_to_the_last_sync_and_a_tail_behind_it() {
    let flush = Flush::Async { interval: Duration::from_secs(3600), bytes: u64::MAX };
    let options = WalOptions { flush, ..small_options() };
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = Wal::open(Arc::new(disk.clone()), options.clone()).unwrap();
    let group = RaftGroup(1);
    for index in 1..=4 {
        let mut records = vec![entry(1, index, 1, 100)];
        if index == 2 {
            records.push(WalRecord::Vote { group, vote: bytes::Bytes::from_static(b"synced") });
        }
        wal.submit(records, Box::new(|outcome| assert!(outcome.is_ok())));
        committer.step(Nanos(0)).unwrap();
    }
    let path = "wal/0000000000000001.wal";
    let mut positions = Vec::new();
    scan(&disk, "wal", &mut |item| {
        if let ScanItem::Group { position, bare: false, .. } = item {
            positions.push(position);
        }
    })
    .unwrap();
    assert_eq!(positions.len(), 4);
    for (number, position) in positions.iter().enumerate() {
        let damaged = disk.duplicate();
        damaged.flip_bit(path, (position + 100) * 8).unwrap();
        match Wal::open(Arc::new(damaged.clone()), options.clone()) {
            Err(WalOpenError::Damaged { file, position: at, .. }) => {
                assert!(number < 2 && file == path && at == *position, "{number}");
            }
            Err(error) => panic!("{error}"),
            Ok((wal, committer, recovered)) => {
                assert!(number >= 2, "group {number} was synced");
                let cut = recovered.cut.unwrap();
                let cut_bytes = (4 - number as u64) * BLOCK_BYTES as u64;
                assert_eq!((cut.file.as_str(), cut.position, cut.bytes), (path, *position, cut_bytes));
                let state = wal.group(group).unwrap();
                assert_eq!(state.last.unwrap().0, LogIndex(number as u64));
                assert_eq!(state.vote.as_deref(), Some(&b"synced"[..]));
                drop(committer);
                let again = Wal::open(Arc::new(damaged), options.clone()).unwrap().2;
                assert_eq!(again.cut, None, "what was cut is not found again");
            }
        }
    }
}

#[test]
fn a_file_of_which_nothing_can_be_read_is_named_and_not_the_one_before() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = Wal::open(Arc::new(disk.clone()), small_options()).unwrap();
    let mut history = History::new(false);
    // Entries that fill a file each, so that the ones between hold a snapshot and one group.
    for index in 1..=4 {
        history.submit(&wal, vec![entry(1, index, 1, 30_000)]);
        committer.step(Nanos(0)).unwrap();
    }
    committer.finish(Nanos(0)).unwrap();
    let live: Vec<String> = disk.paths().into_iter().filter(|path| path.ends_with(".wal")).collect();
    assert!(live.len() > 2, "{live:?}");
    let path = &live[live.len() - 2];
    disk.damage(path, |bytes| bytes.fill(0)).unwrap();
    match Wal::open(Arc::new(disk), small_options()) {
        Err(WalOpenError::Damaged { file, position, .. }) => assert_eq!((&file, position), (path, 0)),
        other => panic!("{:?}", other.map(|opened| opened.2)),
    }
}
