//! redelivered-after-ack: a record is leased out again after an acknowledgement of it has succeeded.
//!
//! Only a lease that was *invoked* after the ack completed counts: one under way at the time may have been decided before.

use std::collections::HashMap;

use crate::history::{Anomaly, Class, Index, Kind, Op, ValueId};

/// Finds every delivery after a successful ack.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut acknowledged: HashMap<(&str, ValueId), usize> = HashMap::new();
    for (at, event) in index.events.iter().enumerate() {
        if event.kind != Kind::Ok || !matches!(event.op, Op::Ack | Op::Lease) {
            continue;
        }
        let group = event.group.as_deref().unwrap_or_default();
        for value in event.items().filter_map(|item| index.value_id(item.value?)) {
            if event.op == Op::Ack {
                acknowledged.entry((group, value)).or_insert(at);
            } else if let Some(&ack) = acknowledged.get(&(group, value))
                && ack < index.invocations[at]
            {
                let place = index.send(value).and_then(|send| send.place());
                let anomaly = index.anomaly(Class::RedeliveredAfterAck, at, &[value], place);
                let (process, event) = (index.events[ack].process, ack + 1);
                found.push(anomaly.because(format!("process {process} acknowledged it in event {event}")));
            }
        }
    }
    found
}
