//! Which position may be committed: below every record that is not finished. Pure.

use std::collections::VecDeque;

/// The records of one partition between the first unfinished one and the last received one.
#[derive(Debug, Default, Clone)]
pub(super) struct Tracker {
    records: VecDeque<(i64, bool)>, // offset, finished; offsets rise; the first one is unfinished
    first: Option<i64>,             // the first offset received
    next: Option<i64>,              // above every offset received
}

impl Tracker {
    /// Notes a record. False if it, or a later one, was received before.
    pub(super) fn received(&mut self, offset: i64) -> bool {
        if self.next.is_some_and(|next| offset < next) {
            return false;
        }
        self.records.push_back((offset, false));
        self.first.get_or_insert(offset);
        self.next = Some(offset + 1);
        true
    }

    /// Whether a record was finished below every unfinished one: only then is there anything to commit.
    pub(super) fn moved(&self) -> bool {
        self.position() > self.first
    }

    /// Notes that a record is done with. False if it is not one of the unfinished.
    pub(super) fn finished(&mut self, offset: i64) -> bool {
        let Ok(at) = self.records.binary_search_by_key(&offset, |(offset, _)| *offset) else { return false };
        if std::mem::replace(&mut self.records[at].1, true) {
            return false;
        }
        while self.records.front().is_some_and(|(_, finished)| *finished) {
            self.records.pop_front();
        }
        true
    }

    /// What was received from that offset on is not in the log any more. Gives how many of these were not finished.
    pub(super) fn cut(&mut self, offset: i64) -> usize {
        let kept = self.records.partition_point(|(known, _)| *known < offset);
        let unfinished = self.records.drain(kept..).filter(|(_, finished)| !finished).count();
        self.first = self.first.map(|first| first.min(offset));
        self.next = self.next.map(|next| next.min(offset));
        unfinished
    }

    /// The position that may be committed: everything below it is finished. None before the first record.
    pub(super) fn position(&self) -> Option<i64> {
        self.records.front().map(|(offset, _)| *offset).or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_slow_record_holds_the_position_and_no_more() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.position(), None);
        for offset in [5, 6, 9] {
            assert!(tracker.received(offset));
        }
        assert!(!tracker.received(6), "received before");
        assert!(tracker.finished(6) && tracker.finished(9));
        assert_eq!(tracker.position(), Some(5));
        assert!(!tracker.finished(6), "finished before");
        assert!(tracker.finished(5));
        assert_eq!(tracker.position(), Some(10));
    }

    #[test]
    fn a_cut_forgets_what_is_behind_it_and_nothing_before() {
        let mut tracker = Tracker::default();
        for offset in 10..20 {
            tracker.received(offset);
        }
        for offset in [10, 12, 17] {
            assert!(tracker.finished(offset));
        }
        assert_eq!(tracker.cut(15), 4, "15, 16, 18 and 19");
        assert!(!tracker.finished(16));
        assert_eq!(tracker.position(), Some(11));
        assert!(tracker.received(15) && tracker.finished(15));
        for offset in [11, 13, 14] {
            tracker.finished(offset);
        }
        assert_eq!(tracker.position(), Some(16));
        assert_eq!(tracker.cut(3), 0);
        assert!((tracker.position(), tracker.moved()) == (Some(3), false) && tracker.received(3));
    }

    proptest! {
        #[test]
        fn never_commits_past_an_unfinished_record(steps in prop::collection::vec((any::<bool>(), 0i64..5), 1..200)) {
            let mut tracker = Tracker::default();
            let mut naive: BTreeMap<i64, bool> = BTreeMap::new();
            let mut next = 0;
            for (receive, step) in steps {
                if receive {
                    next += 1 + step;
                    prop_assert!(tracker.received(next));
                    naive.insert(next, false);
                } else if !naive.is_empty() {
                    let at = *naive.keys().nth(step as usize * 7 % naive.len()).unwrap();
                    prop_assert_eq!(tracker.finished(at), !naive[&at]);
                    naive.insert(at, true);
                }
                let expected = naive.iter().find(|(_, finished)| !**finished).map(|(offset, _)| *offset);
                let expected = expected.or(naive.last_key_value().map(|(offset, _)| offset + 1));
                prop_assert_eq!(tracker.position(), expected);
            }
        }
    }
}
