//! unwritten-read: a record that nobody sent, or not to this partition: damage served as data, or a record in a stranger's
//! log. Reported once per value.
//!
//! Blind to damage outside of what the harness puts into `value`.

use std::collections::HashSet;

use crate::history::{Anomaly, Class, Index};

/// Finds every value that was read without having been sent there.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut reported = HashSet::new();
    for read in &index.reads {
        let detail = match (index.send(read.value), read.place) {
            (None, _) => "nobody sent it".to_owned(),
            (Some(send), Some(place)) => {
                let (topic, _) = index.partition(place.partition);
                let astray = send.partition.is_some_and(|partition| partition != place.partition);
                if !astray && send.topic == topic {
                    continue;
                }
                let to = send.partition.map(|partition| index.partition(partition));
                format!(
                    "it was sent to {}",
                    to.map_or(send.topic.to_owned(), |(topic, p)| format!("{topic}-{p}"))
                )
            }
            (Some(_), None) => continue,
        };
        if reported.insert(read.value) {
            let anomaly = index.anomaly(Class::UnwrittenRead, read.event, &[read.value], read.place);
            found.push(anomaly.because(detail));
        }
    }
    found
}
