//! `tallymq group describe`: who is in the group, where it stands, and how far behind it is. Both group protocols.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    client::{Client, GroupInfo, LATEST, Position},
    count_text::counted,
    failure::Failure,
    output,
};

struct Line {
    place: Position,
    committed: Option<i64>,
    log_end: Option<i64>,
    member: Option<String>,
}

impl Line {
    fn lag(&self) -> Option<i64> {
        Some((self.log_end? - self.committed?).max(0))
    }
}

/// What is shown of a group.
struct Shown<'a> {
    name: &'a str,
    group: GroupInfo,
    lines: Vec<Line>,
    /// About the broker that coordinates it.
    warnings: Vec<String>,
}

/// Shows one group.
pub async fn run(client: &mut Client, name: &str, json: bool) -> Result<(), Failure> {
    let group = client.group(name).await?;
    let lines = lines(client, name, &group).await?;
    let warnings = client.weakened_coordinator(name).await;
    let shown = Shown { name, group, lines, warnings };
    if json { print_json(&shown) } else { print_tables(&shown) }
}

async fn lines(client: &mut Client, name: &str, group: &GroupInfo) -> Result<Vec<Line>, Failure> {
    let committed = client.committed(name).await?;
    let mut owners: BTreeMap<Position, String> = BTreeMap::new();
    for member in &group.members {
        owners.extend(member.partitions.iter().map(|place| (place.clone(), member.id.clone())));
    }
    let places: BTreeSet<Position> = committed.keys().chain(owners.keys()).cloned().collect();
    let topics: BTreeSet<&String> = places.iter().map(|(topic, _)| topic).collect();
    let mut ends: BTreeMap<Position, i64> = BTreeMap::new();
    for topic in topics {
        // The topic may be gone while its positions are still shown.
        let Ok(info) = client.topic(topic, false).await else {
            continue;
        };
        let wanted: Vec<i32> =
            places.iter().filter(|(name, _)| name == topic).map(|(_, partition)| *partition).collect();
        let found = client.offsets(&info, &wanted, LATEST).await?;
        ends.extend(found.into_iter().map(|(partition, end)| ((topic.clone(), partition), end)));
    }
    let line = |place: Position| Line {
        committed: committed.get(&place).copied(),
        log_end: ends.get(&place).copied(),
        member: owners.get(&place).cloned(),
        place,
    };
    Ok(places.into_iter().map(line).collect())
}

fn print_json(shown: &Shown<'_>) -> Result<(), Failure> {
    let Shown { name, group, lines, warnings } = shown;
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|member| {
            let partitions = member.partitions.iter();
            let partitions: Vec<Value> =
                partitions.map(|(topic, partition)| json!({ "topic": topic, "partition": partition })).collect();
            json!({ "member": member.id, "client_id": member.client_id, "host": member.host, "partitions": partitions })
        })
        .collect();
    let positions: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "topic": line.place.0, "partition": line.place.1, "position": line.committed,
                "log_end": line.log_end, "lag": line.lag(), "member": line.member,
            })
        })
        .collect();
    let shown = json!({
        "group": name, "state": group.state, "type": group.protocol, "assignor": group.assignor,
        "members": members, "positions": positions, "warnings": warnings,
    });
    Ok(output::print_json(&shown)?)
}

fn print_tables(shown: &Shown<'_>) -> Result<(), Failure> {
    let Shown { name, group, lines, warnings } = shown;
    let lag: i64 = lines.iter().filter_map(Line::lag).sum();
    output::print_line(&format!(
        "{name} · {} · {} protocol · {} · lag {lag}",
        group.state,
        group.protocol,
        counted(group.members.len() as u64, "member")
    ))?;
    output::print_warnings(warnings)?;
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let mut table = output::table(&["topic", "partition", "position", "log end", "lag", "member"]);
    for line in lines {
        table.add_row([
            line.place.0.clone(),
            line.place.1.to_string(),
            number(line.committed),
            number(line.log_end),
            number(line.lag()),
            line.member.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    output::print_table(&table)?;
    if group.members.is_empty() {
        return Ok(());
    }
    output::print_line("")?;
    let mut table = output::table(&["member", "client id", "host", "partitions"]);
    for member in &group.members {
        let count = member.partitions.len().to_string();
        table.add_row([&member.id, &member.client_id, &member.host, &count]);
    }
    Ok(output::print_table(&table)?)
}
