//! What is left of reads that are not remembered one by one any more: who may have read what, as one span per partition and name
//! of a client. Pure; bounded: beyond the bounds first the names are lost, and then the partitions.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use tallymq_model::{Offset, TopicPartition};

/// Names that are told apart in one partition.
const NAMES_PER_PARTITION_MAX: usize = 256;
/// And in all; beyond either what others read is anybody's.
const NAMES_MAX: usize = 65_536;
/// Partitions that are known; beyond it all of every partition may have been read by anybody.
const PARTITIONS_MAX: usize = 65_536;

/// The first offset, and the one behind the last.
pub type Span = (Offset, Offset);

/// A client's name by its hash, so that long names take no room. Two of one hash share their span, which only adds a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name(u64);

#[derive(Debug, Default)]
struct Spans {
    by_name: Vec<(Name, Span)>,
    of_anybody: Option<Span>,
}

/// All of it. Invariant: `names` is the number of spans that have a name.
#[derive(Debug, Default)]
pub struct Forgotten {
    by_partition: HashMap<TopicPartition, Spans>,
    names: usize,
    is_blind: bool,
}

impl Forgotten {
    /// A client of that name read this, which is forgotten now.
    pub fn add(&mut self, tp: TopicPartition, client_id: &str, read: Span) {
        if self.is_blind {
            return;
        }
        let name = Name::of(client_id);
        let spans = self.by_partition.entry(tp).or_default();
        let known = spans.by_name.iter().position(|(other, _)| *other == name);
        match known {
            Some(at) => spans.by_name[at].1 = widened(Some(spans.by_name[at].1), read),
            None if spans.by_name.len() < NAMES_PER_PARTITION_MAX && self.names < NAMES_MAX => {
                spans.by_name.push((name, read));
                self.names += 1;
            }
            None => spans.of_anybody = Some(widened(spans.of_anybody, read)),
        }
        if self.by_partition.len() > PARTITIONS_MAX {
            *self = Forgotten { is_blind: true, ..Forgotten::default() };
        }
    }

    /// What clients of that name may have read, as far as it begins below an offset.
    pub fn of(&self, tp: TopicPartition, client_id: &str, below: Offset) -> Vec<Span> {
        if self.is_blind {
            return vec![(Offset::ZERO, below)];
        }
        let Some(spans) = self.by_partition.get(&tp) else { return Vec::new() };
        let name = Name::of(client_id);
        let its = spans.by_name.iter().filter(|(other, _)| *other == name).map(|(_, span)| *span);
        its.chain(spans.of_anybody).filter(|(from, _)| *from < below).collect()
    }

    /// Up to where each partition may have been read, possibly with repeats; None if that is not known.
    pub fn ends(&self) -> Option<impl Iterator<Item = (TopicPartition, Offset)>> {
        let ends = |(tp, spans): (&TopicPartition, &Spans)| {
            let all = spans.by_name.iter().map(|(_, span)| *span).chain(spans.of_anybody);
            all.map(|(_, to)| to).max().map(|to| (*tp, to))
        };
        (!self.is_blind).then(|| self.by_partition.iter().filter_map(ends))
    }
}

impl Name {
    fn of(client_id: &str) -> Name {
        let mut hasher = DefaultHasher::new();
        client_id.hash(&mut hasher);
        Name(hasher.finish())
    }
}

fn widened(span: Option<Span>, read: Span) -> Span {
    span.map_or(read, |(from, to)| (from.min(read.0), to.max(read.1)))
}

#[cfg(test)]
mod tests {
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) }
    }

    fn span(from: i64, to: i64) -> Span {
        (Offset(from), Offset(to))
    }

    fn ends(forgotten: &Forgotten) -> Option<Vec<(TopicPartition, Offset)>> {
        forgotten.ends().map(Iterator::collect)
    }

    #[test]
    fn what_a_client_read_is_in_doubt_for_its_name_only() {
        let mut forgotten = Forgotten::default();
        forgotten.add(tp(0), "browser", span(50, 60));
        forgotten.add(tp(0), "browser", span(10, 20));
        forgotten.add(tp(0), "other", span(70, 80));
        assert_eq!(forgotten.of(tp(0), "browser", Offset(100)), [span(10, 60)]);
        assert_eq!(forgotten.of(tp(0), "other", Offset(100)), [span(70, 80)]);
        assert_eq!(forgotten.of(tp(0), "other", Offset(70)), []);
        assert_eq!(forgotten.of(tp(0), "tool", Offset(100)), []);
        assert_eq!(forgotten.of(tp(1), "browser", Offset(100)), []);
        assert_eq!(ends(&forgotten), Some(vec![(tp(0), Offset(80))]));
    }

    #[test]
    fn beyond_the_names_that_are_told_apart_it_was_anybody() {
        let mut forgotten = Forgotten::default();
        for number in 0..NAMES_PER_PARTITION_MAX {
            forgotten.add(tp(0), &number.to_string(), span(0, 10));
        }
        assert_eq!(forgotten.of(tp(0), "tool", Offset(100)), []);
        forgotten.add(tp(0), "one more", span(30, 40));
        forgotten.add(tp(0), "and another", span(50, 60));
        forgotten.add(tp(0), "0", span(10, 20));
        assert_eq!(forgotten.of(tp(0), "tool", Offset(100)), [span(30, 60)]);
        assert_eq!(forgotten.of(tp(0), "0", Offset(100)), [span(0, 20), span(30, 60)]);
        assert_eq!(forgotten.names, NAMES_PER_PARTITION_MAX);
        assert_eq!(ends(&forgotten), Some(vec![(tp(0), Offset(60))]));
    }

    #[test]
    fn beyond_all_names_and_partitions_nothing_is_certain_and_nothing_grows() {
        let mut forgotten = Forgotten::default();
        for number in 0..=NAMES_MAX {
            let partition = (number / NAMES_PER_PARTITION_MAX) as i32;
            forgotten.add(tp(partition), &number.to_string(), span(0, 10));
        }
        let last = tp((NAMES_MAX / NAMES_PER_PARTITION_MAX) as i32);
        assert_eq!((forgotten.names, forgotten.of(last, "tool", Offset(5))), (NAMES_MAX, vec![span(0, 10)]));
        (0..=PARTITIONS_MAX as i32).for_each(|partition| forgotten.add(tp(partition), "c", span(0, 10)));
        assert_eq!(forgotten.of(tp(-1), "tool", Offset(7)), [span(0, 7)]);
        assert_eq!((ends(&forgotten), forgotten.by_partition.len(), forgotten.names), (None, 0, 0));
    }
}
