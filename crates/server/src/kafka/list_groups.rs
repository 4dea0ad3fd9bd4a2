//! ListGroups: the groups of all data groups.

use tallymq_broker::group::{Request, Response, Text, request::List, response::Listed};
use tallymq_gateway::kafka::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use crate::node::Node;

/// Lists what passes the filters.
pub async fn handle(node: &Node, request: ListGroupsRequest) -> ListGroupsResponse {
    let list = List {
        states: request.states_filter.into_iter().map(Text::from).collect(),
        types: request.types_filter.into_iter().map(Text::from).collect(),
    };
    let mut groups = Vec::new();
    for handle in node.data_groups() {
        if let Response::List(listed) = handle.coordinator.ask(Request::List(list.clone())).await {
            groups.extend(listed.into_iter().map(group));
        }
    }
    ListGroupsResponse { groups, ..Default::default() }
}

fn group(listed: Listed) -> ListedGroup {
    ListedGroup {
        group_id: listed.group.to_string(),
        protocol_type: listed.protocol_type.to_string(),
        group_state: listed.state.to_owned(),
        group_type: listed.group_type.to_owned(),
    }
}
