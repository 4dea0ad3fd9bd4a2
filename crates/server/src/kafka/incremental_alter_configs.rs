//! IncrementalAlterConfigs: edits some overrides of a resource and leaves the others (KIP-339).

use std::sync::Arc;

use tallymq_broker::config::{ConfigEdit, EditOperation};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::incremental_alter_configs::{
        AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
    },
};

use super::{
    config_changes::{answer, change, default_of},
    errors::Refusal,
};
use crate::node::Node;

/// Answers per resource.
pub async fn handle(
    node: &Arc<Node>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changed = edit(node, &resource, request.validate_only).await;
        let (error_code, error_message) = answer(node, "IncrementalAlterConfigs", changed);
        responses.push(AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        });
    }
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

async fn edit(node: &Arc<Node>, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let edits = resource.configs.iter().map(edit_of).collect::<Result<Vec<_>, _>>()?;
    change(node, resource.resource_type, &resource.resource_name, validate_only, |table, current| {
        table.edit(current, &edits, |key| default_of(node, key))
    })
    .await
}

fn edit_of(config: &AlterableConfig) -> Result<ConfigEdit, Refusal> {
    let value = || {
        let missing = || format!("Null value not supported for : {}", config.name);
        config.value.clone().ok_or_else(|| Refusal::new(ErrorCode::InvalidRequest, missing()))
    };
    let operation = match config.config_operation {
        0 => EditOperation::Set(value()?),
        1 => EditOperation::Delete,
        2 => EditOperation::Append(value()?),
        3 => EditOperation::Subtract(value()?),
        other => {
            return Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown operation type {other}")));
        }
    };
    Ok(ConfigEdit { key: config.name.clone(), operation })
}
