//! ListConfigResources: which resources have configuration (KIP-1142); version 0 asks for client metrics only.

use std::sync::Arc;

use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::list_config_resources::{
        ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
    },
};

use super::{
    CallContext,
    config_changes::{BROKER, CLIENT_METRICS, GROUP, TOPIC},
    repeated::keep_first,
};
use crate::node::Node;

/// Answers with names by type.
pub fn handle(
    node: &Arc<Node>,
    context: &CallContext,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    // BROKER_LOGGER is a type that Kafka has and this broker has not: nobody configures its log lines over the wire.
    const ALL: [i8; 4] = [TOPIC, BROKER, CLIENT_METRICS, GROUP];
    let mut types = match request.resource_types.is_empty() {
        true if context.version == 0 => vec![CLIENT_METRICS],
        true => ALL.to_vec(),
        false => request.resource_types,
    };
    if types.iter().any(|kind| !ALL.contains(kind)) {
        return ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion,
            ..Default::default()
        };
    }
    keep_first(&mut types, |kind| *kind);
    let metadata = node.metadata_view().state();
    let mut config_resources = Vec::new();
    for resource_type in types {
        let names: Vec<String> = match resource_type {
            TOPIC => metadata.topics().iter().map(|topic| topic.name.clone()).collect(),
            BROKER => vec![node.identity.node_id.to_string()],
            GROUP => metadata.groups_with_configs().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        config_resources
            .extend(names.into_iter().map(|resource_name| ConfigResource { resource_name, resource_type }));
    }
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}
