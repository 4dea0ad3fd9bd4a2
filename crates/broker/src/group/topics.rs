//! What the coordinator knows about topics: names, ids and partition counts, at one version of the metadata.

use std::collections::{BTreeMap, BTreeSet};

use tallymq_model::{PartitionIndex, TopicId, TopicPartition};

use super::names::Text;

/// A set of partitions.
pub type PartitionSet = BTreeSet<TopicPartition>;

/// Partitions of one topic, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPartitions {
    /// The topic's name.
    pub topic: Text,
    /// Its partitions, ascending.
    pub partitions: Vec<PartitionIndex>,
}

/// One topic of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicEntry {
    /// The topic's id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
}

/// All topics that groups may subscribe to, at one version. Invariant: `names` is the inverse of `topics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicImage {
    version: u64,
    topics: BTreeMap<Text, TopicEntry>,
    names: BTreeMap<TopicId, Text>,
}

impl TopicImage {
    /// An image. `version` must differ from that of every image with other topics.
    pub fn new(version: u64, topics: impl IntoIterator<Item = (Text, TopicEntry)>) -> TopicImage {
        let topics: BTreeMap<Text, TopicEntry> = topics.into_iter().collect();
        let names = topics.iter().map(|(name, topic)| (topic.id, name.clone())).collect();
        TopicImage { version, topics, names }
    }

    /// The metadata's version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<TopicEntry> {
        self.topics.get(name).copied()
    }

    /// The topic's name.
    pub fn name(&self, id: TopicId) -> Option<&Text> {
        self.names.get(&id)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = (&Text, &TopicEntry)> {
        self.topics.iter()
    }

    /// The partitions by topic name; those of unknown topics are left out.
    pub fn named(&self, partitions: &PartitionSet) -> Vec<NamedPartitions> {
        let mut all: Vec<NamedPartitions> = Vec::new();
        for tp in partitions {
            let Some(name) = self.name(tp.topic) else { continue };
            match all.last_mut() {
                Some(last) if last.topic == *name => last.partitions.push(tp.partition),
                _ => all.push(NamedPartitions { topic: name.clone(), partitions: vec![tp.partition] }),
            }
        }
        all
    }

    /// The partitions by topic id; those of unknown topics are left out.
    pub fn resolved(&self, named: &[NamedPartitions]) -> PartitionSet {
        let mut all = PartitionSet::new();
        for one in named {
            if let Some(topic) = self.topic(&one.topic) {
                all.extend(
                    one.partitions.iter().map(|&partition| TopicPartition { topic: topic.id, partition }),
                );
            }
        }
        all
    }
}
