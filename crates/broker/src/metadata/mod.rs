//! The metadata group: topics and their placement, overrides, producer id blocks, where consumer groups live, and the
//! cluster's identity. `apply` is deterministic, reads only this state, and cannot fail, only answer.

mod command;
mod deleted;
mod encoding;
mod outcome;
mod placement;
mod topic;
mod topic_name;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymq_model::{LogIndex, NodeId, ProducerId, RaftGroup, Term};
use uuid::Uuid;

use crate::ApplyContext;

pub use command::{
    ConfigScope, ConfigSet, ConfigVersion, CreatePartitions, CreateTopic, MetadataCommand, PartitionPlan,
};
pub use deleted::DELETED_NAMES_MAX;
pub use outcome::{
    CreatePartitionsError, CreateTopicError, MetadataOutcome, NotBootstrapped, PartitionPlanError,
    PlaceGroupError, ProducerIdBlock, ProducerIdsExhausted, SetConfigsError, UnknownTopic,
};
pub use placement::PARTITIONS_MAX;
pub use topic::{PartitionPlace, Topic};
pub use topic_name::{TOPIC_NAME_BYTES_MAX, TopicNameError, check_topic_name};
pub use topics::Topics;

use deleted::DeletedNames;
use placement::Load;

/// Producer ids in one block.
pub const PRODUCER_ID_BLOCK: i64 = 1000;

/// Data groups that a cluster may have: a number above it is damage.
pub const DATA_GROUPS_MAX: u32 = 65_536;

/// Longest name of a consumer group that is kept, in bytes: what all names take is bounded by their number.
pub const GROUP_ID_BYTES_MAX: usize = 1024;

/// Groups that may have overrides.
pub const GROUP_CONFIGS_MAX: usize = 10_000;

/// Overrides with their version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionedConfigs {
    /// The overrides.
    pub configs: ConfigSet,
    /// Counts their changes.
    pub version: ConfigVersion,
}

/// The durable state of the metadata group. Invariant: `group_load` counts `groups`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    applied: LogIndex,
    term: Term,
    cluster_id: Option<String>,
    data_groups: u32,
    nodes: BTreeMap<NodeId, Uuid>,
    topics: Topics,
    broker_configs: BTreeMap<Option<NodeId>, VersionedConfigs>,
    group_configs: BTreeMap<String, VersionedConfigs>,
    next_producer_id: i64,
    groups: BTreeMap<String, RaftGroup>,
    group_load: Load,
}

impl Metadata {
    /// A cluster without anything.
    pub fn new() -> Metadata {
        Metadata::default()
    }

    /// The next command of the log.
    pub fn apply(&mut self, at: ApplyContext, command: &MetadataCommand) -> MetadataOutcome {
        debug_assert!(at.index >= self.applied && at.term >= self.term, "commands are applied in log order");
        self.applied = at.index;
        self.term = at.term;
        match command {
            MetadataCommand::Bootstrap { cluster_id, data_groups } => {
                self.bootstrap(cluster_id, *data_groups)
            }
            MetadataCommand::RegisterNode { node, directory } => {
                self.nodes.insert(*node, *directory);
                MetadataOutcome::NodeRegistered
            }
            MetadataCommand::CreateTopic(create) => {
                MetadataOutcome::TopicCreated(self.topics.create(create, &self.node_ids()))
            }
            MetadataCommand::DeleteTopic { topic } => {
                MetadataOutcome::TopicDeleted(self.topics.delete(*topic))
            }
            MetadataCommand::CreatePartitions(create) => {
                MetadataOutcome::PartitionsCreated(self.topics.create_partitions(create, &self.node_ids()))
            }
            MetadataCommand::SetConfigs { scope, based_on, configs } => {
                MetadataOutcome::ConfigsSet(self.set_configs(scope, *based_on, configs))
            }
            MetadataCommand::AllocateProducerIds { .. } => {
                MetadataOutcome::ProducerIds(self.allocate_producer_ids())
            }
            MetadataCommand::PlaceGroup { group, groups_max } => {
                MetadataOutcome::GroupPlaced(self.place_group(group, *groups_max))
            }
            MetadataCommand::ForgetGroup { group } => {
                MetadataOutcome::GroupForgotten(self.forget_group(group))
            }
        }
    }

    fn bootstrap(&mut self, cluster_id: &str, data_groups: u32) -> MetadataOutcome {
        if self.cluster_id.is_none() {
            self.data_groups = data_groups.clamp(1, DATA_GROUPS_MAX);
            self.topics.open_groups(self.data_groups);
            self.group_load = Load::over(self.data_groups);
        }
        let cluster_id = self.cluster_id.get_or_insert_with(|| cluster_id.to_owned()).clone();
        MetadataOutcome::Bootstrapped { cluster_id, data_groups: self.data_groups }
    }

    fn set_configs(
        &mut self,
        scope: &ConfigScope,
        based_on: ConfigVersion,
        configs: &ConfigSet,
    ) -> Result<ConfigVersion, SetConfigsError> {
        let held = match scope {
            ConfigScope::Topic(topic) => return self.topics.set_configs(*topic, based_on, configs),
            ConfigScope::Broker(node) => self.broker_configs.entry(*node).or_default(),
            ConfigScope::Group(group) => return self.set_group_configs(group, based_on, configs),
        };
        if held.version != based_on {
            return Err(SetConfigsError::Changed(held.version));
        }
        held.version.0 += 1;
        held.configs.clone_from(configs);
        Ok(held.version)
    }

    /// Groups come and go, so one without overrides is not kept. One that has some again counts on from the log's index: no
    /// version is ever given twice.
    fn set_group_configs(
        &mut self,
        group: &str,
        based_on: ConfigVersion,
        configs: &ConfigSet,
    ) -> Result<ConfigVersion, SetConfigsError> {
        let held = self.group_configs.get(group).map(|held| held.version);
        if held.unwrap_or_default() != based_on {
            return Err(SetConfigsError::Changed(held.unwrap_or_default()));
        }
        if configs.is_empty() {
            self.group_configs.remove(group);
            return Ok(ConfigVersion::default());
        }
        if group.len() > GROUP_ID_BYTES_MAX {
            return Err(SetConfigsError::GroupNameTooLong(group.len()));
        }
        if held.is_none() && self.group_configs.len() >= GROUP_CONFIGS_MAX {
            return Err(SetConfigsError::TooManyGroups(GROUP_CONFIGS_MAX));
        }
        let version = ConfigVersion(held.map_or(self.applied.0, |held| held.0 + 1));
        self.group_configs.insert(group.to_owned(), VersionedConfigs { configs: configs.clone(), version });
        Ok(version)
    }

    fn allocate_producer_ids(&mut self) -> Result<ProducerIdBlock, ProducerIdsExhausted> {
        let first = self.next_producer_id;
        self.next_producer_id = first.checked_add(PRODUCER_ID_BLOCK).ok_or(ProducerIdsExhausted)?;
        Ok(ProducerIdBlock { first: ProducerId(first), count: PRODUCER_ID_BLOCK })
    }

    fn place_group(&mut self, group: &str, groups_max: u32) -> Result<RaftGroup, PlaceGroupError> {
        if let Some(placed) = self.try_place_group(group, groups_max)? {
            return Ok(placed);
        }
        let placed = self.group_load.take()?;
        self.groups.insert(group.to_owned(), placed);
        Ok(placed)
    }

    fn forget_group(&mut self, group: &str) -> bool {
        let Some(placed) = self.groups.remove(group) else {
            return false;
        };
        self.group_load.remove(placed);
        true
    }

    fn node_ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// What the answer to `CreateTopic` would be if it were applied now; for `validate_only` requests.
    pub fn try_create_topic(&self, create: &CreateTopic) -> Result<Topic, CreateTopicError> {
        self.topics.plan(create, &self.node_ids()).map(|(topic, _)| topic)
    }

    /// What the answer to `CreatePartitions` would be if it were applied now; for `validate_only` requests.
    pub fn try_create_partitions(
        &self,
        create: &CreatePartitions,
    ) -> Result<Arc<Topic>, CreatePartitionsError> {
        self.topics.plan_partitions(create, &self.node_ids()).map(|(topic, _)| Arc::new(topic))
    }

    /// Whether `PlaceGroup` would be refused if it were applied now; where the group is, if it has a place. So that a refusal
    /// needs no command.
    pub fn try_place_group(
        &self,
        group: &str,
        groups_max: u32,
    ) -> Result<Option<RaftGroup>, PlaceGroupError> {
        if let Some(&placed) = self.groups.get(group) {
            return Ok(Some(placed));
        }
        if group.len() > GROUP_ID_BYTES_MAX {
            return Err(PlaceGroupError::NameTooLong(group.len()));
        }
        if self.groups.len() >= groups_max as usize {
            return Err(PlaceGroupError::TooManyGroups { limit: groups_max });
        }
        Ok(None)
    }

    /// The topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The cluster's id, once it is set up.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// The data groups.
    pub fn data_groups(&self) -> impl Iterator<Item = RaftGroup> + use<> {
        (1..=self.data_groups).map(RaftGroup)
    }

    /// The nodes, with the identity of their data directory.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, Uuid)> + '_ {
        self.nodes.iter().map(|(&node, &directory)| (node, directory))
    }

    /// A broker's dynamic overrides, or with `None` the default of all brokers.
    pub fn broker_configs(&self, node: Option<NodeId>) -> Option<&VersionedConfigs> {
        self.broker_configs.get(&node)
    }

    /// A consumer or share group's overrides.
    pub fn group_configs(&self, group: &str) -> Option<&VersionedConfigs> {
        self.group_configs.get(group)
    }

    /// The groups that have overrides.
    pub fn groups_with_configs(&self) -> impl Iterator<Item = &str> {
        self.group_configs
            .iter()
            .filter(|(_, held)| !held.configs.is_empty())
            .map(|(group, _)| group.as_str())
    }

    /// The data group that coordinates a consumer group, if it was ever used.
    pub fn placed_group(&self, group: &str) -> Option<RaftGroup> {
        self.groups.get(group).copied()
    }

    /// All consumer groups that were ever used and not deleted, by id.
    pub fn placed_groups(&self) -> impl ExactSizeIterator<Item = (&str, RaftGroup)> {
        self.groups.iter().map(|(group, &placed)| (group.as_str(), placed))
    }

    /// The log index behind which names of deleted topics are kept: a state that an older release wrote has none.
    pub fn deleted_names_from(&self) -> LogIndex {
        self.topics.deleted.kept_from
    }

    /// Forgets the names of deleted topics so far, as a checkpoint of an older release at the newest index does.
    pub fn forget_deleted_names(&mut self) {
        self.topics.deleted = DeletedNames::none_up_to(self.applied);
    }

    /// The newest log index that was applied.
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The newest term that was applied.
    pub fn term(&self) -> Term {
        self.term
    }
}
