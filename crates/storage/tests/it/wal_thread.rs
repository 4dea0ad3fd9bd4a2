//! The committer on its own thread, on a real disk.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use tallymq_model::{LogIndex, RaftGroup};
use tallymq_storage::{
    disk::{Disk, Fault, FaultyDisk, MemoryDisk, Operation, RealDisk},
    wal::{CommitFailed, CommitObserver, CommittedGroup, Wal, WalOptions, spawn},
};

use crate::wal_model::{entry, small_options};

fn options() -> WalOptions {
    WalOptions { file_bytes: 1 << 20, bytes_max: 16 << 20, ..WalOptions::default() }
}

#[test]
fn submissions_of_many_threads_are_acknowledged_and_found_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path()).unwrap());
    let (wal, committer, _) = Wal::open(Arc::clone(&disk), options()).unwrap();
    let thread = spawn(committer, |error| panic!("{error}")).unwrap();
    assert!(thread.scheduling().contains("SCHED_RR"));
    let submitters: Vec<_> = (1..=4)
        .map(|group| {
            let wal = wal.clone();
            std::thread::spawn(move || {
                let (done, outcomes) = mpsc::channel();
                for index in 1..=250 {
                    let done = done.clone();
                    let records = vec![entry(group, index, 1, 2000)];
                    wal.submit(
                        records,
                        Box::new(move |outcome| done.send((index, outcome.is_ok())).unwrap()),
                    );
                }
                for index in 1..=250 {
                    assert_eq!(outcomes.recv().unwrap(), (index, true));
                }
                // What is acknowledged can be read at once.
                let read = wal.read(RaftGroup(group), LogIndex(250), LogIndex(251), 1).unwrap();
                assert_eq!(read[0].index, LogIndex(250));
            })
        })
        .collect();
    submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
    thread.stop().unwrap();
    let stats = wal.stats();
    assert_eq!((stats.submissions, stats.closing_groups > 0), (1000, true));
    assert!(matches!(submit_and_wait(&wal), Err(CommitFailed::Closed)));
    let (wal, _committer, recovered) = Wal::open(disk, options()).unwrap();
    assert_eq!(recovered.cut, None);
    for group in 1..=4 {
        let entries = wal.read(RaftGroup(group), LogIndex(1), LogIndex(251), usize::MAX).unwrap();
        assert_eq!(entries.len(), 250);
        for read in entries {
            let tallymq_storage::wal::WalRecord::Entry { payload, .. } = entry(group, read.index.0, 1, 2000)
            else {
                unreachable!()
            };
            assert_eq!(read.payload, payload.concat());
        }
    }
}

fn submit_and_wait(wal: &Wal) -> Result<(), CommitFailed> {
    let (done, outcome) = mpsc::channel();
    wal.submit(Vec::new(), Box::new(move |durable| done.send(durable.map(|_| ())).unwrap()));
    outcome.recv().unwrap()
}

#[test]
fn a_failed_sync_is_told_once_and_ends_the_thread() {
    let disk = FaultyDisk::over_memory(MemoryDisk::new());
    let (wal, mut committer, _) = Wal::open(Arc::new(disk.clone()), small_options()).unwrap();
    committer.take_preparer();
    let (told, failure) = mpsc::channel();
    let thread = spawn(committer, move |error| told.send(error).unwrap()).unwrap();
    disk.fail(Operation::Sync, 1, Fault::Eio);
    let (done, outcome) = mpsc::channel();
    wal.submit(vec![entry(1, 1, 1, 10)], Box::new(move |durable| done.send(durable.is_ok()).unwrap()));
    assert!(!outcome.recv().unwrap());
    assert!(matches!(failure.recv().unwrap(), CommitFailed::Disk(_)));
    assert!(matches!(submit_and_wait(&wal), Err(CommitFailed::Disk(_))));
    assert!(matches!(thread.stop(), Err(CommitFailed::Disk(_))));
}

#[test]
fn an_idle_log_closes_itself_and_an_injected_delay_is_felt() {
    let sync_delay = Duration::from_millis(3);
    let (wal, committer, _) =
        Wal::open(Arc::new(MemoryDisk::new()), WalOptions { sync_delay, ..small_options() }).unwrap();
    let thread = spawn(committer, |error| panic!("{error}")).unwrap();
    let begun = std::time::Instant::now();
    let (done, outcome) = mpsc::channel();
    wal.submit(vec![entry(1, 1, 1, 10)], Box::new(move |durable| done.send(durable.is_ok()).unwrap()));
    assert!(outcome.recv().unwrap() && begun.elapsed() >= sync_delay);
    while wal.stats().closing_groups == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the closing group comes by itself");
        std::thread::yield_now();
    }
    assert!(begun.elapsed() >= Duration::from_millis(20));
    thread.stop().unwrap();
    assert_eq!(wal.stats().closing_groups, 1);
}

struct Fragile;

impl CommitObserver for Fragile {
    fn committed(&self, _: CommittedGroup) {
        panic!("as it was told to");
    }
}

#[test]
fn a_committer_that_panics_says_so_and_takes_nothing_more() {
    let (wal, mut committer, _) = Wal::open(Arc::new(MemoryDisk::new()), options()).unwrap();
    committer.observe(Arc::new(Fragile));
    let (told, hears) = mpsc::channel();
    let thread = spawn(committer, move |error| told.send(error.to_string()).unwrap()).unwrap();
    wal.submit(vec![entry(1, 1, 1, 10)], Box::new(|_| {}));
    let why = hears.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(why.contains("panicked"), "{why}");
    assert!(matches!(submit_and_wait(&wal), Err(CommitFailed::Disk(_))));
    assert!(thread.stop().is_err());
}
