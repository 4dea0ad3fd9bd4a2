//! Metadata: this broker, its topics and their partitions; creates topics that a client asks for, where that is allowed.

use std::sync::Arc;

use tallymq_broker::metadata::Topic;
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::metadata::{
        MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
        MetadataResponsePartition, MetadataResponseTopic,
    },
};
use tallymq_model::TopicId;

use super::{CallContext, create_topics, endpoint::endpoint, operations, repeated::keep_first};
use crate::node::Node;

/// From this version on an empty list means "none" and not "all".
const EMPTY_IS_NONE_VERSION: i16 = 1;
/// From this version on a topic that was asked for by its id may have no name.
const NO_NAME_VERSION: i16 = 12;

/// Answers with the cluster as it is, after creating what was asked for and missing.
pub async fn handle(node: &Arc<Node>, context: &CallContext, request: MetadataRequest) -> MetadataResponse {
    let mut topics = match request.topics {
        Some(mut asked) if !asked.is_empty() || context.version >= EMPTY_IS_NONE_VERSION => {
            keep_first(&mut asked, |topic| (topic.topic_id, topic.name.clone()));
            let mut topics = Vec::with_capacity(asked.len());
            for topic in asked {
                topics.push(describe(node, context.version, topic, request.allow_auto_topic_creation).await);
            }
            topics
        }
        _ => {
            let all: Vec<_> = node.metadata_view().state().topics().iter().cloned().collect();
            all.iter().map(|topic| found(node, topic)).collect()
        }
    };
    for topic in &mut topics {
        // What may be done with a topic that is known by its id only is known to nobody.
        let is_asked =
            request.include_topic_authorized_operations && topic.error_code != ErrorCode::UnknownTopicId;
        topic.topic_authorized_operations = operations::of_topic(is_asked);
    }
    let (host, port) = endpoint(node, context);
    MetadataResponse {
        brokers: vec![MetadataResponseBroker { node_id: node.identity.node_id, host, port, rack: None }],
        cluster_id: Some(node.identity.cluster_id.clone()),
        controller_id: node.identity.node_id,
        cluster_authorized_operations: operations::of_cluster(request.include_cluster_authorized_operations),
        topics,
        ..Default::default()
    }
}

async fn describe(
    node: &Arc<Node>,
    version: i16,
    asked: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let name = asked.name.unwrap_or_default();
    if name.is_empty() && !asked.topic_id.is_nil() {
        return match node.topic_by_id(TopicId(asked.topic_id)) {
            Some(topic) => found(node, &topic),
            None => MetadataResponseTopic {
                error_code: ErrorCode::UnknownTopicId,
                name: (version < NO_NAME_VERSION).then(String::new),
                topic_id: asked.topic_id,
                ..Default::default()
            },
        };
    }
    if let Some(topic) = node.topic(&name) {
        return found(node, &topic);
    }
    let may_create = may_create && node.with_layers(|layers| layers.flag("auto.create.topics.enable"));
    let error_code = match create_topics::create_automatically(node, &name, may_create).await {
        Ok(topic) => return found(node, &topic),
        Err(error_code) => error_code,
    };
    MetadataResponseTopic { error_code, name: Some(name), ..Default::default() }
}

fn found(node: &Node, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.topic_partitions().map(|(tp, group)| {
        let epoch = node.data(group).and_then(|handle| handle.leader_epoch(tp));
        // Between the creation of a topic and the opening of its partitions there is no leader yet.
        let (error_code, leader_id) = match epoch {
            Some(_) => (ErrorCode::None, node.identity.node_id),
            None => (ErrorCode::LeaderNotAvailable, -1),
        };
        MetadataResponsePartition {
            error_code,
            partition_index: tp.partition.0,
            leader_id,
            leader_epoch: epoch.map_or(-1, |epoch| epoch.0),
            replica_nodes: vec![node.identity.node_id],
            isr_nodes: vec![node.identity.node_id],
            offline_replicas: Vec::new(),
        }
    });
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id.0,
        partitions: partitions.collect(),
        ..Default::default()
    }
}
