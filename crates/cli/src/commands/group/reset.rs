//! `tallymq group reset`: where the positions would go, and with `--execute` puts them there. Only for a group without
//! members: the broker refuses otherwise.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tallymq_gateway::kafka::ErrorCode;

use crate::{
    client::{Client, ClientError, EARLIEST, LATEST, Position, TopicInfo},
    failure::Failure,
    output,
    position::PositionSpec,
};

/// What to reset.
pub struct Reset {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Only this one.
    pub partition: Option<i32>,
    /// Where to.
    pub to: PositionSpec,
    /// Do it.
    pub execute: bool,
}

struct Move {
    partition: i32,
    from: Option<i64>,
    to: i64,
}

/// Shows the moves, and makes them.
pub async fn run(client: &mut Client, reset: &Reset, json: bool) -> Result<(), Failure> {
    let topic = client.topic(&reset.topic, false).await?;
    let all: Vec<i32> = topic.partitions.iter().map(|known| known.index).collect();
    let partitions = match reset.partition {
        Some(one) if !all.contains(&one) => {
            return Err(Failure::Usage(format!("topic {} has no partition {one}", reset.topic)));
        }
        Some(one) => vec![one],
        None => all,
    };
    let moves = plan(client, reset, &topic, &partitions).await?;
    if reset.execute {
        let place = |partition: i32| -> Position { (reset.topic.clone(), partition) };
        let positions = moves.iter().map(|one| (place(one.partition), one.to)).collect();
        client.commit(&reset.group, None, &positions).await.map_err(|error| explain(reset, error))?;
    }
    print(reset, &moves, json)
}

async fn plan(
    client: &mut Client,
    reset: &Reset,
    topic: &TopicInfo,
    partitions: &[i32],
) -> Result<Vec<Move>, Failure> {
    let committed = client.committed(&reset.group).await?;
    let starts = client.offsets(topic, partitions, EARLIEST).await?;
    let ends = client.offsets(topic, partitions, LATEST).await?;
    let by_time = match reset.to {
        PositionSpec::Time(timestamp) => client.offsets(topic, partitions, timestamp).await?,
        _ => BTreeMap::new(),
    };
    let of = |map: &BTreeMap<i32, i64>, partition: i32| map.get(&partition).copied().unwrap_or(0);
    let mut moves = Vec::new();
    for &partition in partitions {
        let (start, end) = (of(&starts, partition), of(&ends, partition));
        let from = committed.get(&(reset.topic.clone(), partition)).copied();
        let found = by_time.get(&partition).copied();
        if let Some(to) = target(reset.to, from, found, start..=end) {
            moves.push(Move { partition, from, to });
        }
    }
    if moves.is_empty() {
        let text = format!("group {} has no position in topic {} to count from", reset.group, reset.topic);
        return Err(Failure::Failed(text));
    }
    Ok(moves)
}

/// Where a partition's position goes, never outside of its log. None if it counts from a position that is not there.
fn target(
    to: PositionSpec,
    from: Option<i64>,
    found: Option<i64>,
    log: std::ops::RangeInclusive<i64>,
) -> Option<i64> {
    let (start, end) = log.into_inner();
    let wanted = match to {
        PositionSpec::Earliest => start,
        PositionSpec::Latest => end,
        PositionSpec::Offset(offset) => offset,
        PositionSpec::Shift(count) => from?.saturating_add(count),
        // No record is that late.
        PositionSpec::Time(_) => found.filter(|offset| *offset >= 0).unwrap_or(end),
    };
    Some(wanted.clamp(start, end.max(start)))
}

fn explain(reset: &Reset, error: ClientError) -> Failure {
    match error {
        ClientError::Refused {
            code: ErrorCode::UnknownMemberId | ErrorCode::StaleMemberEpoch | ErrorCode::IllegalGeneration,
            ..
        } => Failure::Failed(format!("group {} has members; stop them first ({error})", reset.group)),
        other => other.into(),
    }
}

fn print(reset: &Reset, moves: &[Move], json: bool) -> Result<(), Failure> {
    if json {
        let moves: Vec<Value> = moves
            .iter()
            .map(|one| json!({ "topic": reset.topic, "partition": one.partition, "from": one.from, "to": one.to }))
            .collect();
        let shown = json!({ "group": reset.group, "executed": reset.execute, "positions": moves });
        return Ok(output::print_json(&shown)?);
    }
    let mut table = output::table(&["topic", "partition", "from", "to"]);
    for one in moves {
        let from = one.from.map_or_else(|| "-".to_owned(), |from| from.to_string());
        table.add_row([reset.topic.clone(), one.partition.to_string(), from, one.to.to_string()]);
    }
    output::print_table(&table)?;
    if !reset.execute {
        output::note("nothing was changed; --execute does it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_stays_inside_of_the_log() {
        let log = 10..=20;
        let cases = [
            (PositionSpec::Earliest, None, None, Some(10)),
            (PositionSpec::Latest, None, None, Some(20)),
            (PositionSpec::Offset(15), None, None, Some(15)),
            (PositionSpec::Offset(5), None, None, Some(10)),
            (PositionSpec::Offset(99), None, None, Some(20)),
            (PositionSpec::Shift(-3), Some(15), None, Some(12)),
            (PositionSpec::Shift(i64::MAX), Some(15), None, Some(20)),
            (PositionSpec::Shift(1), None, None, None),
            (PositionSpec::Time(7), None, Some(13), Some(13)),
            (PositionSpec::Time(7), None, Some(-1), Some(20)),
        ];
        for (to, from, found, expected) in cases {
            assert_eq!(target(to, from, found, log.clone()), expected, "{to:?} from {from:?}");
        }
    }
}
