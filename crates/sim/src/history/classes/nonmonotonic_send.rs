//! nonmonotonic-send: a client's acknowledged sends to one partition stand in another order than it sent them.
//!
//! Any client's second send must stand behind the first if it was invoked after the first was acknowledged; an idempotent
//! producer's in order of invocation, even while both are in flight (KIP-98). Blind to sends without an acknowledged
//! offset, and to order between different clients, which would need one clock for all.

use std::collections::{HashMap, HashSet};

use crate::history::{Anomaly, Class, Index, Place, Send, ValueId};

/// Finds every send that overtook an earlier one; the values are the late one, then the one it should be behind.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut reported = HashSet::new();
    let mut report = |send: &Send<'_>, place: Place, before: (i64, ValueId), how: &str| {
        if reported.insert(send.value) {
            let at = send.completed.unwrap_or(send.invoked);
            let anomaly = index.anomaly(Class::NonmonotonicSend, at, &[send.value, before.1], Some(place));
            found.push(anomaly.because(format!("{how} the send that got offset {}", before.0)));
        }
    };

    let mut in_flight_order = HashMap::new();
    let mut moments = Vec::with_capacity(index.sends.len() * 2);
    for (number, send) in index.sends.iter().enumerate() {
        let (Some(place), Some(completed)) = (send.place(), send.completed) else {
            continue;
        };
        moments.push((send.invoked, 0, number, place));
        moments.push((completed, 1, number, place));
        if let Some(producer) = send.producer {
            let key = (send.process, producer, place.partition);
            let highest = in_flight_order.entry(key).or_insert((place.offset, send.value));
            if highest.1 != send.value && place.offset <= highest.0 {
                report(send, place, *highest, "the idempotent producer sent it after");
            } else {
                *highest = (place.offset, send.value);
            }
        }
    }

    moments.sort_unstable_by_key(|&(event, completion, number, _)| (event, completion, number));
    let mut acknowledged = HashMap::new();
    let mut floors: Vec<Option<(i64, ValueId)>> = vec![None; index.sends.len()];
    for (_, completion, number, place) in moments {
        let send = &index.sends[number];
        let key = (send.process, place.partition);
        if completion == 0 {
            floors[number] = acknowledged.get(&key).copied();
            continue;
        }
        if let Some(floor) = floors[number].filter(|floor| place.offset <= floor.0) {
            report(send, place, floor, "invoked after the acknowledgement of");
        }
        let highest = acknowledged.entry(key).or_insert((place.offset, send.value));
        *highest = (*highest).max((place.offset, send.value));
    }
    found
}
