//! inconsistent-offsets: an offset with two values; a value at two places from an idempotent producer (KIP-98); a value
//! read only elsewhere than where it was acknowledged.
//!
//! Acknowledgements of committed or unknown transactions and all reads must agree on what stands where.

use crate::history::{Anomaly, Class, Index, PartitionId, Place};

/// Finds every contradiction about an offset.
pub fn find(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for (number, log) in index.logs.iter().enumerate() {
        let partition = PartitionId(number as u32);
        for same in log.entries.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            let values: Vec<_> = same.iter().map(|&(_, value)| value).collect();
            let place = Place { partition, offset: same[0].0 };
            let at = values.iter().map(|&value| index.first_witness(value)).max().unwrap_or_default();
            let anomaly = index.anomaly(Class::InconsistentOffsets, at, &values, Some(place));
            found.push(anomaly.because(format!("one offset has {} values", values.len())));
        }
    }
    for (value, places) in &index.scattered {
        let Some(send) = index.send(*value) else { continue };
        let offsets: Vec<i64> = places.iter().map(|place| place.offset).collect();
        let detail = match send.producer {
            Some(producer) => {
                format!("idempotent producer {producer}'s one send stands at offsets {offsets:?}")
            }
            None if index.contradicts_acknowledgement(send) => {
                format!("acknowledged at offset {}, read only elsewhere: {offsets:?}", offsets[0])
            }
            None => continue,
        };
        let anomaly =
            index.anomaly(Class::InconsistentOffsets, send.invoked, &[*value], places.last().copied());
        found.push(anomaly.because(detail));
    }
    found
}
