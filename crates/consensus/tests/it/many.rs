//! Several groups share one write-ahead log and its syncs.

use std::time::Duration;

use tallymq_model::RaftGroup;
use tallymq_storage::disk::{FaultyDisk, MemoryDisk, Operation};

use crate::world::{Node, line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_keep_their_own_logs_in_one_file_and_share_its_syncs() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::over_memory(memory.clone());
    let node = Node::open_slow(disk.clone(), Duration::from_millis(25));
    let mut groups = Vec::new();
    for number in 0..5 {
        groups.push(node.start(RaftGroup(number)).await);
    }
    let syncs = disk.count(Operation::Sync);
    for round in 0..40 {
        let mut proposals = Vec::new();
        for (group, _) in &groups {
            proposals.push(group.enqueue(line(format!("{round}"))).await.unwrap());
        }
        for proposal in proposals {
            proposal.await.unwrap();
        }
    }
    let syncs = disk.count(Operation::Sync) - syncs;
    assert!(syncs <= 3 * 40, "{syncs} syncs for 40 rounds of 5 groups");
    let books: Vec<_> = groups.iter().map(|(_, ledger)| ledger.0.lock().lines.clone()).collect();
    for (group, _) in &groups {
        group.shutdown().await;
    }
    node.stop();

    let node = Node::open(memory);
    for (number, book) in books.into_iter().enumerate() {
        assert_eq!(book.len(), 40);
        let (group, ledger) = node.start(RaftGroup(number as u32)).await;
        assert_eq!(ledger.0.lock().lines, book);
        group.shutdown().await;
    }
}
