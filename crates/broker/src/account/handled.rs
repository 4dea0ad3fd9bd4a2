//! Which records had a receipt from their handler. Counted once each; bounded, and then a lower bound of the truth.

use crate::codec::{DecodeError, Parts, Reader};

/// Intervals that are remembered.
pub(super) const RECEIPT_INTERVALS_MAX: usize = 256;

/// Records with a receipt. Invariants: intervals rise, do not touch, are not empty, and begin at or above `below`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Handled {
    count: u64,
    /// Receipts below are not counted any more: whether they are repeats is forgotten.
    below: i64,
    intervals: Vec<(i64, i64)>,
}

impl Handled {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Where nothing is known below, and the intervals above.
    pub(super) fn parts(&self) -> (i64, impl Iterator<Item = (i64, i64)> + '_) {
        (self.below, self.intervals.iter().copied())
    }

    /// Adds `start..end`. Gives back how many records are new.
    pub(super) fn insert(&mut self, start: i64, end: i64) -> u64 {
        let mut start = start.max(self.below);
        let mut end = end;
        if start >= end {
            return 0;
        }
        let first = self.intervals.partition_point(|interval| interval.1 < start);
        let behind = self.intervals.partition_point(|interval| interval.0 <= end);
        let joined = &self.intervals[first..behind];
        let known: i64 = joined.iter().map(|(a, b)| (*b).min(end) - (*a).max(start)).sum();
        let new = (end - start - known).max(0) as u64;
        self.count += new;
        if let (Some(low), Some(high)) = (joined.first(), joined.last()) {
            start = start.min(low.0);
            end = end.max(high.1);
        }
        self.intervals.splice(first..behind, [(start, end)]);
        if self.intervals.len() > RECEIPT_INTERVALS_MAX {
            self.below = self.intervals.remove(0).1;
        }
        new
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_u64(self.count);
        out.put_i64(self.below);
        out.put_length(self.intervals.len());
        for (start, end) in &self.intervals {
            out.put_i64(*start);
            out.put_u64((end - start) as u64);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Handled, DecodeError> {
        let (count, below) = (reader.u64("handled records")?, reader.i64("handled records")?);
        let mut intervals: Vec<(i64, i64)> = Vec::new();
        let mut last =
            below.checked_sub(1).filter(|_| below >= 0).ok_or(DecodeError::Range("handled records"))?;
        for _ in 0..reader.count("handled records", 2)? {
            let start = reader.i64("handled records")?;
            let length = i64::try_from(reader.u64("handled records")?).ok().filter(|length| *length > 0);
            let end = length.and_then(|length| start.checked_add(length)).filter(|_| start > last);
            last = end.ok_or(DecodeError::Range("handled records"))?;
            intervals.push((start, last));
        }
        if intervals.len() > RECEIPT_INTERVALS_MAX {
            return Err(DecodeError::Range("handled records"));
        }
        Ok(Handled { count, below, intervals })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_record_counts_once(ranges in prop::collection::vec((0..400_i64, 0..12_i64), 0..200)) {
            let mut handled = Handled::default();
            let mut naive = BTreeSet::new();
            for (start, length) in ranges {
                let before = naive.len();
                naive.extend(start..start + length);
                let new = handled.insert(start, start + length);
                prop_assert_eq!(new, (naive.len() - before) as u64);
                prop_assert_eq!(handled.count(), naive.len() as u64);
            }
            let mut parts = Parts::new();
            handled.encode(&mut parts);
            let mut bytes = parts.into_bytes();
            prop_assert_eq!(Handled::decode(&mut Reader::new(&mut bytes)).unwrap(), handled);
        }
    }

    #[test]
    fn scattered_receipts_are_bounded_and_never_counted_twice() {
        let mut handled = Handled::default();
        for _ in 0..2 {
            for offset in 0..10_000 {
                handled.insert(offset * 2, offset * 2 + 1);
            }
        }
        assert_eq!(handled.count(), 10_000);
        assert_eq!(handled.intervals.len(), RECEIPT_INTERVALS_MAX);
    }
}
