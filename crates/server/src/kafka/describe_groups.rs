//! DescribeGroups: state and members of classic groups.

use tallymq_broker::group::{GroupError, Request, Response, response::DescribedMember};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::describe_groups::{
        DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
    },
};

use super::{
    dispatch::CallContext,
    errors::{group_message, group_refusal},
    group_words::assignment_bytes,
    operations,
    repeated::keep_first,
};
use crate::node::Node;

/// From this version on an unknown group is an error (KIP-1043).
const NOT_FOUND_VERSION: i16 = 6;

/// The state of a group that does not exist.
const DEAD: &str = "Dead";

/// Describes each group.
pub async fn handle(
    node: &Node,
    context: &CallContext,
    mut request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    keep_first(&mut request.groups, String::clone);
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        let mut described = describe(node, context.version, group_id).await;
        if described.error_code == ErrorCode::None {
            described.authorized_operations = operations::of_group(request.include_authorized_operations);
        } else {
            node.metrics.requests.failed("DescribeGroups", described.error_code.name());
        }
        groups.push(described);
    }
    DescribeGroupsResponse { groups, ..Default::default() }
}

async fn describe(node: &Node, version: i16, group_id: String) -> DescribedGroup {
    let error = match node.ask_group(Request::Describe(group_id.as_str().into()), false).await {
        Response::Describe(Ok(described)) => {
            return DescribedGroup {
                group_id,
                group_state: described.state.to_owned(),
                protocol_type: described.protocol_type.to_string(),
                protocol_data: described.protocol.to_string(),
                members: described.members.into_iter().map(member).collect(),
                ..Default::default()
            };
        }
        Response::Describe(Err(error)) => error,
        _ => GroupError::CoordinatorNotAvailable,
    };
    let is_not_found = error == GroupError::GroupIdNotFound;
    if is_not_found && version < NOT_FOUND_VERSION {
        return DescribedGroup { group_id, group_state: DEAD.to_owned(), ..Default::default() };
    }
    DescribedGroup {
        error_code: group_refusal(&error),
        error_message: (version >= NOT_FOUND_VERSION).then(|| group_message(&error, &group_id)),
        group_state: if is_not_found { DEAD.to_owned() } else { String::new() },
        group_id,
        ..Default::default()
    }
}

fn member(member: DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: member.member.to_string(),
        group_instance_id: member.instance.map(|instance| instance.to_string()),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        member_metadata: member.metadata,
        member_assignment: assignment_bytes(member.assignment),
    }
}
