//! Commands are applied in log order, each outcome reaches its proposer, and what gathers becomes one entry.

use std::collections::BTreeSet;

use tallymq_consensus::ProposeError;
use tallymq_model::LogIndex;
use tallymq_storage::disk::MemoryDisk;

use crate::world::{GROUP, Node, line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_applied_in_the_order_they_were_queued() {
    let node = Node::open(MemoryDisk::new());
    let (group, ledger) = node.start(GROUP).await;
    let mut proposals = Vec::new();
    for number in 0..500 {
        proposals.push(group.enqueue(line(format!("{number}"))).await.unwrap());
    }
    let mut before = None;
    for (number, proposal) in proposals.into_iter().enumerate() {
        let committed = proposal.await.unwrap();
        assert_eq!(*committed.outcome(), number);
        assert!(before <= Some(committed.at()), "entries go up");
        before = Some(committed.at());
    }
    let expected: Vec<String> = (0..500).map(|number| format!("{number}")).collect();
    assert_eq!(ledger.0.lock().texts(), expected);
    assert_eq!(group.applied(), before.unwrap().index);
    group.shutdown().await;
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_proposer_gets_the_outcome_of_its_own_command() {
    let node = Node::open(MemoryDisk::new());
    let (group, ledger) = node.start(GROUP).await;
    let proposers: Vec<_> = (0..8)
        .map(|proposer| {
            let group = group.clone();
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for number in 0..100 {
                    let text = format!("{proposer}/{number}");
                    outcomes.push((group.propose(line(&text)).await.unwrap(), text));
                }
                outcomes
            })
        })
        .collect();
    let mut seen = BTreeSet::new();
    for proposer in proposers {
        for (committed, text) in proposer.await.unwrap() {
            let book = ledger.0.lock();
            let (at, written) = &book.lines[*committed.outcome()];
            assert_eq!((*at, &written[..]), (committed.at(), text.as_bytes()));
            seen.insert(*committed.outcome());
        }
    }
    assert_eq!(seen.len(), 800, "no outcome twice");
    group.shutdown().await;
}

#[tokio::test]
async fn what_gathers_while_entries_are_in_flight_becomes_one_entry() {
    let node = Node::open(MemoryDisk::new());
    let (group, ledger) = node.start(GROUP).await;
    let first = group.applied();
    let mut proposals = Vec::new();
    // one thread: nothing runs between these
    for number in 0..1000 {
        proposals.push(group.enqueue(line(format!("{number}"))).await.unwrap());
    }
    for proposal in proposals {
        proposal.await.unwrap();
    }
    let entries = group.applied().0 - first.0;
    assert!(entries < 50, "{entries} entries for 1000 commands");
    assert!(ledger.0.lock().runs as u64 <= entries, "readers are woken once a run");
    group.shutdown().await;
}

#[tokio::test]
async fn a_new_group_begins_with_entry_one_and_leads() {
    let node = Node::open(MemoryDisk::new());
    let (group, _) = node.start(GROUP).await;
    assert!(group.is_leader());
    assert_eq!(group.leader().map(|leader| leader.0), Some(1));
    assert!(group.term().0 >= 1);
    group.shutdown().await;
    let stored = node.wal.group(GROUP).unwrap();
    assert_eq!(stored.first, LogIndex(1));
    assert!(!group.is_leader(), "nobody leads after a shutdown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rider_is_in_the_same_entry_right_before_its_command() {
    let node = Node::open(MemoryDisk::new());
    let (group, ledger) = node.start(GROUP).await;
    for number in 0..20 {
        let room = |size_bytes| group.room(size_bytes);
        let (rider, command) = (line(format!("rider {number}")), line(format!("{number}")));
        let rooms = (room(64).await.unwrap(), room(64).await.unwrap());
        let committed = group.place_with_rider((rooms.0, command), (rooms.1, rider)).unwrap().await.unwrap();
        assert_eq!(*committed.outcome(), 2 * number + 1);
        let book = ledger.0.lock();
        let (at, text) = &book.lines[2 * number];
        assert_eq!((*at, &text[..]), (committed.at(), format!("rider {number}").as_bytes()));
    }
    let small = group.room(4).await.unwrap();
    let refused = group.place(small, line("too long for it"));
    assert!(matches!(refused, Err(ProposeError::TooLarge { limit_bytes: 4, .. })));
    let all = group.room_now(1).map(|room| room.size_bytes());
    assert_eq!(all, Some(1));
    group.shutdown().await;
    assert!(group.room_now(1).is_none());
    node.stop();
}
