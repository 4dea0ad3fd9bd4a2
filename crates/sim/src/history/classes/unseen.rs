//! unseen: an acknowledged record above everything that was read, so that nobody read it in the end.
//!
//! With a final phase that waited until it caught up this is a loss at the log's tail: what a power cut takes first.
//! Without one it may only mean that the consumers were stopped too early; the harness owes the final phase.

use crate::history::{Anomaly, Class, Fate, Index};

/// Finds every acknowledged record that stayed unseen and is not a [`super::lost_write`].
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for send in &index.sends {
        if send.fate != Fate::Acknowledged || index.is_seen(send.value) || index.is_leased_only(send.topic) {
            continue;
        }
        let place = send.place();
        let excused = place.is_some_and(|place| {
            place.offset <= index.log(place.partition).read_to || index.is_trimmed(place)
        });
        if !excused {
            let at = send.completed.unwrap_or(send.invoked);
            let anomaly = index.anomaly(Class::Unseen, at, &[send.value], place);
            found.push(anomaly.because("acknowledged, and nobody could read it in the end"));
        }
    }
    found
}
