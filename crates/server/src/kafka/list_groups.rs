//! ListGroups: the groups of all data groups.

use tallymq_broker::group::{Request, Response, Text, request::List, response::Listed};
use tallymq_gateway::kafka::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use super::repeated::keep_first;
use crate::node::Node;

/// More than there are states and types.
const FILTERS_MAX: usize = 100;

/// Lists what passes the filters.
pub async fn handle(node: &Node, request: ListGroupsRequest) -> ListGroupsResponse {
    let list = List { states: filter(request.states_filter), types: filter(request.types_filter) };
    let mut groups = Vec::new();
    for handle in node.data_groups() {
        if let Response::List(listed) = handle.coordinator.ask(Request::List(list.clone())).await {
            groups.extend(listed.into_iter().map(group));
        }
    }
    ListGroupsResponse { groups, ..Default::default() }
}

/// The coordinators compare each group with each of these.
fn filter(mut allowed: Vec<String>) -> Vec<Text> {
    keep_first(&mut allowed, |name| name.to_ascii_lowercase());
    allowed.truncate(FILTERS_MAX);
    allowed.into_iter().map(Text::from).collect()
}

fn group(listed: Listed) -> ListedGroup {
    ListedGroup {
        group_id: listed.group.to_string(),
        protocol_type: listed.protocol_type.to_string(),
        group_state: listed.state.to_owned(),
        group_type: listed.group_type.to_owned(),
    }
}
