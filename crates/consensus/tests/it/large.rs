//! Large commands: not copied, one entry each, bounded in flight, and refused beyond the limit.

use bytes::Bytes;
use tallymq_consensus::ProposeError;
use tallymq_storage::disk::MemoryDisk;

use crate::world::{GROUP, Line, Node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_is_applied_from_the_buffer_it_was_proposed_in() {
    let node = Node::open(MemoryDisk::new());
    let (group, ledger) = node.start(GROUP).await;
    let payload = Bytes::from(vec![9; 300_000]);
    group.propose(Line(payload.clone())).await.unwrap();
    assert_eq!(ledger.0.lock().lines[0].1.as_ptr(), payload.as_ptr());
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_small_commands_survive_a_restart() {
    let disk = MemoryDisk::new();
    let node = Node::open(disk.clone());
    let (group, ledger) = node.start(GROUP).await;
    let sizes =
        [0, 1, 2047, 2048, 100_000, 1 << 20, (3 << 20) + 1, 7, 1_500_000, 1_500_000, 900_000, 900_000];
    let mut proposals = Vec::new();
    for (number, size) in sizes.into_iter().enumerate() {
        proposals.push(group.enqueue(Line(Bytes::from(vec![number as u8; size]))).await.unwrap());
    }
    for proposal in proposals {
        proposal.await.unwrap();
    }
    let expected = ledger.0.lock().lines.clone();
    group.shutdown().await;
    node.stop();
    let node = Node::open(disk);
    let (group, ledger) = node.start(GROUP).await;
    assert!(ledger.0.lock().lines == expected, "the same lines, of the same sizes");
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_beyond_the_bytes_in_flight_wait_and_are_not_refused() {
    let node = Node::open(MemoryDisk::new());
    let mut options = node.options(GROUP);
    options.bytes_in_flight_max = 64 << 10;
    let (group, ledger) = node.try_start(options).await.unwrap();
    group.leader_ready().await.unwrap();
    let proposers: Vec<_> = (0..64)
        .map(|number| {
            let group = group.clone();
            // some of them larger than all that may be in flight
            let size = if number % 8 == 0 { 100_000 } else { 20_000 };
            tokio::spawn(async move { group.propose(Line(Bytes::from(vec![number; size]))).await })
        })
        .collect();
    for proposer in proposers {
        proposer.await.unwrap().unwrap();
    }
    assert_eq!(ledger.0.lock().lines.len(), 64);
    group.shutdown().await;
}

#[tokio::test]
async fn a_command_beyond_the_limit_is_refused() {
    let node = Node::open(MemoryDisk::new());
    let mut options = node.options(GROUP);
    options.command_bytes_max = 1000;
    let (group, ledger) = node.try_start(options).await.unwrap();
    group.leader_ready().await.unwrap();
    let refused = group.propose(Line(Bytes::from(vec![0; 1000]))).await.unwrap_err();
    assert_eq!(refused, ProposeError::TooLarge { size_bytes: 1001, limit_bytes: 1000 });
    group.propose(Line(Bytes::from(vec![0; 999]))).await.unwrap();
    assert_eq!(ledger.0.lock().lines.len(), 1);
    group.shutdown().await;
}
