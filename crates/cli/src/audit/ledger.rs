//! The numbers of one producer instance in one partition: which were seen, as runs of consecutive ones. Memory goes with the
//! number of holes, not of records. Pure.
//!
//! ```text
//!  base                first                                  highest
//!   │ settled or not     │                                       │
//!   ▼ looked at          ▼ [ run ]  hole  [ run ]  hole   [ run ]▼
//! ```

use std::collections::BTreeMap;

/// Settled holes that are kept by name; the rest is counted.
const SETTLED_MAX: usize = 100;

/// Consecutive numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl Range {
    /// How many.
    pub fn count(self) -> u64 {
        self.to - self.from + 1
    }

    fn holds(self, other: Range) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// What is known of the numbers before the first that is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The partition was read from its very first record: a missing 0 is missing.
    Zero,
    /// Older records were removed, or were not to be looked at.
    Unknown,
}

/// What a record's number is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next one, or one further on.
    Onward,
    /// It was seen before.
    Repeated,
    /// It was not seen before, but a higher one was: this one.
    Late(u64),
    /// It is below what is still remembered one by one.
    Forgotten,
}

/// The numbers of one producer instance in one partition.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// First number of a run → its last. Runs neither overlap nor touch.
    runs: BTreeMap<u64, u64>,
    /// Numbers below are settled: no run begins below it.
    base: Option<u64>,
    /// The first number that was seen; below it nothing is missing if the beginning is unknown.
    first: Option<u64>,
    begin: Begin,
    /// Records were removed before they were read: the next hole at the top is nobody's.
    jumped: bool,
    unknown: Vec<Range>,
    settled: Vec<Range>,
    settled_missing: u64,
    /// Records of this producer.
    pub records: u64,
    /// Of them, those whose number was seen before.
    pub repeated: u64,
    /// Of them, those that came after a higher number.
    pub late: u64,
    /// Of them, those that can be judged no more.
    pub forgotten: u64,
}

impl Ledger {
    /// Nothing seen yet.
    pub fn new(begin: Begin) -> Ledger {
        Ledger {
            runs: BTreeMap::new(),
            base: None,
            first: None,
            begin,
            jumped: false,
            unknown: Vec::new(),
            settled: Vec::new(),
            settled_missing: 0,
            records: 0,
            repeated: 0,
            late: 0,
            forgotten: 0,
        }
    }

    /// Takes up the next record's number.
    pub fn note(&mut self, number: u64) -> Verdict {
        self.records += 1;
        if self.base.is_some_and(|base| number < base) {
            self.forgotten += 1;
            return Verdict::Forgotten;
        }
        self.first.get_or_insert(number);
        let before = self.runs.range(..=number).next_back().map(|(from, to)| (*from, *to));
        if before.is_some_and(|(_, to)| number <= to) {
            self.repeated += 1;
            return Verdict::Repeated;
        }
        let highest = self.highest();
        self.insert(number, before);
        debug_assert!(self.is_apart(number), "runs neither overlap nor touch");
        match highest {
            Some(highest) if number < highest => {
                self.late += 1;
                Verdict::Late(highest)
            }
            Some(highest) => {
                if std::mem::take(&mut self.jumped) && number > highest + 1 {
                    self.unknown.push(Range { from: highest + 1, to: number - 1 });
                }
                Verdict::Onward
            }
            None => Verdict::Onward,
        }
    }

    /// Adds a number that is in no run; `before` is the run below it.
    fn insert(&mut self, number: u64, before: Option<(u64, u64)>) {
        let last = self.runs.remove(&(number + 1)).unwrap_or(number);
        match before {
            Some((from, to)) if to + 1 == number => self.runs.insert(from, last),
            _ => self.runs.insert(number, last),
        };
    }

    /// Whether the run with this number is apart from its neighbours.
    fn is_apart(&self, number: u64) -> bool {
        let mut up_to = self.runs.range(..=number).rev();
        let (own, below) = (up_to.next(), up_to.next());
        let Some((from, to)) = own else {
            return false;
        };
        let above = self.runs.range(number + 1..).next();
        number <= *to
            && below.is_none_or(|(_, below)| below + 1 < *from)
            && above.is_none_or(|(above, _)| to + 1 < *above)
    }

    /// Records of the partition were removed before they were read: what is missing between the highest number so far and
    /// the next is not this producer's doing.
    pub fn jump(&mut self) {
        self.jumped = true;
    }

    /// How many runs are remembered.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Forgets the lowest run: the hole below it counts as missing for good. Frees one run's memory; does nothing if there
    /// is but one.
    pub fn settle(&mut self) {
        if self.runs.len() < 2 {
            return;
        }
        let hole = self.holes().next();
        let Some((from, to)) = self.runs.pop_first() else {
            return;
        };
        if let Some(hole) = hole.filter(|hole| hole.to < from) {
            self.settled_missing += hole.count();
            if self.settled.len() < SETTLED_MAX {
                self.settled.push(hole);
            }
        }
        self.base = Some(to + 1);
    }

    /// The first number that was seen, if those before it are unknown.
    pub fn unknown_before(&self) -> Option<u64> {
        self.first.filter(|first| self.begin == Begin::Unknown && *first > 0)
    }

    /// The highest number that was seen.
    pub fn highest(&self) -> Option<u64> {
        self.runs.last_key_value().map(|(_, to)| *to)
    }

    /// The missing numbers, ascending. Of those that were settled the first ones only; [`Ledger::missing`] counts all.
    pub fn gaps(&self) -> impl Iterator<Item = Range> + '_ {
        self.settled.iter().copied().chain(self.holes())
    }

    /// How many numbers are missing.
    pub fn missing(&self) -> u64 {
        self.settled_missing + self.holes().map(Range::count).sum::<u64>()
    }

    fn holes(&self) -> impl Iterator<Item = Range> + '_ {
        let least = match self.begin {
            Begin::Zero => 0,
            Begin::Unknown => self.first.unwrap_or(0),
        };
        let mut next = self.base.unwrap_or(0).max(least);
        self.runs.iter().filter_map(move |(from, to)| {
            let hole = (next < *from).then(|| Range { from: next, to: from - 1 });
            next = next.max(to + 1);
            hole.filter(|hole| !self.unknown.iter().any(|range| range.holds(*hole)))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ledger(begin: Begin, numbers: &[u64]) -> Ledger {
        let mut ledger = Ledger::new(begin);
        numbers.iter().for_each(|number| {
            ledger.note(*number);
        });
        ledger
    }

    fn gaps(ledger: &Ledger) -> Vec<(u64, u64)> {
        ledger.gaps().map(|gap| (gap.from, gap.to)).collect()
    }

    #[test]
    fn gaps_repeats_and_late_ones() {
        let found = ledger(Begin::Zero, &[0, 1, 2, 5, 6, 1, 3, 9]);
        assert_eq!(gaps(&found), [(4, 4), (7, 8)]);
        assert_eq!((found.records, found.repeated, found.late, found.missing()), (8, 1, 1, 3));
        assert_eq!(found.highest(), Some(9));
        assert_eq!(ledger(Begin::Zero, &[0, 2]).note(1), Verdict::Late(2));
    }

    #[test]
    fn the_beginning_counts_only_where_it_is_known() {
        assert_eq!(gaps(&ledger(Begin::Zero, &[3, 4])), [(0, 2)]);
        let unknown = ledger(Begin::Unknown, &[5, 6, 3, 8]);
        assert_eq!(gaps(&unknown), [(7, 7)], "4 may have been there before");
        assert_eq!((unknown.unknown_before(), unknown.late), (Some(5), 1));
        assert_eq!(ledger(Begin::Unknown, &[0]).unknown_before(), None);
    }

    #[test]
    fn what_was_removed_while_reading_is_no_gap() {
        let mut found = ledger(Begin::Zero, &[0, 1, 3]);
        found.jump();
        [10, 12, 7].iter().for_each(|number| {
            found.note(*number);
        });
        assert_eq!(gaps(&found), [(2, 2), (11, 11)]);
    }

    #[test]
    fn settled_holes_stay_and_what_is_below_is_not_judged() {
        let mut found = ledger(Begin::Zero, &[1, 3, 5, 7]);
        found.settle();
        found.settle();
        assert_eq!(found.runs(), 2);
        assert_eq!(found.note(2), Verdict::Forgotten);
        assert_eq!(found.note(4), Verdict::Late(7), "its hole is still open");
        assert_eq!(gaps(&found), [(0, 0), (2, 2), (6, 6)]);
        assert_eq!((found.missing(), found.forgotten), (3, 1));
        found.settle();
        found.settle();
        assert_eq!(found.runs(), 1, "the last run stays");
        assert_eq!(found.missing(), 3);
    }

    #[test]
    fn the_largest_number_is_no_trouble() {
        let largest = i64::MAX as u64;
        let found = ledger(Begin::Zero, &[largest, largest, 0]);
        assert_eq!(gaps(&found), [(1, largest - 1)]);
        assert_eq!(found.repeated, 1);
    }

    proptest! {
        #[test]
        fn it_says_what_a_set_says(numbers in prop::collection::vec(0_u64..60, 1..200), known in any::<bool>()) {
            let begin = if known { Begin::Zero } else { Begin::Unknown };
            let mut ledger = Ledger::new(begin);
            let mut seen = BTreeSet::new();
            let (mut repeated, mut late) = (0, 0);
            for number in &numbers {
                let highest = seen.last().copied();
                let expected = if seen.contains(number) {
                    repeated += 1;
                    Verdict::Repeated
                } else if let Some(highest) = highest.filter(|highest| number < highest) {
                    late += 1;
                    Verdict::Late(highest)
                } else {
                    Verdict::Onward
                };
                prop_assert_eq!(ledger.note(*number), expected);
                seen.insert(*number);
            }
            let begin = if known { 0 } else { numbers[0] };
            let missing: Vec<u64> = (begin..*seen.last().unwrap()).filter(|number| !seen.contains(number)).collect();
            let found: Vec<u64> = ledger.gaps().flat_map(|gap| gap.from..=gap.to).collect();
            prop_assert_eq!(&found, &missing);
            prop_assert_eq!(ledger.missing(), missing.len() as u64);
            prop_assert_eq!((ledger.repeated, ledger.late), (repeated, late));
        }

        /// Forgetting runs changes nothing for what only goes on.
        #[test]
        fn settling_loses_no_hole(steps in prop::collection::vec(1_u64..4, 1..100), runs_max in 1_usize..5) {
            let mut bounded = Ledger::new(Begin::Zero);
            let mut whole = Ledger::new(Begin::Zero);
            let mut number = 0;
            for step in steps {
                number += step;
                bounded.note(number);
                whole.note(number);
                while bounded.runs() > runs_max {
                    bounded.settle();
                }
            }
            prop_assert_eq!(bounded.missing(), whole.missing());
            prop_assert_eq!(bounded.gaps().take(50).collect::<Vec<_>>(), whole.gaps().take(50).collect::<Vec<_>>());
        }
    }
}
