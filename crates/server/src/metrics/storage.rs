//! Gauges that are read from the storage and the groups only when somebody asks for the metrics.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use tallymq_storage::keys::KeyStats;

/// One reading of everything that is a level and not an event.
#[derive(Clone, Debug, Default)]
pub struct StorageReading {
    /// Topics.
    pub topics: u64,
    /// Partitions.
    pub partitions: u64,
    /// Consumer groups that have a place.
    pub consumer_groups: u64,
    /// Bytes of the write-ahead log that no checkpoint covers yet.
    pub wal_used_bytes: u64,
    /// The bound on them.
    pub wal_limit_bytes: u64,
    /// Bytes in the tail cache.
    pub tail_cache_bytes: u64,
    /// Bytes committed but not yet written to segments.
    pub unwritten_bytes: u64,
    /// Open segment files.
    pub open_files: u64,
    /// Free bytes of the data directory's file system.
    pub disk_available_bytes: u64,
    /// Produce is refused because the disk is nearly full.
    pub disk_nearly_full: bool,
    /// Indexes of keys.
    pub key_indexes: KeyStats,
    /// What each group has not read yet.
    pub lag: Vec<GroupLag>,
}

/// How far a group is behind in one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LagLabel {
    group: String,
    topic: String,
}

/// Records between a group's committed positions and the log ends of a topic.
#[derive(Clone, Debug)]
pub struct GroupLag {
    /// The consumer group.
    pub group: String,
    /// The topic's name.
    pub topic: String,
    /// Records, summed over its partitions.
    pub records: u64,
}

/// A gauge, and what of a reading it shows.
type ReadGauge = (Gauge, fn(&StorageReading) -> u64);

pub(super) struct StorageMetrics {
    gauges: Vec<ReadGauge>,
    lag: Family<LagLabel, Gauge>,
}

impl StorageMetrics {
    pub(super) fn register(registry: &mut Registry) -> StorageMetrics {
        let mut gauges: Vec<ReadGauge> = Vec::new();
        let mut gauge = |name: &str, about: &str, unit: Option<Unit>, read: fn(&StorageReading) -> u64| {
            let gauge = Gauge::default();
            match unit {
                Some(unit) => registry.register_with_unit(name, about, unit, gauge.clone()),
                None => registry.register(name, about, gauge.clone()),
            }
            gauges.push((gauge, read));
        };
        gauge("topics", "Topics", None, |r| r.topics);
        gauge("partitions", "Partitions", None, |r| r.partitions);
        gauge("consumer_groups", "Consumer groups; there may be group.max.count", None, |r| {
            r.consumer_groups
        });
        gauge("wal_used", "Write-ahead log not yet covered by checkpoints", Some(Unit::Bytes), |r| {
            r.wal_used_bytes
        });
        gauge("wal_limit", "Bound of the write-ahead log", Some(Unit::Bytes), |r| r.wal_limit_bytes);
        gauge(
            "tail_cache",
            "Records kept in memory for consumers at the end of the log",
            Some(Unit::Bytes),
            |r| r.tail_cache_bytes,
        );
        gauge("unwritten", "Durable in the write-ahead log, not yet in segments", Some(Unit::Bytes), |r| {
            r.unwritten_bytes
        });
        gauge("open_files", "Open segment files", None, |r| r.open_files);
        gauge("disk_available", "Free space of the data directory", Some(Unit::Bytes), |r| {
            r.disk_available_bytes
        });
        gauge("disk_nearly_full", "1 while produce is refused to keep a reserve", None, |r| {
            u64::from(r.disk_nearly_full)
        });
        gauge("key_index", "Indexes of keys, for lookups", Some(Unit::Bytes), |r| r.key_indexes.bytes);
        gauge("key_index_files", "Indexes of keys", None, |r| r.key_indexes.files);
        gauge("key_index_damaged", "Indexes of keys that were refused since start", None, |r| {
            r.key_indexes.damaged
        });
        let lag = Family::default();
        registry.register("group_lag", "Records that a group has not committed yet, per topic", lag.clone());
        StorageMetrics { gauges, lag }
    }

    pub(super) fn set(&self, reading: &StorageReading) {
        for (gauge, read) in &self.gauges {
            gauge.set(read(reading) as i64);
        }
        self.lag.clear();
        for lag in &reading.lag {
            let label = LagLabel { group: lag.group.clone(), topic: lag.topic.clone() };
            self.lag.get_or_create(&label).set(lag.records as i64);
        }
    }
}
