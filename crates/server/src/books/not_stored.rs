//! The producers' side: batches that came and were not stored, by topic and partition. What the log decides counts for ever, what was
//! refused before that since the start.

use std::collections::BTreeMap;

use serde::Serialize;
use tallymq_broker::data::{Batches, TurnedAway};
use tallymq_model::{TopicId, TopicPartition};

use crate::node::Node;

/// One topic's.
#[derive(Debug, Serialize)]
pub struct TopicNotStored {
    /// The topic's name.
    pub topic: String,
    /// Of all its partitions.
    #[serde(flatten)]
    pub counts: NotStored,
    /// Those that have any.
    pub partitions: Vec<PartitionNotStored>,
}

/// One partition's.
#[derive(Debug, Serialize)]
pub struct PartitionNotStored {
    /// The partition.
    pub partition: i32,
    /// Its own.
    #[serde(flatten)]
    pub counts: NotStored,
}

/// By why.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct NotStored {
    /// Stored before.
    pub duplicates: ShownBatches,
    /// Of a producer that has a newer epoch.
    pub fenced: ShownBatches,
    /// Batches before them are missing, or are not remembered any more.
    pub out_of_order: ShownBatches,
    /// Batches that are none, or break a rule of their topic, since the broker started.
    pub refused_since_start: u64,
}

/// So many.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ShownBatches {
    /// Batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
}

impl From<&Batches> for ShownBatches {
    fn from(counted: &Batches) -> ShownBatches {
        ShownBatches { batches: counted.batches, records: counted.records }
    }
}

impl NotStored {
    fn new(turned: &TurnedAway, refused_since_start: u64) -> NotStored {
        NotStored {
            duplicates: (&turned.duplicates).into(),
            fenced: (&turned.fenced).into(),
            out_of_order: (&turned.out_of_order).into(),
            refused_since_start,
        }
    }

    /// Batches by why, as metrics name it.
    pub fn by_why(&self) -> [(&'static str, u64); 4] {
        [
            ("duplicate", self.duplicates.batches),
            ("fenced", self.fenced.batches),
            ("out_of_order", self.out_of_order.batches),
            ("refused_since_start", self.refused_since_start),
        ]
    }
}

/// All that a topic, or any, has: by topic and partition, as far as they are still there.
pub(super) fn not_stored(node: &Node, wanted: impl Fn(TopicId) -> bool) -> Vec<TopicNotStored> {
    let mut found: BTreeMap<TopicPartition, (TurnedAway, u64)> = BTreeMap::new();
    for handle in node.data_groups() {
        let state = handle.view.state();
        let some = state.partitions().filter(|(tp, one)| wanted(tp.topic) && !one.turned_away().is_nothing());
        found.extend(some.map(|(tp, one)| (tp, (*one.turned_away(), 0))));
    }
    for (tp, refused) in node.accounting.refused.of_those(|tp| node.topic_by_id(tp.topic).is_some()) {
        if wanted(tp.topic) {
            found.entry(tp).or_default().1 = refused;
        }
    }
    let mut topics: Vec<TopicNotStored> = Vec::new();
    let found: Vec<_> = found.into_iter().collect();
    for partitions in found.chunk_by(|(one, _), (other, _)| one.topic == other.topic) {
        let Some(topic) = node.topic_by_id(partitions[0].0.topic) else { continue };
        let mut sum = (TurnedAway::default(), 0);
        for (_, (turned, refused)) in partitions {
            sum.0.add(turned);
            sum.1 += refused;
        }
        let row = |(tp, (turned, refused)): &(TopicPartition, (TurnedAway, u64))| PartitionNotStored {
            partition: tp.partition.0,
            counts: NotStored::new(turned, *refused),
        };
        let partitions = partitions.iter().map(row).collect();
        topics.push(TopicNotStored {
            topic: topic.name.clone(),
            counts: NotStored::new(&sum.0, sum.1),
            partitions,
        });
    }
    topics.sort_by(|one, other| one.topic.cmp(&other.topic));
    topics
}
