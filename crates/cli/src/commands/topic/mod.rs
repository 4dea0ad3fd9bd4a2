//! `tallymq topic …`: create, list, describe, alter, delete.

mod change;
mod describe;

use serde_json::json;
use tallymq_gateway::kafka::{
    ErrorCode,
    messages::{
        create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest},
        delete_topics::DeleteTopicsRequest,
    },
};

use crate::{
    arguments::TopicCommand,
    client::{Client, call, check},
    count_text::counted,
    failure::Failure,
    output,
};

/// Runs one of them.
pub async fn run(command: TopicCommand, json: bool) -> Result<(), Failure> {
    match command {
        TopicCommand::Create { name, partitions, configs, if_not_exists, connection } => {
            let mut client = Client::connect(&connection).await?;
            let new = New { name, partitions, configs, if_not_exists };
            create(&mut client, new, json).await
        }
        TopicCommand::List { connection } => list(&mut Client::connect(&connection).await?, json).await,
        TopicCommand::Describe { name, all, connection } => {
            describe::run(&mut Client::connect(&connection).await?, &name, all, json).await
        }
        TopicCommand::Alter { name, set, unset, partitions, connection } => {
            let change = change::Change { name, set, unset, partitions };
            change::run(&mut Client::connect(&connection).await?, &change, json).await
        }
        TopicCommand::Delete { name, yes, connection } => {
            let sure = yes || output::confirm(&format!("Delete topic {name} with all its records?"))?;
            if !sure {
                return Err(Failure::Usage(format!(
                    "topic {name} was not deleted; --yes says that you mean it"
                )));
            }
            delete(&mut Client::connect(&connection).await?, &name, json).await
        }
    }
}

struct New {
    name: String,
    partitions: Option<i32>,
    configs: Vec<String>,
    if_not_exists: bool,
}

/// Splits `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), Failure> {
    let pair = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    pair.ok_or_else(|| Failure::Usage(format!("`{text}` is not KEY=VALUE")))
}

async fn create(client: &mut Client, new: New, json: bool) -> Result<(), Failure> {
    let configs = new.configs.iter().map(|text| pair(text)).collect::<Result<Vec<_>, _>>()?;
    let configs = configs.into_iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) });
    let topic = CreatableTopic {
        name: new.name.clone(),
        num_partitions: new.partitions.unwrap_or(-1),
        replication_factor: -1,
        configs: configs.collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: client.timeout().as_millis() as i32,
        ..CreateTopicsRequest::default()
    };
    let answer = call!(client.any().await?, CreateTopics, request)?;
    let mut created = true;
    for result in answer.topics {
        if result.error_code == ErrorCode::TopicAlreadyExists && new.if_not_exists {
            created = false;
            continue;
        }
        check(format!("topic {}", result.name), result.error_code, result.error_message)?;
    }
    let topic = client.topic_with_leaders(&new.name, true).await?;
    let partitions = topic.partitions.len();
    if json {
        let id = topic.id.to_string();
        let shown = json!({ "topic": topic.name, "id": id, "partitions": partitions, "created": created });
        return Ok(output::print_json(&shown)?);
    }
    let word = if created { "created" } else { "exists:" };
    Ok(output::print_line(&format!(
        "{word} {} with {}",
        topic.name,
        counted(partitions as u64, "partition")
    ))?)
}

async fn list(client: &mut Client, json: bool) -> Result<(), Failure> {
    let topics = client.topics().await?;
    if json {
        let shown = topics.iter().map(|topic| {
            json!({ "topic": topic.name, "id": topic.id.to_string(), "partitions": topic.partitions.len(), "internal": topic.internal })
        });
        return Ok(output::print_json(&shown.collect())?);
    }
    let mut table = output::table(&["topic", "partitions", "id"]);
    for topic in &topics {
        table.add_row([topic.name.clone(), topic.partitions.len().to_string(), topic.id.to_string()]);
    }
    Ok(output::print_table(&table)?)
}

async fn delete(client: &mut Client, name: &str, json: bool) -> Result<(), Failure> {
    let request = DeleteTopicsRequest {
        topic_names: vec![name.to_owned()],
        timeout_ms: client.timeout().as_millis() as i32,
        ..DeleteTopicsRequest::default()
    };
    let answer = call!(client.any().await?, DeleteTopics, request)?;
    for result in answer.responses {
        check(format!("topic {name}"), result.error_code, result.error_message)?;
    }
    if json {
        return Ok(output::print_json(&json!({ "topic": name, "deleted": true }))?);
    }
    Ok(output::print_line(&format!("deleted {name}"))?)
}
