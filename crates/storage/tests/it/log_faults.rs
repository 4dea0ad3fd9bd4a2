//! The store and its writer when the disk fails, under threads, and with very many partitions.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
};

use tallymq_model::{LeaderEpoch, LogIndex, Offset, RaftGroup};
use tallymq_storage::{
    disk::{Fault, FaultyDisk, MemoryDisk, Operation},
    log::{self, FlushError, LogOptions, LogPosition, LogStore, PartitionLog, Step},
};

use crate::log_world::{Model, append, batch, small_log, small_segments, tp, write_all};

const GROUP: RaftGroup = RaftGroup(1);

fn fill(log: &Arc<PartitionLog>, model: &mut Model, batches: u64) {
    for number in 0..batches {
        append(log, model.push(batch(&[number as i64], 200, number), &[number as i64], LeaderEpoch(0)));
    }
}

#[test]
fn a_failed_write_ends_the_store_and_everyone_is_told() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let (store, mut writer) = LogStore::new(Arc::new(disk.clone()), small_log());
    let log = store.open(tp(0), GROUP, small_segments(), LogPosition::default());
    let mut model = Model::default();
    fill(&log, &mut model, 3);
    let told = Arc::new(AtomicBool::new(false));
    let hook = Arc::clone(&told);
    store.when_unwritten_at_most(0, Box::new(move |answer| hook.store(answer.is_err(), SeqCst)));
    let mark = store.begin_checkpoint(GROUP);
    disk.fail(Operation::Write, 1, Fault::Enospc);
    let failed = writer.step().unwrap_err();
    assert!(failed.path.ends_with("00000000000000000000.log"), "{failed}");
    assert!(told.load(SeqCst) && store.failure().is_some());
    assert!(matches!(store.finish_checkpoint(&mark), Err(FlushError::Failed(_))));
    assert!(writer.step().is_err(), "and it stays so");
    model.check_whole(&log, 500);
}

#[test]
fn a_failed_sync_gives_no_positions_now_or_later() {
    for operation in [Operation::SyncAll, Operation::SyncDir] {
        let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
        let (store, mut writer) = LogStore::new(Arc::new(disk.clone()), small_log());
        let log = store.open(tp(0), GROUP, small_segments(), LogPosition::default());
        fill(&log, &mut Model::default(), 3);
        let mark = store.begin_checkpoint(GROUP);
        write_all(&mut writer);
        disk.fail(operation, 1, Fault::Eio);
        assert!(matches!(store.finish_checkpoint(&mark), Err(FlushError::Failed(_))));
        assert!(matches!(store.finish_checkpoint(&mark), Err(FlushError::Failed(_))), "a retry would lie");
        assert!(writer.step().is_err());
    }
}

#[test]
fn a_failed_read_is_an_io_error_and_the_next_one_works() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let options = LogOptions { tail_cache_bytes_max: 0, ..small_log() };
    let (store, mut writer) = LogStore::new(Arc::new(disk.clone()), options);
    let log = store.open(tp(0), GROUP, small_segments(), LogPosition::default());
    let mut model = Model::default();
    fill(&log, &mut model, 20);
    write_all(&mut writer);
    disk.fail(Operation::Read, 1, Fault::Eio);
    assert!(matches!(log.read(Offset(3), 100, true), Err(log::ReadError::Io { .. })));
    model.check_whole(&log, 700);
    assert!(store.failure().is_none());
    assert_eq!(store.stats().tail_cache_bytes, 0, "all was written and dropped");
    assert!(store.stats().cache_misses > 0);
}

#[test]
fn ten_thousand_idle_partitions_touch_no_file() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let (store, mut writer) = LogStore::new(Arc::new(disk.clone()), LogOptions::default());
    let segment = log::SegmentPosition {
        base: Offset(0),
        bytes: 1_000,
        first_timestamp: tallymq_model::Timestamp(1),
        max_timestamp: tallymq_model::Timestamp(1),
        max_timestamp_base: Offset(0),
    };
    let position = LogPosition { log_end: Offset(10), segments: vec![segment], ..LogPosition::default() };
    let mut expected = BTreeMap::new();
    for number in 0..10_000 {
        let log = store.open(tp(number), GROUP, small_segments(), position.clone());
        assert_eq!((log.log_end(), log.size_bytes(), log.segments().len()), (Offset(10), 1_000, 1));
        expected.insert(tp(number), position.clone());
    }
    let mark = store.begin_checkpoint(GROUP);
    write_all(&mut writer);
    assert_eq!(store.finish_checkpoint(&mark).unwrap(), expected);
    store.checkpoint_durable(mark, LogIndex(1));
    write_all(&mut writer);
    for operation in [Operation::Open, Operation::Create, Operation::Write, Operation::Remove] {
        assert_eq!(disk.count(operation), 0, "{operation:?}");
    }
    assert!(size_of::<PartitionLog>() < 600, "{} bytes per partition", size_of::<PartitionLog>());
}

#[test]
fn open_files_are_bounded_and_the_budget_holds() {
    let (store, mut writer) = LogStore::new(Arc::new(MemoryDisk::new()), small_log());
    let mut logs = Vec::new();
    for number in 0..30 {
        logs.push((
            store.open(tp(number), GROUP, small_segments(), LogPosition::default()),
            Model::default(),
        ));
    }
    for _ in 0..5 {
        for (log, model) in &mut logs {
            fill(log, model, 4);
        }
        write_all(&mut writer);
        assert!(store.stats().open_files <= 3);
        assert!(store.stats().tail_cache_bytes <= 6_000);
        assert_eq!(store.unwritten_bytes(), 0);
    }
    for (log, model) in &logs {
        model.check_whole(log, 900);
    }
    assert!(store.stats().open_files <= 3);
}

#[test]
fn readers_near_the_end_share_the_producers_bytes() {
    let (store, mut writer) = LogStore::new(Arc::new(MemoryDisk::new()), LogOptions::default());
    let log = store.open(tp(0), GROUP, small_segments(), LogPosition::default());
    let mut model = Model::default();
    fill(&log, &mut model, 2);
    write_all(&mut writer);
    let fetched = log.read(Offset(0), 10_000, true).unwrap();
    assert_eq!(fetched.pieces.len(), 4);
    assert_eq!(fetched.pieces[1].as_ptr(), model.batches[0].raw[16..].as_ptr(), "not copied");
    assert_eq!((store.stats().cache_hits, store.stats().cache_misses), (1, 0));
}

#[test]
fn a_mark_that_another_one_overtakes_is_superseded() {
    let (store, mut writer) = LogStore::new(Arc::new(MemoryDisk::new()), small_log());
    let log = store.open(tp(0), GROUP, small_segments(), LogPosition::default());
    let old = store.begin_checkpoint(GROUP);
    fill(&log, &mut Model::default(), 1);
    let new = store.begin_checkpoint(GROUP);
    write_all(&mut writer);
    assert!(matches!(store.finish_checkpoint(&old), Err(FlushError::Superseded)));
    assert_eq!(store.finish_checkpoint(&new).unwrap()[&tp(0)].log_end, Offset(1));
    drop(writer);
    let last = store.begin_checkpoint(GROUP);
    assert!(
        matches!(store.finish_checkpoint(&last), Err(FlushError::Closed)),
        "nobody waits for a writer that is gone"
    );
}

#[test]
fn the_thread_writes_while_groups_append_read_and_checkpoint() {
    let (store, writer) = LogStore::new(Arc::new(MemoryDisk::new()), small_log());
    let thread = log::spawn(Arc::clone(&store), writer, |failed| panic!("{failed}")).unwrap();
    std::thread::scope(|scope| {
        for group in 0..3 {
            let store = &store;
            scope.spawn(move || {
                let log = store.open(tp(group), RaftGroup(group), small_segments(), LogPosition::default());
                let mut model = Model::default();
                for round in 1..6 {
                    fill(&log, &mut model, 50);
                    let mark = store.begin_checkpoint(RaftGroup(group));
                    let end = model.log_end();
                    fill(&log, &mut model, 20);
                    assert_eq!(store.finish_checkpoint(&mark).unwrap()[&tp(group)].log_end, end);
                    store.checkpoint_durable(mark, LogIndex(round));
                    model.check_whole(&log, 2_000);
                }
            });
        }
    });
    let (done, wait) = mpsc::channel();
    store.when_unwritten_at_most(0, Box::new(move |answer| done.send(answer.is_ok()).unwrap()));
    thread.join();
    assert!(wait.recv().unwrap());
    assert_eq!(store.unwritten_bytes(), 0);
}

#[test]
fn a_step_is_idle_only_when_nothing_is_left() {
    let (store, mut writer) = LogStore::new(Arc::new(MemoryDisk::new()), small_log());
    assert_eq!(writer.step().unwrap(), Step::Idle);
    let log = store.open(tp(0), GROUP, small_segments(), LogPosition::default());
    fill(&log, &mut Model::default(), 100);
    let mut steps = 0;
    while let Step::Worked { bytes } = writer.step().unwrap() {
        assert!(bytes <= 3_000, "bounded by write_bytes_max");
        steps += 1;
    }
    assert!(steps > 5 && store.unwritten_bytes() == 0);
}
