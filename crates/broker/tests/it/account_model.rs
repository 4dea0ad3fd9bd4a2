//! Any sequence of events against a naive model: one word per record, in a list. Same classes by offset, the equation comes
//! out, the journal says the same, and a restart changes nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tallymq_broker::account::{Class, Mark, OpenFrom, ReceiptOutcome, Witness};
use tallymq_model::Offset;

use crate::account_world::World;
use crate::batches::tp;

#[derive(Clone, Debug)]
enum Step {
    Produce { partition: i32, records: i32 },
    Control { partition: i32 },
    Deliver { group: usize, partition: i32, from: i64, length: i64, witness: Witness },
    Commit { group: usize, partition: i32, to: i64 },
    Remove { partition: i32, to: i64, by_person: bool },
    Lose { partition: i32, from: i64, length: i64 },
    DeadLetter { group: usize, partition: i32, from: i64, length: i64 },
    Handled { group: usize, partition: i32, from: i64, length: i64 },
    Open { group: usize, partition: i32, from: OpenFrom },
    ForgetPosition { group: usize, partition: i32 },
    Crash,
    Stop,
    Restart,
    Trim { percent: usize },
}

const GROUPS: [&str; 3] = ["a", "b", "c"];

fn steps() -> impl Strategy<Value = Step> {
    let place = || (0..3_usize, 0..2_i32);
    let range = || (0..60_i64, 0..12_i64);
    let witness = prop_oneof![3 => Just(Witness::Exact), 1 => Just(Witness::Possible)];
    prop_oneof![
        8 => (0..2, 1..8).prop_map(|(partition, records)| Step::Produce { partition, records }),
        1 => (0..2).prop_map(|partition| Step::Control { partition }),
        16 => (place(), range(), witness).prop_map(|((group, partition), (from, length), witness)| {
            Step::Deliver { group, partition, from, length, witness }
        }),
        8 => (place(), 0..70_i64).prop_map(|((group, partition), to)| Step::Commit { group, partition, to }),
        3 => (0..2, 0..60_i64, any::<bool>())
            .prop_map(|(partition, to, by_person)| Step::Remove { partition, to, by_person }),
        1 => (0..2, range()).prop_map(|(partition, (from, length))| Step::Lose { partition, from, length }),
        2 => (place(), range()).prop_map(|((group, partition), (from, length))| {
            Step::DeadLetter { group, partition, from, length }
        }),
        1 => (place(), range()).prop_map(|((group, partition), (from, length))| {
            Step::Handled { group, partition, from, length }
        }),
        1 => (place(), prop_oneof![Just(OpenFrom::Earliest), (0..60_i64).prop_map(|at| OpenFrom::Offset(Offset(at)))])
            .prop_map(|((group, partition), from)| Step::Open { group, partition, from }),
        1 => place().prop_map(|(group, partition)| Step::ForgetPosition { group, partition }),
        1 => Just(Step::Crash),
        1 => Just(Step::Stop),
        1 => Just(Step::Restart),
        1 => (0..100_usize).prop_map(|percent| Step::Trim { percent }),
    ]
}

/// What the model says of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    Pending,
    Possible,
    InFlight,
    Processed,
    Expired,
    Purged,
    Skipped { again: bool },
    Unwitnessed { again: bool },
    Withdrawn,
    DeadLettered,
    Lost,
}

impl Word {
    fn class(self) -> Class {
        match self {
            Word::Pending => Class::Pending,
            Word::Possible | Word::InFlight => Class::InFlight,
            Word::Processed => Class::Processed,
            Word::Expired => Class::ExpiredUnread,
            Word::Purged => Class::Purged,
            Word::Skipped { .. } => Class::Skipped,
            Word::Unwitnessed { .. } => Class::Unwitnessed,
            Word::Withdrawn => Class::Withdrawn,
            Word::DeadLettered => Class::DeadLettered,
            Word::Lost => Class::Lost,
        }
    }
}

struct Naive {
    opened: i64,
    words: Vec<Word>,
    window: i64,
    position: Option<i64>,
    /// What ended as usual at the front keeps its class for ever.
    ended: usize,
    recovered: u64,
}

impl Naive {
    fn word(&mut self, offset: i64) -> Option<&mut Word> {
        let at = usize::try_from(offset - self.opened).ok()?;
        self.words.get_mut(at)
    }

    fn for_each(&mut self, from: i64, to: i64, mut change: impl FnMut(i64, &mut Word)) {
        for offset in from.max(self.opened)..to {
            if let Some(word) = self.word(offset) {
                change(offset, word);
            }
        }
    }

    fn settle(&mut self) {
        while matches!(self.words.get(self.ended), Some(Word::Processed | Word::Withdrawn)) {
            self.ended += 1;
        }
    }
}

#[derive(Default)]
struct Model {
    accounts: BTreeMap<(usize, i32), Naive>,
    ends: [i64; 2],
    starts: [i64; 2],
    positions: BTreeMap<(usize, i32), i64>,
    is_clean: bool,
    losses: u64,
}

impl Model {
    fn open(&mut self, group: usize, partition: i32, at: i64, passed: Option<i64>) {
        let (start, end) = (self.starts[partition as usize], self.ends[partition as usize]);
        self.accounts.entry((group, partition)).or_insert_with(|| {
            let opened = at.clamp(start, end);
            let mut words = vec![Word::Pending; (end - opened) as usize];
            let passed = passed.map(|passed| passed.min(end));
            for word in words.iter_mut().take((passed.unwrap_or(0) - opened).max(0) as usize) {
                *word = Word::Unwitnessed { again: false };
            }
            Naive { opened, words, window: 0, position: passed, ended: 0, recovered: 0 }
        });
    }

    fn append(&mut self, partition: i32, records: i64, word: Word) {
        self.ends[partition as usize] += records;
        for (_, naive) in self.accounts.iter_mut().filter(|(key, _)| key.1 == partition) {
            naive.words.extend((0..records).map(|_| word));
        }
    }

    fn deliver(&mut self, group: usize, partition: i32, (from, to): (i64, i64), witness: Witness) {
        self.is_clean = false;
        let position = self.positions.get(&(group, partition)).copied();
        self.open(group, partition, from, position);
        let is_exact = witness == Witness::Exact;
        self.accounts.get_mut(&(group, partition)).unwrap().for_each(from, to, |_, word| {
            *word = match *word {
                Word::Pending | Word::Possible if is_exact => Word::InFlight,
                Word::Pending => Word::Possible,
                Word::Skipped { .. } if is_exact => Word::Skipped { again: true },
                Word::Unwitnessed { .. } if is_exact => Word::Unwitnessed { again: true },
                other => other,
            }
        });
    }

    fn commit(&mut self, group: usize, partition: i32, to: i64) {
        self.positions.insert((group, partition), to);
        self.open(group, partition, to, None);
        let naive = self.accounts.get_mut(&(group, partition)).unwrap();
        naive.position = Some(to);
        let (window, mut recovered, mut losses) = (naive.window, 0, 0);
        naive.for_each(0, to, |offset, word| {
            *word = match *word {
                Word::InFlight => Word::Processed,
                Word::Skipped { again: true } | Word::Unwitnessed { again: true } => {
                    recovered += 1;
                    Word::Processed
                }
                Word::Possible => Word::Unwitnessed { again: false },
                Word::Pending if offset < window => Word::Unwitnessed { again: false },
                Word::Pending => {
                    losses += 1;
                    Word::Skipped { again: false }
                }
                other => other,
            }
        });
        naive.recovered += recovered;
        self.losses += losses;
    }

    fn remove(&mut self, partition: i32, to: i64, by_person: bool) {
        let start = &mut self.starts[partition as usize];
        if to > self.ends[partition as usize] || to <= *start {
            return;
        }
        *start = to;
        let mut losses = 0;
        for (_, naive) in self.accounts.iter_mut().filter(|(key, _)| key.1 == partition) {
            naive.for_each(0, to, |_, word| match *word {
                Word::Pending if by_person => *word = Word::Purged,
                Word::Pending => {
                    losses += 1;
                    *word = Word::Expired;
                }
                Word::Possible => *word = Word::Unwitnessed { again: false },
                _ => {}
            });
        }
        self.losses += losses;
    }

    fn lose(&mut self, partition: i32, from: i64, to: i64) {
        let mut losses = 0;
        for (_, naive) in self.accounts.iter_mut().filter(|(key, _)| key.1 == partition) {
            naive.for_each(from, to, |_, word| {
                if matches!(word, Word::Pending | Word::Possible) {
                    losses += 1;
                    *word = Word::Lost;
                }
            });
        }
        self.losses += losses;
    }

    fn dead_letter(&mut self, group: usize, partition: i32, from: i64, to: i64) {
        let Some(naive) = self.accounts.get_mut(&(group, partition)) else { return };
        let ended = naive.opened + naive.ended as i64;
        let mut recovered = 0;
        naive.for_each(from.max(ended), to, |_, word| match *word {
            Word::Possible | Word::InFlight | Word::Processed => *word = Word::DeadLettered,
            Word::Skipped { again: true } | Word::Unwitnessed { again: true } => {
                recovered += 1;
                *word = Word::DeadLettered;
            }
            _ => {}
        });
        naive.recovered += recovered;
    }

    fn crash(&mut self) {
        if !std::mem::take(&mut self.is_clean) {
            for ((_, partition), naive) in &mut self.accounts {
                naive.window = self.ends[*partition as usize];
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Produce { partition, records } => self.append(partition, i64::from(records), Word::Pending),
            Step::Control { partition } => self.append(partition, 1, Word::Withdrawn),
            Step::Deliver { group, partition, from, length, witness } => {
                self.deliver(group, partition, (from, from + length), witness)
            }
            Step::Commit { group, partition, to } => self.commit(group, partition, to),
            Step::Remove { partition, to, by_person } => self.remove(partition, to, by_person),
            Step::Lose { partition, from, length } => self.lose(partition, from, from + length),
            Step::DeadLetter { group, partition, from, length } => {
                self.dead_letter(group, partition, from, from + length)
            }
            Step::Open { group, partition, from } => {
                let at = match from {
                    OpenFrom::Earliest => 0,
                    OpenFrom::Offset(offset) => offset.0,
                };
                self.open(group, partition, at, self.positions.get(&(group, partition)).copied());
            }
            Step::ForgetPosition { group, partition } => {
                self.accounts.remove(&(group, partition));
                self.positions.remove(&(group, partition));
            }
            Step::Crash => self.crash(),
            Step::Stop => self.is_clean = true,
            Step::Handled { .. } | Step::Restart | Step::Trim { .. } => {}
        }
        self.accounts.values_mut().for_each(Naive::settle);
    }
}

fn act(world: &mut World, step: &Step) {
    match *step {
        Step::Produce { partition, records } => world.produce(partition, records),
        Step::Control { partition } => world.produce_control(partition),
        Step::Deliver { group, partition, from, length, witness } => {
            world.deliver_witnessed(GROUPS[group], partition, (from, from + length), witness)
        }
        Step::Commit { group, partition, to } => world.commit(GROUPS[group], partition, to),
        Step::Remove { partition, to, by_person: true } => world.purge(partition, to),
        Step::Remove { partition, to, by_person: false } => world.expire(partition, to),
        Step::Lose { partition, from, length } => world.lose(partition, from, from + length),
        Step::DeadLetter { group, partition, from, length } => {
            world.receipt(GROUPS[group], partition, (from, from + length), ReceiptOutcome::DeadLettered)
        }
        Step::Handled { group, partition, from, length } => {
            world.receipt(GROUPS[group], partition, (from, from + length), ReceiptOutcome::Handled)
        }
        Step::Open { group, partition, from } => drop(world.open(GROUPS[group], &[partition], from)),
        Step::ForgetPosition { group, partition } => {
            world.delete_positions(GROUPS[group], Some(vec![tp(1, partition)]))
        }
        Step::Crash => world.crash(),
        Step::Stop => world.stop(),
        Step::Restart => world.restart(),
        Step::Trim { percent } => {
            let (start, end) = world.data.journal_bounds();
            world.trim(start.plus((end.0 - start.0) * percent as i64 / 100));
        }
    }
}

fn compare(world: &World, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(world.data.accounts().len(), model.accounts.len());
    for ((group, partition), naive) in &model.accounts {
        let view = world.view(GROUPS[*group], *partition);
        prop_assert_eq!(&view.imbalances, &[]);
        prop_assert_eq!(view.opened_at, Offset(naive.opened));
        prop_assert_eq!(view.position, naive.position.map(Offset));
        prop_assert_eq!(view.stored, naive.words.len() as u64);
        prop_assert_eq!(view.tallies.recovered, naive.recovered);
        prop_assert_eq!((view.tallies.merged_records, view.tallies.runs_folded), (0, 0));
        for class in Class::ALL {
            let words = naive.words.iter().filter(|word| word.class() == class).count();
            prop_assert_eq!(view.classes.of(class), words as u64, "{}", class.name());
        }
        let ledger = world.data.ledger(tp(1, *partition)).unwrap();
        let group = GROUPS[*group].into();
        let account = world.data.accounts().account(tp(1, *partition), &group).unwrap();
        let mut next = view.settled_to;
        prop_assert_eq!(next.0, naive.opened + naive.ended as i64);
        for interval in account.intervals(ledger) {
            prop_assert_eq!(interval.from, next);
            next = interval.to;
            for offset in interval.from.0..interval.to.0 {
                let word = naive.words[(offset - naive.opened) as usize];
                prop_assert_eq!(interval.mark.class(), Some(word.class()), "offset {}", offset);
                prop_assert_eq!(interval.mark == Mark::Possible, word == Word::Possible);
            }
        }
        prop_assert_eq!(next.0, naive.opened + naive.words.len() as i64);
    }
    let alarmed: u64 = world.alarms().iter().map(|alarm| alarm.records).sum();
    prop_assert_eq!(alarmed, model.losses);
    let differences = world.differences();
    prop_assert!(differences.is_empty(), "{:#?}", differences);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_record_is_where_the_naive_model_has_it(steps in prop::collection::vec(steps(), 1..80)) {
        let mut world = World::new(2);
        let mut model = Model::default();
        for step in &steps {
            act(&mut world, step);
            model.step(step);
            compare(&world, &model)?;
        }
    }
}
