//! One topic as the metadata group knows it. Where its partitions are is stored here, never computed.

use tallymq_model::{NodeId, PartitionIndex, RaftGroup, Timestamp, TopicId, TopicPartition};

use super::command::{ConfigSet, ConfigVersion, put_configs, put_nodes, read_configs, read_nodes};
use crate::codec::{DecodeError, Parts, Reader};

/// A topic. Invariant: it has at least one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionPlace>,
    /// Its overrides.
    pub configs: ConfigSet,
    /// Counts the changes of `configs`.
    pub config_version: ConfigVersion,
    /// When it was made, by the leader's clock.
    pub created_at: Timestamp,
}

/// Where a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPlace {
    /// The data group that orders its records.
    pub group: RaftGroup,
    /// The nodes that keep it, preferred leader first.
    pub replicas: Vec<NodeId>,
}

impl Topic {
    /// The data group of a partition.
    pub fn group_of(&self, partition: PartitionIndex) -> Option<RaftGroup> {
        self.place(partition).map(|place| place.group)
    }

    /// Where a partition is.
    pub fn place(&self, partition: PartitionIndex) -> Option<&PartitionPlace> {
        self.partitions.get(usize::try_from(partition.0).ok()?)
    }

    /// Its partitions' identities, by index.
    pub fn topic_partitions(&self) -> impl Iterator<Item = (TopicPartition, RaftGroup)> + '_ {
        self.partitions.iter().enumerate().map(|(index, place)| {
            (TopicPartition { topic: self.id, partition: PartitionIndex(index as i32) }, place.group)
        })
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_uuid(self.id.0);
        out.put_text(&self.name);
        out.put_length(self.partitions.len());
        for place in &self.partitions {
            out.put_u32(place.group.0);
            put_nodes(out, &place.replicas);
        }
        put_configs(out, &self.configs);
        out.put_u64(self.config_version.0);
        out.put_i64(self.created_at.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Topic, DecodeError> {
        let id = TopicId(reader.uuid("a topic id")?);
        let name = reader.text("a topic name")?;
        let count = reader.count("a topic's partitions", 2)?;
        let partitions = (0..count)
            .map(|_| {
                let group = RaftGroup(reader.u32("a partition's group")?);
                Ok(PartitionPlace { group, replicas: read_nodes(reader)? })
            })
            .collect::<Result<_, DecodeError>>()?;
        let configs = read_configs(reader)?;
        let config_version = ConfigVersion(reader.u64("a config version")?);
        Ok(Topic {
            id,
            name,
            partitions,
            configs,
            config_version,
            created_at: Timestamp(reader.i64("a topic's time")?),
        })
    }
}
