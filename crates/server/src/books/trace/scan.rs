//! Looks for what is wanted in one window of a log: by reading all of it, or only what an index of keys points at. Blocks; for a
//! thread that may.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tallymq_gateway::kafka::records::{Record, SEARCHED_BYTES_MAX, for_each_key, read_records};
use tallymq_model::{BatchHeader, Offset, TopicPartition};
use tallymq_storage::keys::{KeyHash, KeyIndexes, Part};
use tallymq_storage::log::{DamageExtent, PartitionLog, ReadError};

use super::answer::{Neighbour, Searched};
use super::matching::{Wanted, label};
use super::windows::Window;

/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;
/// Batches that are taken from an index at a time.
const CANDIDATES_MAX: usize = 64;

/// A record that was found.
pub(super) struct Hit {
    pub(super) tp: TopicPartition,
    pub(super) header: BatchHeader,
    pub(super) record: Record,
}

/// What one window had.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) hits: Vec<Hit>,
    pub(super) searched: Searched,
    pub(super) neighbours: Vec<Neighbour>,
    /// From here on all was looked at.
    pub(super) from: Offset,
}

/// One window, and what to look for in it.
pub(super) struct Scan {
    pub(super) log: Arc<PartitionLog>,
    pub(super) tp: TopicPartition,
    pub(super) window: Window,
    pub(super) wanted: Wanted,
    pub(super) since: Option<i64>,
    pub(super) until: Option<i64>,
    /// The index to use.
    pub(super) index: Option<(Arc<KeyIndexes>, Part)>,
}

impl Scan {
    pub(super) fn run(&self) -> Scanned {
        match (&self.index, &self.wanted) {
            (Some((indexes, part)), Wanted::Key(key)) => self.look_up(indexes, part, key),
            _ => self.read_all(),
        }
    }

    /// The newest batches that the index points at. Where it turns out damaged, or not to be of this log, nothing was looked at: it
    /// is forgotten, and the same window comes again without.
    fn look_up(&self, indexes: &KeyIndexes, part: &Part, key: &[u8]) -> Scanned {
        let Window { from, to, .. } = self.window;
        let again = || Scanned { from: to, ..Scanned::default() };
        let Ok(found) = indexes.find(self.tp, part, KeyHash::of(key), (to, CANDIDATES_MAX)) else {
            return again();
        };
        let mut scanned = Scanned { from, ..Scanned::default() };
        if let (true, Some(last)) = (found.more, found.batches.last()) {
            scanned.from = from.max(*last);
        }
        scanned.searched.indexed_records = u64::try_from(to.0 - scanned.from.0).unwrap_or(0);
        for base in found.batches {
            // The log start may be inside of it.
            let at = base.max(from);
            match self.log.read(at, 1, true) {
                Ok(fetched) if fetched.base == base => self.batches(joined(fetched.pieces), &mut scanned),
                // All of it is before the window.
                Ok(_) if base < from => {}
                Ok(_) => {
                    indexes.distrust(self.tp, part, base);
                    return again();
                }
                Err(error) => drop(self.failed(at, &error, &mut scanned)),
            }
        }
        scanned
    }

    /// Says what cannot be read, once. Where it can be read again, if that is known.
    fn failed(&self, at: Offset, error: &ReadError, scanned: &mut Scanned) -> Option<Offset> {
        let damaged = match error {
            ReadError::OffsetOutOfRange { .. } | ReadError::Deleted => return None,
            ReadError::Corrupt(_) => self.log.unreadable_around(at),
            ReadError::Io { .. } => None,
        };
        let text = match &damaged {
            Some(DamageExtent { from, to, damage }) => {
                format!("{} offsets {from} to {}: {damage}", self.tp, to.plus(-1))
            }
            None => format!("{} from offset {at} on: {error}", self.tp),
        };
        scanned.searched.cannot_read(text);
        damaged.map(|damaged| damaged.to)
    }

    fn read_all(&self) -> Scanned {
        let mut scanned = Scanned { from: self.window.from, ..Scanned::default() };
        let mut at = self.window.from;
        while at < self.window.to {
            match self.log.read(at, READ_BYTES, true) {
                Ok(fetched) if fetched.pieces.is_empty() || fetched.next <= at => break,
                Ok(fetched) => {
                    self.batches(joined(fetched.pieces), &mut scanned);
                    at = fetched.next;
                }
                // Retention came by.
                Err(ReadError::OffsetOutOfRange { log_start, .. }) if log_start > at => at = log_start,
                Err(error) => match self.failed(at, &error, &mut scanned) {
                    // Damage hides nothing but what it took.
                    Some(behind) => at = behind,
                    None => break,
                },
            }
        }
        scanned
    }

    fn batches(&self, mut rest: Bytes, scanned: &mut Scanned) {
        while !rest.is_empty() {
            let Ok(header) = BatchHeader::parse(&rest) else { return };
            let batch = rest.split_to(header.size_bytes);
            if header.base_offset >= self.window.to {
                return;
            }
            // A batch that begins before the window is that one's to count.
            if header.base_offset >= self.window.from {
                scanned.searched.batches += 1;
                scanned.searched.records += header.record_count.max(0) as u64;
                scanned.searched.bytes += batch.len() as u64;
                let oldest = scanned.searched.back_to.unwrap_or(i64::MAX).min(header.first_timestamp.0);
                scanned.searched.back_to = Some(oldest);
            }
            if let (Wanted::Sequence { producer, .. }, true) = (&self.wanted, header.has_producer())
                && header.producer_id == *producer
            {
                scanned.neighbours.extend(ends(&header));
            }
            if self.wanted.may_be_in(&header) && self.may_hold_key(&header, &batch) {
                self.records(&header, &batch, scanned);
            }
        }
    }

    /// A quick look, since a search passes many batches. What cannot be read is for the slow one to say.
    fn may_hold_key(&self, header: &BatchHeader, batch: &Bytes) -> bool {
        let Wanted::Key(wanted) = &self.wanted else { return true };
        let mut found = false;
        for_each_key(header, batch, &mut |key| found |= key == wanted).is_err() || found
    }

    fn records(&self, header: &BatchHeader, batch: &Bytes, scanned: &mut Scanned) {
        let records = match read_records(header, batch, SEARCHED_BYTES_MAX) {
            Ok(records) => records,
            Err(error) => {
                let place = format!("{} the batch at offset {}", self.tp, header.base_offset);
                return scanned.searched.cannot_read(format!("{place}: {error}"));
            }
        };
        for record in records {
            let in_window = (self.window.from..self.window.to).contains(&record.offset);
            let in_time = self.since.is_none_or(|since| record.timestamp.0 >= since)
                && self.until.is_none_or(|until| record.timestamp.0 < until);
            // A place is a place, whatever its time.
            if !in_window || !(in_time || matches!(self.wanted, Wanted::Place(_))) {
                continue;
            }
            if let (Wanted::Label { producer, .. }, Some((found, sequence))) = (&self.wanted, label(&record))
                && found == producer
            {
                let (offset, timestamp) = (record.offset.0, record.timestamp.0);
                scanned.neighbours.push(Neighbour { sequence, offset, timestamp });
            }
            if self.wanted.is(header, &record) {
                scanned.hits.push(Hit { tp: self.tp, header: *header, record });
            }
        }
    }
}

/// First and last sequence of a batch.
fn ends(header: &BatchHeader) -> [Neighbour; 2] {
    let at = |delta: i32| Neighbour {
        sequence: u64::try_from(header.base_sequence.plus(delta).0).unwrap_or(0),
        offset: header.base_offset.plus(i64::from(delta)).0,
        timestamp: header.max_timestamp.0,
    };
    [at(0), at(header.last_offset_delta)]
}

/// The pieces of a read in one.
pub(in crate::books) fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    all.freeze()
}
