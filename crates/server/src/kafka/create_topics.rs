//! CreateTopics, and the creation of topics that a client merely asked about.

use std::{collections::HashMap, sync::Arc};

use tallymq_broker::{
    config::{BrokerLayers, TOPIC_TABLE, describe_topic},
    metadata::{
        ConfigSet, CreateTopic, CreateTopicError, PartitionPlan, PartitionPlanError, Topic, check_topic_name,
    },
};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::create_topics::{
        CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
        CreateTopicsResponse,
    },
};
use tallymq_model::{NodeId, TopicId};
use uuid::Uuid;

use super::{
    config_changes::{edit_refusal, source_code},
    errors::{Refusal, propose_refusal},
    repeated::keep_first,
};
use crate::node::{Node, TopicChangeError};

/// "As many as the broker's default."
const DEFAULT_COUNT: i32 = -1;

/// Topics that one request creates, or tries to: each is answered with all its settings.
const TOPICS_MAX: usize = 20_000;

/// Answers per topic.
pub async fn handle(node: &Arc<Node>, mut request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut named: HashMap<String, usize> = HashMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.clone()).or_default() += 1;
    }
    keep_first(&mut request.topics, |topic| topic.name.clone());
    let mut topics: Vec<CreatableTopicResult> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let name = topic.name.clone();
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
        let result = if named.get(&name).is_some_and(|times| *times > 1) {
            invalid(format!("Duplicate topic name {name} in the request"))
        } else if topics.len() >= TOPICS_MAX {
            invalid(format!("A request creates at most {TOPICS_MAX} topics"))
        } else {
            create(node, topic, request.validate_only).await
        };
        topics.push(result.unwrap_or_else(|refusal| refused(node, name, refusal)));
    }
    CreateTopicsResponse { topics, ..Default::default() }
}

async fn create(
    node: &Arc<Node>,
    asked: CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let mut configs = ConfigSet::new();
    for config in asked.configs.iter() {
        let Some(value) = &config.value else {
            let message = format!("Null value not supported for topic configs: {}", config.name);
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        };
        configs.insert(config.name.clone(), value.clone());
    }
    TOPIC_TABLE.check_set(&configs).map_err(|error| edit_refusal(&error))?;
    let create = CreateTopic {
        id: TopicId(Uuid::new_v4()),
        name: asked.name.clone(),
        partitions: plan(node, &asked)?,
        configs,
        now: node.now(),
    };
    let topic = if validate_only {
        let planned = node.metadata_view().state().try_create_topic(&create);
        Arc::new(planned.map_err(|error| create_refusal(&error))?)
    } else {
        node.create_topic(create).await.map_err(|error| change_refusal(&error))?
    };
    Ok(created(node, &topic, validate_only))
}

fn plan(node: &Node, asked: &CreatableTopic) -> Result<PartitionPlan, Refusal> {
    if asked.assignments.is_empty() {
        let count = match asked.num_partitions {
            DEFAULT_COUNT => node.with_layers(|layers| layers.number("num.partitions")) as i32,
            count => count,
        };
        let replicas = match asked.replication_factor {
            -1 => node.with_layers(|layers| layers.number("default.replication.factor")) as i16,
            replicas => replicas,
        };
        return Ok(PartitionPlan::Count { count, replicas });
    }
    if asked.num_partitions != -1 || asked.replication_factor != -1 {
        let message = "Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used \
                       at the same time.";
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let mut assigned: Vec<(i32, Vec<NodeId>)> = asked
        .assignments
        .iter()
        .map(|assignment| {
            (assignment.partition_index, assignment.broker_ids.iter().map(|&id| NodeId(id)).collect())
        })
        .collect();
    assigned.sort_by_key(|(index, _)| *index);
    if assigned.iter().enumerate().any(|(at, (index, _))| *index != at as i32) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(PartitionPlan::Assigned(assigned.into_iter().map(|(_, replicas)| replicas).collect()))
}

fn created(node: &Node, topic: &Topic, validate_only: bool) -> CreatableTopicResult {
    let describe = |layers: &BrokerLayers<'_>| describe_topic(&topic.configs, layers);
    let configs = node.with_layers(describe).into_iter().map(|config| CreatableTopicConfigs {
        name: config.name.to_owned(),
        value: config.value,
        read_only: config.read_only,
        config_source: source_code(config.source),
        is_sensitive: config.sensitive,
    });
    CreatableTopicResult {
        name: topic.name.clone(),
        topic_id: if validate_only { Uuid::nil() } else { topic.id.0 },
        num_partitions: topic.partitions.len() as i32,
        replication_factor: topic.partitions.first().map_or(1, |place| place.replicas.len() as i16),
        configs: Some(configs.collect()),
        ..Default::default()
    }
}

fn refused(node: &Node, name: String, refusal: Refusal) -> CreatableTopicResult {
    node.metrics.requests.failed("CreateTopics", refusal.code.name());
    CreatableTopicResult {
        name,
        error_code: refusal.code,
        error_message: Some(refusal.message),
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

/// Creates a topic that a client asked about, if it `may_create`; else says why it is not there.
pub async fn create_automatically(
    node: &Arc<Node>,
    name: &str,
    may_create: bool,
) -> Result<Arc<Topic>, ErrorCode> {
    check_topic_name(name).map_err(|_| ErrorCode::InvalidTopicException)?;
    if !may_create {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let count = node.with_layers(|layers| layers.number("num.partitions")) as i32;
    let create = CreateTopic {
        id: TopicId(Uuid::new_v4()),
        name: name.to_owned(),
        partitions: PartitionPlan::Count { count, replicas: 1 },
        configs: ConfigSet::new(),
        now: node.now(),
    };
    match node.create_topic(create).await {
        Ok(topic) => Ok(topic),
        // Somebody else asked about it at the same moment.
        Err(TopicChangeError::Create(CreateTopicError::TopicExists(_))) => {
            node.topic(name).ok_or(ErrorCode::LeaderNotAvailable)
        }
        Err(error) => Err(change_refusal(&error).code),
    }
}

/// Why a topic was not created, grown or deleted.
pub fn change_refusal(error: &TopicChangeError) -> Refusal {
    match error {
        TopicChangeError::Create(error) => create_refusal(error),
        TopicChangeError::Grow(error) => super::create_partitions::grow_refusal(error),
        TopicChangeError::Unknown(_) => ErrorCode::UnknownTopicId.into(),
        TopicChangeError::Propose(error) => propose_refusal(error),
    }
}

fn create_refusal(error: &CreateTopicError) -> Refusal {
    let code = match error {
        CreateTopicError::InvalidName(_) | CreateTopicError::Collides { .. } => {
            ErrorCode::InvalidTopicException
        }
        CreateTopicError::TopicExists(_) | CreateTopicError::IdTaken(_) => ErrorCode::TopicAlreadyExists,
        CreateTopicError::Plan(error) => plan_code(error),
    };
    Refusal::new(code, error)
}

/// Why partitions cannot be placed as asked.
pub fn plan_code(error: &PartitionPlanError) -> ErrorCode {
    match error {
        PartitionPlanError::InvalidPartitions(_) | PartitionPlanError::TooManyPartitions { .. } => {
            ErrorCode::InvalidPartitions
        }
        PartitionPlanError::InvalidReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
        PartitionPlanError::InvalidAssignment(_) => ErrorCode::InvalidReplicaAssignment,
        PartitionPlanError::NotBootstrapped(_) => ErrorCode::UnknownServerError,
    }
}
