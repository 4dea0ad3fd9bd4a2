//! Checking numbers, at the reader: gaps, duplicates and late comers of each producer, with bounded memory. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::RangeInclusive,
};

use uuid::Uuid;

use super::{Ranges, SequenceId};

/// What a checker remembers at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceLimits {
    producers_max: usize,
    ranges_max: usize,
}

impl Default for SequenceLimits {
    fn default() -> Self {
        SequenceLimits { producers_max: 10_000, ranges_max: 64 }
    }
}

impl SequenceLimits {
    /// Producers per partition, 10,000; the one idle for longest is dropped first, and counted.
    #[must_use]
    pub fn producers_max(mut self, producers_max: usize) -> SequenceLimits {
        self.producers_max = producers_max;
        self
    }

    /// Ranges of missing numbers per producer and partition, 64; the lowest is dropped first, and counted.
    #[must_use]
    pub fn ranges_max(mut self, ranges_max: usize) -> SequenceLimits {
        self.ranges_max = ranges_max;
        self
    }
}

/// Something wrong with the numbers of one producer in one partition, or with the partition's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// These numbers were passed over: `send()` took the records, and they are not before `offset`.
    Gap {
        /// The partition.
        partition: i32,
        /// Who numbered them.
        producer: Uuid,
        /// What is missing.
        missing: RangeInclusive<u64>,
        /// Where the number after the gap stands.
        offset: i64,
    },
    /// A number was seen before at a lower offset: the record is stored twice.
    Duplicate {
        /// The partition.
        partition: i32,
        /// Which record.
        id: SequenceId,
        /// Where the second copy stands.
        offset: i64,
    },
    /// The log had lost its end: what was read at these offsets is not there any more, and other records have them. They are
    /// handled; the senders of those that are gone may not know.
    Truncated {
        /// The partition.
        partition: i32,
        /// The first offset that holds another record than was read before.
        from: i64,
        /// Behind the last offset that was read before.
        to: i64,
    },
    /// A number that was missing came after higher ones: nothing is lost, but the order is not that of the sends.
    Late {
        /// The partition.
        partition: i32,
        /// Which record.
        id: SequenceId,
        /// Where it stands.
        offset: i64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Gap { partition, producer, missing, offset } => {
                let mut numbers = Ranges::new();
                numbers.insert(missing.clone());
                write!(out, "producer {producer} misses {numbers} before offset {partition}:{offset}")
            }
            Finding::Duplicate { partition, id, offset } => {
                write!(
                    out,
                    "number {} of producer {} again at offset {partition}:{offset}",
                    id.number, id.producer
                )
            }
            Finding::Truncated { partition, from, to } => {
                write!(
                    out,
                    "what was read at offsets {partition}:{from} to {} is not in the log any more, which gives them to other records",
                    to - 1
                )
            }
            Finding::Late { partition, id, offset } => {
                write!(
                    out,
                    "number {} of producer {} only at offset {partition}:{offset}",
                    id.number, id.producer
                )
            }
        }
    }
}

/// What a checker saw so far, over all partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SequenceCounts {
    /// Records with a number, redeliveries not counted.
    pub checked: u64,
    /// Records without a readable number.
    pub unnumbered: u64,
    /// Numbers that were passed over.
    pub missing: u64,
    /// Records stored a second time.
    pub duplicates: u64,
    /// Missing numbers that came later.
    pub late: u64,
    /// Records at offsets that had been read before: the reader went back, nothing is wrong with them.
    pub redelivered: u64,
    /// Producers forgotten because there were too many.
    pub producers_dropped: u64,
    /// Ranges of missing numbers forgotten because there were too many.
    pub ranges_dropped: u64,
}

impl SequenceCounts {
    /// All of it under the names of metrics, as Prometheus would have them. Later versions may add some.
    pub fn metrics(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("tallymq_sequence_checked_total", self.checked),
            ("tallymq_sequence_unnumbered_total", self.unnumbered),
            ("tallymq_sequence_missing_total", self.missing),
            ("tallymq_sequence_duplicates_total", self.duplicates),
            ("tallymq_sequence_late_total", self.late),
            ("tallymq_sequence_redelivered_total", self.redelivered),
            ("tallymq_sequence_producers_dropped_total", self.producers_dropped),
            ("tallymq_sequence_ranges_dropped_total", self.ranges_dropped),
        ]
    }
}

/// Checks the records of the partitions of one topic, in the order of their offsets.
///
/// ```
/// use tallymq_client::sequence::{Finding, SequenceChecker, SequenceId, SequenceLimits};
///
/// let producer = uuid::Uuid::from_u128(7);
/// let mut checker = SequenceChecker::new(SequenceLimits::default());
/// checker.seen(0, 0, Some(SequenceId { producer, number: 0 }));
/// let found = checker.seen(0, 1, Some(SequenceId { producer, number: 3 }));
/// assert_eq!(found, Some(Finding::Gap { partition: 0, producer, missing: 1..=2, offset: 1 }));
/// ```
#[derive(Debug)]
pub struct SequenceChecker {
    limits: SequenceLimits,
    partitions: HashMap<i32, Partition>,
    counts: SequenceCounts,
}

#[derive(Debug, Default)]
struct Partition {
    offset_next: i64,
    /// Every producer's first number was seen here: read from offset 0, and none was dropped since.
    complete: bool,
    producers: HashMap<Uuid, Numbers>,
    by_last_use: BTreeMap<u64, Uuid>, // one entry for each of `producers`, under its `last_use`
    uses: u64,
}

#[derive(Debug)]
struct Numbers {
    next: u64,
    missing: Ranges,    // all < next
    forgotten_end: u64, // below this, numbers that are not in `missing` may have been missing
    last_use: u64,
}

impl SequenceChecker {
    /// A checker that saw nothing yet.
    pub fn new(limits: SequenceLimits) -> SequenceChecker {
        SequenceChecker { limits, partitions: HashMap::new(), counts: SequenceCounts::default() }
    }

    /// Forgets a partition: reading goes on somewhere else, and what lies between was not seen. Counts stay.
    pub fn forget(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// What was seen so far.
    pub fn counts(&self) -> SequenceCounts {
        self.counts
    }

    /// The numbers of that producer that are missing at the moment.
    pub fn missing(&self, partition: i32, producer: Uuid) -> Ranges {
        let numbers = self.partitions.get(&partition).and_then(|known| known.producers.get(&producer));
        numbers.map_or_else(Ranges::new, |numbers| numbers.missing.clone())
    }

    /// Notes the record at that offset. Offsets of a partition rise; one that was passed already is a redelivery.
    pub fn seen(&mut self, partition: i32, offset: i64, id: Option<SequenceId>) -> Option<Finding> {
        let known = self
            .partitions
            .entry(partition)
            .or_insert_with(|| Partition { complete: offset == 0, ..Partition::default() });
        if offset < known.offset_next {
            self.counts.redelivered += 1;
            return None;
        }
        known.offset_next = offset + 1;
        let Some(id) = id else {
            self.counts.unnumbered += 1;
            return None;
        };
        self.counts.checked += 1;
        let first_expected = if known.complete { 0 } else { id.number };
        let numbers = known.use_producer(id.producer, first_expected);
        let finding = numbers.note(id.number, &mut self.counts).map(|noted| match noted {
            Noted::Gap(missing) => Finding::Gap { partition, producer: id.producer, missing, offset },
            Noted::Duplicate => Finding::Duplicate { partition, id, offset },
            Noted::Late => Finding::Late { partition, id, offset },
        });
        while numbers.missing.ranges() > self.limits.ranges_max {
            let dropped = numbers.missing.pop_first().expect("more than the limit");
            numbers.forgotten_end = dropped.end() + 1;
            self.counts.ranges_dropped += 1;
        }
        self.counts.producers_dropped += known.drop_idle(self.limits.producers_max);
        finding
    }
}

enum Noted {
    Gap(RangeInclusive<u64>),
    Duplicate,
    Late,
}

impl Numbers {
    fn note(&mut self, number: u64, counts: &mut SequenceCounts) -> Option<Noted> {
        if number >= self.next {
            let missing = self.next..=number.wrapping_sub(1);
            let gap = number > self.next;
            self.next = number.saturating_add(1);
            if !gap {
                return None;
            }
            counts.missing += missing.end() - missing.start() + 1;
            self.missing.insert(missing.clone());
            return Some(Noted::Gap(missing));
        }
        if self.missing.remove(number) {
            counts.late += 1;
            return Some(Noted::Late);
        }
        if number < self.forgotten_end {
            // Nobody knows any more whether it was missing; calling it a duplicate would be a guess.
            return None;
        }
        counts.duplicates += 1;
        Some(Noted::Duplicate)
    }
}

impl Partition {
    fn use_producer(&mut self, producer: Uuid, first_expected: u64) -> &mut Numbers {
        self.uses += 1;
        let now = self.uses;
        let numbers = self.producers.entry(producer).or_insert_with(|| Numbers {
            next: first_expected,
            missing: Ranges::new(),
            forgotten_end: first_expected,
            last_use: 0,
        });
        self.by_last_use.remove(&numbers.last_use);
        self.by_last_use.insert(now, producer);
        numbers.last_use = now;
        numbers
    }

    fn drop_idle(&mut self, producers_max: usize) -> u64 {
        let mut dropped = 0;
        while self.producers.len() > producers_max.max(1) {
            let (_, idle) = self.by_last_use.pop_first().expect("one entry per producer");
            self.producers.remove(&idle);
            // When it comes back, its first number may be any.
            self.complete = false;
            dropped += 1;
        }
        debug_assert_eq!(self.by_last_use.len(), self.producers.len());
        dropped
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
