//! poll-skip: a consumer's position jumps over records that exist, inside one poll or from one poll to its next, without
//! a rebalance or seek in between.
//!
//! Gaps in the offsets alone are fine (markers, aborted records). A record exists if it was acknowledged or anyone read it,
//! unless its send failed; records deleted on purpose are excused, even if the deletion came later. Blind to a skip over
//! records that are acknowledged nowhere and read by nobody, and to the first poll after an `assign` without offset.

use crate::history::{Anomaly, Class, Fate, Index, Place};

use super::steps::steps;

/// How many skipped values one anomaly names; a consumer that jumps to and fro must not make the check quadratic.
const NAMED_MAX: usize = 16;

/// Finds every skip; the values are the one polled, then the first of those skipped.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for step in steps(index) {
        if step.place.offset <= step.previous + 1 {
            continue;
        }
        let partition = step.place.partition;
        let between = index.log(partition).between(step.previous + 1, step.place.offset);
        let skipped = between.iter().filter(|&&(offset, value)| {
            let failed = index.send(value).is_some_and(|send| send.fate == Fate::Failed);
            !failed && !index.is_trimmed(Place { partition, offset })
        });
        let mut values = vec![step.value];
        values.extend(skipped.map(|&(_, value)| value).take(NAMED_MAX));
        if values.len() > 1 {
            let anomaly = index.anomaly(Class::PollSkip, step.event, &values, Some(step.place));
            let (scope, count, previous) = (step.scope(), between.len(), step.previous);
            found.push(
                anomaly.because(format!("{scope}: {count} known records skipped after offset {previous}")),
            );
        }
    }
    found
}
