//! A producer: idempotent with up to five batches in flight, or plain with one. It sends what is unanswered again, after a
//! crash and now and then before, until it knows. It judges each answer by what it was told before.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tallymq_broker::data::{DataCommand, Produce, ProduceRefusal, Produced, WINDOW_BATCHES};
use tallymq_gateway::kafka::records::{BatchOptions, Compression, Producer as Identity, Record, build_batch};
use tallymq_model::{BatchHeader, Offset, Timestamp, TopicPartition};

use super::{
    machine::Command,
    scene::{Place, Scene, Sent, Waiting},
};
use crate::history::Kind;

struct Batch {
    number: u64,
    place: Place,
    raw: Bytes,
    values: Vec<String>,
    /// How often it was sent.
    tries: u32,
    epoch: i16,
}

/// One producer.
pub(super) struct Producer {
    pub(super) at: usize,
    process: i64,
    /// Its producer id, if it is idempotent.
    id: Option<i64>,
    epoch: i16,
    sequences: BTreeMap<TopicPartition, i32>,
    place: Option<Place>,
    /// Answers on earlier connections are lost.
    connection: u64,
    /// Its connection is gone, and it has not noticed.
    offline: bool,
    flight: VecDeque<Batch>,
    late: Vec<Batch>,
}

impl Producer {
    pub(super) fn new(at: usize, idempotent: bool) -> Producer {
        Producer {
            at,
            process: 100 + at as i64,
            id: idempotent.then_some(1_000 + at as i64),
            epoch: 0,
            sequences: BTreeMap::new(),
            place: None,
            connection: 0,
            offline: false,
            flight: VecDeque::new(),
            late: Vec::new(),
        }
    }

    /// How the history names the producer's instance.
    fn instance(&self, epoch: i16) -> Option<i64> {
        self.id.map(|id| id * 1_000 + i64::from(epoch))
    }

    /// Everything sent is answered.
    pub(super) fn is_done(&self) -> bool {
        self.flight.is_empty()
    }

    /// Sends a new batch, if it may.
    pub(super) fn send(&mut self, scene: &mut Scene) {
        let full = if self.id.is_some() { WINDOW_BATCHES } else { 1 };
        if self.offline || self.flight.len() >= full {
            return;
        }
        let gone = self.place.as_ref().is_none_or(|place| scene.is_doomed(place.tp));
        if self.flight.is_empty() && (gone || scene.random.one_in(12)) {
            self.place = scene.pick_place();
        } else if gone {
            return;
        }
        let Some(place) = self.place.clone() else { return };
        let batch = self.build(scene, place);
        let (raw, idempotent) = (batch.raw.clone(), self.id.is_some());
        scene.promises.sent.insert(batch.values[0].clone(), Sent { raw, idempotent });
        let told = (self.instance(self.epoch), None);
        scene.journal.send(self.process, Kind::Invoke, batch.place.spot(), &batch.values, told);
        self.flight.push_back(batch);
        let last = self.flight.len() - 1;
        self.put(scene, last);
    }

    fn build(&mut self, scene: &mut Scene, place: Place) -> Batch {
        let count = 1 + scene.random.below(4);
        let number = scene.number();
        let values: Vec<String> = (0..count).map(|record| format!("{number}.{record}")).collect();
        let fill = [0, 30, 300, 3_000][(scene.random.below(12) as usize).min(3)];
        let record = |value: &String| Record {
            timestamp: Timestamp((scene.journal.now_ns / 1_000_000) as i64),
            key: Some(Bytes::from(vec![b'k'; fill])),
            value: Some(Bytes::from(value.clone())),
            ..Record::default()
        };
        let records: Vec<Record> = values.iter().map(record).collect();
        let producer = self.id.map(|id| {
            let sequence = self.sequences.entry(place.tp).or_insert(0);
            let base_sequence = *sequence;
            *sequence += count as i32;
            Identity { id, epoch: self.epoch, base_sequence }
        });
        let compression = if scene.random.one_in(4) { Compression::Snappy } else { Compression::None };
        let raw = build_batch(&records, &BatchOptions { compression, producer });
        Batch { number, place, raw, values, tries: 0, epoch: self.epoch }
    }

    fn put(&mut self, scene: &mut Scene, at: usize) {
        let batch = &mut self.flight[at];
        batch.tries += 1;
        let waiting = Waiting::Batch {
            producer: self.at,
            place: batch.place.clone(),
            number: batch.number,
            connection: self.connection,
        };
        scene.send(batch.place.group, produce(batch, scene), waiting);
    }

    /// Its connection ends before an answer comes, and so do the answers behind it.
    pub(super) fn lose_connection(&mut self) {
        self.connection += 1;
        self.offline = true;
    }

    /// Sends again all that is unanswered, in order: a timeout, or a new connection.
    pub(super) fn send_again(&mut self, scene: &mut Scene) {
        self.offline = false;
        (0..self.flight.len()).for_each(|at| self.put(scene, at));
    }

    /// Begins a new epoch (KIP-360); what is in flight is given up and may still arrive. A plain producer gives up too.
    pub(super) fn begin_again(&mut self, scene: &mut Scene) {
        for batch in std::mem::take(&mut self.flight) {
            let told = (self.instance(batch.epoch), None);
            scene.journal.send(self.process, Kind::Unknown, batch.place.spot(), &batch.values, told);
            if self.id.is_some() {
                self.late.push(batch);
            }
        }
        if self.id.is_some() {
            self.epoch += 1;
            self.sequences.clear();
        }
    }

    /// A batch of an earlier epoch arrives at last.
    pub(super) fn arrive_late(&mut self, scene: &mut Scene) {
        let at = scene.random.below(self.late.len() as u64) as usize;
        let (Some(batch), Some(id)) = (self.late.get(at), self.id) else { return };
        let newest = scene.promises.epochs.get(&(id, batch.place.tp)).copied().unwrap_or(-1);
        let place = batch.place.clone();
        let waiting = Waiting::Late { place, must_be_fenced: newest > batch.epoch };
        scene.send(batch.place.group, produce(batch, scene), waiting);
    }

    /// Takes the answer to the batch of that number; an error says which promise it breaks.
    pub(super) fn answered(
        &mut self,
        scene: &mut Scene,
        (number, connection): (u64, u64),
        answer: Result<Produced, ProduceRefusal>,
    ) -> Result<(), String> {
        if connection != self.connection {
            return Ok(());
        }
        let at = self.flight.iter().position(|batch| batch.number == number);
        match answer {
            Ok(Produced::Appended { base_offset, .. } | Produced::Duplicate { base_offset, .. }) => {
                let Some(batch) = at.and_then(|at| self.flight.remove(at)) else { return Ok(()) };
                self.acknowledged(scene, batch, base_offset)
            }
            // What it builds on was lost: it gives up, and begins anew.
            Err(_) if at.is_some() && scene.has_lost => {
                self.begin_again(scene);
                Ok(())
            }
            Err(ProduceRefusal::UnknownPartition) => {
                let Some(batch) = at.and_then(|at| self.flight.remove(at)) else { return Ok(()) };
                if !scene.is_doomed(batch.place.tp) {
                    return Err(format!("partition {} is gone, with batch {number}", batch.place.tp));
                }
                let kind = if batch.tries == 1 { Kind::Fail } else { Kind::Unknown };
                let told = (self.instance(batch.epoch), None);
                scene.journal.send(self.process, kind, batch.place.spot(), &batch.values, told);
                Ok(())
            }
            // An epoch that was given up is answered to nobody.
            Err(_) if at.is_none() => Ok(()),
            Err(refusal) => Err(format!("batch {number} was refused: {refusal}")),
        }
    }

    fn acknowledged(&mut self, scene: &mut Scene, batch: Batch, base: Offset) -> Result<(), String> {
        let told = (self.instance(batch.epoch), Some(base.0));
        scene.journal.send(self.process, Kind::Ok, batch.place.spot(), &batch.values, told);
        let partition = scene.promises.acknowledged.entry(batch.place.tp).or_default();
        let first = batch.values[0].clone();
        if let Some(other) = partition.insert(base.0, first.clone()).filter(|other| *other != first) {
            return Err(format!("offset {base} of {} was given to {other} and {first}", batch.place.tp));
        }
        if let Some(id) = self.id {
            let newest = scene.promises.epochs.entry((id, batch.place.tp)).or_insert(batch.epoch);
            *newest = batch.epoch.max(*newest);
        }
        Ok(())
    }
}

fn produce(batch: &Batch, scene: &Scene) -> Command {
    let header = BatchHeader::parse(&batch.raw).expect("a batch of our own");
    let now = Timestamp((scene.journal.now_ns / 1_000_000) as i64);
    Command::Data(DataCommand::Produce(Produce { tp: batch.place.tp, header, batch: batch.raw.clone(), now }))
}
