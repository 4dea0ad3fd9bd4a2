//! A power cut keeps everything that was acknowledged before it, in order and once.

use std::sync::Arc;

use parking_lot::Mutex;
use tallymq_storage::disk::MemoryDisk;

use crate::world::{GROUP, Node, line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives() {
    for seed in 0..25 {
        let disk = MemoryDisk::new();
        let node = Node::open(disk.clone());
        let (group, ledger) = node.start(GROUP).await;
        let acknowledged: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let proposers: Vec<_> = (0..4)
            .map(|proposer| {
                let (group, acknowledged) = (group.clone(), acknowledged.clone());
                tokio::spawn(async move {
                    for number in 0..50 {
                        let text = format!("{proposer}/{number}");
                        let committed = group.propose(line(&text)).await.unwrap();
                        acknowledged.lock().push((*committed.outcome(), text));
                    }
                })
            })
            .collect();
        // somewhere in the middle
        while ledger.0.lock().lines.len() < 10 + seed * 6 {
            tokio::task::yield_now().await;
            if seed % 3 == 0 && ledger.0.lock().lines.len() > 20 + seed {
                group.checkpoint().await.unwrap();
            }
        }
        let before = acknowledged.lock().clone();
        let after = disk.power_cut(seed as u64);
        for proposer in proposers {
            proposer.await.unwrap();
        }
        group.shutdown().await;

        let node = Node::open(after);
        let (group, ledger) = node.start(GROUP).await;
        let texts = ledger.0.lock().texts();
        for (position, text) in &before {
            assert_eq!(texts.get(*position), Some(text), "seed {seed}");
        }
        let mut once = texts.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), texts.len(), "seed {seed}: nothing twice");
        group.propose(line("it goes on")).await.unwrap();
        group.shutdown().await;
    }
}
