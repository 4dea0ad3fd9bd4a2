//! After a failed sync nothing is a success any more, and the process is told to end, once.

use tallymq_consensus::ProposeError;
use tallymq_storage::disk::{Fault, FaultyDisk, MemoryDisk, Operation};

use crate::world::{GROUP, Node, PANIC, line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_success_follows_a_failed_sync_or_write() {
    let mut failures = 0;
    for (operation, nth) in
        [1, 2, 3, 5, 9].into_iter().flat_map(|nth| [(Operation::Sync, nth), (Operation::Write, nth)])
    {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::over_memory(memory.clone());
        let node = Node::open(disk.clone());
        let (group, _) = node.start(GROUP).await;
        group.propose(line("first")).await.unwrap();
        disk.fail(operation, nth, Fault::Eio);
        let mut acknowledged = vec!["first".to_owned()];
        let mut failed = false;
        for number in 0..200 {
            let text = format!("{number}");
            match group.propose(line(&text)).await {
                Ok(_) => {
                    assert!(!failed, "{operation:?} {nth}: a success after a failure");
                    acknowledged.push(text);
                }
                Err(ProposeError::Unknown) => failed = true,
                Err(ProposeError::ShuttingDown) => assert!(failed || !node.ended.lock().is_empty()),
                Err(other) => panic!("{other}"),
            }
        }
        if failed || !node.ended.lock().is_empty() {
            assert_eq!(node.ended.lock().len(), 1, "{operation:?} {nth}");
            assert_eq!(node.ended.lock()[0].group, GROUP);
            failures += 1;
        } else {
            // the fault met a file that is prepared in advance: nothing depends on it
            assert_eq!(acknowledged.len(), 201);
        }
        group.shutdown().await;

        let after = Node::open(memory.power_cut(nth));
        let (group, ledger) = after.start(GROUP).await;
        let texts = ledger.0.lock().texts();
        assert!(texts.starts_with(&acknowledged), "{operation:?} {nth}: {acknowledged:?} but {texts:?}");
        group.shutdown().await;
    }
    assert!(failures >= 5, "{failures} of 10 faults were met by the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_groups_end_with_the_log_they_share() {
    let disk = FaultyDisk::over_memory(MemoryDisk::new());
    let node = Node::open(disk.clone());
    let (one, _) = node.start(GROUP).await;
    let (other, _) = node.start(tallymq_model::RaftGroup(2)).await;
    // Several, because the next one may be of a spare file, which acknowledges nothing and ends nothing.
    for nth in 1..=8 {
        disk.fail(Operation::Sync, nth, Fault::Eio);
    }
    let results = tokio::join!(one.propose(line("a")), other.propose(line("b")));
    let last = (one.propose(line("c")).await, other.propose(line("d")).await);
    // one of the first two may have been durable before the failing sync
    assert!(results.0.is_err() || results.1.is_err());
    assert!(last.0.is_err() && last.1.is_err());
    one.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_cannot_be_applied_ends_the_process_and_not_only_the_group_in_silence() {
    let node = Node::open(MemoryDisk::new());
    let (group, ledger) = node.start(GROUP).await;
    group.propose(line("first")).await.unwrap();
    assert!(group.propose(line(PANIC)).await.is_err());
    while node.ended.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(group.propose(line("last")).await.is_err());
    group.shutdown().await;
    assert_eq!((node.ended.lock().len(), ledger.0.lock().texts()), (1, vec!["first".to_owned()]));
}
