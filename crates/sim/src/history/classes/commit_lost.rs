//! commit-lost: a group's member starts at a position below the one that was committed.
//!
//! Judged at each `assign` with an offset, invoked after the commit was acknowledged. The position is the last acknowledged
//! one; any other that was asked for concurrently, or ended `unknown`, may stand too, and the lowest counts. Blind to
//! assigns without an offset, and to a position that is lost and committed again before anyone starts from it.

use std::collections::HashMap;

use crate::history::{Anomaly, Class, Index, Kind, Op, PartitionId, Place};

#[derive(Clone, Copy)]
struct Committed {
    /// The lowest position that may stand.
    lowest: i64,
    /// Index of the last acknowledgement.
    acknowledged: Option<usize>,
}

/// Finds every start below the committed position.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut groups: HashMap<i64, &str> = HashMap::new();
    let mut positions: HashMap<(&str, PartitionId), Committed> = HashMap::new();
    for (at, event) in index.events.iter().enumerate() {
        if let Some(group) = event.group.as_deref() {
            groups.insert(event.process, group);
        }
        let Some(&group) = groups.get(&event.process) else {
            continue;
        };
        if !matches!(event.op, Op::Assign | Op::Commit) {
            continue;
        }
        for item in event.items() {
            let (Some(partition), Some(offset)) = (index.partition_id(item), item.offset) else {
                continue;
            };
            let key = (group, partition);
            match (event.op, event.kind) {
                (Op::Commit, Kind::Invoke | Kind::Unknown) => {
                    let own =
                        positions.entry(key).or_insert(Committed { lowest: offset, acknowledged: None });
                    own.lowest = own.lowest.min(offset);
                }
                (Op::Commit, Kind::Ok) => {
                    let own =
                        positions.entry(key).or_insert(Committed { lowest: offset, acknowledged: None });
                    let after = own.acknowledged.is_none_or(|earlier| earlier < index.invocations[at]);
                    own.lowest = if after { offset } else { own.lowest.min(offset) };
                    own.acknowledged = Some(at);
                }
                (Op::Assign, Kind::Ok) => {
                    let Some(Committed { lowest, acknowledged: Some(acknowledged) }) =
                        positions.get(&key).copied()
                    else {
                        continue;
                    };
                    if acknowledged < index.invocations[at] && offset < lowest {
                        let place = Place { partition, offset };
                        let mut anomaly = index.anomaly(Class::CommitLost, at, &[], Some(place));
                        anomaly.group = Some(group.to_owned());
                        found.push(anomaly.because(format!(
                            "position {lowest} was committed in event {}",
                            acknowledged + 1
                        )));
                    }
                }
                _ => {}
            }
        }
    }
    found
}
