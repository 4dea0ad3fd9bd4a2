//! aborted-read: a record that was read although its send failed for certain or its transaction was aborted (Adya's G1a).
//! Reported once per value, at its first read.
//!
//! A client that reports `fail` where it does not know the outcome makes this class cry wolf: timeouts are `unknown`.

use std::collections::HashSet;

use crate::history::{Anomaly, Class, Fate, Index};

/// Finds every failed write that was read.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut reported = HashSet::new();
    for read in &index.reads {
        let Some(send) = index.send(read.value) else {
            continue;
        };
        if send.fate == Fate::Failed && reported.insert(read.value) {
            let anomaly = index.anomaly(Class::AbortedRead, read.event, &[read.value], read.place);
            found.push(anomaly.because(format!("process {} was told that this write failed", send.process)));
        }
    }
    found
}
