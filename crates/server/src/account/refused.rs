//! Batches that were refused before they had a place in the log: too large, broken, of an impossible time. Nothing of them is
//! durable, so they count since the start.

use std::collections::HashMap;

use parking_lot::Mutex;
use tallymq_model::TopicPartition;

/// Counts per partition, as many as there are partitions.
#[derive(Default)]
pub struct Refused(Mutex<HashMap<TopicPartition, u64>>);

impl Refused {
    /// One more.
    pub fn count(&self, tp: TopicPartition) {
        *self.0.lock().entry(tp).or_default() += 1;
    }

    /// All of the partitions that are there; the others are forgotten.
    pub fn of_those(&self, is_there: impl Fn(TopicPartition) -> bool) -> Vec<(TopicPartition, u64)> {
        let mut counts = self.0.lock();
        counts.retain(|tp, _| is_there(*tp));
        counts.iter().map(|(tp, count)| (*tp, *count)).collect()
    }
}
