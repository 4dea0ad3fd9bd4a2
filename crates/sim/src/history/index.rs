//! A history made searchable in one pass: names become numbers, completions find their invocations, every value its
//! send, every partition its log as far as anyone saw it. Draws no conclusions; those are in [`super::classes`].

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use super::{
    Anomaly, Class, Event, Fate, History, Item, Kind, Log, Op, PartitionId, Place, Read, Send, ValueId,
};

/// Why a history cannot be judged: the harness recorded something that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IndexError {
    /// A value was sent, or its send completed, a second time.
    #[error("event {event}: value {value:?} is sent a second time")]
    SentTwice {
        /// Counted from 1.
        event: usize,
        /// The value.
        value: String,
    },
    /// A record lacks a field that its operation needs.
    #[error("event {event}: a record of this {op:?} needs {field}")]
    Incomplete {
        /// Counted from 1.
        event: usize,
        /// The operation.
        op: Op,
        /// The missing field.
        field: &'static str,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct TxnEnd {
    commit_invoked: Option<usize>,
    committed: bool,
    aborted: bool,
}

/// The index; see the module.
#[derive(Debug, Default)]
pub struct Index<'h> {
    /// The events, as in the history.
    pub events: &'h [Event],
    /// Every send, in order of invocation.
    pub sends: Vec<Send<'h>>,
    /// Every record read, in order.
    pub reads: Vec<Read>,
    /// The logs, by [`PartitionId`].
    pub logs: Vec<Log>,
    /// Index of the first `final` event.
    pub final_event: Option<usize>,
    /// Values at more than one place, ascending; their places in order of appearance.
    pub scattered: Vec<(ValueId, Vec<Place>)>,
    /// For each event the index of its invocation (itself, if it has none). Not kept for sends.
    pub invocations: Vec<usize>,
    values: Vec<&'h str>,
    value_ids: HashMap<&'h str, ValueId>,
    partitions: Vec<(&'h str, i32)>,
    partition_ids: HashMap<(&'h str, i32), PartitionId>,
    /// By value: index into `sends`.
    send_of: Vec<Option<usize>>,
    /// By value: a judged read saw it.
    seen: Vec<bool>,
    /// By value: index of the first event that delivered it.
    first_read: Vec<Option<usize>>,
    /// By value: a read found it where it was acknowledged.
    confirmed: Vec<bool>,
    txns: HashMap<&'h str, TxnEnd>,
    polled_topics: HashSet<&'h str>,
    leased_topics: HashSet<&'h str>,
}

impl<'h> Index<'h> {
    /// Indexes a history.
    pub fn build(history: &'h History) -> Result<Index<'h>, IndexError> {
        let mut index = Index { events: &history.events, ..Index::default() };
        index.invocations.reserve(history.events.len());
        let mut open: HashMap<(i64, Op), usize> = HashMap::new();
        for (at, event) in history.events.iter().enumerate() {
            let invocation = match event.kind {
                Kind::Invoke => {
                    open.insert((event.process, event.op), at);
                    at
                }
                _ if event.op == Op::Send => at,
                _ => open.remove(&(event.process, event.op)).unwrap_or(at),
            };
            index.invocations.push(invocation);
            index.take(at, event)?;
        }
        index.settle_fates();
        index.collect_logs();
        Ok(index)
    }

    fn take(&mut self, at: usize, event: &'h Event) -> Result<(), IndexError> {
        let done = event.kind == Kind::Ok;
        match event.op {
            Op::Send => self.take_send(at, event),
            Op::Poll => {
                self.polled_topics.extend(event.topic.as_deref());
                if done { self.take_reads(at, event) } else { Ok(()) }
            }
            Op::Lease | Op::DeadLetter | Op::Remaining => {
                self.leased_topics.extend(event.topic.as_deref());
                if done { self.take_reads(at, event) } else { Ok(()) }
            }
            Op::Trim if event.kind != Kind::Fail => self.take_trim(at, event),
            Op::Assign | Op::Revoke | Op::Seek | Op::Commit | Op::Trim => {
                event.items().try_for_each(|item| self.partition_of(at, event, item).map(drop))
            }
            Op::Ack | Op::Release | Op::Reject | Op::Renew => {
                event.items().try_for_each(|item| self.value_of(at, event, item).map(drop))
            }
            Op::CommitTxn | Op::AbortTxn => {
                self.take_txn_end(at, event);
                Ok(())
            }
            Op::Final => {
                self.final_event.get_or_insert(at);
                Ok(())
            }
            Op::Note => Ok(()),
        }
    }

    fn take_send(&mut self, at: usize, event: &'h Event) -> Result<(), IndexError> {
        for item in event.items() {
            let value = self.value_of(at, event, item)?;
            let partition = match item.partition {
                Some(_) => Some(self.partition_of(at, event, item)?),
                None => None,
            };
            let twice =
                || IndexError::SentTwice { event: at + 1, value: item.value.unwrap_or_default().to_owned() };
            let number = match self.send_of[value.0 as usize] {
                Some(number) if event.kind != Kind::Invoke && self.sends[number].completed.is_none() => {
                    number
                }
                Some(_) => return Err(twice()),
                None => {
                    self.send_of[value.0 as usize] = Some(self.sends.len());
                    self.sends.push(Send {
                        value,
                        process: event.process,
                        producer: event.producer,
                        topic: item.topic.ok_or(incomplete(at, event, "topic"))?,
                        partition,
                        offset: None,
                        invoked: at,
                        completed: None,
                        fate: Fate::Unknown,
                        visible_from: None,
                        outcome: Kind::Unknown,
                        txn: event.txn.as_deref(),
                    });
                    self.sends.len() - 1
                }
            };
            let send = &mut self.sends[number];
            send.partition = partition.or(send.partition);
            send.producer = event.producer.or(send.producer);
            send.txn = event.txn.as_deref().or(send.txn);
            if event.kind != Kind::Invoke {
                send.completed = Some(at);
                send.outcome = event.kind;
                send.offset = item.offset.filter(|_| event.kind == Kind::Ok);
            }
        }
        Ok(())
    }

    fn take_reads(&mut self, at: usize, event: &'h Event) -> Result<(), IndexError> {
        let polled = event.op == Op::Poll;
        for item in event.items() {
            let value = self.value_of(at, event, item)?;
            let place = match item.offset {
                Some(offset) => Some(Place { partition: self.partition_of(at, event, item)?, offset }),
                None if polled => return Err(incomplete(at, event, "offset")),
                None => None,
            };
            if let Some(topic) = item.topic {
                let topics = if polled { &mut self.polled_topics } else { &mut self.leased_topics };
                topics.insert(topic);
            }
            self.reads.push(Read { event: at, value, place, polled });
        }
        Ok(())
    }

    fn take_trim(&mut self, at: usize, event: &'h Event) -> Result<(), IndexError> {
        for item in event.items() {
            let partition = self.partition_of(at, event, item)?;
            let offset = item.offset.ok_or(incomplete(at, event, "offset"))?;
            let log = &mut self.logs[partition.0 as usize];
            log.trimmed_to = log.trimmed_to.max(offset);
        }
        Ok(())
    }

    fn take_txn_end(&mut self, at: usize, event: &'h Event) {
        let Some(txn) = event.txn.as_deref() else { return };
        let end = self.txns.entry(txn).or_default();
        match (event.op, event.kind) {
            (Op::CommitTxn, kind) => {
                end.commit_invoked.get_or_insert(at);
                end.committed |= kind == Kind::Ok;
                end.aborted |= kind == Kind::Fail;
            }
            (_, kind) => end.aborted |= kind == Kind::Ok,
        }
    }

    fn value_of(&mut self, at: usize, event: &Event, item: Item<'h>) -> Result<ValueId, IndexError> {
        let value = item.value.ok_or(incomplete(at, event, "value"))?;
        let next = ValueId(self.values.len() as u32);
        let id = *self.value_ids.entry(value).or_insert(next);
        if id == next {
            self.values.push(value);
            self.send_of.push(None);
        }
        Ok(id)
    }

    fn partition_of(&mut self, at: usize, event: &Event, item: Item<'h>) -> Result<PartitionId, IndexError> {
        let topic = item.topic.ok_or(incomplete(at, event, "topic"))?;
        let partition = item.partition.ok_or(incomplete(at, event, "partition"))?;
        let next = PartitionId(self.partitions.len() as u32);
        let id = *self.partition_ids.entry((topic, partition)).or_insert(next);
        if id == next {
            self.partitions.push((topic, partition));
            self.logs.push(Log { read_to: -1, ..Log::default() });
        }
        Ok(id)
    }

    fn settle_fates(&mut self) {
        for send in &mut self.sends {
            let end = send.txn.map(|txn| self.txns.get(txn).copied().unwrap_or_default());
            send.fate = match (send.outcome, end) {
                (Kind::Fail, _) => Fate::Failed,
                (_, Some(TxnEnd { aborted: true, .. })) => Fate::Failed,
                (Kind::Ok, None | Some(TxnEnd { committed: true, .. })) => Fate::Acknowledged,
                _ => Fate::Unknown,
            };
            send.visible_from = end.map_or(Some(send.invoked), |end| end.commit_invoked);
        }
    }

    fn collect_logs(&mut self) {
        self.seen = vec![false; self.values.len()];
        let mut first_places: Vec<Option<Place>> = vec![None; self.values.len()];
        let mut scattered: HashMap<ValueId, Vec<Place>> = HashMap::new();
        let acknowledged = self.sends.iter().filter(|send| send.fate != Fate::Failed);
        let acknowledged = acknowledged.filter_map(|send| Some((send.value, send.place()?)));
        let read = self.reads.iter().filter_map(|read| Some((read.value, read.place?)));
        for (value, place) in acknowledged.chain(read) {
            self.logs[place.partition.0 as usize].entries.push((place.offset, value));
            let first = *first_places[value.0 as usize].get_or_insert(place);
            if first != place {
                let places = scattered.entry(value).or_insert_with(|| vec![first]);
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        for log in &mut self.logs {
            log.entries.sort_unstable();
            log.entries.dedup();
        }
        self.scattered = scattered.into_iter().collect();
        self.scattered.sort_unstable_by_key(|&(value, _)| value);
        self.first_read = vec![None; self.values.len()];
        self.confirmed = vec![false; self.values.len()];
        for read in &self.reads {
            let number = read.value.0 as usize;
            self.first_read[number].get_or_insert(read.event);
            let acknowledged = self.send_of[number].and_then(|send| self.sends[send].place());
            self.confirmed[number] |= acknowledged.is_some() && read.place == acknowledged;
            if self.final_event.is_some_and(|final_event| !read.polled || read.event < final_event) {
                continue;
            }
            self.seen[number] = true;
            if let Some(place) = read.place {
                let log = &mut self.logs[place.partition.0 as usize];
                log.read_to = log.read_to.max(place.offset);
            }
        }
    }

    /// The number of a value, if the history mentions it.
    pub fn value_id(&self, value: &str) -> Option<ValueId> {
        self.value_ids.get(value).copied()
    }

    /// The number of an item's partition, if it names one.
    pub fn partition_id(&self, item: Item<'_>) -> Option<PartitionId> {
        self.partition_ids.get(&(item.topic?, item.partition?)).copied()
    }

    /// The value itself.
    pub fn value(&self, value: ValueId) -> &'h str {
        self.values[value.0 as usize]
    }

    /// Topic and partition.
    pub fn partition(&self, partition: PartitionId) -> (&'h str, i32) {
        self.partitions[partition.0 as usize]
    }

    /// The log of a partition.
    pub fn log(&self, partition: PartitionId) -> &Log {
        &self.logs[partition.0 as usize]
    }

    /// The send of a value.
    pub fn send(&self, value: ValueId) -> Option<&Send<'h>> {
        self.send_of[value.0 as usize].map(|number| &self.sends[number])
    }

    /// A judged read saw the value: one of the final phase, or any if there is none.
    pub fn is_seen(&self, value: ValueId) -> bool {
        self.seen[value.0 as usize]
    }

    /// The first event that delivered the value, else the one that acknowledged it.
    pub fn first_witness(&self, value: ValueId) -> usize {
        let sent = || self.send(value).map(|send| send.completed.unwrap_or(send.invoked));
        self.first_read[value.0 as usize].or_else(sent).unwrap_or_default()
    }

    /// The send was acknowledged at a place where nobody read it, although the value was read elsewhere. If that place was
    /// deleted on purpose, what is read elsewhere is the copy of a retry.
    pub fn contradicts_acknowledgement(&self, send: &Send<'_>) -> bool {
        let number = send.value.0 as usize;
        send.place().is_some_and(|place| !self.is_trimmed(place))
            && self.first_read[number].is_some()
            && !self.confirmed[number]
    }

    /// Deleted on purpose.
    pub fn is_trimmed(&self, place: Place) -> bool {
        place.offset < self.log(place.partition).trimmed_to
    }

    /// The topic is consumed by leases alone, so that positions say nothing and the account must.
    pub fn is_leased_only(&self, topic: &str) -> bool {
        self.leased_topics.contains(topic) && !self.polled_topics.contains(topic)
    }

    /// An anomaly of `class` at event index `at` about `values`, the accused one first, standing at `place`.
    pub fn anomaly(&self, class: Class, at: usize, values: &[ValueId], place: Option<Place>) -> Anomaly {
        let partition = place.map(|place| self.partition(place.partition));
        let sent_to = values.first().and_then(|&value| self.send(value)).map(|send| send.topic);
        Anomaly {
            class,
            event: at + 1,
            process: self.events[at].process,
            group: self.events[at].group.clone(),
            topic: partition.map(|(topic, _)| topic).or(sent_to).map(str::to_owned),
            partition: partition.map(|(_, partition)| partition),
            offset: place.map(|place| place.offset),
            values: values.iter().map(|&value| self.value(value).to_owned()).collect(),
            detail: String::new(),
        }
    }
}

impl Anomaly {
    /// The same with the case in words.
    pub(super) fn because(mut self, detail: impl Into<String>) -> Anomaly {
        self.detail = detail.into();
        self
    }
}

fn incomplete(at: usize, event: &Event, field: &'static str) -> IndexError {
    IndexError::Incomplete { event: at + 1, op: event.op, field }
}
