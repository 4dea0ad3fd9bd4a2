//! lost-write: an acknowledged record below the end of what was read, that no judged read delivered.
//!
//! Jepsen's rule: whoever read offset 9 of a partition must have been able to read 0 to 8. With a final phase only its
//! reads count, so a record that was read once and is gone later is lost too. Records deleted on purpose are excused.
//! Blind to records above the end of what was read ([`super::unseen`]), and to whole topics that are consumed by leases
//! alone ([`super::unbalanced`]).

use crate::history::{Anomaly, Class, Fate, Index};

/// Finds every lost write.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for send in &index.sends {
        let Some(place) = send.place() else { continue };
        let read_to = index.log(place.partition).read_to;
        if send.fate == Fate::Acknowledged
            && place.offset <= read_to
            && !index.is_seen(send.value)
            && !index.is_trimmed(place)
            && !index.is_leased_only(send.topic)
        {
            let at = send.completed.unwrap_or(send.invoked);
            let anomaly = index.anomaly(Class::LostWrite, at, &[send.value], Some(place));
            found
                .push(anomaly.because(format!("acknowledged, and never read although offset {read_to} was")));
        }
    }
    found
}
