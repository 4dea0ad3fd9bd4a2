//! Who held a partition before, for fetches that were taken in while it did. Pure; bounded: beyond the bound it is not known.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tallymq_model::TopicPartition;

use super::owners::Owner;

/// Holders that are remembered.
const FORMER_MAX: usize = 16_384;

/// A number that rises with every change of who holds what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

struct Gone {
    owner: Arc<Owner>,
    since: Moment,
    until: Moment,
}

/// Holders that hold no more. Invariant: `order` names the partition of each in `by_partition`, oldest first.
#[derive(Default)]
pub struct Former {
    by_partition: HashMap<TopicPartition, VecDeque<Gone>>,
    order: VecDeque<TopicPartition>,
    known_from: Moment,
}

impl Former {
    /// One held a partition from a moment on until before another.
    pub fn add(&mut self, tp: TopicPartition, owner: Arc<Owner>, (since, until): (Moment, Moment)) {
        self.by_partition.entry(tp).or_default().push_back(Gone { owner, since, until });
        self.order.push_back(tp);
        if self.order.len() > FORMER_MAX {
            self.forget_oldest();
        }
    }

    /// Whether nobody who held anything then is forgotten.
    pub fn is_known(&self, at: Moment) -> bool {
        at >= self.known_from
    }

    /// Who held a partition at a moment, and does no more.
    pub fn holders(&self, tp: TopicPartition, at: Moment) -> impl Iterator<Item = &Arc<Owner>> {
        let gone = self.by_partition.get(&tp).into_iter().flatten();
        gone.filter(move |gone| gone.since <= at && at < gone.until).map(|gone| &gone.owner)
    }

    fn forget_oldest(&mut self) {
        let Some(tp) = self.order.pop_front() else { return };
        let Some(gone) = self.by_partition.get_mut(&tp) else { return };
        if let Some(oldest) = gone.pop_front() {
            self.known_from = self.known_from.max(oldest.until);
        }
        if gone.is_empty() {
            self.by_partition.remove(&tp);
        }
    }
}

#[cfg(test)]
mod tests {
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    #[test]
    fn what_is_forgotten_is_said_to_be_unknown() {
        let mut former = Former::default();
        let owner =
            Arc::new(Owner { group: "g".into(), member: "m".into(), client_id: "c".into(), host: None });
        let tp = |number: usize| TopicPartition {
            topic: TopicId::default(),
            partition: PartitionIndex((number % 3) as i32),
        };
        for number in 0..=FORMER_MAX {
            let now = number as u64;
            former.add(tp(number), owner.clone(), (Moment(now), Moment(now + 1)));
        }
        assert!(!former.is_known(Moment(0)) && former.is_known(Moment(1)));
        assert_eq!((former.order.len(), former.holders(tp(1), Moment(1)).count()), (FORMER_MAX, 1));
        assert_eq!(
            (former.holders(tp(1), Moment(2)).count(), former.holders(tp(0), Moment(0)).count()),
            (0, 0)
        );
    }
}
