//! The leader epochs of a partition: which epoch begins at which offset (KIP-101). Answers OffsetForLeaderEpoch, and
//! decides whether a client's idea of the current epoch is stale. Knows nothing of Raft; terms become epochs in
//! `partition`.

use tallymq_model::{LeaderEpoch, Offset};
use thiserror::Error;

use crate::codec::{DecodeError, Parts, Reader};

/// What a client sends, or is told, when it does not know an epoch.
pub const UNKNOWN_EPOCH: LeaderEpoch = LeaderEpoch(-1);
/// What a client is told when there is no such offset.
pub const UNKNOWN_OFFSET: Offset = Offset(-1);

/// A client's epoch is not the partition's.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EpochMismatch {
    /// The client is behind. Kafka: FENCED_LEADER_EPOCH (74).
    #[error("the leader epoch {given} is older than the current {current}")]
    Fenced {
        /// The client's.
        given: LeaderEpoch,
        /// The partition's.
        current: LeaderEpoch,
    },
    /// The client is ahead. Kafka: UNKNOWN_LEADER_EPOCH (75).
    #[error("the leader epoch {given} is newer than the current {current}")]
    Unknown {
        /// The client's.
        given: LeaderEpoch,
        /// The partition's.
        current: LeaderEpoch,
    },
}

/// Compares the epoch that a client believes in with the partition's `current` (KIP-320). -1 from the client is "do not check".
pub fn check_epoch(given: LeaderEpoch, current: LeaderEpoch) -> Result<(), EpochMismatch> {
    if given == UNKNOWN_EPOCH || given == current {
        Ok(())
    } else if given < current {
        Err(EpochMismatch::Fenced { given, current })
    } else {
        Err(EpochMismatch::Unknown { given, current })
    }
}

/// Where an epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch that is at most the one asked for and has records; -1 when unknown.
    pub epoch: LeaderEpoch,
    /// The offset behind its last record; -1 when unknown.
    pub end_offset: Offset,
}

/// Each epoch that has records with its first offset. Invariant: both strictly rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochList {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl EpochList {
    /// Records are about to be appended at `offset` in `epoch`.
    pub fn note(&mut self, epoch: LeaderEpoch, offset: Offset) {
        if self.last().is_some_and(|last| epoch <= last) {
            return;
        }
        // An epoch whose records are all gone again ends where it began.
        while self.entries.last().is_some_and(|&(_, start)| start >= offset) {
            self.entries.pop();
        }
        self.entries.push((epoch, offset));
        debug_assert!(self.entries.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
    }

    /// The records before `log_start` are gone: keeps the epoch that covers it, with its start clipped.
    pub fn trim(&mut self, log_start: Offset) {
        let covering = self.entries.partition_point(|&(_, start)| start <= log_start);
        if covering > 0 {
            self.entries.drain(..covering - 1);
            self.entries[0].1 = log_start;
        }
    }

    /// The epoch that has the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|&(_, start)| start <= offset);
        after.checked_sub(1).map(|at| self.entries[at].0)
    }

    /// Where `asked` ends, given the `current` epoch (which may have no record yet) and the log end. As Kafka's
    /// `LeaderEpochFileCache.endOffsetFor`.
    pub fn end_of(&self, asked: LeaderEpoch, current: LeaderEpoch, log_end: Offset) -> EpochEnd {
        if asked < LeaderEpoch(0) || asked > current {
            return EpochEnd { epoch: UNKNOWN_EPOCH, end_offset: UNKNOWN_OFFSET };
        }
        if asked == current {
            return EpochEnd { epoch: current, end_offset: log_end };
        }
        let higher = self.entries.partition_point(|&(epoch, _)| epoch <= asked);
        let end_offset = self.entries.get(higher).map_or(log_end, |&(_, start)| start);
        match higher.checked_sub(1) {
            Some(floor) => EpochEnd { epoch: self.entries[floor].0, end_offset },
            None => EpochEnd { epoch: asked, end_offset },
        }
    }

    /// Epochs with their first offsets, rising.
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// The newest epoch that has records.
    pub fn last(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|&(epoch, _)| epoch)
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_length(self.entries.len());
        for &(epoch, start) in &self.entries {
            out.put_i32(epoch.0);
            out.put_i64(start.0);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<EpochList, DecodeError> {
        let count = reader.count("an epoch list", 2)?;
        let mut entries: Vec<(LeaderEpoch, Offset)> = Vec::with_capacity(count);
        for _ in 0..count {
            let entry = (LeaderEpoch(reader.i32("an epoch")?), Offset(reader.i64("an epoch's start")?));
            if entries.last().is_some_and(|last| last.0 >= entry.0 || last.1 >= entry.1) {
                return Err(DecodeError::Range("an epoch list"));
            }
            entries.push(entry);
        }
        Ok(EpochList { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(i32, i64)]) -> EpochList {
        let mut list = EpochList::default();
        for &(epoch, start) in entries {
            list.note(LeaderEpoch(epoch), Offset(start));
        }
        list
    }

    fn end(list: &EpochList, asked: i32, current: i32) -> (i32, i64) {
        let end = list.end_of(LeaderEpoch(asked), LeaderEpoch(current), Offset(100));
        (end.epoch.0, end.end_offset.0)
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_with_records_begins() {
        let epochs = list(&[(2, 0), (4, 40), (7, 70)]);
        assert_eq!(end(&epochs, 2, 7), (2, 40));
        assert_eq!(end(&epochs, 3, 7), (2, 40));
        assert_eq!(end(&epochs, 4, 7), (4, 70));
        assert_eq!(end(&epochs, 7, 7), (7, 100));
        assert_eq!(end(&epochs, 7, 9), (7, 100));
        assert_eq!(end(&epochs, 9, 9), (9, 100), "the current epoch has no record yet");
        assert_eq!(end(&epochs, 10, 9), (-1, -1), "newer than any");
        assert_eq!(end(&epochs, -1, 9), (-1, -1));
        assert_eq!(end(&epochs, 1, 9), (1, 0), "older than any ends at the first known start");
    }

    #[test]
    fn trimming_keeps_the_epoch_that_covers_the_log_start() {
        let mut epochs = list(&[(2, 0), (4, 40), (7, 70)]);
        epochs.trim(Offset(50));
        assert_eq!(epochs.entries(), &[(LeaderEpoch(4), Offset(50)), (LeaderEpoch(7), Offset(70))]);
        assert_eq!(epochs.epoch_at(Offset(49)), None);
        assert_eq!(epochs.epoch_at(Offset(69)), Some(LeaderEpoch(4)));
        epochs.trim(Offset(70));
        assert_eq!(epochs.entries(), &[(LeaderEpoch(7), Offset(70))]);
        epochs.trim(Offset(90));
        assert_eq!(epochs.entries(), &[(LeaderEpoch(7), Offset(90))]);
    }

    #[test]
    fn a_stale_client_is_fenced_and_an_early_one_unknown() {
        let current = LeaderEpoch(5);
        assert_eq!(check_epoch(LeaderEpoch(-1), current), Ok(()));
        assert_eq!(check_epoch(current, current), Ok(()));
        let given = LeaderEpoch(4);
        assert_eq!(check_epoch(given, current), Err(EpochMismatch::Fenced { given, current }));
        let given = LeaderEpoch(6);
        assert_eq!(check_epoch(given, current), Err(EpochMismatch::Unknown { given, current }));
    }
}
