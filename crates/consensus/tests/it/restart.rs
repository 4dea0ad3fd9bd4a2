//! A restart replays exactly what was committed, and a vote is never forgotten.

use tallymq_storage::disk::MemoryDisk;

use bytes::Bytes;
use tallymq_consensus::ProposeError;
use tallymq_model::{LogIndex, Term};
use tallymq_storage::wal::WalRecord;

use crate::world::{GROUP, Node, line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_applies_the_same_commands_at_the_same_entries() {
    let disk = MemoryDisk::new();
    let mut expected = Vec::new();
    let mut term = 0;
    for round in 0..4 {
        let node = Node::open(disk.clone());
        let (group, ledger) = node.start(GROUP).await;
        assert_eq!(ledger.0.lock().lines, expected, "round {round}");
        assert!(group.term().0 > term, "a new leader has a new term");
        term = group.term().0;
        for number in 0..200 {
            group.propose(line(format!("{round}/{number}"))).await.unwrap();
        }
        expected = ledger.0.lock().lines.clone();
        assert_eq!(expected.len(), (round + 1) * 200);
        group.shutdown().await;
        node.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_is_ready_only_when_everything_before_is_applied() {
    let disk = MemoryDisk::new();
    let node = Node::open(disk.clone());
    let (group, _) = node.start(GROUP).await;
    for number in 0..300 {
        group.propose(line(format!("{number}"))).await.unwrap();
    }
    let ended = node.ended.clone();
    drop(group); // not shut down
    drop(node);
    assert!(ended.lock().is_empty(), "dropping the last handle is no failure");
    let node = Node::open(disk);
    let (group, ledger) = node.try_start(node.options(GROUP)).await.unwrap();
    group.leader_ready().await.unwrap();
    assert_eq!(ledger.0.lock().lines.len(), 300);
    group.shutdown().await;
    assert!(node.ended.lock().is_empty());
}

#[tokio::test]
async fn the_vote_is_on_disk_before_the_group_leads() {
    let disk = MemoryDisk::new();
    let mut terms = Vec::new();
    for seed in 0..6 {
        let node = Node::open(disk.clone());
        let (group, _) = node.start(GROUP).await;
        terms.push(group.term());
        let stored = node.wal.group(GROUP).unwrap();
        let vote = stored.vote.expect("a leader has saved its vote");
        assert_eq!(vote[1..9], group.term().0.to_be_bytes(), "round {seed}");
        group.shutdown().await;
    }
    assert!(terms.windows(2).all(|pair| pair[0] < pair[1]), "{terms:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cannot_be_read_ends_the_group_and_is_not_skipped() {
    let disk = MemoryDisk::new();
    let node = Node::open(disk.clone());
    let (group, _) = node.start(GROUP).await;
    group.propose(line("one")).await.unwrap();
    let (last, term) = (group.applied(), group.term());
    group.shutdown().await;
    // whole as far as the log can tell, but the command in it is none
    let mut entry = vec![1, 1];
    entry.extend_from_slice(&term.0.to_be_bytes());
    entry.extend_from_slice(&last.next().0.to_be_bytes());
    entry.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0xff]);
    append(&node, last.next(), term, entry.into()).await;
    node.stop();

    let node = Node::open(disk);
    let (group, ledger) = node.try_start(node.options(GROUP)).await.unwrap();
    assert_eq!(group.leader_ready().await, Err(ProposeError::ShuttingDown));
    assert!(group.propose(line("two")).await.is_err());
    group.shutdown().await;
    assert_eq!(ledger.0.lock().texts(), ["one"]);
    let ended = node.ended.lock();
    assert_eq!(ended.len(), 1);
    assert!(ended[0].reason.contains("not a line"), "{}", ended[0].reason);
}

async fn append(node: &Node, index: LogIndex, term: Term, payload: Bytes) {
    let (done, appended) = tokio::sync::oneshot::channel();
    let record = WalRecord::Entry { group: GROUP, index, term, payload: vec![payload] };
    node.wal.submit(vec![record], Box::new(move |result| done.send(result.is_ok()).unwrap()));
    assert!(appended.await.unwrap());
}
