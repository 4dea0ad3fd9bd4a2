//! Reading the accounts' journals: their events from a place on. What damage took is named, and reading goes on behind it. Blocks;
//! for a thread that may.

use bytes::Bytes;
use tallymq_broker::account::{JournalEvent, journal};
use tallymq_model::{BatchHeader, Offset, Timestamp};
use tallymq_storage::log::{DamageExtent, PartitionLog, ReadError};

use super::trace::joined;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;
/// Places that cannot be read and are named, at most.
const UNREADABLE_MAX: usize = 20;

/// What one read gave.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// In order, from the batch on that contains what was asked for.
    pub(super) events: Vec<(Offset, JournalEvent)>,
    /// Bytes of their batches.
    pub(super) bytes: usize,
    /// Where to go on; the log end if nothing is left. Above what was asked for, unless that is the log end.
    pub(super) next: Offset,
    /// What is missing below there, for people.
    pub(super) unreadable: Vec<String>,
}

/// Where the events from a time on begin. Where damage hides that, at the log start.
pub(super) fn begin(log: &PartitionLog, since: Option<i64>) -> Offset {
    let log_start = log.log_start();
    let Some(since) = since else { return log_start };
    match log.find_timestamp(Timestamp(since), log_start) {
        Ok(Some(found)) => found.header.base_offset.max(log_start),
        Ok(None) => log.log_end(),
        Err(_) => log_start,
    }
}

/// Whole batches from an offset on, or from the log start if that is behind it. An error says why it cannot go on.
pub(super) fn read(log: &PartitionLog, at: Offset) -> Result<Piece, String> {
    let (log_start, log_end) = log.bounds();
    let at = at.max(log_start);
    match log.read(at, READ_BYTES, true) {
        Ok(fetched) if fetched.pieces.is_empty() || fetched.next <= at => {
            Ok(Piece { next: log_end, ..Piece::default() })
        }
        Ok(fetched) => {
            let mut piece = Piece { bytes: fetched.bytes, next: fetched.next, ..Piece::default() };
            piece.decode(log, joined(fetched.pieces));
            Ok(piece)
        }
        // A trim came by.
        Err(ReadError::OffsetOutOfRange { log_start, .. }) if log_start > at => {
            Ok(Piece { next: log_start, ..Piece::default() })
        }
        Err(error) => match log.unreadable_around(at) {
            Some(DamageExtent { from, to, damage }) if to > at => {
                Ok(Piece { next: to, unreadable: vec![named(log, (from, to), damage)], ..Piece::default() })
            }
            _ => Err(format!("{} from event {at} on: {error}", name(log))),
        },
    }
}

impl Piece {
    fn decode(&mut self, log: &PartitionLog, mut rest: Bytes) {
        while !rest.is_empty() {
            // What a log hands out is whole.
            let Ok(header) = BatchHeader::parse(&rest) else { return };
            let batch = rest.split_to(header.size_bytes.min(rest.len()));
            match journal::decode(&batch) {
                Ok(events) => self.events.extend(events),
                Err(error) => {
                    let range = (header.base_offset, header.next_offset());
                    self.unreadable.push(named(log, range, error));
                }
            }
        }
    }
}

fn name(log: &PartitionLog) -> String {
    format!("the journal of data group {}", log.topic_partition().partition)
}

fn named(log: &PartitionLog, (from, to): (Offset, Offset), why: impl ToString) -> String {
    format!("{}, events {from} to {}: {}", name(log), to.plus(-1), why.to_string())
}

/// Notes what cannot be read once: one damage may be met several times.
pub(super) fn cannot_read(unreadable: &mut Vec<String>, text: String) {
    if unreadable.len() < UNREADABLE_MAX && !unreadable.contains(&text) {
        unreadable.push(text);
    }
}
