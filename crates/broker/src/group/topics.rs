//! What the coordinator knows about topics: names, ids and partition counts, at one version of the metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// Parts that an image's maps are split into: the next image shares those in which nothing changed.
const SHARDS: usize = 256;

/// A map whose copies share what they have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shards<K, V>(Vec<Arc<BTreeMap<K, V>>>);

/// All topics that groups may subscribe to, at one version. Invariant: `names` is the inverse of `topics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicImage {
    version: u64,
    topics: Shards<Text, TopicEntry>,
    names: Shards<TopicId, Text>,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Shards<K, V> {
        Shards(vec![Arc::default(); SHARDS])
    }
}

impl<K: Ord + Clone, V: Clone> Shards<K, V> {
    fn insert(&mut self, shard: usize, key: K, value: V) {
        Arc::make_mut(&mut self.0[shard]).insert(key, value);
    }

    fn remove<Q: Ord + ?Sized>(&mut self, shard: usize, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        Arc::make_mut(&mut self.0[shard]).remove(key);
    }
}

/// FNV-1a: spread well enough, and the same everywhere.
fn shard_of(bytes: &[u8]) -> usize {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as usize % SHARDS
}

impl TopicImage {
    /// An image. `version` must differ from that of every image with other topics.
    pub fn new(version: u64, topics: impl IntoIterator<Item = (Text, TopicEntry)>) -> TopicImage {
        let mut image = TopicImage { version, ..TopicImage::default() };
        topics.into_iter().for_each(|(name, topic)| image.insert(name, topic));
        image
    }

    /// The next image: of these topics, None is gone. Costs what changed, and not what there is.
    pub fn with(
        &self,
        version: u64,
        changed: impl IntoIterator<Item = (TopicId, Option<(Text, TopicEntry)>)>,
    ) -> TopicImage {
        let mut next = TopicImage { version, ..self.clone() };
        for (id, topic) in changed {
            if let Some(name) = self.name(id) {
                next.topics.remove(shard_of(name.as_bytes()), name);
                next.names.remove(shard_of(id.0.as_bytes()), &id);
            }
            if let Some((name, topic)) = topic {
                next.insert(name, topic);
            }
        }
        next
    }

    fn insert(&mut self, name: Text, topic: TopicEntry) {
        self.names.insert(shard_of(topic.id.0.as_bytes()), topic.id, name.clone());
        self.topics.insert(shard_of(name.as_bytes()), name, topic);
    }

    /// The metadata's version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<TopicEntry> {
        self.topics.0[shard_of(name.as_bytes())].get(name).copied()
    }

    /// The topic's name.
    pub fn name(&self, id: TopicId) -> Option<&Text> {
        self.names.0[shard_of(id.0.as_bytes())].get(&id)
    }

    /// All topics, in an order that is the same for the same topics.
    pub fn topics(&self) -> impl Iterator<Item = (&Text, &TopicEntry)> {
        self.topics.0.iter().flat_map(|shard| shard.iter())
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn topic(number: u128, partitions: u32) -> (Text, TopicEntry) {
        let entry = TopicEntry { id: TopicId(Uuid::from_u128(number)), partitions };
        (format!("topic-{number}").as_str().into(), entry)
    }

    #[test]
    fn an_image_that_was_changed_is_one_that_was_made_so() {
        let mut topics: BTreeMap<u128, u32> = (0..1_000).map(|number| (number, 1)).collect();
        let made = |version, topics: &BTreeMap<u128, u32>| {
            TopicImage::new(version, topics.iter().map(|(number, partitions)| topic(*number, *partitions)))
        };
        let mut image = made(1, &topics);
        for step in 0..600_u128 {
            let number = step * 7 % 1_100;
            match step % 3 {
                0 => topics.remove(&number),
                _ => topics.insert(number, step as u32),
            };
            let now = topics.get(&number).map(|partitions| topic(number, *partitions));
            image = image.with(2 + step as u64, [(TopicId(Uuid::from_u128(number)), now)]);
        }
        assert_eq!(image, made(601, &topics));
        assert_eq!(image.topics().count(), topics.len());
        let (name, entry) = topic(1, topics[&1]);
        assert_eq!((image.topic(&name), image.name(entry.id)), (Some(entry), Some(&name)));
    }

    #[test]
    fn a_topic_that_was_made_again_has_its_name() {
        let (name, old) = topic(1, 1);
        let new = TopicEntry { id: TopicId(Uuid::from_u128(2)), partitions: 3 };
        let image = TopicImage::new(1, [(name.clone(), old)]);
        let image = image.with(2, [(old.id, None), (new.id, Some((name.clone(), new)))]);
        assert_eq!((image.topic(&name), image.name(old.id)), (Some(new), None));
    }
}
