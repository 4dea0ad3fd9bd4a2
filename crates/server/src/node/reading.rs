//! One reading of the node's levels, for the metrics.

use std::collections::BTreeMap;

use super::Node;
use crate::metrics::{GroupLag, StorageReading};

impl Node {
    /// Reads everything that is a level and not an event.
    pub fn storage_reading(&self) -> StorageReading {
        let pressure = self.wal.pressure();
        let store = self.store.stats();
        let (topics, partitions, consumer_groups) = {
            let metadata = self.metadata_view.state();
            let topics = metadata.topics();
            (topics.len() as u64, topics.partition_count() as u64, metadata.placed_groups().len() as u64)
        };
        StorageReading {
            topics,
            partitions,
            consumer_groups,
            wal_used_bytes: pressure.used_bytes,
            wal_limit_bytes: pressure.limit_bytes,
            tail_cache_bytes: store.tail_cache_bytes,
            unwritten_bytes: store.unwritten_bytes,
            open_files: store.open_files as u64,
            disk_available_bytes: self.disk.available_bytes(),
            disk_nearly_full: self.disk.is_nearly_full(),
            key_indexes: self.keys.indexes.stats(),
            lag: self.group_lag(),
        }
    }

    /// Records between each group's committed positions and the log ends, per topic.
    fn group_lag(&self) -> Vec<GroupLag> {
        let mut lag: BTreeMap<(String, String), u64> = BTreeMap::new();
        let metadata = self.metadata_view.state();
        for handle in self.data_groups() {
            let state = handle.view.state();
            let positions = state.groups().positions();
            for group in positions.groups() {
                for (tp, position) in positions.of_group(group) {
                    let Some(topic) = metadata.topics().by_id(tp.topic) else {
                        continue;
                    };
                    let Some(partition) = state.partition(*tp) else {
                        continue;
                    };
                    let behind = partition.log_end().0.saturating_sub(position.offset.0).max(0) as u64;
                    *lag.entry((group.to_string(), topic.name.clone())).or_default() += behind;
                }
            }
        }
        lag.into_iter().map(|((group, topic), records)| GroupLag { group, topic, records }).collect()
    }
}
