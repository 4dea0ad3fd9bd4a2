//! What the clients of a world saw, as a history for the checker, and the fold of everything that happened, by which two
//! runs of one seed are compared.

use std::{collections::BTreeMap, sync::Arc};

use crate::history::{Event, History, Kind, Op, Record};

/// The history and the trace of a run.
pub(super) struct Journal {
    pub(super) history: History,
    pub(super) trace: u64,
    pub(super) now_ns: u64,
}

/// The topic and partition that an event is about.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
}

impl Journal {
    pub(super) fn new() -> Journal {
        Journal { history: History::default(), trace: 0xcbf2_9ce4_8422_2325, now_ns: 0 }
    }

    /// Folds a number into the trace (FNV-1a).
    pub(super) fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x0100_0000_01b3);
    }

    fn push(&mut self, event: Event) {
        self.note(event.process as u64 ^ (event.op as u64) << 32 ^ (event.kind as u64) << 40);
        for item in event.items() {
            self.note(item.offset.unwrap_or(-1) as u64);
            let text = item.value.into_iter().flat_map(str::bytes);
            let folded =
                text.fold(0_u64, |folded, byte| folded.wrapping_mul(31).wrapping_add(u64::from(byte)));
            self.note(folded);
        }
        self.history.events.push(event);
    }

    fn event(&self, process: i64, op: Op, kind: Kind) -> Event {
        Event::new(process, self.now_ns as i64, op, kind)
    }

    /// A batch is sent, or its sending ended; `base` is the offset of its first record if that is known.
    pub(super) fn send(
        &mut self,
        process: i64,
        kind: Kind,
        spot: Spot<'_>,
        values: &[String],
        (producer, base): (Option<i64>, Option<i64>),
    ) {
        let mut event = self.event(process, Op::Send, kind).topic(spot.topic);
        event.producer = producer;
        for (value, delta) in values.iter().zip(0..) {
            event.records.push(Record {
                topic: None,
                partition: Some(spot.partition),
                offset: base.map(|base| base + delta),
                value: Some(value.clone()),
            });
        }
        self.push(event);
    }

    /// Something about a position: a start, a commit, a seek, a trim.
    pub(super) fn position(
        &mut self,
        process: i64,
        (op, kind): (Op, Kind),
        spot: Spot<'_>,
        offset: i64,
        group: Option<&str>,
    ) {
        let mut event =
            self.event(process, op, kind).topic(spot.topic).partition(spot.partition).offset(offset);
        event.group = group.map(str::to_owned);
        self.push(event);
    }

    /// A consumer has a partition no longer.
    pub(super) fn revoke(&mut self, process: i64, spot: Spot<'_>) {
        let event = self.event(process, Op::Revoke, Kind::Ok).topic(spot.topic).partition(spot.partition);
        self.push(event);
    }

    /// Records that a consumer was given.
    pub(super) fn poll(
        &mut self,
        process: i64,
        spot: Spot<'_>,
        records: &[(i64, String)],
        group: Option<&str>,
    ) {
        let mut event = self.event(process, Op::Poll, Kind::Ok).topic(spot.topic);
        event.group = group.map(str::to_owned);
        for (offset, value) in records {
            event = event.record(spot.partition, *offset, value.clone());
        }
        self.push(event);
    }

    /// Partitions ended earlier, each named with its new end: whoever was told that a batch is stored behind it knows nothing,
    /// and whoever read one there did not.
    pub(super) fn take_back(&mut self, ends: &BTreeMap<(Arc<str>, i32), i64>) {
        let is_gone = |topic: &Option<String>, record: &Record| {
            let spot = topic.as_deref().zip(record.partition);
            let end = spot.and_then(|(topic, partition)| ends.get(&(topic.into(), partition)));
            record.offset.zip(end).is_some_and(|(offset, end)| offset >= *end)
        };
        for Event { op, kind, topic, records, .. } in &mut self.history.events {
            match op {
                Op::Send if *kind == Kind::Ok && records.iter().any(|record| is_gone(topic, record)) => {
                    *kind = Kind::Unknown;
                    records.iter_mut().for_each(|record| record.offset = None);
                }
                Op::Poll => records.retain(|record| !is_gone(topic, record)),
                _ => {}
            }
        }
    }

    /// From here on every client is new.
    pub(super) fn last_phase(&mut self) {
        let event = self.event(0, Op::Final, Kind::Ok);
        self.push(event);
    }
}
