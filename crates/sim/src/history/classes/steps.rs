//! How each consumer's position moves: one step per polled record whose predecessor is known. A position is forgotten or
//! set by `assign`, `seek`, `revoke` and `final`, so no step spans a rebalance.

use std::collections::HashMap;

use crate::history::{Index, Kind, Op, PartitionId, Place, ValueId};

/// One polled record after the one before.
pub(super) struct Step {
    /// Index of the poll.
    pub event: usize,
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub value: ValueId,
    /// The offset polled before; for the first after an `assign` or `seek` to a position, the offset in front of that.
    pub previous: i64,
    /// Both were in one poll.
    pub inside: bool,
}

impl Step {
    /// Where the step happened, in words.
    pub fn scope(&self) -> &'static str {
        if self.inside { "inside one poll" } else { "across polls" }
    }
}

#[derive(Clone, Copy)]
struct Position {
    last: i64,
    event: usize,
}

/// All steps, in order.
pub(super) fn steps(index: &Index<'_>) -> Vec<Step> {
    let mut steps = Vec::with_capacity(index.reads.len());
    let mut positions: HashMap<i64, HashMap<PartitionId, Position>> = HashMap::new();
    let mut reads = index.reads.iter().peekable();
    for (at, event) in index.events.iter().enumerate() {
        let took_place = matches!(event.kind, Kind::Ok | Kind::Unknown);
        match event.op {
            Op::Assign | Op::Seek | Op::Revoke if took_place => {
                let own = positions.entry(event.process).or_default();
                if event.op == Op::Revoke && event.items().next().is_none() {
                    own.clear();
                }
                for item in event.items() {
                    let Some(partition) = index.partition_id(item) else {
                        continue;
                    };
                    match item.offset {
                        Some(offset) if event.op != Op::Revoke => {
                            own.insert(partition, Position { last: offset - 1, event: at });
                        }
                        _ => drop(own.remove(&partition)),
                    }
                }
            }
            Op::Final => positions.clear(),
            _ => {}
        }
        while let Some(read) = reads.next_if(|read| read.event == at) {
            let Some(place) = read.place.filter(|_| read.polled) else {
                continue;
            };
            let own = positions.entry(event.process).or_default();
            let after = own.insert(place.partition, Position { last: place.offset, event: at });
            if let Some(Position { last, event }) = after {
                steps.push(Step { event: at, place, value: read.value, previous: last, inside: event == at });
            }
        }
    }
    steps
}
