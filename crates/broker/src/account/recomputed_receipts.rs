//! Which records had a receipt, once more by other code than the balance's: the recomputation's. The same rules: a record
//! counts once, and of more than [`RECEIPT_INTERVALS_MAX`] intervals the lowest is forgotten, below which nothing counts any more.

use std::collections::BTreeMap;

use super::handled::RECEIPT_INTERVALS_MAX;

/// Records with a receipt: start to end of intervals that neither overlap nor touch.
#[derive(Clone, Debug, Default)]
pub(super) struct RecomputedReceipts {
    records: u64,
    below: i64,
    end_of: BTreeMap<i64, i64>,
}

impl RecomputedReceipts {
    /// As a statement has them.
    pub(super) fn stated(records: u64, below: i64, intervals: impl Iterator<Item = (i64, i64)>) -> Self {
        RecomputedReceipts { records, below, end_of: intervals.collect() }
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn add(&mut self, from: i64, to: i64) {
        let (mut from, mut to) = (from.max(self.below), to);
        if from >= to {
            return;
        }
        let asked = (from, to);
        let mut known = 0;
        // From above, so that each that is taken out may reach further down.
        while let Some((&start, &end)) = self.end_of.range(..=to).next_back().filter(|(_, end)| **end >= from)
        {
            known += (end.min(asked.1) - start.max(asked.0)).max(0);
            self.end_of.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        self.end_of.insert(from, to);
        self.records += (asked.1 - asked.0 - known) as u64;
        if self.end_of.len() > RECEIPT_INTERVALS_MAX
            && let Some((_, end)) = self.end_of.pop_first()
        {
            self.below = end;
        }
    }
}
