//! Deliveries that have left, and whose doubt is not over. Pure: no lock, no clock. What is added is looked at at once, with what
//! came before it at its partition; all others only now and then, so that an answer does not cost as much as all doubts.

use std::collections::HashSet;

use tallymq_broker::group::Text;
use tallymq_model::TopicPartition;

use super::{
    doubt::Verdict,
    marks::InDoubt,
    ready::{Got, ReaderKey},
};

/// Deliveries that are kept until their doubt is over.
const KEPT_MAX: usize = 4096;
/// How many of the oldest go at once when there are more.
const GIVEN_UP: usize = KEPT_MAX / 8;
/// How often a doubt is looked at: for as long as a connection counts that was lost without a word.
const LOOKS_MAX: u32 = 2_400;

/// A delivery in doubt.
#[derive(Debug)]
pub struct Doubted {
    /// Whose it may be.
    pub reader: ReaderKey,
    /// The client's address, for people.
    pub address: Text,
    /// What.
    pub got: Got,
    /// Why that is not certain.
    pub in_doubt: InDoubt,
    /// How often that was looked at.
    pub looks: u32,
}

/// At most [`KEPT_MAX`], oldest first.
#[derive(Debug, Default)]
pub struct Undecided {
    kept: Vec<Doubted>,
}

impl Doubted {
    fn is_over(&self) -> bool {
        self.in_doubt.doubt.verdict() != Verdict::Open
    }
}

impl Undecided {
    /// How many.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Adds what one answer brought, and takes out what is decided by then at its partitions, in order, and the oldest of too many.
    pub fn add(&mut self, new: Vec<Doubted>) -> Vec<Doubted> {
        if new.is_empty() {
            return new;
        }
        let over: HashSet<TopicPartition> =
            new.iter().filter(|one| one.is_over()).map(|one| one.got.tp).collect();
        self.kept.extend(new);
        let mut decided = Vec::new();
        if self.kept.len() > KEPT_MAX {
            let excess = self.kept.len() - KEPT_MAX + GIVEN_UP;
            decided.extend(self.kept.drain(..excess));
        }
        if !over.is_empty() {
            decided.extend(self.take(|one| over.contains(&one.got.tp) && one.is_over()));
        }
        decided
    }

    /// Takes out all whose doubt is over, or stays, and those that were looked at often enough; this look counts as one.
    pub fn look(&mut self) -> Vec<Doubted> {
        self.kept.iter_mut().for_each(|one| one.looks += 1);
        self.take(|one| one.looks >= LOOKS_MAX || one.is_over())
    }

    /// Takes out some, in order.
    pub fn take(&mut self, which: impl Fn(&Doubted) -> bool) -> Vec<Doubted> {
        self.kept.extract_if(.., |one| which(one)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tallymq_broker::account::Witness;
    use tallymq_model::{Offset, PartitionIndex, Timestamp, TopicId};

    use super::*;
    use crate::account::doubt::{Doubt, Standing};

    fn doubted(partition: i32, from: i64, rival: &Arc<Standing>) -> Doubted {
        let tp = TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) };
        let (from, to, at) = (Offset(from), Offset(from + 1), Timestamp(1));
        let doubt = Doubt::new(vec![rival.clone()], 1);
        let reader =
            ReaderKey { group: "g".into(), member: "m".into(), client_id: "c".into(), connection: 1 };
        Doubted {
            reader,
            address: "a".into(),
            got: Got { tp, from, to, witness: Witness::Exact, at },
            in_doubt: InDoubt { doubt, has_account: true },
            looks: 0,
        }
    }

    fn places(decided: &[Doubted]) -> Vec<(i32, i64)> {
        decided.iter().map(|one| (one.got.tp.partition.0, one.got.from.0)).collect()
    }

    #[test]
    fn what_is_over_comes_with_what_was_before_it_at_its_partition_and_the_rest_at_the_next_look() {
        let (mut undecided, rival) = (Undecided::default(), Arc::new(Standing::default()));
        let first = vec![doubted(0, 0, &rival), doubted(1, 0, &rival), doubted(0, 1, &rival)];
        assert!(undecided.add(first).is_empty());
        rival.close();
        assert_eq!(places(&undecided.add(vec![doubted(0, 2, &rival)])), [(0, 0), (0, 1), (0, 2)]);
        assert_eq!(places(&undecided.look()), [(1, 0)]);
        assert_eq!(undecided.len(), 0);
    }

    #[test]
    fn too_many_are_given_up_oldest_first_and_not_one_by_one() {
        let (mut undecided, rival) = (Undecided::default(), Arc::new(Standing::default()));
        let given_up: Vec<usize> = (0..KEPT_MAX + 3)
            .map(|at| undecided.add(vec![doubted(0, at as i64, &rival)]))
            .filter(|decided| !decided.is_empty())
            .map(|decided| {
                assert_eq!(places(&decided)[0], (0, 0));
                decided.len()
            })
            .collect();
        assert_eq!(given_up, [GIVEN_UP + 1]);
        assert_eq!(undecided.len(), KEPT_MAX - GIVEN_UP + 2);
    }

    #[test]
    fn a_doubt_that_does_not_end_is_given_up_after_so_many_looks() {
        let (mut undecided, rival) = (Undecided::default(), Arc::new(Standing::default()));
        undecided.add(vec![doubted(0, 0, &rival)]);
        let looks = (1..).find(|_| !undecided.look().is_empty());
        assert_eq!(looks, Some(LOOKS_MAX));
    }
}
