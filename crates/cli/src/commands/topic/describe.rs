//! `tallymq topic describe`: partitions with their leaders and positions, then the settings.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tallymq_gateway::kafka::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};

use crate::{
    client::{Client, ClientError, EARLIEST, LATEST, TopicInfo, call, check},
    count_text::counted,
    failure::Failure,
    output,
};

/// Resource type "topic" (KIP-133).
pub(super) const RESOURCE_TOPIC: i8 = 2;
/// Config source "default".
const SOURCE_DEFAULT: i8 = 5;

/// What is shown of a topic.
struct Shown {
    topic: TopicInfo,
    starts: BTreeMap<i32, i64>,
    ends: BTreeMap<i32, i64>,
    configs: Vec<DescribeConfigsResourceResult>,
    /// About the brokers that lead it.
    warnings: Vec<String>,
}

/// Shows one topic.
pub async fn run(client: &mut Client, name: &str, all: bool, json: bool) -> Result<(), Failure> {
    let topic = client.topic(name, false).await?;
    let led: Vec<i32> =
        topic.partitions.iter().filter(|known| known.address.is_some()).map(|known| known.index).collect();
    let starts = client.offsets(&topic, &led, EARLIEST).await?;
    let ends = client.offsets(&topic, &led, LATEST).await?;
    let mut configs = configs(client, name).await?;
    configs.retain(|config| all || config.config_source != SOURCE_DEFAULT);
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    let leaders = topic.partitions.iter().filter_map(|known| known.address.clone()).collect();
    let warnings = client.weakened(leaders).await;
    let shown = Shown { topic, starts, ends, configs, warnings };
    if json { print_json(&shown) } else { print_tables(&shown) }
}

async fn configs(client: &mut Client, name: &str) -> Result<Vec<DescribeConfigsResourceResult>, ClientError> {
    let resource = DescribeConfigsResource {
        resource_type: RESOURCE_TOPIC,
        resource_name: name.to_owned(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..DescribeConfigsRequest::default() };
    let answer = call!(client.any().await?, DescribeConfigs, request)?;
    let mut configs = Vec::new();
    for result in answer.results {
        check(format!("settings of topic {name}"), result.error_code, result.error_message)?;
        configs.extend(result.configs);
    }
    Ok(configs)
}

fn source(config: &DescribeConfigsResourceResult) -> &'static str {
    match config.config_source {
        1 => "topic",
        2 | 3 => "broker, changed at run time",
        4 => "broker",
        5 => "default",
        6 => "broker logger",
        8 => "group",
        _ => "unknown",
    }
}

fn print_json(shown: &Shown) -> Result<(), Failure> {
    let Shown { topic, starts, ends, configs, warnings } = shown;
    let partitions: Vec<Value> = topic
        .partitions
        .iter()
        .map(|known| {
            json!({
                "partition": known.index, "leader": known.leader, "leader_epoch": known.epoch,
                "replicas": known.replicas, "in_sync": known.in_sync,
                "log_start": starts.get(&known.index), "log_end": ends.get(&known.index),
            })
        })
        .collect();
    let configs: Vec<Value> = configs
        .iter()
        .map(|config| json!({ "name": config.name, "value": config.value, "source": source(config) }))
        .collect();
    let id = topic.id.to_string();
    let shown = json!({
        "topic": topic.name, "id": id, "partitions": partitions, "configs": configs, "warnings": warnings,
    });
    Ok(output::print_json(&shown)?)
}

fn print_tables(shown: &Shown) -> Result<(), Failure> {
    let Shown { topic, starts, ends, configs, warnings } = shown;
    let number = |found: Option<&i64>| found.map_or_else(|| "-".to_owned(), i64::to_string);
    let partitions = counted(topic.partitions.len() as u64, "partition");
    output::print_line(&format!("{} · id {} · {partitions}", topic.name, topic.id))?;
    output::print_warnings(warnings)?;
    let mut table =
        output::table(&["partition", "leader", "epoch", "log start", "log end", "replicas", "in sync"]);
    for known in &topic.partitions {
        table.add_row([
            known.index.to_string(),
            known.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            known.epoch.to_string(),
            number(starts.get(&known.index)),
            number(ends.get(&known.index)),
            format!("{:?}", known.replicas),
            format!("{:?}", known.in_sync),
        ]);
    }
    output::print_table(&table)?;
    if configs.is_empty() {
        return Ok(());
    }
    output::print_line("")?;
    let mut table = output::table(&["setting", "value", "from"]);
    for config in configs {
        table.add_row([config.name.as_str(), config.value.as_deref().unwrap_or("-"), source(config)]);
    }
    Ok(output::print_table(&table)?)
}
