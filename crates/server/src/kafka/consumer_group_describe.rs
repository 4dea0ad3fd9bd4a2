//! ConsumerGroupDescribe: state and members of consumer groups (KIP-848).

use tallymq_broker::group::{
    GroupError, Request, Response,
    response::{ConsumerDescribed, ConsumerDescribedMember},
    topics::PartitionSet,
};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::consumer_group_describe::{
        Assignment, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup, Member,
        TopicPartitions,
    },
};
use tallymq_model::TopicId;

use super::{
    errors::{group_message, group_refusal},
    group_words::by_topic,
    operations,
    repeated::keep_first,
};
use crate::node::Node;

/// Member types from version 1 on (KIP-1099).
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

/// Describes each group.
pub async fn handle(node: &Node, mut request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
    keep_first(&mut request.group_ids, String::clone);
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        let mut described = describe(node, group_id).await;
        if described.error_code == ErrorCode::None {
            described.authorized_operations = operations::of_group(request.include_authorized_operations);
        } else {
            node.metrics.requests.failed("ConsumerGroupDescribe", described.error_code.name());
        }
        groups.push(described);
    }
    ConsumerGroupDescribeResponse { groups, ..Default::default() }
}

async fn describe(node: &Node, group_id: String) -> DescribedGroup {
    let error = match ask(node, &group_id).await {
        Ok(described) => return group(node, group_id, described),
        Err(error) => error,
    };
    DescribedGroup {
        error_code: group_refusal(&error),
        error_message: Some(group_message(&error, &group_id)),
        group_id,
        ..Default::default()
    }
}

async fn ask(node: &Node, group_id: &str) -> Result<ConsumerDescribed, GroupError> {
    if !node.startup.consumer_protocol {
        return Err(GroupError::ProtocolNotServed);
    }
    match node.ask_group(Request::ConsumerDescribe(group_id.into()), false).await {
        Response::ConsumerDescribe(described) => described,
        _ => Err(GroupError::CoordinatorNotAvailable),
    }
}

fn group(node: &Node, group_id: String, described: ConsumerDescribed) -> DescribedGroup {
    DescribedGroup {
        group_id,
        group_state: described.state.to_owned(),
        group_epoch: described.group_epoch,
        assignment_epoch: described.assignment_epoch,
        assignor_name: described.assignor.to_owned(),
        members: described.members.into_iter().map(|one| member(node, one)).collect(),
        ..Default::default()
    }
}

fn member(node: &Node, member: ConsumerDescribedMember) -> Member {
    Member {
        member_id: member.member.to_string(),
        instance_id: member.instance.map(|instance| instance.to_string()),
        rack_id: member.rack.map(|rack| rack.to_string()),
        member_epoch: member.member_epoch,
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        subscribed_topic_names: member.topics.iter().map(|topic| topic.to_string()).collect(),
        subscribed_topic_regex: Some(member.regex.map(|regex| regex.to_string()).unwrap_or_default()),
        assignment: assignment(node, &member.assignment),
        target_assignment: assignment(node, &member.target),
        member_type: if member.classic { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

/// Partitions of topics that are gone are not shown.
fn assignment(node: &Node, partitions: &PartitionSet) -> Assignment {
    let known = by_topic(partitions).into_iter().filter_map(|(topic_id, partitions)| {
        let topic = node.topic_by_id(TopicId(topic_id))?;
        Some(TopicPartitions { topic_id, topic_name: topic.name.clone(), partitions })
    });
    Assignment { topic_partitions: known.collect() }
}
