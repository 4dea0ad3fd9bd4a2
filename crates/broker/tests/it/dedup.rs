//! The window of remembered batches against a naive model: a list of everything every producer ever stored.

use proptest::prelude::*;
use tallymq_broker::data::{
    DataCommand, DataGroup, DataOutcome, OpenPartition, Produce, ProduceRefusal, Produced, WINDOW_BATCHES,
};
use tallymq_broker::{ApplyContext, Parts};
use tallymq_model::{LeaderEpoch, LogIndex, Offset, ProducerEpoch, ProducerId, Sequence, Term, Timestamp};

use crate::batches::{Draft, NOW, tp};

/// What a producer sends next, relative to what it stored.
#[derive(Clone, Copy, Debug)]
enum Send {
    Next {
        records: i32,
    },
    /// Again what was stored `back` batches ago.
    Repeat {
        back: usize,
    },
    /// Leaves sequences out.
    Gap {
        missing: i32,
    },
    NewEpoch {
        from_zero: bool,
    },
    OldEpoch,
    /// The same first sequence with another length.
    OtherLength,
    /// The same last sequence with one record less.
    SameEnd,
    /// What was stored `back` batches ago, whatever epoch it had, as if the current epoch had sent it.
    RepeatUnderEpoch {
        back: usize,
    },
    /// The state is written to a checkpoint and read back.
    Restart,
}

fn sends() -> impl Strategy<Value = Vec<(i64, Send)>> {
    let send = prop_oneof![
        8 => (1..5).prop_map(|records| Send::Next { records }),
        6 => (0..9_usize).prop_map(|back| Send::Repeat { back }),
        1 => (1..4).prop_map(|missing| Send::Gap { missing }),
        1 => any::<bool>().prop_map(|from_zero| Send::NewEpoch { from_zero }),
        1 => Just(Send::OldEpoch),
        1 => Just(Send::OtherLength),
        1 => Just(Send::SameEnd),
        2 => (0..9_usize).prop_map(|back| Send::RepeatUnderEpoch { back }),
        1 => Just(Send::Restart),
    ];
    prop::collection::vec((0..3_i64, send), 1..120)
}

/// One stored batch of the model.
#[derive(Clone, Copy, Debug)]
struct Stored {
    epoch: i16,
    base_sequence: i32,
    records: i32,
    offset: i64,
}

impl Stored {
    /// The sequence after it, counted in wide numbers: 0 follows i32::MAX.
    fn next_sequence(&self) -> i32 {
        ((i64::from(self.base_sequence) + i64::from(self.records)) % (1 << 31)) as i32
    }
}

#[derive(Default)]
struct Model {
    stored: Vec<(i64, Stored)>,
    log_end: i64,
}

impl Model {
    fn of(&self, producer: i64) -> Vec<Stored> {
        self.stored.iter().filter(|(id, _)| *id == producer).map(|(_, stored)| *stored).collect()
    }

    fn expect(&mut self, producer: i64, batch: Stored) -> Result<Produced, ProduceRefusal> {
        let (id, got) = (ProducerId(producer), Sequence(batch.base_sequence));
        let history = self.of(producer);
        if let Some(last) = history.last() {
            if batch.epoch < last.epoch {
                let (got, current) = (ProducerEpoch(batch.epoch), ProducerEpoch(last.epoch));
                return Err(ProduceRefusal::InvalidProducerEpoch { producer: id, got, current });
            }
            let same_epoch: Vec<_> = history.iter().filter(|stored| stored.epoch == batch.epoch).collect();
            let repeats = |stored: &&&Stored| {
                (stored.base_sequence, stored.records) == (batch.base_sequence, batch.records)
            };
            if let Some(first) = same_epoch.iter().rev().take(WINDOW_BATCHES).find(repeats) {
                let base_offset = Offset(first.offset);
                return Ok(Produced::Duplicate { base_offset, timestamp: NOW, log_start: Offset(0) });
            }
            let expected = if batch.epoch > last.epoch { 0 } else { last.next_sequence() };
            if batch.base_sequence != expected {
                let last = if batch.epoch > last.epoch {
                    -1
                } else {
                    (i64::from(expected) - 1).rem_euclid(1 << 31) as i32
                };
                return Err(ProduceRefusal::OutOfOrderSequence { producer: id, got, last: Sequence(last) });
            }
        }
        let offset = self.log_end;
        self.stored.push((producer, Stored { offset, ..batch }));
        self.log_end += i64::from(batch.records);
        let base_offset = Offset(offset);
        Ok(Produced::Appended { base_offset, leader_epoch: LeaderEpoch(0), log_start: Offset(0) })
    }

    fn draft(&self, producer: i64, first_sequence: i32, send: Send) -> Option<Stored> {
        let history = self.of(producer);
        let last = history.last();
        let epoch = last.map_or(0, |last| last.epoch);
        let next = last.map_or(first_sequence, Stored::next_sequence);
        let batch = |epoch, base_sequence, records| Some(Stored { epoch, base_sequence, records, offset: 0 });
        match send {
            Send::Next { records } => batch(epoch, next, records),
            Send::Repeat { back } => history.iter().rev().nth(back).copied(),
            Send::Gap { missing } => {
                batch(epoch, ((i64::from(next) + i64::from(missing)) % (1 << 31)) as i32, 1)
            }
            Send::NewEpoch { from_zero } => batch(epoch + 1, if from_zero { 0 } else { 7 }, 2),
            Send::OldEpoch => batch(epoch - 1, next, 1),
            Send::OtherLength => last.map(|last| Stored { records: last.records + 1, ..*last }),
            Send::SameEnd => last.filter(|last| last.records > 1).map(|last| Stored {
                base_sequence: ((i64::from(last.base_sequence) + 1) % (1 << 31)) as i32,
                records: last.records - 1,
                ..*last
            }),
            Send::RepeatUnderEpoch { back } => {
                history.iter().rev().nth(back).map(|stored| Stored { epoch, ..*stored })
            }
            Send::Restart => None,
        }
    }
}

fn opened() -> (DataGroup, ApplyContext) {
    let mut group = DataGroup::new();
    let at = ApplyContext { index: LogIndex(1), term: Term(1) };
    let partitions = vec![OpenPartition { tp: tp(1, 0), leader_epoch: LeaderEpoch(0) }];
    group.apply(at, &DataCommand::OpenPartitions { partitions });
    (group, at)
}

fn produce(
    group: &mut DataGroup,
    at: ApplyContext,
    draft: &Draft,
    now: Timestamp,
) -> Result<Produced, ProduceRefusal> {
    let batch = draft.build();
    let command = DataCommand::Produce(Produce { tp: tp(1, 0), header: draft.header(), batch, now });
    match group.apply(at, &command) {
        DataOutcome::Produced(outcome) => outcome,
        other => panic!("{other:?} answers a produce"),
    }
}

fn restarted(group: &DataGroup) -> DataGroup {
    let mut parts = Parts::new();
    group.encode(&mut parts);
    let mut bytes = parts.into_bytes();
    let restored = DataGroup::decode(&mut bytes).unwrap();
    assert!(bytes.is_empty());
    restored
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_window_decides_like_a_list_of_everything(
        sends in sends(),
        first_sequence in prop_oneof![Just(0), 0..10, (i32::MAX - 12)..i32::MAX],
    ) {
        let (mut group, mut at) = opened();
        let mut model = Model::default();
        for (producer, send) in sends {
            if let Send::Restart = send {
                group = restarted(&group);
            }
            let Some(batch) = model.draft(producer, first_sequence, send) else { continue };
            at.index = at.index.next();
            let draft = Draft::of_producer(producer, batch.epoch, batch.base_sequence, batch.records);
            let got = produce(&mut group, at, &draft, NOW);
            prop_assert_eq!(got, model.expect(producer, batch), "{:?}", send);
        }
        prop_assert_eq!(group.partition(tp(1, 0)).unwrap().log_end(), Offset(model.log_end));
    }
}

#[test]
fn a_retry_after_a_restart_is_stored_once() {
    let (mut group, at) = opened();
    for sequence in 0..7 {
        produce(&mut group, at, &Draft::of_producer(9, 0, sequence, 1), NOW).unwrap();
    }
    let mut group = restarted(&group);
    for sequence in 2..7 {
        let got = produce(&mut group, at, &Draft::of_producer(9, 0, sequence, 1), NOW).unwrap();
        let base_offset = Offset(i64::from(sequence));
        assert_eq!(got, Produced::Duplicate { base_offset, timestamp: NOW, log_start: Offset(0) });
    }
    let too_old = produce(&mut group, at, &Draft::of_producer(9, 0, 1, 1), NOW);
    assert!(matches!(too_old, Err(ProduceRefusal::OutOfOrderSequence { .. })), "{too_old:?}");
    assert_eq!(group.partition(tp(1, 0)).unwrap().log_end(), Offset(7));
}

#[test]
fn an_unknown_producer_may_begin_anywhere_and_an_expired_one_is_unknown() {
    let (mut group, at) = opened();
    let later = Timestamp(NOW.0 + 1000);
    produce(&mut group, at, &Draft::of_producer(1, 3, 500, 1), NOW).unwrap();
    produce(&mut group, at, &Draft::of_producer(2, 0, 0, 1), later).unwrap();
    let expired = group.apply(at, &DataCommand::ExpireProducers { idle_before: later });
    assert_eq!(expired, DataOutcome::ProducersExpired { count: 1 });
    produce(&mut group, at, &Draft::of_producer(1, 0, 77, 1), later).unwrap();
    let gap = produce(&mut group, at, &Draft::of_producer(2, 0, 5, 1), later);
    assert!(matches!(gap, Err(ProduceRefusal::OutOfOrderSequence { last: Sequence(0), .. })), "{gap:?}");
}

#[test]
fn the_producer_that_is_idle_for_longest_is_displaced_and_counted() {
    let (mut group, at) = opened();
    let most = tallymq_broker::data::PRODUCERS_MAX as i64;
    for id in 0..most {
        produce(&mut group, at, &Draft::of_producer(id, 0, 0, 1), NOW).unwrap();
    }
    produce(&mut group, at, &Draft::of_producer(0, 0, 1, 1), NOW).unwrap();
    produce(&mut group, at, &Draft::of_producer(most, 0, 0, 1), NOW).unwrap();
    let producers = group.partition(tp(1, 0)).unwrap().producers();
    assert_eq!((producers.len() as i64, producers.displaced_count()), (most, 1));
    let known: Vec<_> = producers.describe().iter().map(|p| p.producer_id.0).collect();
    assert!(known.contains(&0) && !known.contains(&1) && known.contains(&most));
    assert_eq!(restarted(&group), group);
}
