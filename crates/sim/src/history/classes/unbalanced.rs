//! unbalanced: for a group with leases, published = acknowledged ∪ dead-lettered ∪ remaining does not come out.
//!
//! Checked for each group and topic with an `ok` `remaining` event, which states what the group still had to deliver. Every
//! acknowledged send of the topic must be in one of the three and in no two. An ack that ended `unknown` allows the record
//! to be gone or to remain. Blind to groups whose end nobody stated, and to sends whose outcome is unknown.

use std::collections::{BTreeSet, HashMap};

use crate::history::{Anomaly, Class, Fate, Index, Kind, Op, ValueId};

const ACKED: u8 = 1;
const DEAD: u8 = 2;
const REMAINING: u8 = 4;
const ACK_ASKED: u8 = 8;
const ACK_REFUSED: u8 = 16;
const ACK_UNKNOWN: u8 = 32;

/// Finds every published record that the account misses or counts twice.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut marks: HashMap<(&str, ValueId), u8> = HashMap::new();
    let mut stated: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut stated_at: HashMap<(&str, &str), usize> = HashMap::new();
    for (at, event) in index.events.iter().enumerate() {
        let mark = match (event.op, event.kind) {
            (Op::Ack, Kind::Invoke) => ACK_ASKED,
            (Op::Ack, Kind::Ok) => ACKED,
            (Op::Ack, Kind::Fail) => ACK_REFUSED,
            (Op::Ack, Kind::Unknown) => ACK_UNKNOWN,
            (Op::DeadLetter, Kind::Ok) => DEAD,
            (Op::Remaining, Kind::Ok) => REMAINING,
            _ => continue,
        };
        let group = event.group.as_deref().unwrap_or_default();
        if let Some(topic) = event.topic.as_deref().filter(|_| mark == REMAINING) {
            stated.insert((group, topic));
            stated_at.insert((group, topic), at);
        }
        for value in event.items().filter_map(|item| index.value_id(item.value?)) {
            *marks.entry((group, value)).or_default() |= mark;
        }
    }
    let mut found = Vec::new();
    for (group, topic) in stated {
        let at = stated_at[&(group, topic)];
        for send in index.sends.iter().filter(|send| send.topic == topic && send.fate == Fate::Acknowledged) {
            let mark = marks.get(&(group, send.value)).copied().unwrap_or_default();
            if let Some(detail) = fault(mark) {
                found.push(index.anomaly(Class::Unbalanced, at, &[send.value], send.place()).because(detail));
            }
        }
    }
    found
}

fn fault(mark: u8) -> Option<&'static str> {
    let maybe_acked = mark & ACK_UNKNOWN != 0 || mark & (ACK_ASKED | ACK_REFUSED) == ACK_ASKED;
    match mark & (ACKED | DEAD | REMAINING) {
        0 if maybe_acked => None,
        0 => Some("published, and neither acknowledged nor dead-lettered nor remaining"),
        ACKED | DEAD | REMAINING => None,
        both if both == ACKED | REMAINING => Some("acknowledged, and remaining"),
        both if both == ACKED | DEAD => Some("acknowledged, and dead-lettered"),
        _ => Some("dead-lettered, and remaining"),
    }
}
