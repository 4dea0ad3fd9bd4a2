//! Heartbeat: a classic member is alive.

use tallymq_broker::group::{GroupError, Request, Response, request::Heartbeat};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::heartbeat::{HeartbeatRequest, HeartbeatResponse},
};

use super::{errors::group_refusal, group_words::instance};
use crate::node::Node;

/// Renews the member's session.
pub async fn handle(node: &Node, request: HeartbeatRequest) -> HeartbeatResponse {
    let heartbeat = Heartbeat {
        group: request.group_id.into(),
        member: request.member_id.into(),
        instance: instance(request.group_instance_id),
        generation: request.generation_id,
    };
    let error = match node.ask_group(Request::Heartbeat(heartbeat), false).await {
        Response::Heartbeat(Ok(())) => return HeartbeatResponse::default(),
        Response::Heartbeat(Err(error)) => error,
        _ => GroupError::CoordinatorNotAvailable,
    };
    // Clients do not expect a heartbeat to find its coordinator loading, and give up.
    let error_code = match group_refusal(&error) {
        ErrorCode::CoordinatorLoadInProgress => ErrorCode::CoordinatorNotAvailable,
        other => other,
    };
    node.metrics.requests.failed("Heartbeat", error_code.name());
    HeartbeatResponse { error_code, ..Default::default() }
}
