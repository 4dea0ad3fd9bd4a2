//! Metrics of the write-ahead log's committer, filled from its thread: one step per commit group.

use std::time::Duration;

use prometheus_client::{
    metrics::{
        counter::Counter,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use tallymq_storage::wal::{CommitObserver, CommittedGroup};

use super::latency_buckets;

/// Size and latency of commit groups; clones share them.
#[derive(Clone)]
pub struct CommitMetrics {
    group_bytes: Histogram,
    group_records: Histogram,
    sync_latency: Histogram,
    syncs: Counter,
}

impl CommitMetrics {
    pub(super) fn register(registry: &mut Registry) -> CommitMetrics {
        let metrics = CommitMetrics {
            group_bytes: Histogram::new(exponential_buckets(4096.0, 2.0, 12)),
            group_records: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            sync_latency: Histogram::new(latency_buckets()),
            syncs: Counter::default(),
        };
        registry.register_with_unit(
            "commit_group",
            "Size of a commit group: what one sync made durable",
            Unit::Bytes,
            metrics.group_bytes.clone(),
        );
        registry.register(
            "commit_group_entries",
            "Log entries in a commit group",
            metrics.group_records.clone(),
        );
        registry.register_with_unit(
            "commit_sync",
            "Time of one write-ahead log sync",
            Unit::Seconds,
            metrics.sync_latency.clone(),
        );
        registry.register("commit_syncs", "Write-ahead log syncs", metrics.syncs.clone());
        metrics
    }
}

impl CommitObserver for CommitMetrics {
    /// A group that closes a run of others holds nothing, and counts for nothing.
    fn committed(&self, group: CommittedGroup) {
        if group.submissions == 0 {
            return;
        }
        self.group_bytes.observe(group.bytes as f64);
        self.group_records.observe(group.records as f64);
        if group.synced {
            self.syncs.inc();
            self.sync_latency.observe(Duration::from_nanos(group.sync_nanos).as_secs_f64());
        }
    }
}
