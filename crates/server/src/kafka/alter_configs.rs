//! AlterConfigs: replaces all overrides of a resource.

use std::sync::Arc;

use tallymq_broker::metadata::ConfigSet;
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::alter_configs::{
        AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
    },
};

use super::{
    config_changes::{answer, change},
    errors::Refusal,
};
use crate::node::Node;

/// Answers per resource.
pub async fn handle(node: &Arc<Node>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changed = replace(node, &resource, request.validate_only).await;
        let (error_code, error_message) = answer(node, "AlterConfigs", changed);
        responses.push(AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        });
    }
    AlterConfigsResponse { responses, ..Default::default() }
}

async fn replace(
    node: &Arc<Node>,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusal> {
    let mut configs = ConfigSet::new();
    for config in &resource.configs {
        let Some(value) = &config.value else {
            let message = format!("Null value not supported for: {}", config.name);
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        };
        if configs.insert(config.name.clone(), value.clone()).is_some() {
            let message = format!("Error due to duplicate config key: {}", config.name);
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    }
    change(node, resource.resource_type, &resource.resource_name, validate_only, |table, _| {
        table.check_set(&configs).map(|()| configs.clone())
    })
    .await
}
