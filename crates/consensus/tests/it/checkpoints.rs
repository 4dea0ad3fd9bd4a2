//! Checkpoints: taken while apply goes on, and the log is purged only behind one that is durable.

use std::io;

use tallymq_consensus::{CheckpointFailed, ProposeError, StartError};
use tallymq_model::LogIndex;
use tallymq_storage::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Operation};

use crate::world::{GROUP, Node, line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_from_the_checkpoint() {
    let disk = MemoryDisk::new();
    let mut expected = Vec::new();
    for round in 0..4 {
        let node = Node::open(disk.clone());
        let (group, ledger) = node.start(GROUP).await;
        assert_eq!(ledger.0.lock().lines, expected);
        assert_eq!(ledger.0.lock().restored, if round == 0 { 0 } else { round * 100 - 50 });
        for number in 0..50 {
            group.propose(line(format!("{round}a{number}"))).await.unwrap();
        }
        let through = group.checkpoint().await.unwrap().expect("there is something new");
        assert_eq!(through, group.applied());
        assert_eq!(ledger.0.lock().durable, [through]);
        assert_eq!(group.checkpoint().await.unwrap(), None, "nothing new");
        for number in 0..50 {
            group.propose(line(format!("{round}b{number}"))).await.unwrap();
        }
        let stored = node.wal.group(GROUP).unwrap();
        assert_eq!(stored.purged_through, through, "the log begins behind the checkpoint");
        expected = ledger.0.lock().lines.clone();
        group.shutdown().await;
        node.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_with_nothing_behind_the_checkpoint_works() {
    let disk = MemoryDisk::new();
    for round in 0..3 {
        let node = Node::open(disk.clone());
        let (group, ledger) = node.start(GROUP).await;
        assert_eq!(ledger.0.lock().lines.len(), round);
        group.propose(line("one")).await.unwrap();
        group.checkpoint().await.unwrap().unwrap();
        group.shutdown().await;
        node.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_goes_on_while_a_checkpoint_is_built() {
    let node = Node::open(MemoryDisk::new());
    let (group, ledger) = node.start(GROUP).await;
    group.propose(line("before")).await.unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    ledger.0.lock().before_build = Some(Box::new(move || wait.recv().map_err(io::Error::other)));
    let checkpoint = tokio::spawn({
        let group = group.clone();
        async move { group.checkpoint().await }
    });
    // begun when the hook is taken
    while ledger.0.lock().before_build.is_some() {
        tokio::task::yield_now().await;
    }
    for number in 0..20 {
        group.propose(line(format!("{number}"))).await.unwrap();
    }
    go.send(()).unwrap();
    let through = checkpoint.await.unwrap().unwrap().unwrap();
    assert!(through < group.applied());
    group.propose(line("behind the purge, which was queued")).await.unwrap();
    assert_eq!(node.wal.group(GROUP).map(|stored| stored.first), Some(through.next()));
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_whose_caller_is_gone_ends_before_the_next_begins() {
    let node = Node::open(MemoryDisk::new());
    let (group, ledger) = node.start(GROUP).await;
    group.propose(line("before")).await.unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    ledger.0.lock().before_build = Some(Box::new(move || {
        let _ = begun.send(());
        wait.recv().map_err(io::Error::other)
    }));
    let begin = || {
        let group = group.clone();
        tokio::spawn(async move { group.checkpoint().await })
    };
    let first = begin();
    has_begun.await.unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // taken when the second one begins, which it may not while the first one's work still runs
    ledger.0.lock().before_build = Some(Box::new(|| Ok(())));
    let second = begin();
    for number in 0..20 {
        group.propose(line(format!("{number}"))).await.unwrap();
        assert!(ledger.0.lock().before_build.is_some(), "two checkpoints of one group at once");
    }
    go.send(()).unwrap();
    assert_eq!(second.await.unwrap().unwrap(), Some(group.applied()));
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_cannot_be_made_durable_ends_the_group_and_purges_nothing() {
    let disk = MemoryDisk::new();
    let node = Node::open(disk.clone());
    let (group, ledger) = node.start(GROUP).await;
    group.propose(line("kept")).await.unwrap();
    ledger.0.lock().before_build = Some(Box::new(|| Err(io::Error::from_raw_os_error(5))));
    assert!(matches!(group.checkpoint().await, Err(CheckpointFailed::Build(_))));
    assert_eq!(node.ended.lock().len(), 1);
    assert_eq!(group.propose(line("refused")).await.unwrap_err(), ProposeError::ShuttingDown);
    group.shutdown().await;
    drop(node);
    let node = Node::open(disk);
    let (group, ledger) = node.start(GROUP).await;
    assert_eq!(ledger.0.lock().texts(), ["kept"]);
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_for_a_checkpoint_the_group_goes_on() {
    let disk = FaultyDisk::over_memory(MemoryDisk::new());
    let node = Node::open(disk.clone());
    let (group, ledger) = node.start(GROUP).await;
    group.propose(line("one")).await.unwrap();
    let held = disk.clone();
    ledger.0.lock().before_build = Some(Box::new(move || {
        held.fail(Operation::Create, 1, Fault::Enospc);
        Ok(())
    }));
    assert!(matches!(group.checkpoint().await, Err(CheckpointFailed::NoSpace(_))));
    assert!(node.ended.lock().is_empty());
    assert_eq!(node.wal.group(GROUP).unwrap().purged_through, LogIndex(0), "nothing is purged");
    group.propose(line("two")).await.unwrap();
    group.checkpoint().await.unwrap().expect("there is room again");
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_whose_name_may_not_last_ends_the_group() {
    let disk = FaultyDisk::over_memory(MemoryDisk::new());
    let node = Node::open(disk.clone());
    let (group, ledger) = node.start(GROUP).await;
    group.propose(line("one")).await.unwrap();
    let held = disk.clone();
    ledger.0.lock().before_build = Some(Box::new(move || {
        held.fail(Operation::SyncDir, 1, Fault::Enospc);
        Ok(())
    }));
    assert!(matches!(group.checkpoint().await, Err(CheckpointFailed::Save(_))));
    assert_eq!(node.ended.lock().len(), 1, "a later sync of the directory could succeed and lie");
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_checkpoint_is_refused_and_not_skipped() {
    let disk = MemoryDisk::new();
    let node = Node::open(disk.clone());
    let (group, _) = node.start(GROUP).await;
    group.propose(line("one")).await.unwrap();
    let through = group.checkpoint().await.unwrap().unwrap();
    group.propose(line("two")).await.unwrap();
    group.shutdown().await;
    node.stop();
    let lost: Vec<String> = disk.paths().into_iter().filter(|path| !path.starts_with("wal/")).collect();
    assert!(!lost.is_empty());
    lost.iter().for_each(|path| disk.remove_file(path).unwrap());
    let node = Node::open(disk);
    let refused = node.try_start(node.options(GROUP)).await.err().expect("refused");
    let StartError::Gap { checkpoint, first, .. } = refused else { panic!("{refused}") };
    assert_eq!((checkpoint, first), (LogIndex(0), through.next()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_checkpoint_is_not_replaced_by_an_older_one_with_a_hole_behind_it() {
    let disk = MemoryDisk::new();
    let node = Node::open(disk.clone());
    let (group, _) = node.start(GROUP).await;
    group.propose(line("one")).await.unwrap();
    let older = group.checkpoint().await.unwrap().unwrap();
    group.propose(line("two")).await.unwrap();
    let newer = group.checkpoint().await.unwrap().unwrap();
    group.shutdown().await;
    node.stop();
    let newest = disk.paths().into_iter().filter(|path| path.contains("checkpoint")).max().unwrap();
    let bits = disk.bytes(&newest).unwrap().len() as u64 * 8;
    disk.flip_bit(&newest, bits - 1).unwrap();
    let node = Node::open(disk);
    let refused = node.try_start(node.options(GROUP)).await.err().expect("refused");
    let StartError::Gap { checkpoint, first, .. } = refused else { panic!("{refused}") };
    assert_eq!((checkpoint, first), (older, newer.next()));
}
