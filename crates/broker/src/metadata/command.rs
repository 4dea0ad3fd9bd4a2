//! What is written to the metadata group's log, and its encoding. Ids and clocks come with the command; what depends
//! on other topics (names taken, placement) is decided at apply.

use std::collections::BTreeMap;

use bytes::Bytes;
use tallymq_model::{NodeId, Timestamp, TopicId};
use uuid::Uuid;

use crate::codec::{DecodeError, Parts, Reader};

const VERSION: u8 = 1;

/// Configuration overrides, by key. The text is what a client sent, after validation.
pub type ConfigSet = BTreeMap<String, String>;

/// Counts the changes of one [`ConfigSet`]; 0 is "never set".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigVersion(pub u64);

/// One command of the metadata group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataCommand {
    /// Fixes what a cluster has for life. The first one counts; later ones only answer with it.
    Bootstrap {
        /// The cluster's id, as clients see it.
        cluster_id: String,
        /// How many data groups there are: 1, 2, … up to this number.
        data_groups: u32,
    },
    /// Makes a node known. Idempotent.
    RegisterNode {
        /// Its id.
        node: NodeId,
        /// The identity of its data directory.
        directory: Uuid,
    },
    /// Makes a topic and places its partitions.
    CreateTopic(CreateTopic),
    /// Removes a topic; the data groups follow.
    DeleteTopic {
        /// Which.
        topic: TopicId,
    },
    /// Adds partitions to a topic.
    CreatePartitions(CreatePartitions),
    /// Replaces a topic's, a broker's or a group's overrides.
    SetConfigs {
        /// Whose.
        scope: ConfigScope,
        /// What they were made from; another version in between refuses the change, so that two editors cannot lose each
        /// other's edits.
        based_on: ConfigVersion,
        /// All of them, after the change.
        configs: ConfigSet,
    },
    /// Takes the next block of producer ids, never to be handed out again.
    AllocateProducerIds {
        /// For whom.
        node: NodeId,
    },
    /// Chooses the data group that coordinates a consumer group, unless it is chosen already.
    PlaceGroup {
        /// The group id.
        group: String,
        /// A new one is refused where there are so many (`group.max.count`, as the leader has it).
        groups_max: u32,
    },
    /// Forgets where a deleted consumer group was.
    ForgetGroup {
        /// The group id.
        group: String,
    },
}

/// A topic to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTopic {
    /// Its id, new.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// How many partitions, and on which nodes.
    pub partitions: PartitionPlan,
    /// Its overrides, validated.
    pub configs: ConfigSet,
    /// The leader's clock.
    pub now: Timestamp,
}

/// How many partitions, and on which nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionPlan {
    /// So many, each with this many replicas, placed by the cluster.
    Count {
        /// Partitions, from 1.
        count: i32,
        /// Replicas of each, from 1 to the number of nodes.
        replicas: i16,
    },
    /// The replicas of each partition, by partition, as a client asked for them.
    Assigned(Vec<Vec<NodeId>>),
}

/// Partitions to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePartitions {
    /// To which topic.
    pub topic: TopicId,
    /// How many it has afterwards.
    pub count: i32,
    /// The replicas of each new one, if the client asked for some.
    pub assigned: Option<Vec<Vec<NodeId>>>,
}

/// Whose overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigScope {
    /// A topic's.
    Topic(TopicId),
    /// One broker's, or with `None` the default of all brokers.
    Broker(Option<NodeId>),
    /// A consumer or share group's (KIP-848, KIP-932).
    Group(String),
}

impl MetadataCommand {
    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(VERSION);
        match self {
            MetadataCommand::Bootstrap { cluster_id, data_groups } => {
                out.put_u8(1);
                out.put_text(cluster_id);
                out.put_u32(*data_groups);
            }
            MetadataCommand::RegisterNode { node, directory } => {
                out.put_u8(2);
                out.put_i32(node.0);
                out.put_uuid(*directory);
            }
            MetadataCommand::CreateTopic(create) => {
                out.put_u8(3);
                create.encode(out);
            }
            MetadataCommand::DeleteTopic { topic } => {
                out.put_u8(4);
                out.put_uuid(topic.0);
            }
            MetadataCommand::CreatePartitions(create) => {
                out.put_u8(5);
                out.put_uuid(create.topic.0);
                out.put_i32(create.count);
                out.put_option(create.assigned.as_deref(), put_assignment);
            }
            MetadataCommand::SetConfigs { scope, based_on, configs } => {
                out.put_u8(6);
                scope.encode(out);
                out.put_u64(based_on.0);
                put_configs(out, configs);
            }
            MetadataCommand::AllocateProducerIds { node } => {
                out.put_u8(7);
                out.put_i32(node.0);
            }
            MetadataCommand::PlaceGroup { group, groups_max } => {
                out.put_u8(10);
                out.put_text(group);
                out.put_u32(*groups_max);
            }
            MetadataCommand::ForgetGroup { group } => {
                out.put_u8(9);
                out.put_text(group);
            }
        }
    }

    /// Reads one command from the front of `bytes`.
    pub fn decode(bytes: &mut Bytes) -> Result<MetadataCommand, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.version("a metadata command", VERSION)?;
        match reader.u8("a metadata command's kind")? {
            1 => Ok(MetadataCommand::Bootstrap {
                cluster_id: reader.text("a cluster id")?,
                data_groups: reader.u32("the number of data groups")?,
            }),
            2 => Ok(MetadataCommand::RegisterNode {
                node: NodeId(reader.i32("a node id")?),
                directory: reader.uuid("a directory id")?,
            }),
            3 => CreateTopic::decode(&mut reader).map(MetadataCommand::CreateTopic),
            4 => Ok(MetadataCommand::DeleteTopic { topic: TopicId(reader.uuid("a topic id")?) }),
            5 => Ok(MetadataCommand::CreatePartitions(CreatePartitions {
                topic: TopicId(reader.uuid("a topic id")?),
                count: reader.i32("a partition count")?,
                assigned: reader.option("an assignment", read_assignment)?,
            })),
            6 => Ok(MetadataCommand::SetConfigs {
                scope: ConfigScope::decode(&mut reader)?,
                based_on: ConfigVersion(reader.u64("a config version")?),
                configs: read_configs(&mut reader)?,
            }),
            7 => Ok(MetadataCommand::AllocateProducerIds { node: NodeId(reader.i32("a node id")?) }),
            // As it was written before groups were bounded; it was admitted then.
            8 => Ok(MetadataCommand::PlaceGroup { group: reader.text("a group id")?, groups_max: u32::MAX }),
            9 => Ok(MetadataCommand::ForgetGroup { group: reader.text("a group id")? }),
            10 => Ok(MetadataCommand::PlaceGroup {
                group: reader.text("a group id")?,
                groups_max: reader.u32("the number of groups")?,
            }),
            found => Err(DecodeError::Variant { what: "a metadata command", found }),
        }
    }

    /// About how many bytes the encoding takes; never far below it.
    pub fn size_bytes(&self) -> usize {
        let assignment =
            |plan: &[Vec<NodeId>]| plan.iter().map(|replicas| 2 + replicas.len() * 5).sum::<usize>();
        let configs =
            |set: &ConfigSet| set.iter().map(|(key, value)| 6 + key.len() + value.len()).sum::<usize>();
        32 + match self {
            MetadataCommand::Bootstrap { cluster_id, .. } => cluster_id.len(),
            MetadataCommand::CreateTopic(create) => {
                let plan = match &create.partitions {
                    PartitionPlan::Count { .. } => 8,
                    PartitionPlan::Assigned(plan) => assignment(plan),
                };
                create.name.len() + plan + configs(&create.configs)
            }
            MetadataCommand::CreatePartitions(create) => create.assigned.as_deref().map_or(0, assignment),
            MetadataCommand::SetConfigs { configs: set, scope, .. } => {
                let scope_bytes = if let ConfigScope::Group(group) = scope { group.len() } else { 16 };
                scope_bytes + configs(set)
            }
            MetadataCommand::PlaceGroup { group, .. } | MetadataCommand::ForgetGroup { group } => group.len(),
            _ => 0,
        }
    }
}

impl CreateTopic {
    fn encode(&self, out: &mut Parts) {
        out.put_uuid(self.id.0);
        out.put_text(&self.name);
        match &self.partitions {
            PartitionPlan::Count { count, replicas } => {
                out.put_u8(0);
                out.put_i32(*count);
                out.put_i16(*replicas);
            }
            PartitionPlan::Assigned(plan) => {
                out.put_u8(1);
                put_assignment(out, plan);
            }
        }
        put_configs(out, &self.configs);
        out.put_i64(self.now.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<CreateTopic, DecodeError> {
        let id = TopicId(reader.uuid("a topic id")?);
        let name = reader.text("a topic name")?;
        let partitions = match reader.u8("a partition plan")? {
            0 => PartitionPlan::Count {
                count: reader.i32("a partition count")?,
                replicas: reader.i16("a replica count")?,
            },
            1 => PartitionPlan::Assigned(read_assignment(reader)?),
            found => {
                return Err(DecodeError::Variant { what: "a partition plan", found });
            }
        };
        let configs = read_configs(reader)?;
        Ok(CreateTopic { id, name, partitions, configs, now: Timestamp(reader.i64("a topic's time")?) })
    }
}

impl ConfigScope {
    fn encode(&self, out: &mut Parts) {
        match self {
            ConfigScope::Topic(topic) => {
                out.put_u8(0);
                out.put_uuid(topic.0);
            }
            ConfigScope::Broker(node) => {
                out.put_u8(1);
                out.put_option(*node, |out, node| out.put_i32(node.0));
            }
            ConfigScope::Group(group) => {
                out.put_u8(2);
                out.put_text(group);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<ConfigScope, DecodeError> {
        match reader.u8("a config scope")? {
            0 => Ok(ConfigScope::Topic(TopicId(reader.uuid("a topic id")?))),
            1 => Ok(ConfigScope::Broker(
                reader.option("a broker", |reader| reader.i32("a node id").map(NodeId))?,
            )),
            2 => Ok(ConfigScope::Group(reader.text("a group id")?)),
            found => Err(DecodeError::Variant { what: "a config scope", found }),
        }
    }
}

fn put_assignment(out: &mut Parts, plan: &[Vec<NodeId>]) {
    out.put_length(plan.len());
    for replicas in plan {
        put_nodes(out, replicas);
    }
}

fn read_assignment(reader: &mut Reader<'_>) -> Result<Vec<Vec<NodeId>>, DecodeError> {
    let count = reader.count("an assignment", 1)?;
    (0..count).map(|_| read_nodes(reader)).collect()
}

pub(super) fn put_nodes(out: &mut Parts, nodes: &[NodeId]) {
    out.put_length(nodes.len());
    for node in nodes {
        out.put_i32(node.0);
    }
}

pub(super) fn read_nodes(reader: &mut Reader<'_>) -> Result<Vec<NodeId>, DecodeError> {
    let count = reader.count("a list of nodes", 1)?;
    (0..count).map(|_| reader.i32("a node id").map(NodeId)).collect()
}

pub(super) fn put_configs(out: &mut Parts, configs: &ConfigSet) {
    out.put_length(configs.len());
    for (key, value) in configs {
        out.put_text(key);
        out.put_text(value);
    }
}

pub(super) fn read_configs(reader: &mut Reader<'_>) -> Result<ConfigSet, DecodeError> {
    let count = reader.count("a config set", 2)?;
    (0..count).map(|_| Ok((reader.text("a config key")?, reader.text("a config value")?))).collect()
}
