//! precommitted-read: a record that was read before it can have been committed. Reported once per value.
//!
//! Either the read completed before the send was invoked, or before its transaction's commit was (Jepsen's case, a
//! transaction that reads what it wrote itself, is one of these); or an unacknowledged record was read and is gone in the
//! final phase, so that a reader saw it before it was durable. The second needs a final phase. The order of events must be
//! that of real time.

use std::collections::HashSet;

use crate::history::{Anomaly, Class, Fate, Index};

/// Finds every record that was visible too early.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut reported = HashSet::new();
    for read in &index.reads {
        let Some(send) = index.send(read.value) else {
            continue;
        };
        let vanished = index.final_event.is_some_and(|final_event| read.event < final_event)
            && read.polled
            && send.fate == Fate::Unknown
            && !index.is_seen(read.value)
            && !read.place.is_some_and(|place| index.is_trimmed(place));
        let detail = match send.visible_from {
            None => "its transaction was never committed",
            Some(visible_from) if read.event < visible_from => "nothing could have committed it by then",
            _ if vanished => "it was never acknowledged, and at the end it is gone",
            _ => continue,
        };
        if reported.insert(read.value) {
            let anomaly = index.anomaly(Class::PrecommittedRead, read.event, &[read.value], read.place);
            found.push(anomaly.because(detail));
        }
    }
    found
}
