//! What a partition remembers of its idempotent producers (KIP-98, KIP-360): the last five batches of each, to answer
//! repeats and refuse gaps. The rules are those of Kafka's `ProducerStateManager` and `ProducerAppendInfo`. Bounded:
//! see [`PRODUCERS_MAX`]. Assigns no offsets.

use tallymq_model::{BatchHeader, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::outcome::ProduceRefusal;
use crate::codec::{DecodeError, Parts, Reader};
use crate::hash::IdMap;

/// Batches remembered per producer: clients keep at most five requests in flight with idempotence on.
pub const WINDOW_BATCHES: usize = 5;
/// Producers remembered per partition. At the limit a new one displaces the one that is idle for longest.
pub const PRODUCERS_MAX: usize = 4096;
const NO_SEQUENCE: Sequence = Sequence(-1);

/// One remembered batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct BatchNote {
    last_sequence: Sequence,
    last_offset: Offset,
    offset_delta: i32,
    timestamp: Timestamp,
}

/// One producer. Invariant: `notes[..count]` are in append order, and `count` is at least 1.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Producer {
    epoch: ProducerEpoch,
    count: u8,
    notes: [BatchNote; WINDOW_BATCHES],
    appended_at: Timestamp,
}

/// What DescribeProducers tells of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerDescription {
    /// Its id.
    pub producer_id: ProducerId,
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
    /// The last sequence stored.
    pub last_sequence: Sequence,
    /// The max timestamp of its last batch.
    pub last_timestamp: Timestamp,
}

/// How a batch relates to what its producer sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequencing {
    /// It comes next.
    Next,
    /// It is stored already.
    Duplicate { base_offset: Offset, timestamp: Timestamp },
}

/// The producers of one partition. Invariant: at most [`PRODUCERS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: IdMap<ProducerId, Producer>,
    displaced_count: u64,
}

impl Producer {
    fn newest(&self) -> &BatchNote {
        &self.notes[usize::from(self.count) - 1]
    }

    fn push(&mut self, note: BatchNote) {
        if usize::from(self.count) == WINDOW_BATCHES {
            self.notes.copy_within(1.., 0);
            self.count -= 1;
        }
        self.notes[usize::from(self.count)] = note;
        self.count += 1;
    }

    fn find(&self, header: &BatchHeader) -> Option<&BatchNote> {
        let last_sequence = last_sequence(header);
        let count = usize::from(self.count);
        let oldest = if tallymq_model::planted("dedup-window-of-one") { count - 1 } else { 0 };
        let mut notes = self.notes[oldest..count].iter();
        notes
            .find(|note| note.last_sequence == last_sequence && note.offset_delta == header.last_offset_delta)
    }
}

fn last_sequence(header: &BatchHeader) -> Sequence {
    header.base_sequence.plus(header.last_offset_delta)
}

impl Producers {
    /// Decides about a batch that has a producer. A producer that is not known may begin with any sequence, since its
    /// state may have been dropped (KIP-360); a new epoch of a known one begins with 0.
    pub(super) fn check(&self, header: &BatchHeader) -> Result<Sequencing, ProduceRefusal> {
        let producer = header.producer_id;
        let Some(known) = self.by_id.get(&producer) else {
            return Ok(Sequencing::Next);
        };
        if header.producer_epoch < known.epoch && !tallymq_model::planted("producer-epoch-unchecked") {
            let (got, current) = (header.producer_epoch, known.epoch);
            return Err(ProduceRefusal::InvalidProducerEpoch { producer, got, current });
        }
        let got = header.base_sequence;
        if header.producer_epoch > known.epoch {
            let refused = ProduceRefusal::OutOfOrderSequence { producer, got, last: NO_SEQUENCE };
            return if got == Sequence(0) { Ok(Sequencing::Next) } else { Err(refused) };
        }
        if let Some(note) = known.find(header) {
            let base_offset = note.last_offset.plus(-i64::from(note.offset_delta));
            return Ok(Sequencing::Duplicate { base_offset, timestamp: note.timestamp });
        }
        let last = known.newest().last_sequence;
        if got == last.plus(1) {
            Ok(Sequencing::Next)
        } else {
            Err(ProduceRefusal::OutOfOrderSequence { producer, got, last })
        }
    }

    /// Remembers a batch that was appended at `base_offset`.
    pub(super) fn note(&mut self, header: &BatchHeader, base_offset: Offset, now: Timestamp) {
        let note = BatchNote {
            last_sequence: last_sequence(header),
            last_offset: base_offset.plus(i64::from(header.last_offset_delta)),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        };
        let epoch = header.producer_epoch;
        if let Some(known) = self.by_id.get_mut(&header.producer_id) {
            if known.epoch != epoch {
                known.epoch = epoch;
                known.count = 0;
                known.notes = Default::default();
            }
            known.push(note);
            known.appended_at = now;
            return;
        }
        if self.by_id.len() >= PRODUCERS_MAX {
            self.displace_longest_idle();
        }
        let mut notes = [BatchNote::default(); WINDOW_BATCHES];
        notes[0] = note;
        self.by_id.insert(header.producer_id, Producer { epoch, count: 1, notes, appended_at: now });
    }

    /// Offsets rise with every append, so the producer with the smallest last one is idle for longest, whatever clocks say.
    fn displace_longest_idle(&mut self) {
        let longest =
            self.by_id.iter().min_by_key(|(_, known)| known.newest().last_offset).map(|(&id, _)| id);
        if let Some(id) = longest {
            self.by_id.remove(&id);
            self.displaced_count += 1;
        }
    }

    /// Forgets the producers that last appended before `idle_before`; how many.
    pub(super) fn expire(&mut self, idle_before: Timestamp) -> u64 {
        let before = self.by_id.len();
        self.by_id.retain(|_, known| known.appended_at >= idle_before);
        (before - self.by_id.len()) as u64
    }

    /// Whether `Producers::expire` would forget any.
    pub fn any_idle(&self, idle_before: Timestamp) -> bool {
        self.by_id.values().any(|known| known.appended_at < idle_before)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many were dropped because there were too many.
    pub fn displaced_count(&self) -> u64 {
        self.displaced_count
    }

    /// All of them, by id.
    pub fn describe(&self) -> Vec<ProducerDescription> {
        let mut all: Vec<_> = self
            .by_id
            .iter()
            .map(|(&producer_id, known)| ProducerDescription {
                producer_id,
                epoch: known.epoch,
                last_sequence: known.newest().last_sequence,
                last_timestamp: known.newest().timestamp,
            })
            .collect();
        all.sort_unstable_by_key(|description| description.producer_id);
        all
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_u64(self.displaced_count);
        out.put_length(self.by_id.len());
        let mut ids: Vec<_> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let known = &self.by_id[&id];
            out.put_i64(id.0);
            out.put_i16(known.epoch.0);
            out.put_i64(known.appended_at.0);
            out.put_u8(known.count);
            for note in &known.notes[..usize::from(known.count)] {
                out.put_i32(note.last_sequence.0);
                out.put_i64(note.last_offset.0);
                out.put_i32(note.offset_delta);
                out.put_i64(note.timestamp.0);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Producers, DecodeError> {
        let displaced_count = reader.u64("displaced producers")?;
        let count = reader.count("producers", 8)?;
        if count > PRODUCERS_MAX {
            return Err(DecodeError::Range("producers"));
        }
        let mut producers = Producers { by_id: IdMap::default(), displaced_count };
        producers.by_id.reserve(count);
        for _ in 0..count {
            let id = ProducerId(reader.i64("a producer id")?);
            let producer = Producer::decode(reader)?;
            if !tallymq_model::planted("dedup-window-lost") {
                producers.by_id.insert(id, producer);
            }
        }
        Ok(producers)
    }
}

impl Producer {
    fn decode(reader: &mut Reader<'_>) -> Result<Producer, DecodeError> {
        let epoch = ProducerEpoch(reader.i16("a producer epoch")?);
        let appended_at = Timestamp(reader.i64("a producer's last append")?);
        let count = reader.u8("a producer's window")?;
        if count == 0 || usize::from(count) > WINDOW_BATCHES {
            return Err(DecodeError::Range("a producer's window"));
        }
        let mut notes = [BatchNote::default(); WINDOW_BATCHES];
        for note in &mut notes[..usize::from(count)] {
            note.last_sequence = Sequence(reader.i32("a sequence")?);
            note.last_offset = Offset(reader.i64("a batch's last offset")?);
            note.offset_delta = reader.i32("a batch's offset delta")?;
            note.timestamp = Timestamp(reader.i64("a batch's timestamp")?);
            if note.last_sequence.0 < 0 || note.offset_delta < 0 || note.last_offset.0 < 0 {
                return Err(DecodeError::Range("a producer's window"));
            }
        }
        Ok(Producer { epoch, count, notes, appended_at })
    }
}
