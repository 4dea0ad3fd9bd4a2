//! Indexes of keys against a naive scan: whatever was written, built, damaged or cut off, a lookup never leaves a batch out that
//! holds the key. The "records" here are bytes; the key of each is one of them.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use tallymq_model::{BatchHeader, LeaderEpoch, LogIndex, Offset, RaftGroup, TopicPartition};
use tallymq_storage::{
    disk::{Disk, Fault, FaultyDisk, MemoryDisk, OpenMode, Operation},
    keys::{
        Build, BuildError, BuildStep, Facts, Finding, KeyHash, KeyIndexes, PostingSum, Unreadable, check,
        plan, unread_term,
    },
    log::{LogOptions, LogPosition, LogStore, PartitionLog, SegmentWriter},
};

use crate::log_world::{Model, append, batch, small_segments, tp, write_all};

/// Where the test's batches have their keys: some bytes of the records.
const KEYS: std::ops::Range<usize> = 70..90;
/// A batch with this byte in front cannot be read.
const UNREADABLE: u8 = 13;

fn keys_of(batch: &[u8]) -> Option<BTreeSet<u8>> {
    let bytes = batch.get(KEYS).unwrap_or_default();
    (bytes.first() != Some(&UNREADABLE)).then(|| bytes.iter().copied().collect())
}

fn extract(_: &BatchHeader, batch: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Unreadable> {
    let keys = keys_of(batch).ok_or(Unreadable)?;
    keys.iter().for_each(|key| sink(&[*key]));
    // Twice: an index holds a batch once.
    keys.iter().for_each(|key| sink(&[*key]));
    Ok(())
}

struct World {
    disk: Arc<dyn Disk>,
    store: Arc<LogStore>,
    writer: SegmentWriter,
    log: Arc<PartitionLog>,
    model: Model,
    indexes: KeyIndexes,
}

const TP: u32 = 2;

fn here() -> TopicPartition {
    tp(TP)
}

impl World {
    fn new(disk: Arc<dyn Disk>) -> World {
        World::open(disk, LogPosition::default(), Model::default())
    }

    fn open(disk: Arc<dyn Disk>, position: LogPosition, model: Model) -> World {
        let options = LogOptions { tail_cache_bytes_max: 0, ..LogOptions::default() };
        let (store, writer) = LogStore::new(Arc::clone(&disk), options);
        let log = store.open(here(), RaftGroup(1), small_segments(), position);
        let indexes = KeyIndexes::new(Arc::clone(&disk));
        indexes.load().unwrap();
        World { disk, store, writer, log, model, indexes }
    }

    fn fill(&mut self, batches: u64, seed: u64) {
        for number in 0..batches {
            let timestamps = vec![100 + number as i64; 1 + (number % 3) as usize];
            let raw = batch(&timestamps, 120 + (number * 37 % 300) as usize, seed + number * 977);
            let stored = self.model.push(raw, &timestamps, LeaderEpoch(1)).clone();
            append(&self.log, &stored);
        }
        write_all(&mut self.writer);
    }

    /// As the checkpoint that becomes durable leaves it.
    fn checkpoint(&mut self, index: u64) -> LogPosition {
        let mark = self.store.begin_checkpoint(RaftGroup(1));
        write_all(&mut self.writer);
        let position = self.store.finish_checkpoint(&mark).unwrap().remove(&here()).unwrap();
        self.store.checkpoint_durable(mark, LogIndex(index));
        write_all(&mut self.writer);
        position
    }

    fn covered(&self) -> Vec<(Offset, Offset)> {
        self.indexes.parts(here()).iter().map(|part| (part.from, part.to)).collect()
    }

    fn planned(&self) -> Option<(Offset, Offset)> {
        plan(&self.log.segments(), &self.covered(), self.log.log_start(), self.log.durable_end())
    }

    fn build(&self, (from, to): (Offset, Offset), run: usize) -> Result<Facts, BuildError> {
        let range = self.log.range(from, to).map_err(|source| BuildError::Log { at: from, source })?;
        let mut build = Build::with_runs(Arc::clone(&self.disk), here(), range, run)?;
        loop {
            if let BuildStep::Done(facts) = build.step(&mut extract)? {
                return Ok(facts);
            }
        }
    }

    fn build_all(&self, run: usize) {
        while let Some(part) = self.planned() {
            self.indexes.add(&self.build(part, run).unwrap());
        }
    }

    /// Every batch with the key must be among what the indexes give, or in no indexed part. Returns how many lookups were refused.
    fn check_lookups(&self, batches_max: usize) -> usize {
        let mut refused = 0;
        for part in self.indexes.parts(here()) {
            for key in 0..=255_u8 {
                let expected: BTreeSet<Offset> = self.holding(key, part.from, part.to);
                let mut found = BTreeSet::new();
                let mut below = part.to;
                loop {
                    let answer = self.indexes.find(here(), &part, KeyHash::of(&[key]), (below, batches_max));
                    let Ok(answer) = answer else {
                        refused += 1;
                        break;
                    };
                    assert!(answer.batches.len() <= batches_max);
                    assert!(answer.batches.iter().all(|at| *at < below), "{answer:?} below {below}");
                    assert!(answer.batches.iter().rev().is_sorted());
                    found.extend(&answer.batches);
                    below = answer.batches.last().copied().unwrap_or(below);
                    if !answer.more {
                        assert!(expected.is_subset(&found), "key {key}: {expected:?} but {found:?}");
                        assert_eq!(found.len(), expected.len(), "hashes of one byte do not collide");
                        break;
                    }
                }
            }
        }
        refused
    }

    fn holding(&self, key: u8, from: Offset, to: Offset) -> BTreeSet<Offset> {
        let batches = self.model.batches.iter().filter(|batch| (from..to).contains(&batch.base));
        let holds = |bytes: &[u8]| keys_of(bytes).is_none_or(|keys| keys.contains(&key));
        batches.filter(|batch| holds(&batch.bytes)).map(|batch| batch.base).collect()
    }
}

#[test]
fn what_is_planned_covers_all_that_is_sealed_and_lookups_agree_with_a_scan() {
    let mut world = World::new(Arc::new(MemoryDisk::new()));
    world.fill(300, 5);
    assert_eq!(world.planned(), None, "nothing is in a durable checkpoint yet");
    world.checkpoint(1);
    world.build_all(1000);
    let segments = world.log.segments();
    let sealed = segments.iter().filter(|segment| segment.sealed).count();
    assert!(sealed > 3);
    assert_eq!(world.covered().len(), sealed, "one part each; the active segment is small");
    for batches_max in [1, 3, 1000] {
        assert_eq!(world.check_lookups(batches_max), 0);
    }
    assert!(world.disk.list(&format!("keys/{}/{}", here().topic, here().partition)).unwrap().len() == sealed);
}

#[test]
fn they_survive_a_restart_and_go_with_the_segment_and_the_partition() {
    let mut world = World::new(Arc::new(MemoryDisk::new()));
    world.fill(300, 9);
    let position = world.checkpoint(1);
    world.build_all(64);
    let covered = world.covered();
    let mut world = World::open(Arc::clone(&world.disk), position, world.model);
    assert_eq!(world.covered(), covered);
    assert_eq!(world.check_lookups(100), 0);

    world.log.set_log_start(covered[1].0.plus(1));
    world.model.log_start = covered[1].0.plus(1);
    let log_start = world.log.log_start();
    world.indexes.sweep(|_| Some(log_start));
    assert_eq!(world.covered(), covered[1..], "the first is gone, the second still has visible records");
    world.indexes.sweep(|_| None);
    assert_eq!(world.covered(), []);
    assert!(world.disk.list("keys").unwrap().is_empty(), "nothing stays of a deleted topic");
}

fn index_path(from: Offset) -> String {
    format!("keys/{}/{}/{:020}.keys", here().topic, here().partition, from.0)
}

#[test]
fn every_flipped_bit_is_refused_and_hides_nothing() {
    let memory = MemoryDisk::new();
    let mut world = World::new(Arc::new(memory.clone()));
    world.fill(40, 3);
    let position = world.checkpoint(1);
    world.build_all(64);
    let part = world.indexes.parts(here())[0];
    let path = index_path(part.from);
    let mut refused = 0;
    let bits = (0..part.file_bytes * 8).step_by(509);
    for bit in bits.clone() {
        let damaged = memory.duplicate();
        damaged.flip_bit(&path, bit).unwrap();
        let found = check(&damaged, here()).unwrap();
        assert!(found.iter().any(|one| matches!(one, Finding::Refused(_))), "a check finds bit {bit}");
        // A lookup only reads what it needs, and checks that.
        let world = World::open(Arc::new(damaged), position.clone(), world.model.clone());
        let here_refused = world.check_lookups(1000) + world.indexes.stats().damaged as usize;
        refused += usize::from(here_refused > 0);
        assert!(
            world.indexes.parts(here()).iter().all(|left| left.from != part.from),
            "bit {bit} is forgotten"
        );
        assert!(world.disk.open(&path, OpenMode::Read).is_err(), "and removed");
        assert_eq!(world.planned(), Some((part.from, part.to)), "to be built again");
    }
    assert_eq!(refused, bits.count(), "every block is read by some lookup");
}

#[test]
fn an_index_of_another_part_is_not_taken_for_this_ones() {
    let mut world = World::new(Arc::new(MemoryDisk::new()));
    world.fill(200, 3);
    let position = world.checkpoint(1);
    world.build_all(64);
    let parts = world.indexes.parts(here());
    world.disk.rename(&index_path(parts[0].from), &index_path(parts[1].from)).unwrap();
    let world = World::open(Arc::clone(&world.disk), position, world.model);
    assert_eq!(world.indexes.parts(here()).len(), parts.len() - 2);
    assert_eq!(world.indexes.stats().damaged, 1);
    world.build_all(64);
    assert_eq!(world.check_lookups(7), 0);
}

#[test]
fn whatever_a_power_cut_leaves_hides_nothing() {
    let mut refused = 0;
    let mut kept = 0;
    for seed in 0..30 {
        let memory = MemoryDisk::new();
        let disk = Arc::new(FaultyDisk::over_memory(memory.clone()));
        let mut world = World::new(disk.clone());
        world.fill(150, seed);
        let position = world.checkpoint(1);
        // In the middle of it, or after it with the names in the file system's journal, or with the data on disk, too.
        if seed % 3 == 0 {
            disk.power_off_at(1 + seed % 23);
        }
        while let Some(part) = world.planned() {
            match world.build(part, 50) {
                Ok(facts) => world.indexes.add(&facts),
                Err(BuildError::Io { .. } | BuildError::Log { .. }) => break,
                Err(other) => panic!("{other}"),
            }
        }
        if seed % 3 > 0 {
            let topic = format!("keys/{}", here().topic);
            for dir in ["", "keys", &topic, &format!("{topic}/{}", here().partition)] {
                disk.sync_dir(dir).unwrap();
            }
        }
        if seed % 3 > 1 {
            disk.sync_all().unwrap();
        }
        let after = memory.power_cut(seed);
        let world = World::open(Arc::new(after), position, world.model);
        refused += world.check_lookups(100) + world.indexes.stats().damaged as usize;
        kept += world.indexes.parts(here()).len();
        let names =
            world.disk.list(&format!("keys/{}/{}", here().topic, here().partition)).unwrap_or_default();
        assert!(names.iter().all(|entry| entry.name.ends_with(".keys")), "{names:?}");
        world.build_all(100);
        assert_eq!(world.check_lookups(100), 0, "seed {seed}");
    }
    assert!(refused > 0 && kept > 0, "cuts left torn ({refused}) and whole ({kept}) indexes");
}

#[test]
fn a_disk_that_fails_or_lies_gives_no_index() {
    for operation in [Operation::Write, Operation::Create, Operation::Rename] {
        for nth in 1..4 {
            let disk = Arc::new(FaultyDisk::over_memory(MemoryDisk::new()));
            let mut world = World::new(disk.clone());
            world.fill(60, 1);
            world.checkpoint(1);
            let part = world.planned().unwrap();
            disk.fail(operation, nth, Fault::Enospc);
            let built = world.build(part, 20);
            if let Ok(facts) = built {
                world.indexes.add(&facts);
            }
            assert_eq!(world.check_lookups(10), 0);
            let names =
                world.disk.list(&format!("keys/{}/{}", here().topic, here().partition)).unwrap_or_default();
            assert!(
                names.iter().all(|entry| entry.name.ends_with(".keys")),
                "{operation:?} {nth}: {names:?}"
            );
        }
    }
}

#[test]
fn what_comes_back_wrong_from_the_sorting_is_no_index() {
    let mut changed = 0;
    for nth in 1..60 {
        let disk = Arc::new(FaultyDisk::over_memory(MemoryDisk::new()));
        let mut world = World::new(disk.clone());
        world.fill(60, 1);
        world.checkpoint(1);
        let part = world.planned().unwrap();
        disk.fail(Operation::Read, nth, Fault::FlippedBit);
        match world.build(part, 20) {
            Ok(facts) => world.indexes.add(&facts),
            Err(error) => changed += usize::from(matches!(error, BuildError::Changed)),
        }
        // The fault may wait for a later read; then a lookup is refused.
        world.check_lookups(10);
    }
    assert!(changed > 0);
}

#[test]
fn a_damaged_segment_has_no_index() {
    let mut world = World::new(Arc::new(MemoryDisk::new()));
    world.fill(60, 1);
    world.checkpoint(1);
    let part = world.planned().unwrap();
    let path = format!("topics/{}/{}/{:020}.log", here().topic, here().partition, part.0.0);
    let file = world.disk.open(&path, OpenMode::Write).unwrap();
    file.write_at(&[b"x"], 300).unwrap();
    let Err(BuildError::Log { at, .. }) = world.build(part, 20) else { panic!("it is damaged") };
    assert_eq!(world.covered(), []);
    // What is around the damage has one.
    let taken = world.log.unreadable_around(at).unwrap();
    for part in [(part.0, taken.from), (taken.to, part.1)].into_iter().filter(|(from, to)| from < to) {
        world.indexes.add(&world.build(part, 20).unwrap());
    }
    assert_eq!(world.covered().last(), Some(&(taken.to, part.1)));
    assert_eq!(world.check_lookups(10), 0);
}

#[test]
fn a_deleted_partition_leaves_no_directory_also_where_nothing_could_be_built() {
    let mut world = World::new(Arc::new(MemoryDisk::new()));
    world.fill(60, 1);
    let position = world.checkpoint(1);
    let part = world.planned().unwrap();
    let range = world.log.range(part.0, part.1).unwrap();
    drop(Build::begin(Arc::clone(&world.disk), here(), range).unwrap());
    let world = World::open(Arc::clone(&world.disk), position, world.model);
    world.indexes.sweep(|_| None);
    assert!(world.disk.list("keys").unwrap().is_empty());
}

#[test]
fn a_check_gives_the_sum_that_the_log_gives() {
    let mut world = World::new(Arc::new(MemoryDisk::new()));
    world.fill(200, 8);
    world.checkpoint(1);
    world.build_all(64);
    let unreadable = world.model.batches.iter().filter(|batch| keys_of(&batch.bytes).is_none()).count();
    assert!(unreadable > 0, "the sample has some");
    let mut checked = 0;
    for finding in check(&*world.disk, here()).unwrap() {
        let Finding::Whole { facts, .. } = finding else { panic!("{finding:?}") };
        let mut sum = PostingSum::default();
        for batch in world.model.batches.iter().filter(|batch| (facts.from..facts.to).contains(&batch.base)) {
            let relative = (batch.base.0 - facts.from.0) as u32;
            match keys_of(&batch.bytes) {
                Some(keys) => keys.iter().for_each(|key| sum.add(KeyHash::of(&[*key]), relative)),
                None => sum.sum = sum.sum.wrapping_add(unread_term(relative)),
            }
        }
        assert_eq!(facts.postings, sum);
        checked += 1;
    }
    assert_eq!(checked, world.covered().len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn lookups_agree_with_a_scan(batches in 20..200_u64, seed in 0..10_000_u64, run in 1..400_usize, max in 1..20_usize) {
        let mut world = World::new(Arc::new(MemoryDisk::new()));
        world.fill(batches, seed);
        world.checkpoint(1);
        world.build_all(run);
        prop_assert_eq!(world.check_lookups(max), 0);
    }
}

#[test]
fn many_postings_of_many_blocks_are_found_from_any_place_on() {
    let mut world = World::new(Arc::new(MemoryDisk::new()));
    world.log.set_options(tallymq_storage::log::PartitionOptions::default());
    world.fill(2500, 77);
    world.checkpoint(1);
    let end = world.log.log_end();
    let facts = world.build((Offset::ZERO, end), 5000).unwrap();
    assert!(facts.file_bytes() > 20 * 4096, "{}", facts.file_bytes());
    world.indexes.add(&facts);
    let part = world.indexes.parts(here())[0];
    for key in 0..=255_u8 {
        let holding = world.holding(key, Offset::ZERO, end);
        for below in [1, 17, 900, end.0] {
            let found = world.indexes.find(here(), &part, KeyHash::of(&[key]), (Offset(below), 50)).unwrap();
            let expected: Vec<Offset> = holding.range(..Offset(below)).rev().take(50).copied().collect();
            assert_eq!(found.batches, expected, "key {key} below {below}");
        }
    }
}
