//! ConsumerGroupHeartbeat: a member of a consumer group joins, lives, changes or leaves, and learns its partitions (KIP-848).

use tallymq_broker::group::{
    GroupError, Request, Response, Text, request::ConsumerHeartbeat, response::HeartbeatDone,
};
use tallymq_gateway::kafka::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use tallymq_model::{PartitionIndex, TopicId, TopicPartition};

use super::{
    dispatch::CallContext,
    errors::group_refusal,
    group_words::{by_topic, client, fresh_id, instance, wire_millis},
};
use crate::node::Node;

/// From this version on the client makes the member id (KIP-1082).
const CLIENT_MAKES_ID_VERSION: i16 = 1;

/// The epoch of a member that joins.
const JOINING: i32 = 0;

/// Takes the heartbeat.
pub async fn handle(
    node: &Node,
    context: &CallContext,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    if !node.startup.consumer_protocol {
        return refused(node, &GroupError::ProtocolNotServed);
    }
    let may_create = request.member_epoch == JOINING && !request.group_id.is_empty();
    if context.version >= CLIENT_MAKES_ID_VERSION && request.member_id.is_empty() {
        return refused(node, &GroupError::InvalidRequest("MemberId can't be empty."));
    }
    let heartbeat = Request::ConsumerHeartbeat(heartbeat(context, request));
    match node.ask_group(heartbeat, may_create).await {
        Response::ConsumerHeartbeat(Ok(done)) => taken(done),
        Response::ConsumerHeartbeat(Err(error)) => refused(node, &error),
        _ => refused(node, &GroupError::CoordinatorNotAvailable),
    }
}

fn heartbeat(context: &CallContext, request: ConsumerGroupHeartbeatRequest) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        group: request.group_id.into(),
        member: request.member_id.into(),
        member_epoch: request.member_epoch,
        instance: instance(request.instance_id),
        rack: request.rack_id.map(Text::from),
        rebalance_timeout_ms: u32::try_from(request.rebalance_timeout_ms).ok(),
        topics: request.subscribed_topic_names.map(|names| names.into_iter().map(Text::from).collect()),
        regex: request.subscribed_topic_regex.map(Text::from),
        assignor: request.server_assignor.map(Text::from),
        owned: request.topic_partitions.map(|topics| topics.into_iter().flat_map(partitions).collect()),
        client: client(context),
        fresh_id: fresh_id(),
    }
}

fn partitions(topic: TopicPartitions) -> impl Iterator<Item = TopicPartition> {
    let id = TopicId(topic.topic_id);
    topic
        .partitions
        .into_iter()
        .map(move |partition| TopicPartition { topic: id, partition: PartitionIndex(partition) })
}

fn taken(done: HeartbeatDone) -> ConsumerGroupHeartbeatResponse {
    let assignment = done.assignment.map(|partitions| {
        let topics = by_topic(&partitions).into_iter();
        let topic_partitions =
            topics.map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions }).collect();
        Assignment { topic_partitions }
    });
    ConsumerGroupHeartbeatResponse {
        member_id: Some(done.member.to_string()),
        member_epoch: done.member_epoch,
        heartbeat_interval_ms: wire_millis(done.heartbeat_interval_ms),
        assignment,
        ..Default::default()
    }
}

fn refused(node: &Node, error: &GroupError) -> ConsumerGroupHeartbeatResponse {
    let error_code = group_refusal(error);
    node.metrics.requests.failed("ConsumerGroupHeartbeat", error_code.name());
    ConsumerGroupHeartbeatResponse {
        error_code,
        error_message: Some(error.to_string()),
        ..Default::default()
    }
}
