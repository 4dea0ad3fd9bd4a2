//! Batches that came and were not stored, by why: a producer's repeats, and what its epoch or its sequence forbids. Counted where it is
//! decided, so that every node and every restart has the same counts.

use tallymq_model::BatchHeader;

use super::outcome::ProduceRefusal;
use crate::codec::{DecodeError, Parts, Reader};

/// So many batches, and their records as their headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// Batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
}

/// What was not stored in one partition since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnedAway {
    /// Stored before, and answered with the first offset again.
    pub duplicates: Batches,
    /// Refused, since the producer has a newer epoch (INVALID_PRODUCER_EPOCH).
    pub fenced: Batches,
    /// Refused, since batches before it are missing or are not remembered any more (OUT_OF_ORDER_SEQUENCE_NUMBER).
    pub out_of_order: Batches,
}

impl Batches {
    fn count(&mut self, header: &BatchHeader) {
        self.batches = self.batches.saturating_add(1);
        self.records = self.records.saturating_add(u64::from(header.last_offset_delta.max(0) as u32) + 1);
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Batches) {
        self.batches = self.batches.saturating_add(other.batches);
        self.records = self.records.saturating_add(other.records);
    }
}

impl TurnedAway {
    pub(super) fn duplicate(&mut self, header: &BatchHeader) {
        self.duplicates.count(header);
    }

    pub(super) fn refused(&mut self, header: &BatchHeader, why: &ProduceRefusal) {
        match why {
            ProduceRefusal::InvalidProducerEpoch { .. } => self.fenced.count(header),
            ProduceRefusal::OutOfOrderSequence { .. } => self.out_of_order.count(header),
            ProduceRefusal::UnknownPartition => {}
        }
    }

    /// Whether nothing was.
    pub fn is_nothing(&self) -> bool {
        *self == TurnedAway::default()
    }

    /// Adds another's.
    pub fn add(&mut self, other: &TurnedAway) {
        self.duplicates.add(&other.duplicates);
        self.fenced.add(&other.fenced);
        self.out_of_order.add(&other.out_of_order);
    }

    /// Bits of the kinds that there were, then their counts: a byte for the many partitions where nothing was.
    pub(super) fn encode(&self, out: &mut Parts) {
        let kinds = [self.duplicates, self.fenced, self.out_of_order];
        let bits = kinds.iter().enumerate().filter(|(_, kind)| **kind != Batches::default());
        out.put_u8(bits.fold(0, |bits, (bit, _)| bits | 1 << bit));
        for kind in kinds.iter().filter(|kind| **kind != Batches::default()) {
            out.put_u64(kind.batches);
            out.put_u64(kind.records);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<TurnedAway, DecodeError> {
        let bits = reader.u8("what was turned away")?;
        if bits >= 1 << 3 {
            return Err(DecodeError::Range("what was turned away"));
        }
        let mut kind = |bit: u8| -> Result<Batches, DecodeError> {
            if bits & 1 << bit == 0 {
                return Ok(Batches::default());
            }
            let batches = reader.u64("batches that were turned away")?;
            Ok(Batches { batches, records: reader.u64("their records")? })
        };
        Ok(TurnedAway { duplicates: kind(0)?, fenced: kind(1)?, out_of_order: kind(2)? })
    }
}
