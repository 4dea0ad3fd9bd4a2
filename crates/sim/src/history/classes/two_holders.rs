//! two-holders: a record is delivered a second time inside of one lease, to another holder or to the same.
//!
//! Two leases overlap only if both are certain at one moment (see `holds`). Needs one clock for holders and broker: a
//! broker whose clock is moved will be accused, and rightly so, since a lease must not depend on the wall clock. Blind to
//! a hold whose holder tried to give it back and was refused, and to deliveries that reached nobody.

use crate::history::{Anomaly, Class, Index};

use super::holds::Holds;

/// Finds every record with two holders.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut holds = Holds::default();
    for at in 0..index.events.len() {
        holds.take(index, at, |value, old, new| {
            let place = index.send(value).and_then(|send| send.place());
            let anomaly = index.anomaly(Class::TwoHolders, new.event, &[value], place);
            let (holder, since) = (old.process, old.event + 1);
            found.push(anomaly.because(format!("process {holder} still holds it since event {since}")));
        });
    }
    found
}
