//! LeaveGroup: members leave, or an administrator removes them (KIP-345).

use tallymq_broker::group::{
    GroupError, Request, Response,
    request::{Leave, Leaving},
};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse},
};

use super::{dispatch::CallContext, errors::group_refusal, group_words::instance};
use crate::node::Node;

/// From this version on a request names many members.
const MANY_MEMBERS_VERSION: i16 = 3;

/// Answers per member, or, to old requests, for the only one.
pub async fn handle(node: &Node, context: &CallContext, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let has_many = context.version >= MANY_MEMBERS_VERSION;
    let members: Vec<Leaving> = if has_many {
        let members = request.members.into_iter();
        members
            .map(|one| Leaving { member: one.member_id.into(), instance: instance(one.group_instance_id) })
            .collect()
    } else {
        vec![Leaving { member: request.member_id.into(), instance: None }]
    };
    let leave = Leave { group: request.group_id.into(), members: members.clone() };
    let answered = match node.ask_group(Request::Leave(leave), false).await {
        Response::Leave(Ok(left)) => {
            Ok(left.into_iter().map(|one| (one.member, one.instance, one.result.err())).collect::<Vec<_>>())
        }
        // An unknown group: each member is unknown.
        Response::Leave(Err(error @ GroupError::UnknownMemberId)) => {
            Ok(members.into_iter().map(|one| (one.member, one.instance, Some(error.clone()))).collect())
        }
        Response::Leave(Err(error)) => Err(error),
        _ => Err(GroupError::CoordinatorNotAvailable),
    };
    let left = match answered {
        Ok(left) => left,
        Err(error) => {
            return LeaveGroupResponse { error_code: counted(node, Some(&error)), ..Default::default() };
        }
    };
    let mut responses = left.into_iter().map(|(member, instance, error)| MemberResponse {
        member_id: member.to_string(),
        group_instance_id: instance.map(|instance| instance.to_string()),
        error_code: counted(node, error.as_ref()),
    });
    if has_many {
        return LeaveGroupResponse { members: responses.collect(), ..Default::default() };
    }
    let error_code = responses.next().map_or(ErrorCode::None, |only| only.error_code);
    LeaveGroupResponse { error_code, ..Default::default() }
}

fn counted(node: &Node, error: Option<&GroupError>) -> ErrorCode {
    let Some(error) = error else {
        return ErrorCode::None;
    };
    let code = group_refusal(error);
    node.metrics.requests.failed("LeaveGroup", code.name());
    code
}
