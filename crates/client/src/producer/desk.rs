//! The desk where every record gets its partition and number, in the order of the sends, and where is decided whether it
//! goes out or behind those in the spool. No I/O; whoever holds the desk's lock fixes the order.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    headers,
    partition::{Sticky, partition_of_key},
    record::Record,
    sequence::{Numbers, SequenceId},
};

/// After a failure, sends go straight to the fallbacks for so long; then one tries the broker again.
const REST: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) instance: Uuid,
    numbered: bool,
    numbers: Numbers,
    sticky: Sticky,
    /// The spool holds records: all new ones go behind them. Entered with the first record in the spool, left by the
    /// resender when it holds none.
    pub(super) spooling: bool,
    /// Topics of which records may wait in the spool without a number. Empty unless `spooling`.
    unplaced: HashSet<String>,
    /// Records that went out and are not settled; while spooling, it only falls.
    pub(super) unsettled: u64,
    rest_until: Option<Instant>,
}

impl Desk {
    pub(super) fn new(numbered: bool) -> Desk {
        Desk {
            instance: Uuid::new_v4(),
            numbered,
            numbers: Numbers::default(),
            sticky: Sticky::default(),
            spooling: false,
            unplaced: HashSet::new(),
            unsettled: 0,
            rest_until: None,
        }
    }

    /// Gives a record its partition, if it has none, and a number in `lane`: its topic, or a name of its own for another
    /// cluster's. False, and nothing is given, if the partition would need their number and that is not known.
    pub(super) fn place(&mut self, record: &mut Record, lane: &str, partitions: Option<i32>) -> bool {
        let partition = match (record.partition, &record.key, partitions) {
            (Some(partition), _, _) => partition,
            (None, Some(key), Some(partitions)) => partition_of_key(key, partitions),
            (None, None, Some(partitions)) => self.sticky.choose(lane, record.size_bytes(), partitions),
            (None, _, None) => return false,
        };
        record.partition = Some(partition);
        if self.numbered {
            let number = self.numbers.give(lane, partition);
            SequenceId { producer: self.instance, number }.write(&mut record.headers);
        }
        true
    }

    /// Whether a record has yet to be placed before it can be sent.
    pub(super) fn lacks_place(&self, record: &Record) -> bool {
        record.partition.is_none() || (self.numbered && SequenceId::of(&record.headers).is_none())
    }

    /// Like [`Desk::place`], for a record that goes into the spool. While others of its topic may wait there without a number,
    /// it gets none either: it would come behind them under an earlier one.
    pub(super) fn place_for_spool(&mut self, record: &mut Record, partitions: Option<i32>) -> bool {
        let topic = record.topic.clone();
        if !self.unplaced.contains(&topic) && self.place(record, &topic, partitions) {
            return true;
        }
        if self.numbered {
            // The number of a record that is passed on from another topic must not be taken for the one it lacks.
            headers::put(&mut record.headers, headers::PRODUCER, None);
            headers::put(&mut record.headers, headers::SEQUENCE, None);
        }
        false
    }

    /// The spool took a record.
    pub(super) fn spooled(&mut self, record: &Record) {
        self.spooling = true;
        if self.lacks_place(record) && !self.unplaced.contains(&record.topic) {
            self.unplaced.insert(record.topic.clone());
        }
    }

    /// The spool holds records of an earlier process, and of these topics some without a number.
    pub(super) fn resume(&mut self, unplaced: HashSet<String>) {
        self.spooling = true;
        self.unplaced = unplaced;
    }

    /// The spool holds none any more: the broker has answered for all of them.
    pub(super) fn emptied(&mut self) {
        self.spooling = false;
        self.unplaced.clear();
        self.answered();
    }

    /// Takes the number of a record back that is certainly not stored.
    pub(super) fn withdraw(&mut self, record: &Record, lane: &str) {
        if let (Some(partition), Some(id)) = (record.partition, SequenceId::of(&record.headers))
            && id.producer == self.instance
        {
            self.numbers.take_back(lane, partition, id.number);
        }
    }

    /// The broker did not answer.
    pub(super) fn failed(&mut self, now: Instant) {
        self.rest_until = Some(now + REST);
    }

    /// The broker answered.
    pub(super) fn answered(&mut self) {
        self.rest_until = None;
    }

    /// Whether the broker is left alone for now. Once the time is over, the first who asks is told to try, and the
    /// others to wait for a result.
    pub(super) fn resting(&mut self, now: Instant) -> bool {
        match self.rest_until {
            Some(until) if now < until => true,
            Some(_) => {
                self.rest_until = Some(now + REST);
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gets_the_partition_of_its_key_and_the_next_number() {
        let mut desk = Desk::new(true);
        let mut record = Record::to("t").key("foobar");
        assert!(!desk.place(&mut record, "t", None));
        assert!(desk.place(&mut record, "t", Some(10)));
        assert_eq!(record.partition, Some(6), "murmur2 of foobar, positive, modulo 10");
        assert_eq!(SequenceId::of(&record.headers), Some(SequenceId { producer: desk.instance, number: 0 }));
        let mut second = Record::to("t").partition(6);
        assert!(desk.place(&mut second, "t", None));
        assert_eq!(SequenceId::of(&second.headers).unwrap().number, 1);
        desk.withdraw(&second, "t");
        assert!(desk.place(&mut second, "t", None));
        assert_eq!(SequenceId::of(&second.headers).unwrap().number, 1);
        let mut third = Record::to("t").partition(6);
        assert!(desk.place_for_spool(&mut third, None));
        assert_eq!(SequenceId::of(&third.headers).unwrap().number, 2);
    }

    #[test]
    fn behind_a_record_without_number_none_of_its_topic_gets_one() {
        let mut desk = Desk::new(true);
        let mut first = Record::to("t").key("k");
        assert!(!desk.place_for_spool(&mut first, None));
        desk.spooled(&first);
        let mut passed_on = Record::to("t").partition(0);
        SequenceId { producer: desk.instance, number: 3 }.write(&mut passed_on.headers);
        for mut later in [Record::to("t").key("k"), Record::to("t").partition(0), passed_on] {
            assert!(!desk.place_for_spool(&mut later, Some(1)));
            assert!(desk.lacks_place(&later) && later.headers.is_empty(), "{later:?}");
        }
        assert!(desk.place_for_spool(&mut Record::to("other"), Some(1)));
        desk.emptied();
        assert!(!desk.spooling && desk.place_for_spool(&mut first, Some(1)));
        desk.resume(HashSet::from(["t".to_owned()]));
        assert!(desk.spooling && !desk.place_for_spool(&mut Record::to("t"), Some(1)));
    }

    #[test]
    fn without_numbers_there_are_no_headers() {
        let mut record = Record::to("t").key("k");
        assert!(Desk::new(false).place(&mut record, "t", Some(3)));
        assert!(record.headers.is_empty());
    }

    #[test]
    fn one_send_in_a_while_tries_a_broker_that_failed() {
        let (mut desk, start) = (Desk::new(true), Instant::now());
        assert!(!desk.resting(start));
        desk.failed(start);
        assert!(desk.resting(start));
        assert!(!desk.resting(start + REST));
        assert!(desk.resting(start + REST));
        desk.answered();
        assert!(!desk.resting(start + REST));
    }
}
