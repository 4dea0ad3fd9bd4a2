//! duplicate: a value at two places, sent once by a producer that is not idempotent.
//!
//! Retries of such a producer do that in any broker of this kind; a harness that allows it says so
//! (`Allowances::duplicates`). From an idempotent producer the same is [`super::inconsistent_offsets`]. Blind to a second
//! copy that nobody read.

use crate::history::{Anomaly, Class, Index};

/// Finds every duplicate.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for (value, places) in &index.scattered {
        let Some(send) = index.send(*value) else { continue };
        if send.producer.is_some() || index.contradicts_acknowledgement(send) {
            continue;
        }
        let offsets: Vec<i64> = places.iter().map(|place| place.offset).collect();
        let anomaly = index.anomaly(Class::Duplicate, send.invoked, &[*value], places.last().copied());
        found.push(anomaly.because(format!("one send stands at offsets {offsets:?}")));
    }
    found
}
