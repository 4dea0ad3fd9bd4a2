//! `tallymq topic alter`: settings one by one (KIP-339), and more partitions.

use serde_json::json;
use tallymq_gateway::kafka::messages::{
    create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic},
    incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest},
};

use super::{describe::RESOURCE_TOPIC, pair};
use crate::{
    client::{Client, call, check},
    failure::Failure,
    output,
};

const OPERATION_SET: i8 = 0;
const OPERATION_DELETE: i8 = 1;

/// What is to change.
pub struct Change {
    /// The topic.
    pub name: String,
    /// `KEY=VALUE`.
    pub set: Vec<String>,
    /// Keys.
    pub unset: Vec<String>,
    /// How many partitions there shall be.
    pub partitions: Option<i32>,
}

/// Changes it.
pub async fn run(client: &mut Client, change: &Change, json: bool) -> Result<(), Failure> {
    let mut configs = Vec::new();
    for text in &change.set {
        let (name, value) = pair(text)?;
        configs.push(AlterableConfig { name, config_operation: OPERATION_SET, value: Some(value) });
    }
    for key in &change.unset {
        configs.push(AlterableConfig { name: key.clone(), config_operation: OPERATION_DELETE, value: None });
    }
    if configs.is_empty() && change.partitions.is_none() {
        return Err(Failure::Usage("nothing to change: use --set, --unset or --partitions".to_owned()));
    }
    if !configs.is_empty() {
        alter_configs(client, &change.name, configs).await?;
    }
    if let Some(count) = change.partitions {
        grow(client, &change.name, count).await?;
    }
    if json {
        return Ok(output::print_json(&json!({ "topic": change.name, "altered": true }))?);
    }
    Ok(output::print_line(&format!("changed {}", change.name))?)
}

async fn alter_configs(
    client: &mut Client,
    name: &str,
    configs: Vec<AlterableConfig>,
) -> Result<(), Failure> {
    let resource =
        AlterConfigsResource { resource_type: RESOURCE_TOPIC, resource_name: name.to_owned(), configs };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = call!(client.any().await?, IncrementalAlterConfigs, request)?;
    for result in answer.responses {
        check(format!("topic {name}"), result.error_code, result.error_message)?;
    }
    Ok(())
}

async fn grow(client: &mut Client, name: &str, count: i32) -> Result<(), Failure> {
    let topic = CreatePartitionsTopic { name: name.to_owned(), count, assignments: None };
    let request = CreatePartitionsRequest {
        topics: vec![topic],
        timeout_ms: client.timeout().as_millis() as i32,
        validate_only: false,
    };
    let answer = call!(client.any().await?, CreatePartitions, request)?;
    for result in answer.results {
        check(format!("topic {name}"), result.error_code, result.error_message)?;
    }
    Ok(())
}
