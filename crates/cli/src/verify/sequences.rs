//! Sequences of idempotent producers in one partition's log (KIP-98): none twice, none left out. Pure.
//!
//! Not a damage: a producer that begins with any number when it was not seen before, because its state may have been
//! dropped (KIP-360); a new epoch, which begins with 0; and a jump after a pause in which the broker may have forgotten the
//! producer (`producer.id.expiration.ms`, or more than `PRODUCERS_MAX` of them).

use std::collections::HashMap;

use tallymq_broker::data::{PRODUCERS_MAX, WINDOW_BATCHES};
use tallymq_model::{BatchHeader, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// After so long without a batch a producer may have been forgotten.
const FORGOTTEN_AFTER_MS: i64 = 60_000;

struct Known {
    epoch: ProducerEpoch,
    next: Sequence,
    recent: Vec<Sequence>,
    timestamp: Timestamp,
}

/// The producers of one partition, as far as its log was read.
#[derive(Default)]
pub struct Sequences {
    producers: HashMap<ProducerId, Known>,
}

impl Sequences {
    /// The next batch of the log; what is wrong with it.
    pub fn check(&mut self, header: &BatchHeader) -> Result<(), String> {
        if !header.has_producer() {
            return Ok(());
        }
        let crowded = self.producers.len() > PRODUCERS_MAX;
        let checked = match self.producers.get(&header.producer_id) {
            Some(known) => known.follow(header, crowded),
            None => Ok(()),
        };
        self.note(header);
        checked
    }

    fn note(&mut self, header: &BatchHeader) {
        let known = self.producers.entry(header.producer_id).or_insert_with(|| Known {
            epoch: header.producer_epoch,
            next: header.base_sequence,
            recent: Vec::new(),
            timestamp: header.max_timestamp,
        });
        if known.epoch != header.producer_epoch {
            known.epoch = header.producer_epoch;
            known.recent.clear();
        }
        if known.recent.len() == WINDOW_BATCHES {
            known.recent.remove(0);
        }
        known.recent.push(header.base_sequence);
        known.next = header.base_sequence.plus(header.last_offset_delta).plus(1);
        known.timestamp = header.max_timestamp;
    }
}

impl Known {
    fn follow(&self, header: &BatchHeader, crowded: bool) -> Result<(), String> {
        let (producer, got) = (header.producer_id, header.base_sequence);
        if header.producer_epoch > self.epoch {
            return match got {
                Sequence(0) => Ok(()),
                _ => Err(format!("epoch {} of producer {producer} begins with {got}", header.producer_epoch)),
            };
        }
        let forgotten = crowded || header.max_timestamp.0 - self.timestamp.0 >= FORGOTTEN_AFTER_MS;
        if header.producer_epoch < self.epoch && !forgotten {
            return Err(format!("producer {producer} goes back to epoch {}", header.producer_epoch));
        }
        if self.recent.contains(&got) && !forgotten {
            return Err(format!("sequence {got} of producer {producer} is stored twice"));
        }
        if got != self.next && !forgotten {
            return Err(format!("producer {producer} goes on with sequence {got}, {} was due", self.next));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tallymq_gateway::kafka::records::{BatchOptions, Compression, Producer, Record, build_batch};

    fn header(epoch: i16, base_sequence: i32, count: usize, timestamp: i64) -> BatchHeader {
        let record = Record {
            timestamp: Timestamp(timestamp),
            value: Some(Bytes::from_static(b"v")),
            ..Record::default()
        };
        let producer = Some(Producer { id: 7, epoch, base_sequence });
        let options = BatchOptions { compression: Compression::None, producer };
        BatchHeader::parse(&build_batch(&vec![record; count], &options)).unwrap()
    }

    #[test]
    fn what_follows_is_fine_and_wraps() {
        let mut sequences = Sequences::default();
        for (sequence, count) in [(i32::MAX - 4, 3), (i32::MAX - 1, 2), (0, 5), (5, 1)] {
            assert_eq!(sequences.check(&header(0, sequence, count, 0)), Ok(()), "{sequence}");
        }
        assert_eq!(sequences.check(&header(1, 0, 1, 0)), Ok(()), "a new epoch begins with 0");
    }

    #[test]
    fn repeats_gaps_and_old_epochs_are_damage() {
        for (epoch, sequence) in [(3, 0), (3, 3), (3, 12), (2, 10), (4, 1)] {
            let mut sequences = Sequences::default();
            for base in [0, 3, 6] {
                sequences.check(&header(3, base, if base == 6 { 4 } else { 3 }, 0)).unwrap();
            }
            assert!(sequences.check(&header(epoch, sequence, 1, 0)).is_err(), "{epoch} {sequence}");
        }
    }

    #[test]
    fn a_forgotten_producer_may_begin_anywhere() {
        let mut sequences = Sequences::default();
        sequences.check(&header(0, 0, 1, 0)).unwrap();
        assert_eq!(sequences.check(&header(0, 99, 1, FORGOTTEN_AFTER_MS)), Ok(()));
    }
}
