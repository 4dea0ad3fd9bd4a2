//! What the coordinators of consumer groups see of the node that they are on: its topics, and the settings of all groups and
//! of single ones, in the types that they want.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tallymq_broker::{
    config::BrokerLayers,
    group::{
        Assignor, CoordinatorOptions, GroupId, GroupOverrides, MigrationPolicy, Text, TopicImage,
        topics::TopicEntry,
    },
    metadata::{ConfigSet, Topic},
};
use tallymq_model::NodeId;
use tallymq_replica::MetadataView;

use super::{layers::with_layers, wakeups::Wakeups};
use crate::config::Config;

/// What the coordinators of a node share.
pub(super) struct Surroundings {
    config: Config,
    node: NodeId,
    metadata: Arc<MetadataView>,
    pub(super) wakeups: Arc<Wakeups>,
    /// As of which version of the metadata.
    image: Mutex<(u64, Arc<TopicImage>)>,
}

impl Surroundings {
    pub(super) fn new(
        config: Config,
        node: NodeId,
        metadata: Arc<MetadataView>,
        wakeups: Arc<Wakeups>,
    ) -> Surroundings {
        Surroundings { config, node, metadata, wakeups, image: Mutex::default() }
    }

    /// The topics as of now. Made once, and then changed as they change, so that many topics cost no more than few.
    pub(super) fn image(&self) -> Arc<TopicImage> {
        let mut image = self.image.lock();
        let (as_of, before) = &*image;
        let version = self.metadata.version();
        if *as_of == version {
            return before.clone();
        }
        let changes = self.metadata.changes_since(*as_of);
        let metadata = self.metadata.state();
        let topics = metadata.topics();
        let next = match changes {
            Some(changes) if changes.topics.is_empty() => before.clone(),
            Some(changes) => {
                let changed =
                    changes.topics.iter().map(|id| (*id, topics.by_id(*id).map(|topic| entry(topic))));
                Arc::new(before.with(version, changed))
            }
            None => Arc::new(TopicImage::new(version, topics.iter().map(|topic| entry(topic)))),
        };
        *image = (version, next.clone());
        next
    }

    /// Rises when the settings of groups may have changed.
    pub(super) fn configs_version(&self) -> u64 {
        self.metadata.configs_version()
    }

    /// The settings of all groups as of now.
    pub(super) fn options(&self) -> CoordinatorOptions {
        with_layers(&self.metadata, &self.config, self.node, options)
    }

    /// What single groups set for themselves.
    pub(super) fn overrides(&self) -> BTreeMap<GroupId, GroupOverrides> {
        let metadata = self.metadata.state();
        let number = |configs: &ConfigSet, key: &str| configs.get(key)?.trim().parse().ok();
        metadata
            .groups_with_configs()
            .filter_map(|group| {
                let configs = &metadata.group_configs(group)?.configs;
                let overrides = GroupOverrides {
                    consumer_session_timeout_ms: number(configs, "consumer.session.timeout.ms"),
                    consumer_heartbeat_interval_ms: number(configs, "consumer.heartbeat.interval.ms"),
                };
                Some((GroupId::from(group), overrides))
            })
            .collect()
    }
}

fn entry(topic: &Topic) -> (Text, TopicEntry) {
    let entry = TopicEntry { id: topic.id, partitions: topic.partitions.len() as u32 };
    (topic.name.as_str().into(), entry)
}

fn options(layers: &BrokerLayers<'_>) -> CoordinatorOptions {
    let ms = |key: &str| u32::try_from(layers.number(key)).unwrap_or(u32::MAX);
    let count = |key: &str| usize::try_from(layers.number(key)).unwrap_or(usize::MAX);
    let assignors = layers.list("group.consumer.assignors");
    CoordinatorOptions {
        initial_rebalance_delay_ms: ms("group.initial.rebalance.delay.ms"),
        session_timeout_ms_min: ms("group.min.session.timeout.ms"),
        session_timeout_ms_max: ms("group.max.session.timeout.ms"),
        groups_max: count("group.max.count"),
        classic_members_max: count("group.max.size"),
        consumer_members_max: count("group.consumer.max.size"),
        consumer_session_timeout_ms: ms("group.consumer.session.timeout.ms"),
        consumer_heartbeat_interval_ms: ms("group.consumer.heartbeat.interval.ms"),
        migration: match layers.text("group.consumer.migration.policy").as_deref() {
            Some("upgrade") => MigrationPolicy::Upgrade,
            Some("downgrade") => MigrationPolicy::Downgrade,
            Some("disabled") => MigrationPolicy::Disabled,
            _ => MigrationPolicy::Bidirectional,
        },
        consumer_assignors: assignors.iter().filter_map(|name| Assignor::named(name)).collect(),
        ..CoordinatorOptions::default()
    }
}
