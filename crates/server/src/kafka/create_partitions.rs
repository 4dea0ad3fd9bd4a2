//! CreatePartitions: grows topics.

use std::sync::Arc;

use tallymq_broker::metadata::{CreatePartitions, CreatePartitionsError};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::create_partitions::{
        CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
    },
};
use tallymq_model::NodeId;

use super::{
    create_topics::{change_refusal, plan_code},
    errors::Refusal,
};
use crate::node::Node;

/// Answers per topic.
pub async fn handle(node: &Arc<Node>, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let name = topic.name.clone();
        let result = match grow(node, topic, request.validate_only).await {
            Ok(()) => CreatePartitionsTopicResult { name, ..Default::default() },
            Err(refusal) => {
                node.metrics.requests.failed("CreatePartitions", refusal.code.name());
                let (error_code, error_message) = (refusal.code, Some(refusal.message));
                CreatePartitionsTopicResult { name, error_code, error_message }
            }
        };
        results.push(result);
    }
    CreatePartitionsResponse { results, ..Default::default() }
}

async fn grow(node: &Arc<Node>, asked: CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let topic = node.topic(&asked.name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let nodes = |ids: Vec<i32>| ids.into_iter().map(NodeId).collect();
    let assigned =
        asked.assignments.map(|all| all.into_iter().map(|assignment| nodes(assignment.broker_ids)).collect());
    let create = CreatePartitions { topic: topic.id, count: asked.count, assigned };
    if validate_only {
        let planned = node.metadata_view().state().try_create_partitions(&create);
        return planned.map(drop).map_err(|error| grow_refusal(&error));
    }
    node.create_partitions(create).await.map(drop).map_err(|error| change_refusal(&error))
}

/// Why a topic does not grow.
pub fn grow_refusal(error: &CreatePartitionsError) -> Refusal {
    let code = match error {
        CreatePartitionsError::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
        CreatePartitionsError::NotAnIncrease { .. } => ErrorCode::InvalidPartitions,
        CreatePartitionsError::Plan(error) => plan_code(error),
    };
    Refusal::new(code, error)
}
