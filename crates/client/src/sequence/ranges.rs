//! A set of numbers kept as ranges. Pure.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

/// Numbers, as inclusive ranges that neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    last_of: BTreeMap<u64, u64>, // first → last, first <= last, apart by at least one number
}

impl Ranges {
    /// No numbers.
    pub fn new() -> Ranges {
        Ranges::default()
    }

    /// Adds all numbers of the range, which may overlap what is there.
    pub fn insert(&mut self, numbers: RangeInclusive<u64>) {
        let (mut first, mut last) = numbers.into_inner();
        if first > last {
            return;
        }
        let touching: Vec<u64> = self
            .last_of
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, end)| end.saturating_add(1) >= first)
            .map(|(start, _)| *start)
            .collect();
        for start in touching {
            let end = self.last_of.remove(&start).expect("just found");
            first = first.min(start);
            last = last.max(end);
        }
        self.last_of.insert(first, last);
    }

    /// Takes one number out; true if it was there.
    pub fn remove(&mut self, number: u64) -> bool {
        let Some((&first, &last)) = self.last_of.range(..=number).next_back() else { return false };
        if number > last {
            return false;
        }
        self.last_of.remove(&first);
        if first < number {
            self.last_of.insert(first, number - 1);
        }
        if number < last {
            self.last_of.insert(number + 1, last);
        }
        true
    }

    /// Takes out that number and all above it.
    pub(crate) fn cut(&mut self, number: u64) {
        self.last_of.split_off(&number);
        if let Some((_, last)) = self.last_of.iter_mut().next_back().filter(|(_, last)| **last >= number) {
            *last = number - 1; // its first is below, so there is a number before
        }
    }

    /// Whether the number is there.
    pub fn contains(&self, number: u64) -> bool {
        self.last_of.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// How many ranges there are: what memory grows with.
    pub fn ranges(&self) -> usize {
        self.last_of.len()
    }

    /// How many numbers there are.
    pub fn numbers(&self) -> u64 {
        self.iter().map(|range| range.end() - range.start() + 1).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.last_of.is_empty()
    }

    /// The ranges, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.last_of.iter().map(|(first, last)| *first..=*last)
    }

    /// Takes the lowest range out.
    pub fn pop_first(&mut self) -> Option<RangeInclusive<u64>> {
        self.last_of.pop_first().map(|(first, last)| first..=last)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(out, "{comma}{first}")?,
                (first, last) => write!(out, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set_of_numbers(steps in prop::collection::vec((0u8..9, 0u64..60, 0u64..6), 0..80)) {
            let (mut ranges, mut naive) = (Ranges::new(), BTreeSet::new());
            for (step, first, length) in steps {
                if step == 0 {
                    ranges.cut(first);
                    naive.split_off(&first);
                } else if step < 5 {
                    ranges.insert(first..=first + length);
                    naive.extend(first..=first + length);
                } else {
                    prop_assert_eq!(ranges.remove(first), naive.remove(&first));
                }
                prop_assert_eq!(ranges.iter().flatten().collect::<Vec<_>>(), naive.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(ranges.numbers(), naive.len() as u64);
                let bounds: Vec<_> = ranges.iter().collect();
                prop_assert!(bounds.windows(2).all(|two| two[0].end() + 1 < *two[1].start()));
            }
        }
    }

    #[test]
    fn reads_as_a_person_writes_it() {
        let mut ranges = Ranges::new();
        ranges.insert(3..=3);
        ranges.insert(7..=9);
        assert_eq!(ranges.to_string(), "3, 7-9");
        assert!(ranges.contains(8) && !ranges.contains(4));
    }
}
