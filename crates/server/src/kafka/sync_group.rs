//! SyncGroup: a classic member gets its assignment; the leader brings those of all members.

use tallymq_broker::group::{
    GroupError, Request, Response,
    request::{Sync, SyncAssignment},
};
use tallymq_gateway::kafka::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use super::{
    errors::group_refusal,
    group_words::{CONSUMER, assigned_partitions, assignment_bytes, instance, kept},
};
use crate::node::Node;

/// Waits for the leader's assignment, and gives the member its part.
pub async fn handle(node: &Node, request: SyncGroupRequest) -> SyncGroupResponse {
    let error = match node.ask_group(Request::Sync(sync(request)), false).await {
        Response::Sync(Ok(synced)) => {
            return SyncGroupResponse {
                protocol_type: synced.protocol_type.map(|text| text.to_string()),
                protocol_name: synced.protocol.map(|text| text.to_string()),
                assignment: assignment_bytes(synced.assignment),
                ..Default::default()
            };
        }
        Response::Sync(Err(error)) => error,
        _ => GroupError::CoordinatorNotAvailable,
    };
    let error_code = group_refusal(&error);
    node.metrics.requests.failed("SyncGroup", error_code.name());
    SyncGroupResponse { error_code, ..Default::default() }
}

fn sync(request: SyncGroupRequest) -> Sync {
    // Before version 5 the type is not said; what can be read as an assignment is one then.
    let is_readable = request.protocol_type.as_deref().is_none_or(|protocol_type| protocol_type == CONSUMER);
    let assignment = |one: SyncGroupRequestAssignment| SyncAssignment {
        member: one.member_id.into(),
        partitions: if is_readable { assigned_partitions(&one.assignment) } else { Vec::new() },
        assignment: kept(&one.assignment),
    };
    Sync {
        group: request.group_id.into(),
        member: request.member_id.into(),
        instance: instance(request.group_instance_id),
        generation: request.generation_id,
        protocol_type: request.protocol_type.map(Into::into),
        protocol: request.protocol_name.map(Into::into),
        assignments: request.assignments.into_iter().map(assignment).collect(),
    }
}
