//! All topics, by id and by name. Holds the name rules against each other and places partitions; knows nothing of
//! records.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymq_model::{NodeId, PartitionIndex, TopicId};

use super::command::{ConfigSet, ConfigVersion, CreatePartitions, CreateTopic, PartitionPlan};
use super::deleted::DeletedNames;
use super::outcome::{CreatePartitionsError, CreateTopicError, SetConfigsError, UnknownTopic};
use super::placement::{Load, replicas_of};
use super::topic::{PartitionPlace, Topic};
use super::topic_name::{check_topic_name, collision_key};

/// The topics. Invariants: `by_name` and `by_collision` name exactly the topics of `by_id`; `load` counts their partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    by_id: BTreeMap<TopicId, Arc<Topic>>,
    by_name: BTreeMap<String, TopicId>,
    by_collision: BTreeMap<String, TopicId>,
    load: Load,
    pub(super) deleted: DeletedNames,
}

impl Topics {
    /// A topic by its identity.
    pub fn by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// A topic by its name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name).and_then(|id| self.by_id.get(id))
    }

    /// The name of a topic that is there or was; None if it never was, or [`super::DELETED_NAMES_MAX`] were deleted after it.
    pub fn name_of(&self, id: TopicId) -> Option<&str> {
        self.by_id.get(&id).map(|topic| topic.name.as_str()).or_else(|| self.deleted.get(id))
    }

    /// All topics, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    /// All topics whose names come after `name`, by name; for paging.
    pub fn after(&self, name: &str) -> impl Iterator<Item = &Arc<Topic>> {
        let range =
            self.by_name.range::<str, _>((std::ops::Bound::Excluded(name), std::ops::Bound::Unbounded));
        range.filter_map(|(_, id)| self.by_id.get(id))
    }

    /// How many topics.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many partitions in all topics.
    pub fn partition_count(&self) -> usize {
        self.load.total()
    }

    pub(super) fn open_groups(&mut self, data_groups: u32) {
        self.load = Load::over(data_groups);
    }

    pub(super) fn plan(
        &self,
        create: &CreateTopic,
        nodes: &[NodeId],
    ) -> Result<(Topic, Load), CreateTopicError> {
        check_topic_name(&create.name)?;
        if self.by_name.contains_key(&create.name) {
            return Err(CreateTopicError::TopicExists(create.name.clone()));
        }
        if let Some(existing) =
            self.by_collision.get(&collision_key(&create.name)).and_then(|id| self.by_id.get(id))
        {
            let (name, existing) = (create.name.clone(), existing.name.clone());
            return Err(CreateTopicError::Collides { name, existing });
        }
        if self.by_id.contains_key(&create.id) {
            return Err(CreateTopicError::IdTaken(create.id));
        }
        let replicas = replicas_of(&create.partitions, nodes, self.partition_count())?;
        let (partitions, load) = self.place(replicas)?;
        let topic = Topic {
            id: create.id,
            name: create.name.clone(),
            partitions,
            configs: create.configs.clone(),
            config_version: ConfigVersion::default(),
            created_at: create.now,
        };
        Ok((topic, load))
    }

    pub(super) fn create(
        &mut self,
        create: &CreateTopic,
        nodes: &[NodeId],
    ) -> Result<Arc<Topic>, CreateTopicError> {
        let (topic, load) = self.plan(create, nodes)?;
        self.load = load;
        Ok(self.insert(topic))
    }

    fn insert(&mut self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        self.by_name.insert(topic.name.clone(), topic.id);
        self.by_collision.insert(collision_key(&topic.name), topic.id);
        self.by_id.insert(topic.id, topic.clone());
        topic
    }

    pub(super) fn delete(&mut self, id: TopicId) -> Result<Arc<Topic>, UnknownTopic> {
        let topic = self.by_id.remove(&id).ok_or(UnknownTopic(id))?;
        self.by_name.remove(&topic.name);
        self.deleted.note(id, &topic.name);
        self.by_collision.remove(&collision_key(&topic.name));
        for place in &topic.partitions {
            self.load.remove(place.group);
        }
        Ok(topic)
    }

    pub(super) fn plan_partitions(
        &self,
        create: &CreatePartitions,
        nodes: &[NodeId],
    ) -> Result<(Topic, Load), CreatePartitionsError> {
        let topic = self.by_id.get(&create.topic).ok_or(UnknownTopic(create.topic))?;
        let (current, asked) = (topic.partitions.len() as i32, create.count);
        if asked <= current {
            return Err(CreatePartitionsError::NotAnIncrease { current, asked });
        }
        let count = asked - current;
        let plan = match &create.assigned {
            Some(plan) if plan.len() == count as usize => PartitionPlan::Assigned(plan.clone()),
            Some(plan) => {
                let reason = format!(
                    "Increasing the number of partitions by {count} but {} assignments provided.",
                    plan.len()
                );
                return Err(super::PartitionPlanError::InvalidAssignment(reason).into());
            }
            None => PartitionPlan::Count { count, replicas: topic.partitions[0].replicas.len() as i16 },
        };
        let replicas = replicas_of(&plan, nodes, self.partition_count())?;
        let (added, load) = self.place(replicas)?;
        let mut grown = Topic::clone(topic);
        grown.partitions.extend(added);
        Ok((grown, load))
    }

    pub(super) fn create_partitions(
        &mut self,
        create: &CreatePartitions,
        nodes: &[NodeId],
    ) -> Result<(Arc<Topic>, PartitionIndex), CreatePartitionsError> {
        let (grown, load) = self.plan_partitions(create, nodes)?;
        let first = self.by_id.get(&create.topic).map_or(0, |topic| topic.partitions.len());
        self.load = load;
        Ok((self.insert(grown), PartitionIndex(first as i32)))
    }

    fn place(
        &self,
        replicas: Vec<Vec<NodeId>>,
    ) -> Result<(Vec<PartitionPlace>, Load), super::PartitionPlanError> {
        let mut load = self.load.clone();
        let places = replicas
            .into_iter()
            .map(|replicas| Ok(PartitionPlace { group: load.take()?, replicas }))
            .collect::<Result<_, super::NotBootstrapped>>()?;
        Ok((places, load))
    }

    pub(super) fn set_configs(
        &mut self,
        id: TopicId,
        based_on: ConfigVersion,
        configs: &ConfigSet,
    ) -> Result<ConfigVersion, SetConfigsError> {
        let topic = self.by_id.get_mut(&id).ok_or(UnknownTopic(id))?;
        if topic.config_version != based_on {
            return Err(SetConfigsError::Changed(topic.config_version));
        }
        let topic = Arc::make_mut(topic);
        topic.config_version.0 += 1;
        topic.configs.clone_from(configs);
        Ok(topic.config_version)
    }

    pub(super) fn restore(&mut self, topic: Topic) {
        for place in &topic.partitions {
            self.load.add(place.group);
        }
        self.insert(topic);
    }
}
