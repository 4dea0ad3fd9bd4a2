//! nonmonotonic-poll: a consumer's position goes back or stands still, inside one poll or from one poll to its next,
//! without a rebalance or seek in between.

use crate::history::{Anomaly, Class, Index};

use super::steps::steps;

/// Finds every step that does not go forward.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for step in steps(index).into_iter().filter(|step| step.place.offset <= step.previous) {
        let anomaly = index.anomaly(Class::NonmonotonicPoll, step.event, &[step.value], Some(step.place));
        found.push(anomaly.because(format!("{}: delivered after offset {}", step.scope(), step.previous)));
    }
    found
}
