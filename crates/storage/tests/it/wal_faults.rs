//! A disk that says no: every operation of a script fails once. Nothing is acknowledged after it, and the next start
//! has all that was acknowledged before.

use std::sync::Arc;

use tallymq_model::{LogIndex, RaftGroup};
use tallymq_storage::{
    disk::{Fault, FaultyDisk, MemoryDisk, Operation, Random},
    wal::{CommitFailed, Nanos, Step, Wal, WalOpenError, WalReadError},
};

use crate::wal_model::{History, entry, random_records, small_options};

/// Runs the script; whether the log failed.
fn script(disk: &FaultyDisk, history: &mut History) -> bool {
    let mut random = Random::new(11);
    let Ok((wal, mut committer, _)) = Wal::open(Arc::new(disk.clone()), small_options()) else {
        return true;
    };
    for round in 0..50 {
        let records = random_records(&mut random, &history.latest);
        history.submit(&wal, records);
        if random.one_in(3) {
            continue;
        }
        match committer.step(Nanos(round * 30_000_000)) {
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error, CommitFailed::Disk(_)));
                let acked = history.acked();
                history.submit(&wal, Vec::new());
                assert!(committer.step(Nanos(u64::MAX)).is_err());
                assert_eq!(history.acked(), acked);
                assert_eq!(history.completed(), history.submitted());
                return true;
            }
        }
    }
    false
}

#[test]
fn after_any_failed_operation_nothing_is_acknowledged_and_nothing_is_lost() {
    let operations = [
        (Operation::Write, Fault::Eio),
        (Operation::Write, Fault::Enospc),
        (Operation::Sync, Fault::Eio),
        (Operation::SyncDir, Fault::Eio),
        (Operation::Rename, Fault::Eio),
        (Operation::Create, Fault::Enospc),
        (Operation::Remove, Fault::Eio),
        (Operation::SetSize, Fault::Enospc),
        (Operation::DropCache, Fault::Eio),
        (Operation::Read, Fault::Eio),
    ];
    let mut failures = 0;
    for (operation, fault) in operations {
        for nth in 1..80 {
            let memory = MemoryDisk::new();
            let disk = FaultyDisk::over_memory(memory.clone());
            disk.fail(operation, nth, fault);
            let mut history = History::new(false);
            failures += usize::from(script(&disk, &mut history));
            let after = if nth % 2 == 0 { memory.power_cut(nth) } else { memory };
            let (wal, _committer, _) = Wal::open(Arc::new(after), small_options()).unwrap();
            history.recovered(&wal).unwrap_or_else(|why| panic!("{operation:?} {nth}: {why}"));
        }
    }
    assert!(failures > 150, "{failures}");
}

#[test]
fn a_failing_spare_file_fails_no_commit() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::over_memory(memory);
    let (wal, mut committer, _) = Wal::open(Arc::new(disk.clone()), small_options()).unwrap();
    disk.fail(Operation::Create, 1, Fault::Enospc);
    while committer.step(Nanos(0)).unwrap() == Step::Worked {}
    let mut history = History::new(false);
    history.submit(&wal, vec![entry(1, 1, 1, 10)]);
    committer.step(Nanos(0)).unwrap();
    assert_eq!(history.acked(), 1);
}

#[test]
fn an_entry_read_wrong_is_never_served() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::over_memory(memory);
    let (wal, mut committer, _) = Wal::open(Arc::new(disk.clone()), small_options()).unwrap();
    let mut history = History::new(false);
    history.submit(&wal, vec![entry(1, 1, 1, 1000)]);
    committer.step(Nanos(0)).unwrap();
    for fault in [Fault::FlippedBit, Fault::ShortRead] {
        disk.fail(Operation::Read, 1, fault);
        match wal.read(RaftGroup(1), LogIndex(1), LogIndex(2), 1 << 20) {
            Err(WalReadError::Corrupt { index: LogIndex(1), file, position, .. }) => {
                assert_eq!(file, "wal/0000000000000001.wal");
                assert!(position > 4096);
            }
            other => panic!("{other:?}"),
        }
    }
    disk.fail(Operation::Read, 1, Fault::Eio);
    assert!(matches!(wal.read(RaftGroup(1), LogIndex(1), LogIndex(2), 1), Err(WalReadError::Io(_))));
    assert_eq!(wal.read(RaftGroup(1), LogIndex(1), LogIndex(2), 1).unwrap().len(), 1);
}

#[test]
fn recovery_believes_no_wrong_read() {
    let memory = MemoryDisk::new();
    let mut history = History::new(false);
    assert!(!script(&FaultyDisk::over_memory(memory.clone()), &mut history));
    let (wal, mut committer, _) = Wal::open(Arc::new(memory.clone()), small_options()).unwrap();
    let groups = wal.groups();
    committer.finish(Nanos(0)).unwrap();
    let mut refused = 0;
    for nth in 1..20 {
        let disk = FaultyDisk::over_memory(memory.duplicate());
        disk.fail(Operation::Read, nth, Fault::FlippedBit);
        match Wal::open(Arc::new(disk), small_options()) {
            Ok((wal, ..)) => {
                assert_eq!(wal.groups(), groups);
            }
            Err(WalOpenError::Damaged { .. } | WalOpenError::UnknownVersion { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0);
}
