//! JoinGroup: a classic member joins, and waits until its group's next generation is complete.

use tallymq_broker::group::{
    GroupError, Request, Response,
    request::{Join, Protocol},
    response::Joined,
};
use tallymq_gateway::kafka::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};

use super::{
    dispatch::CallContext,
    errors::group_refusal,
    group_words::{CONSUMER, client, fresh_id, instance, kept, millis, subscription},
};
use crate::node::Node;

/// From this version on a rebalance has its own timeout.
const REBALANCE_TIMEOUT_VERSION: i16 = 1;
/// From this version on a member joins with an id that it was given (KIP-394).
const KNOWN_ID_VERSION: i16 = 4;
/// From this version on an answer may have no protocol.
const NULL_PROTOCOL_VERSION: i16 = 7;
/// From this version on a leader can be told not to assign (KIP-814).
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// Joins; the answer may take as long as a rebalance.
pub async fn handle(node: &Node, context: &CallContext, request: JoinGroupRequest) -> JoinGroupResponse {
    let member_id = request.member_id.clone();
    // A member that has an id already joins a group that exists, or is unknown there.
    let may_create = member_id.is_empty() && !request.group_id.is_empty();
    let response = node.ask_group(Request::Join(join(context, request)), may_create).await;
    match response {
        Response::Join(Ok(joined)) => completed(context.version, joined),
        Response::Join(Err(error)) => refused(node, context.version, member_id, &error),
        _ => refused(node, context.version, member_id, &GroupError::CoordinatorNotAvailable),
    }
}

fn join(context: &CallContext, request: JoinGroupRequest) -> Join {
    let rebalance_timeout_ms = if context.version >= REBALANCE_TIMEOUT_VERSION {
        request.rebalance_timeout_ms
    } else {
        request.session_timeout_ms
    };
    let first = request.protocols.first().filter(|_| request.protocol_type == CONSUMER);
    Join {
        group: request.group_id.into(),
        member: request.member_id.into(),
        instance: instance(request.group_instance_id),
        client: client(context),
        session_timeout_ms: millis(request.session_timeout_ms),
        rebalance_timeout_ms: millis(rebalance_timeout_ms),
        subscription: first.and_then(|protocol| subscription(&protocol.metadata)),
        protocol_type: request.protocol_type.into(),
        protocols: request
            .protocols
            .into_iter()
            .map(|protocol| Protocol { name: protocol.name.into(), metadata: kept(&protocol.metadata) })
            .collect(),
        fresh_id: fresh_id(),
        requires_known_id: context.version >= KNOWN_ID_VERSION,
        supports_skip_assignment: context.version >= SKIP_ASSIGNMENT_VERSION,
    }
}

fn completed(version: i16, joined: Joined) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.map(|text| text.to_string()),
        protocol_name: protocol_name(version, joined.protocol.map(|text| text.to_string())),
        leader: joined.leader.to_string(),
        skip_assignment: joined.skip_assignment && version >= SKIP_ASSIGNMENT_VERSION,
        member_id: joined.member.to_string(),
        members: joined
            .members
            .into_iter()
            .map(|member| JoinGroupResponseMember {
                member_id: member.member.to_string(),
                group_instance_id: member.instance.map(|instance| instance.to_string()),
                metadata: member.metadata,
            })
            .collect(),
        ..Default::default()
    }
}

/// A refused member keeps the id that it came with, or learns the one to come back with.
fn refused(node: &Node, version: i16, member_id: String, error: &GroupError) -> JoinGroupResponse {
    let error_code = group_refusal(error);
    node.metrics.requests.failed("JoinGroup", error_code.name());
    let member_id = match error {
        GroupError::MemberIdRequired(given) => given.to_string(),
        _ => member_id,
    };
    JoinGroupResponse {
        error_code,
        protocol_name: protocol_name(version, None),
        member_id,
        ..Default::default()
    }
}

fn protocol_name(version: i16, name: Option<String>) -> Option<String> {
    if version < NULL_PROTOCOL_VERSION { Some(name.unwrap_or_default()) } else { name }
}
