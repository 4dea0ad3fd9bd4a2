//! commit-skip: a group's position is committed past a record that was delivered to none of its members: committed before
//! it was processed, or counted by the wrong arithmetic. What is committed so is never delivered to the group again.
//!
//! Judged when the commit completes, over the records from the group's first position on (its first `assign` with an
//! offset, or first polled offset). A `seek` forward is a decision and moves that position along. The process's group is
//! the one named on the event or on its last `assign`. Blind to clients that commit without the harness seeing it, and to
//! records delivered but dropped by the application.

use std::collections::{HashMap, HashSet};

use crate::history::{Anomaly, Class, Fate, Index, Kind, Op, PartitionId, Place};

#[derive(Default)]
struct Progress {
    /// Everything below has been judged, or is not the group's business.
    judged_to: Option<i64>,
    /// Offsets delivered to any member, from `judged_to` on.
    delivered: HashSet<i64>,
}

/// Finds every commit past an undelivered record; the values are the records passed over.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut groups: HashMap<i64, &str> = HashMap::new();
    let mut progress: HashMap<(&str, PartitionId), Progress> = HashMap::new();
    for (at, event) in index.events.iter().enumerate() {
        if let Some(group) = event.group.as_deref() {
            groups.insert(event.process, group);
        }
        let Some(&group) = groups.get(&event.process) else {
            continue;
        };
        if event.kind != Kind::Ok || !matches!(event.op, Op::Assign | Op::Seek | Op::Poll | Op::Commit) {
            continue;
        }
        for item in event.items() {
            let (Some(partition), Some(offset)) = (index.partition_id(item), item.offset) else {
                continue;
            };
            let own = progress.entry((group, partition)).or_default();
            match event.op {
                Op::Assign => drop(own.judged_to.get_or_insert(offset)),
                Op::Seek => own.judged_to = Some(own.judged_to.map_or(offset, |judged| judged.max(offset))),
                Op::Poll => {
                    own.judged_to.get_or_insert(offset);
                    own.delivered.insert(offset);
                }
                _ => {
                    let from = own.judged_to.unwrap_or(offset);
                    let passed =
                        index.log(partition).between(from, offset).iter().filter(|&&(offset, value)| {
                            let failed = index.send(value).is_some_and(|send| send.fate == Fate::Failed);
                            let place = Place { partition, offset };
                            !own.delivered.contains(&offset) && !failed && !index.is_trimmed(place)
                        });
                    let values: Vec<_> = passed.map(|&(_, value)| value).collect();
                    own.judged_to = Some(from.max(offset));
                    if !values.is_empty() {
                        let place = Place { partition, offset };
                        let mut anomaly = index.anomaly(Class::CommitSkip, at, &values, Some(place));
                        anomaly.group = Some(group.to_owned());
                        found.push(anomaly.because("committed past records that no member was given"));
                    }
                }
            }
        }
    }
    found
}
