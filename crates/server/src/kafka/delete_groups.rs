//! DeleteGroups: deletes groups without members, with their positions.

use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse},
};

use super::errors::{coordinator_refusal, group_refusal};
use crate::node::{DeleteGroupError, Node};

/// Deletes one group after the other.
pub async fn handle(node: &Node, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let error_code = match node.delete_group(&group_id.as_str().into()).await {
            Ok(()) => ErrorCode::None,
            Err(DeleteGroupError::Refused(error)) => group_refusal(&error),
            Err(DeleteGroupError::Propose(error)) => coordinator_refusal(&error),
        };
        if error_code.is_error() {
            node.metrics.requests.failed("DeleteGroups", error_code.name());
        }
        results.push(DeletableGroupResult { group_id, error_code });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}
