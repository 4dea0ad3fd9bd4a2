//! A shutdown answers everything, and says "not appended" only of what is not.

use tallymq_consensus::{CheckpointFailed, ProposeError};
use tallymq_storage::disk::MemoryDisk;

use crate::world::{GROUP, Node, line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_proposal_is_answered_and_the_answer_is_true() {
    for round in 0..10 {
        let disk = MemoryDisk::new();
        let node = Node::open(disk.clone());
        let mut options = node.options(GROUP);
        options.entry_commands_max = 3;
        let (group, _) = node.try_start(options).await.unwrap();
        group.leader_ready().await.unwrap();
        let mut proposals = Vec::new();
        for number in 0..200 {
            proposals.push(group.enqueue(line(format!("{number}"))).await.unwrap());
            if number == round * 20 {
                tokio::task::yield_now().await;
            }
        }
        group.shutdown().await;
        let (mut committed, mut refused) = (Vec::new(), 0);
        for (number, proposal) in proposals.into_iter().enumerate() {
            match proposal.await {
                Ok(_) => committed.push(format!("{number}")),
                Err(ProposeError::ShuttingDown) => refused += 1,
                Err(other) => panic!("{number}: {other}"),
            }
        }
        assert_eq!(committed.len() + refused, 200);
        node.stop();
        let node = Node::open(disk);
        let (group, ledger) = node.start(GROUP).await;
        assert_eq!(ledger.0.lock().texts(), committed, "neither more nor less than what was acknowledged");
        group.shutdown().await;
    }
}

#[tokio::test]
async fn nothing_is_taken_after_a_shutdown() {
    let node = Node::open(MemoryDisk::new());
    let (group, _) = node.start(GROUP).await;
    group.propose(line("before")).await.unwrap();
    group.shutdown().await;
    group.shutdown().await; // again is fine
    assert_eq!(group.propose(line("after")).await.unwrap_err(), ProposeError::ShuttingDown);
    assert_eq!(group.leader_ready().await, Err(ProposeError::ShuttingDown));
    assert!(matches!(group.checkpoint().await, Err(CheckpointFailed::ShuttingDown)));
    assert!(node.ended.lock().is_empty(), "a shutdown is no failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_that_waits_for_bytes_is_answered_too() {
    let node = Node::open(MemoryDisk::new());
    let mut options = node.options(GROUP);
    options.bytes_in_flight_max = 100;
    let (group, _) = node.try_start(options).await.unwrap();
    group.leader_ready().await.unwrap();
    let waiting: Vec<_> = (0..50)
        .map(|number| {
            let group = group.clone();
            tokio::spawn(async move { group.propose(line(format!("{number}"))).await })
        })
        .collect();
    group.shutdown().await;
    for proposal in waiting {
        assert!(matches!(proposal.await.unwrap(), Ok(_) | Err(ProposeError::ShuttingDown)));
    }
}
