//! `tallymq group …`: list, describe, reset, delete.

mod describe;
mod reset;

use serde_json::json;
use tallymq_gateway::kafka::messages::delete_groups::DeleteGroupsRequest;

use crate::{
    arguments::GroupCommand,
    client::{Client, call, check},
    failure::Failure,
    output,
};

/// Runs one of them.
pub async fn run(command: GroupCommand, json: bool) -> Result<(), Failure> {
    match command {
        GroupCommand::List { connection } => list(&mut Client::connect(&connection).await?, json).await,
        GroupCommand::Describe { group, connection } => {
            describe::run(&mut Client::connect(&connection).await?, &group, json).await
        }
        GroupCommand::Reset { group, topic, partition, to, execute, connection } => {
            let to = to.parse().map_err(|error| Failure::Usage(format!("--to: {error}")))?;
            let reset = reset::Reset { group, topic, partition, to, execute };
            let mut client = Client::connect_as_tool(&connection, "group-reset").await?;
            reset::run(&mut client, &reset, json).await
        }
        GroupCommand::Delete { group, yes, connection } => {
            let sure = yes || output::confirm(&format!("Delete group {group} with its positions?"))?;
            if !sure {
                return Err(Failure::Usage(format!(
                    "group {group} was not deleted; --yes says that you mean it"
                )));
            }
            delete(&mut Client::connect_as_tool(&connection, "group-delete").await?, &group, json).await
        }
    }
}

async fn list(client: &mut Client, json: bool) -> Result<(), Failure> {
    let groups = client.groups().await?;
    if json {
        let shown = groups.iter().map(|group| {
            json!({ "group": group.group_id, "state": group.group_state, "type": group.group_type, "protocol": group.protocol_type })
        });
        return Ok(output::print_json(&shown.collect())?);
    }
    let mut table = output::table(&["group", "state", "type", "protocol"]);
    for group in &groups {
        table.add_row([&group.group_id, &group.group_state, &group.group_type, &group.protocol_type]);
    }
    Ok(output::print_table(&table)?)
}

async fn delete(client: &mut Client, group: &str, json: bool) -> Result<(), Failure> {
    let request = DeleteGroupsRequest { groups_names: vec![group.to_owned()] };
    let answer = call!(client.coordinator(group).await?, DeleteGroups, request)?;
    for result in answer.results {
        check(format!("group {group}"), result.error_code, None)?;
    }
    if json {
        return Ok(output::print_json(&json!({ "group": group, "deleted": true }))?);
    }
    Ok(output::print_line(&format!("deleted {group}"))?)
}
