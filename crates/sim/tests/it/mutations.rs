//! Valid histories with one thing changed: the checker must find the change, under its class and with its value, and
//! accuse nothing that the change does not imply.
//!
//! The default run takes as many as fit five seconds, at least one round of all; `TALLYMQ_MUTATIONS=10000` takes that many.

// All mutations share one type, though not all change the number of events.
#![allow(clippy::ptr_arg)]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tallymq_sim::history::{self, Allowances, Class, Event, Fate, History, Index, Kind, Op, Record};

use crate::valid::{FINAL_READER, LEASE_NS, Rng, Run};

/// Changes the events; gives the value that must be accused (`None` inside: a position is), or nothing if this history
/// offers no occasion.
type Apply = fn(&mut Vec<Event>, &mut Rng) -> Option<Option<String>>;

struct Mutation {
    name: &'static str,
    class: Class,
    /// Classes that the change may break as well.
    implied: &'static [Class],
    apply: Apply,
}

macro_rules! mutation {
    ($apply:ident => $class:ident $(, $implied:ident)*) => {
        Mutation { name: stringify!($apply), class: Class::$class, implied: &[$(Class::$implied),*], apply: $apply }
    };
}

const MUTATIONS: [Mutation; 21] = [
    mutation!(lose_in_the_middle => LostWrite, PollSkip, CommitSkip),
    mutation!(lose_at_the_tail => Unseen, CommitSkip),
    mutation!(store_a_retry_twice => Duplicate),
    mutation!(store_an_idempotent_retry_twice => InconsistentOffsets),
    mutation!(read_another_value => InconsistentOffsets, Duplicate, PrecommittedRead),
    mutation!(read_garbage => UnwrittenRead, InconsistentOffsets),
    mutation!(fail_a_stored_send => AbortedRead),
    mutation!(read_before_the_send => PrecommittedRead, NonmonotonicSend),
    mutation!(forget_an_unacknowledged_record => PrecommittedRead, PollSkip),
    mutation!(skip_inside_a_poll => PollSkip, CommitSkip),
    mutation!(skip_across_polls => PollSkip, CommitSkip),
    mutation!(swap_inside_a_poll => NonmonotonicPoll, PollSkip),
    mutation!(repeat_across_polls => NonmonotonicPoll),
    mutation!(store_sends_in_another_order => NonmonotonicSend, PrecommittedRead),
    mutation!(commit_past_the_end => CommitSkip, CommitLost),
    mutation!(start_below_the_commit => CommitLost, PollSkip),
    mutation!(lease_after_the_ack => RedeliveredAfterAck),
    mutation!(lease_twice => TwoHolders),
    mutation!(forget_a_remaining_record => Unbalanced),
    mutation!(forget_a_dead_letter => Unbalanced),
    mutation!(keep_an_acknowledged_record => Unbalanced),
];

#[test]
fn every_mutation_is_found_under_its_class() {
    let wanted: Option<usize> = std::env::var("TALLYMQ_MUTATIONS").ok().and_then(|count| count.parse().ok());
    let started = Instant::now();
    let mut applied = [0usize; MUTATIONS.len()];
    for seed in 0.. {
        let total: usize = applied.iter().sum();
        let enough = wanted.map_or(started.elapsed() > Duration::from_secs(5), |wanted| total >= wanted);
        if enough && applied.iter().all(|&count| count > 0) {
            println!("{total} mutated histories, all detected, in {:.1} s", started.elapsed().as_secs_f64());
            break;
        }
        assert!(seed < 1_000_000, "some mutation never finds an occasion: {applied:?}");
        let valid = Run::new(seed).history;
        let report = history::check(&valid, Allowances::default()).expect("a history");
        assert!(report.is_clean(), "seed {seed}: {report}");
        for (mutation, count) in MUTATIONS.iter().zip(&mut applied) {
            let mut mutated = valid.clone();
            let mut rng = Rng::new(seed ^ 0x6d75_7461);
            if let Some(accused) = (mutation.apply)(&mut mutated.events, &mut rng) {
                *count += 1;
                assert_found(mutation, seed, &mutated, accused.as_deref());
            }
        }
    }
}

fn assert_found(mutation: &Mutation, seed: u64, mutated: &History, accused: Option<&str>) {
    let report = history::check(mutated, Allowances::default()).expect("a history");
    let name = mutation.name;
    let found = report.anomalies.iter().any(|anomaly| {
        anomaly.class == mutation.class
            && accused.is_none_or(|value| anomaly.values.iter().any(|v| v == value))
    });
    assert!(found, "{name}, seed {seed}: {} of {accused:?} not found in {report}", mutation.class);
    for class in report.by_class().into_keys() {
        let allowed = class == mutation.class || mutation.implied.contains(&class);
        assert!(allowed, "{name}, seed {seed}: falsely accused of {class}: {report}");
    }
}

/// A send to topic `t` outside of transactions.
#[derive(Clone)]
struct Sent {
    process: i64,
    producer: Option<i64>,
    value: String,
    partition: i32,
    /// Only when acknowledged.
    offset: Option<i64>,
    fate: Fate,
    completed: usize,
}

fn sends(events: &[Event]) -> Vec<Sent> {
    let history = History { events: events.to_vec() };
    let index = Index::build(&history).expect("a history");
    let plain = index.sends.iter().filter(|send| send.topic == "t" && events[send.invoked].txn.is_none());
    let sends = plain.map(|send| Sent {
        process: send.process,
        producer: send.producer,
        value: index.value(send.value).to_owned(),
        partition: index.partition(send.partition.expect("known at once")).1,
        offset: send.offset,
        fate: send.fate,
        completed: send.completed.expect("the run completes all"),
    });
    sends.collect()
}

fn acknowledged(events: &[Event]) -> Vec<Sent> {
    sends(events).into_iter().filter(|send| send.fate == Fate::Acknowledged).collect()
}

fn final_at(events: &[Event]) -> usize {
    events.iter().position(|event| event.op == Op::Final).expect("the run has a final phase")
}

/// Every polled record: (event, number in it, partition, offset, value).
fn polled(events: &[Event]) -> Vec<(usize, usize, i32, i64, String)> {
    let mut all = Vec::new();
    for (at, event) in events.iter().enumerate().filter(|(_, event)| event.op == Op::Poll) {
        for (number, record) in event.records.iter().enumerate() {
            let (partition, offset) = (record.partition.expect("polled"), record.offset.expect("polled"));
            all.push((at, number, partition, offset, record.value.clone().expect("polled")));
        }
    }
    all
}

fn polled_early(events: &[Event]) -> Vec<(usize, usize, i32, i64, String)> {
    let end = final_at(events);
    polled(events).into_iter().filter(|read| read.0 < end).collect()
}

fn remove_from_polls(events: &mut [Event], value: &str) {
    for event in events.iter_mut().filter(|event| event.op == Op::Poll) {
        event.records.retain(|record| record.value.as_deref() != Some(value));
    }
}

fn end_of(events: &[Event], partition: i32) -> i64 {
    polled(events).iter().filter(|read| read.2 == partition).map(|read| read.3 + 1).max().unwrap_or(0)
}

/// Polls of one process and partition that follow each other without a rebalance, both with records.
fn consecutive_polls(events: &[Event]) -> Vec<(usize, usize)> {
    let end = final_at(events);
    let mut pairs = Vec::new();
    for (first, event) in events[..end].iter().enumerate() {
        if event.op != Op::Poll || event.records.is_empty() {
            continue;
        }
        let later = events[..end].iter().enumerate().skip(first + 1);
        let mut own = later.filter(|(_, later)| later.process == event.process);
        let next = own.find(|(_, later)| {
            let same = later.records.first().is_some_and(|r| r.partition == event.records[0].partition);
            matches!(later.op, Op::Assign | Op::Revoke) || (later.op == Op::Poll && same)
        });
        if let Some((second, _)) = next.filter(|(_, later)| later.op == Op::Poll) {
            pairs.push((first, second));
        }
    }
    pairs
}

fn lose_in_the_middle(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let mut candidates = acknowledged(events);
    candidates.retain(|send| send.offset.expect("acknowledged") + 1 < end_of(events, send.partition));
    let lost = rng.pick(&candidates)?;
    remove_from_polls(events, &lost.value);
    Some(Some(lost.value))
}

fn lose_at_the_tail(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let mut candidates = acknowledged(events);
    candidates.retain(|send| send.offset.expect("acknowledged") + 1 == end_of(events, send.partition));
    let lost = rng.pick(&candidates)?;
    remove_from_polls(events, &lost.value);
    Some(Some(lost.value))
}

fn store_again(events: &mut [Event], rng: &mut Rng, idempotent: bool) -> Option<Option<String>> {
    let mut candidates = acknowledged(events);
    candidates.retain(|send| send.producer.is_some() == idempotent);
    let twice = rng.pick(&candidates)?;
    let behind_all = end_of(events, twice.partition) + 1_000;
    let last = events.iter_mut().rfind(|event| event.op == Op::Poll && event.process == FINAL_READER)?;
    let taken = std::mem::replace(last, Event::new(0, 0, Op::Note, Kind::Ok));
    *last = if taken.kind == Kind::Ok {
        taken.record(twice.partition, behind_all, twice.value.clone())
    } else {
        taken
    };
    Some(Some(twice.value))
}

fn store_a_retry_twice(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    store_again(events, rng, false)
}

fn store_an_idempotent_retry_twice(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    store_again(events, rng, true)
}

fn read_another_value(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let (at, number, partition, _, value) = rng.pick(&polled_early(events))?;
    let mut others = acknowledged(events);
    others.retain(|send| send.partition == partition && send.value != value);
    let other = rng.pick(&others)?;
    events[at].records[number].value = Some(other.value);
    Some(Some(value))
}

fn read_garbage(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let (at, number, ..) = rng.pick(&polled_early(events))?;
    events[at].records[number].value = Some("garbage".to_owned());
    Some(Some("garbage".to_owned()))
}

fn fail_a_stored_send(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let failed = rng.pick(&acknowledged(events))?;
    let completion = &mut events[failed.completed];
    completion.kind = Kind::Fail;
    completion.offset = None;
    Some(Some(failed.value))
}

fn read_before_the_send(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let plain: HashSet<String> = sends(events).into_iter().map(|send| send.value).collect();
    let mut candidates = polled_early(events);
    candidates.retain(|read| plain.contains(&read.4));
    let (at, .., value) = rng.pick(&candidates)?;
    let is_send = |event: &Event| event.op == Op::Send && event.value.as_deref() == Some(value.as_str());
    let moved: Vec<Event> = events.iter().filter(|event| is_send(event)).cloned().collect();
    let behind = at + 1 - moved.len();
    events.retain(|event| !is_send(event));
    events.splice(behind..behind, moved);
    Some(Some(value))
}

fn forget_an_unacknowledged_record(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let early: HashSet<String> = polled_early(events).into_iter().map(|read| read.4).collect();
    let mut candidates = sends(events);
    candidates.retain(|send| send.fate == Fate::Unknown && early.contains(&send.value));
    let gone = rng.pick(&candidates)?;
    let end = final_at(events);
    remove_from_polls(&mut events[end..], &gone.value);
    Some(Some(gone.value))
}

fn skip_inside_a_poll(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let mut candidates = polled_early(events);
    candidates.retain(|read| read.1 > 0 && read.1 + 1 < events[read.0].records.len());
    let (at, number, .., value) = rng.pick(&candidates)?;
    events[at].records.remove(number);
    Some(Some(value))
}

fn skip_across_polls(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let (first, _) = rng.pick(&consecutive_polls(events))?;
    events[first].records.pop().map(|record| record.value)
}

fn swap_inside_a_poll(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let mut candidates = polled_early(events);
    candidates.retain(|read| read.1 > 0);
    let (at, number, ..) = rng.pick(&candidates)?;
    events[at].records.swap(number - 1, number);
    Some(events[at].records[number].value.clone())
}

fn repeat_across_polls(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let (first, second) = rng.pick(&consecutive_polls(events))?;
    let again = events[first].records.last()?.clone();
    events[second].records.insert(0, again.clone());
    Some(again.value)
}

fn store_sends_in_another_order(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let all = acknowledged(events);
    let early = rng.pick(&all)?;
    let mut others = all;
    others.retain(|send| (send.process, send.partition) == (early.process, early.partition));
    others.retain(|send| send.offset > early.offset);
    let late = rng.pick(&others)?;
    events[early.completed].offset = late.offset;
    events[late.completed].offset = early.offset;
    let records = events.iter_mut().filter(|event| event.op == Op::Poll).flat_map(|event| &mut event.records);
    for value in records.filter_map(|record| record.value.as_mut()) {
        if *value == early.value {
            value.clone_from(&late.value);
        } else if *value == late.value {
            value.clone_from(&early.value);
        }
    }
    Some(Some(late.value))
}

fn commit_past_the_end(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let mut candidates = Vec::new();
    for (at, event) in events.iter().enumerate().filter(|(_, e)| e.op == Op::Commit && e.kind == Kind::Ok) {
        let (partition, position) = (event.partition?, event.offset?);
        let of_group = |read: &&(usize, usize, i32, i64, String)| [11, 12].contains(&events[read.0].process);
        let reads = polled(events);
        let given: HashSet<&String> =
            reads.iter().filter(of_group).filter(|read| read.0 < at).map(|read| &read.4).collect();
        let passed = reads.iter().find(|r| r.2 == partition && r.3 >= position && !given.contains(&r.4));
        candidates.extend(passed.map(|read| (at, partition, read.4.clone())));
    }
    let (at, partition, value) = rng.pick(&candidates)?;
    let end = end_of(events, partition);
    let process = events[at].process;
    let invoked = events[..at].iter().rposition(|e| e.op == Op::Commit && e.process == process)?;
    events[invoked].offset = Some(end);
    events[at].offset = Some(end);
    Some(Some(value))
}

fn start_below_the_commit(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let mut candidates = Vec::new();
    let mut committed = HashSet::new();
    for (at, event) in events.iter().enumerate() {
        match (event.op, event.kind) {
            (Op::Commit, Kind::Ok) => drop(committed.insert(event.partition)),
            (Op::Assign, _) if event.group.is_some() && committed.contains(&event.partition) => {
                candidates.push(at)
            }
            _ => {}
        }
    }
    let at = rng.pick(&candidates)?;
    events[at].offset = Some(0);
    Some(None)
}

fn lease_behind(events: &mut Vec<Event>, at: usize, value: &str) {
    let event = |kind| Event::new(33, events[at].time_ns, Op::Lease, kind).topic("q").group("w");
    let mut pair = [event(Kind::Invoke), event(Kind::Ok).value(value)];
    for event in &mut pair {
        event.lease_ns = Some(LEASE_NS);
    }
    events.splice(at + 1..at + 1, pair);
}

fn settled(events: &[Event], op: Op) -> Vec<(usize, String)> {
    let done = events.iter().enumerate().filter(|(_, event)| event.op == op && event.kind == Kind::Ok);
    done.flat_map(|(at, event)| event.items().filter_map(move |item| Some((at, item.value?.to_owned()))))
        .collect()
}

fn lease_after_the_ack(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let (at, value) = rng.pick(&settled(events, Op::Ack))?;
    lease_behind(events, at, &value);
    Some(Some(value))
}

fn lease_twice(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let (at, value) = rng.pick(&settled(events, Op::Lease))?;
    lease_behind(events, at, &value);
    Some(Some(value))
}

fn forget(events: &mut [Event], rng: &mut Rng, op: Op) -> Option<Option<String>> {
    let asked: HashSet<String> = events
        .iter()
        .filter(|event| event.op == Op::Ack)
        .flat_map(|e| e.records.clone())
        .filter_map(|r| r.value)
        .collect();
    let mut candidates = settled(events, op);
    candidates.retain(|(_, value)| !asked.contains(value));
    let (at, value) = rng.pick(&candidates)?;
    events[at].records.retain(|record| record.value.as_deref() != Some(value.as_str()));
    Some(Some(value))
}

fn forget_a_remaining_record(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    forget(events, rng, Op::Remaining)
}

fn forget_a_dead_letter(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    forget(events, rng, Op::DeadLetter)
}

fn keep_an_acknowledged_record(events: &mut Vec<Event>, rng: &mut Rng) -> Option<Option<String>> {
    let (_, value) = rng.pick(&settled(events, Op::Ack))?;
    let remaining = events.iter_mut().rfind(|event| event.op == Op::Remaining)?;
    remaining.records.push(Record { value: Some(value.clone()), ..Record::default() });
    Some(Some(value))
}
