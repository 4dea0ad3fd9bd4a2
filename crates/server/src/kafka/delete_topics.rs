//! DeleteTopics: by name, or from version 6 on by id.

use std::sync::Arc;

use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::delete_topics::{
        DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
    },
};
use tallymq_model::TopicId;

use super::{CallContext, create_topics::change_refusal, errors::Refusal};
use crate::node::Node;

/// The first version that says that deletion is off, instead of that the request is wrong.
const DELETION_DISABLED_VERSION: i16 = 3;

/// Answers per topic.
pub async fn handle(
    node: &Arc<Node>,
    context: &CallContext,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let named = request
        .topic_names
        .into_iter()
        .map(|name| DeleteTopicState { name: Some(name), ..Default::default() });
    let asked: Vec<DeleteTopicState> = request.topics.into_iter().chain(named).collect();
    let mut responses = Vec::with_capacity(asked.len());
    for topic in asked {
        let result = match delete(node, context, &topic).await {
            Ok(name) => {
                DeletableTopicResult { name: Some(name), topic_id: topic.topic_id, ..Default::default() }
            }
            Err(refusal) => {
                node.metrics.requests.failed("DeleteTopics", refusal.code.name());
                DeletableTopicResult {
                    name: topic.name.or_else(|| (context.version < 6).then(String::new)),
                    topic_id: topic.topic_id,
                    error_code: refusal.code,
                    error_message: Some(refusal.message),
                }
            }
        };
        responses.push(result);
    }
    DeleteTopicsResponse { responses, ..Default::default() }
}

async fn delete(
    node: &Arc<Node>,
    context: &CallContext,
    asked: &DeleteTopicState,
) -> Result<String, Refusal> {
    if !node.with_layers(|layers| layers.flag("delete.topic.enable")) {
        let code = match context.version < DELETION_DISABLED_VERSION {
            true => ErrorCode::InvalidRequest,
            false => ErrorCode::TopicDeletionDisabled,
        };
        return Err(code.into());
    }
    let topic = match &asked.name {
        Some(name) => node.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?,
        None => node.topic_by_id(TopicId(asked.topic_id)).ok_or(ErrorCode::UnknownTopicId)?,
    };
    node.delete_topic(topic.id).await.map_err(|error| change_refusal(&error))?;
    Ok(topic.name.clone())
}
