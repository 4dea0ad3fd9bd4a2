//! The log without accidents: order, groups, syncs, closing groups, recycling, limits, formats.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tallymq_model::{LogIndex, RaftGroup, Term};
use tallymq_storage::{
    disk::{Disk, FaultyDisk, MemoryDisk, OpenMode, Operation},
    wal::{
        CommitFailed, CommitObserver, CommittedGroup, Committer, Flush, Nanos, Recovered, Step, Wal,
        WalOpenError, WalOptions, WalReadError, WalRecord,
    },
};

use crate::wal_model::{History, entry, read_all, small_options};

const MILLISECOND: u64 = 1_000_000;

fn open(disk: &MemoryDisk, options: WalOptions) -> (Wal, Committer, Recovered) {
    Wal::open(Arc::new(disk.clone()), options).unwrap()
}

fn settle(committer: &mut Committer) {
    while committer.step(Nanos(0)).unwrap() == Step::Worked {}
}

#[test]
fn what_was_committed_is_read_back_and_found_again() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, recovered) = open(&disk, small_options());
    assert_eq!(recovered, Recovered::default());
    let mut history = History::new(false);
    history.submit(&wal, (1..=5).map(|index| entry(1, index, 3, 1000)).collect());
    history.submit(&wal, vec![WalRecord::Vote { group: RaftGroup(2), vote: Bytes::from_static(b"me") }]);
    assert!(matches!(
        wal.read(RaftGroup(1), LogIndex(1), LogIndex(2), 1),
        Err(WalReadError::Missing { last: LogIndex(0), .. })
    ));
    settle(&mut committer);
    assert_eq!(history.acked(), 2);
    let count =
        |from, to, bytes_max| wal.read(RaftGroup(1), LogIndex(from), LogIndex(to), bytes_max).unwrap().len();
    assert_eq!((count(1, 6, 1 << 20), count(2, 4, 1 << 20), count(1, 6, 2500), count(1, 6, 0)), (5, 2, 2, 1));
    assert_eq!((count(4, 100, 1 << 20), count(3, 3, 1 << 20)), (2, 0));
    drop(committer);
    let (wal, _committer, recovered) = open(&disk, small_options());
    assert_eq!(read_all(&wal), history.latest);
    let group = &recovered.groups[&RaftGroup(1)];
    assert_eq!((group.first, group.last), (LogIndex(1), Some((LogIndex(5), Term(3)))));
    assert_eq!(recovered.groups[&RaftGroup(2)].vote.as_deref(), Some(&b"me"[..]));
    assert_eq!(recovered.cut, None);
}

#[test]
fn truncated_and_purged_entries_are_gone_also_after_a_restart() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = open(&disk, small_options());
    let mut history = History::new(false);
    let group = RaftGroup(1);
    history.submit(&wal, (1..=9).map(|index| entry(1, index, 1, 100)).collect());
    history.submit(
        &wal,
        vec![
            WalRecord::Truncate { group, from: LogIndex(7) },
            entry(1, 7, 2, 50),
            WalRecord::Purge { group, through: LogIndex(3) },
        ],
    );
    settle(&mut committer);
    let check = |wal: &Wal| {
        assert_eq!(read_all(wal), history.latest);
        let purged = wal.read(group, LogIndex(3), LogIndex(5), 1).unwrap_err();
        assert!(matches!(purged, WalReadError::Purged { through: LogIndex(3), .. }));
        let missing = wal.read(group, LogIndex(8), LogIndex(9), 1).unwrap_err();
        assert!(matches!(missing, WalReadError::Missing { last: LogIndex(7), .. }));
    };
    check(&wal);
    drop(committer);
    check(&open(&disk, small_options()).0);
}

#[test]
fn one_sync_carries_all_that_is_queued_up_to_a_groups_size() {
    let disk = FaultyDisk::over_memory(MemoryDisk::new());
    let (wal, mut committer, _) = Wal::open(Arc::new(disk.clone()), small_options()).unwrap();
    settle(&mut committer);
    let mut history = History::new(false);
    (1..=100).for_each(|index| history.submit(&wal, vec![entry(1, index, 1, 50)]));
    let (syncs, writes) = (disk.count(Operation::Sync), disk.count(Operation::Write));
    assert_eq!(committer.step(Nanos(0)).unwrap(), Step::Worked);
    assert_eq!((disk.count(Operation::Sync) - syncs, disk.count(Operation::Write) - writes), (1, 1));
    assert_eq!(history.acked(), 100);
    (101..=104).for_each(|index| history.submit(&wal, vec![entry(1, index, 1, 5000)]));
    committer.step(Nanos(0)).unwrap();
    assert_eq!(history.acked(), 102, "a group takes no more than group_bytes_max");
    assert_eq!(wal.queued().0, 2);
    history.submit(&wal, Vec::new());
    committer.step(Nanos(0)).unwrap();
    assert_eq!(history.acked(), 105, "nothing to write is acknowledged in its turn");
}

#[test]
fn a_closing_group_follows_within_its_delay_and_only_once() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = open(&disk, small_options());
    settle(&mut committer);
    assert_eq!(
        committer.step(Nanos(0)).unwrap(),
        Step::Idle { until: None },
        "nothing acknowledged, nothing to close"
    );
    let mut history = History::new(false);
    history.submit(&wal, vec![entry(1, 1, 1, 10)]);
    committer.step(Nanos(MILLISECOND)).unwrap();
    let until = Some(Nanos(21 * MILLISECOND));
    assert_eq!(committer.step(Nanos(2 * MILLISECOND)).unwrap(), Step::Idle { until });
    assert_eq!(committer.step(Nanos(20 * MILLISECOND)).unwrap(), Step::Idle { until });
    assert_eq!(wal.stats().closing_groups, 0);
    assert_eq!(committer.step(Nanos(21 * MILLISECOND)).unwrap(), Step::Worked);
    assert_eq!(committer.step(Nanos(99 * MILLISECOND)).unwrap(), Step::Idle { until: None });
    assert_eq!(wal.stats().closing_groups, 1);
}

#[test]
fn an_entry_that_does_not_follow_is_refused_alone() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = open(&disk, small_options());
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let submit = |records| {
        let outcomes = Arc::clone(&outcomes);
        wal.submit(records, Box::new(move |outcome| outcomes.lock().push(outcome.map(|_| ()))));
    };
    submit(vec![entry(1, 1, 1, 10)]);
    submit(vec![entry(2, 1, 1, 10), entry(1, 3, 1, 10)]);
    submit(vec![entry(1, 2, 1, 10)]);
    submit(vec![entry(2, 1, 1, 10)]);
    let part = Bytes::from(vec![0; 1 << 20]);
    let payload = vec![part; 1025];
    submit(vec![WalRecord::Entry { group: RaftGroup(1), index: LogIndex(3), term: Term(1), payload }]);
    settle(&mut committer);
    let outcomes = outcomes.lock();
    assert!(matches!(outcomes[0], Err(CommitFailed::TooLarge { .. })), "refused at once");
    assert!(outcomes[1].is_ok() && outcomes[3].is_ok() && outcomes[4].is_ok());
    assert!(matches!(
        outcomes[2],
        Err(CommitFailed::OutOfOrder { group: RaftGroup(1), index: LogIndex(3), last: LogIndex(1) })
    ));
    drop(committer);
    assert_eq!(read_all(&open(&disk, small_options()).0).len(), 2);
}

#[test]
fn async_syncs_by_interval_or_bytes_and_votes_and_metadata_at_once() {
    let disk = FaultyDisk::over_memory(MemoryDisk::new());
    let flush = Flush::Async { interval: Duration::from_millis(50), bytes: 12_288 };
    let (wal, mut committer, _) =
        Wal::open(Arc::new(disk.clone()), WalOptions { flush, file_bytes: 64 << 10, ..small_options() })
            .unwrap();
    settle(&mut committer);
    let mut history = History::new(false);
    let mut commit = |records, now: u64| {
        let before = disk.count(Operation::Sync);
        history.submit(&wal, records);
        committer.step(Nanos(now * MILLISECOND)).unwrap();
        disk.count(Operation::Sync) - before
    };
    assert_eq!(commit(vec![entry(1, 1, 1, 10)], 1), 0);
    assert_eq!(commit(vec![entry(1, 2, 1, 10)], 2), 0);
    assert_eq!(commit(vec![entry(1, 3, 1, 10)], 3), 1, "12 KiB unsynced");
    assert_eq!(commit(vec![entry(1, 4, 1, 10)], 4), 0);
    assert_eq!(commit(vec![entry(0, 1, 1, 10)], 5), 1, "metadata");
    let vote = WalRecord::Vote { group: RaftGroup(1), vote: Bytes::new() };
    assert_eq!(commit(vec![vote], 6), 1, "a vote");
    assert_eq!(commit(vec![entry(1, 5, 1, 10)], 10), 0);
    assert_eq!(history.acked(), 7);
    let before = disk.count(Operation::Sync);
    assert_eq!(
        committer.step(Nanos(30 * MILLISECOND)).unwrap(),
        Step::Idle { until: Some(Nanos(60 * MILLISECOND)) }
    );
    assert_eq!(committer.step(Nanos(60 * MILLISECOND)).unwrap(), Step::Worked);
    assert_eq!(disk.count(Operation::Sync), before + 1, "the interval");
    assert_eq!(
        committer.step(Nanos(61 * MILLISECOND)).unwrap(),
        Step::Idle { until: Some(Nanos(80 * MILLISECOND)) }
    );
    assert_eq!(committer.step(Nanos(80 * MILLISECOND)).unwrap(), Step::Worked);
    assert_eq!(wal.stats().closing_groups, 1);
}

#[test]
fn an_unsynced_tail_is_cut_and_reported_and_the_control_run_loses() {
    let flush = Flush::Async { interval: Duration::from_secs(3600), bytes: u64::MAX };
    let options = WalOptions { flush, ..small_options() };
    let (mut losses, mut cuts) = (0, 0);
    for seed in 0..100 {
        let disk = MemoryDisk::new();
        let (wal, mut committer, _) = open(&disk, options.clone());
        let mut history = History::new(true);
        for index in 1..=4 {
            history.submit(&wal, vec![entry(1, index, 1, 3000)]);
            committer.step(Nanos(0)).unwrap();
        }
        assert_eq!(history.acked(), 4);
        let (wal, _committer, recovered) = open(&disk.power_cut(seed), options.clone());
        losses += usize::from(history.recovered(&wal).unwrap() < 4);
        if let Some(cut) = recovered.cut {
            assert_eq!(cut.file, "wal/0000000000000001.wal");
            assert!(cut.position >= 4096 && cut.bytes >= 4096 && cut.position + cut.bytes <= 32 << 10);
            cuts += 1;
        }
    }
    assert!(losses > 30, "without a sync before the acknowledgement messages are lost: {losses}");
    assert!(cuts > 20, "{cuts}");
}

#[test]
fn purged_files_are_recycled_and_an_idle_groups_vote_survives() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = open(&disk, small_options());
    let mut history = History::new(false);
    let idle = RaftGroup(9);
    history.submit(&wal, vec![WalRecord::Vote { group: idle, vote: Bytes::from_static(b"once") }]);
    history.submit(&wal, vec![entry(9, 1, 1, 10), WalRecord::Purge { group: idle, through: LogIndex(1) }]);
    for index in 1..=300 {
        history.submit(&wal, vec![entry(1, index, 1, 3000)]);
        if index % 20 == 0 {
            history.submit(&wal, vec![WalRecord::Purge { group: RaftGroup(1), through: LogIndex(index) }]);
        }
        settle(&mut committer);
    }
    let stats = wal.stats();
    assert!(stats.files_released > 30, "{stats:?}");
    assert_eq!(stats.files_unprepared, 0, "{stats:?}");
    let names = disk.list("wal").unwrap();
    assert!(names.len() as u64 * 32 * 1024 <= small_options().bytes_max, "{}", names.len());
    assert!(names.iter().all(|entry| entry.name != "0000000000000001.wal"));
    drop(committer);
    let (wal, ..) = open(&disk, small_options());
    assert_eq!(read_all(&wal), history.latest);
    assert_eq!(wal.group(idle).unwrap().vote.as_deref(), Some(&b"once"[..]));
}

#[test]
fn a_full_log_goes_on_and_shrinks_again() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = open(&disk, small_options());
    let mut history = History::new(false);
    let limit = small_options().bytes_max;
    let mut index = 0;
    while !wal.pressure().full {
        index += 1;
        history.submit(&wal, vec![entry(1, index, 1, 9000)]);
        settle(&mut committer);
        assert_eq!(wal.pressure().checkpoint_wanted, wal.pressure().used_bytes >= limit / 2);
    }
    for _ in 0..20 {
        index += 1;
        history.submit(&wal, vec![entry(1, index, 1, 9000)]);
    }
    history.submit(&wal, vec![WalRecord::Purge { group: RaftGroup(1), through: LogIndex(index) }]);
    settle(&mut committer);
    assert_eq!(history.acked(), history.submitted(), "nothing waits for room that only the queue can make");
    assert!(wal.pressure().used_bytes < limit / 2);
    let bytes: usize = disk.paths().iter().map(|path| disk.bytes(path).unwrap().len()).sum();
    assert!(bytes as u64 <= limit, "what is beyond the limit is removed: {bytes}");
    drop(committer);
    assert_eq!(read_all(&open(&disk, small_options()).0), history.latest);
}

#[test]
fn an_entry_larger_than_a_file_has_one_of_its_own() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = open(&disk, small_options());
    let mut history = History::new(false);
    history.submit(&wal, vec![entry(1, 1, 1, 10)]);
    history.submit(&wal, vec![entry(1, 2, 1, 200_000)]);
    history.submit(&wal, vec![entry(1, 3, 1, 10)]);
    settle(&mut committer);
    drop(committer);
    let (wal, mut committer, _) = open(&disk, small_options());
    history.recovered(&wal).unwrap();
    history.submit(&wal, vec![WalRecord::Purge { group: RaftGroup(1), through: LogIndex(3) }]);
    history.submit(&wal, vec![entry(1, 4, 1, 10)]);
    settle(&mut committer);
    assert!(disk.paths().iter().all(|path| path.contains("spare") || path.ends_with("3.wal")));
    assert!(disk.paths().iter().all(|path| disk.bytes(path).unwrap().len() == 32 << 10), "it is not kept");
}

#[test]
fn a_small_disk_gets_small_files() {
    let disk = MemoryDisk::with_size(20 << 20);
    let (wal, _committer, _) = open(&disk, WalOptions::default());
    assert_eq!(wal.pressure().limit_bytes, 2 << 20);
    assert_eq!(disk.bytes("wal/0000000000000001.wal").unwrap().len(), 256 << 10);
}

#[test]
fn an_unknown_format_version_is_refused_by_name() {
    let disk = MemoryDisk::new();
    drop(open(&disk, small_options()));
    let path = "wal/0000000000000001.wal";
    disk.damage(path, |bytes| bytes[8] = 2).unwrap();
    match Wal::open(Arc::new(disk), small_options()) {
        Err(error @ WalOpenError::UnknownVersion { version: 2, known: 1, .. }) => {
            assert!(error.to_string().contains(path) && error.to_string().contains("version 2"), "{error}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn leftovers_and_strangers_do_not_disturb() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = open(&disk, small_options());
    let mut history = History::new(false);
    history.submit(&wal, vec![entry(1, 1, 1, 10)]);
    settle(&mut committer);
    drop(committer);
    for name in ["prepare-77", "spare-78", "notes.txt", "x.wal"] {
        disk.open(&format!("wal/{name}"), OpenMode::Create).unwrap();
    }
    let (wal, ..) = open(&disk, small_options());
    assert_eq!(read_all(&wal), history.latest);
    let names = disk.paths();
    assert!(
        !names.contains(&"wal/prepare-77".to_owned()) && !names.contains(&"wal/spare-78".to_owned()),
        "{names:?}"
    );
    assert!(names.contains(&"wal/notes.txt".to_owned()));
}

#[test]
fn a_dropped_committer_fails_what_is_queued() {
    let disk = MemoryDisk::new();
    let (wal, committer, _) = open(&disk, small_options());
    let mut history = History::new(false);
    history.submit(&wal, vec![entry(1, 1, 1, 10)]);
    drop(committer);
    history.submit(&wal, vec![entry(1, 2, 1, 10)]);
    assert_eq!((history.acked(), history.completed()), (0, 2));
}

#[derive(Default)]
struct Observed(Mutex<Vec<CommittedGroup>>);

impl CommitObserver for Observed {
    fn committed(&self, group: CommittedGroup) {
        self.0.lock().push(group);
    }
}

#[test]
fn the_observer_hears_of_each_group() {
    let disk = MemoryDisk::new();
    let (wal, mut committer, _) = open(&disk, small_options());
    let observed = Arc::new(Observed::default());
    committer.observe(Arc::clone(&observed) as Arc<dyn CommitObserver>);
    let ticks = std::cell::Cell::new(0);
    committer.measure_with(Box::new(move || {
        ticks.set(ticks.get() + 7);
        Nanos(ticks.get())
    }));
    let mut history = History::new(false);
    history.submit(&wal, vec![entry(1, 1, 1, 10), entry(1, 2, 1, 5000)]);
    committer.step(Nanos(0)).unwrap();
    let expected = CommittedGroup {
        submissions: 1,
        records: 2,
        bytes: 8192,
        write_nanos: 7,
        sync_nanos: 7,
        synced: true,
    };
    assert_eq!(*observed.0.lock(), [expected]);
}
