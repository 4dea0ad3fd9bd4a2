//! The handle that the Raft groups hold: submit, read back, ask. It never writes and never blocks on the disk, except
//! to read.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tallymq_model::{LogIndex, RaftGroup};

use super::{
    commit::{CommitFailed, Completion},
    error::WalReadError,
    files::file_path,
    format::crc32c,
    group::encoded_bytes,
    index::{GroupIndex, Place},
    record::{LogEntry, WalRecord},
    recovery::RecoveredGroup,
    shared::{Shared, Submission},
    stats::{Pressure, WalStats},
};

/// The most bytes of one submission: a commit group counts in 32 bits.
pub const SUBMISSION_BYTES_MAX: usize = 1 << 30;

/// A handle to the log; clones share it.
#[derive(Clone)]
pub struct Wal {
    pub(super) shared: Arc<Shared>,
}

impl Wal {
    /// Queues records; they become durable together, behind everything queued before. Never blocks. `done` runs on the
    /// committer's thread (or at once, here, if the log is closed).
    pub fn submit(&self, records: Vec<WalRecord>, done: Completion) {
        let bytes = records.iter().map(encoded_bytes).sum();
        if bytes > SUBMISSION_BYTES_MAX {
            return done(Err(CommitFailed::TooLarge { bytes }));
        }
        let refused = {
            let mut queue = self.shared.queue.lock();
            match &queue.closed {
                Some(reason) => Some((done, reason.clone())),
                None => {
                    queue.bytes += bytes;
                    queue.submissions.push_back(Submission { records, bytes, done });
                    if queue.parked {
                        queue.parked = false;
                        self.shared.queued.notify_one();
                    }
                    None
                }
            }
        };
        if let Some((done, reason)) = refused {
            done(Err(reason));
        }
    }

    /// Reads committed entries from `from` on: at least one, and no more once `bytes_max` bytes of payload are reached.
    /// What is queued and not committed yet is not there; fewer entries than asked for are no error if there is one.
    pub fn read(
        &self,
        group: RaftGroup,
        from: LogIndex,
        to_exclusive: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<LogEntry>, WalReadError> {
        if from >= to_exclusive {
            return Ok(Vec::new());
        }
        let places = self.places(group, from, to_exclusive, bytes_max)?;
        let mut entries = Vec::with_capacity(places.len());
        let mut rest = &places[..];
        while let Some(first) = rest.first() {
            let run = 1 + rest.windows(2).take_while(|pair| follows(&pair[0], &pair[1])).count();
            let index = LogIndex(from.0 + entries.len() as u64);
            self.read_run(group, index, &rest[..run], &mut entries).or_else(|error| {
                // The file may have been recycled since its places were looked up.
                self.places(group, index, index.next(), 0).and(Err(error))
            })?;
            debug_assert_eq!(entries.last().map(|entry| entry.term), Some(rest[run - 1].term), "{first:?}");
            rest = &rest[run..];
        }
        Ok(entries)
    }

    fn places(
        &self,
        group: RaftGroup,
        from: LogIndex,
        to_exclusive: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<Place>, WalReadError> {
        let index = self.shared.index.read();
        let missing = |last| WalReadError::Missing { group, index: from, last };
        let state = index.group(group).ok_or(missing(LogIndex(0)))?;
        if from <= state.purged {
            return Err(WalReadError::Purged { group, through: state.purged });
        }
        let mut bytes = 0_usize;
        let places: Vec<Place> = (from.0..to_exclusive.0)
            .map_while(|index| state.place(LogIndex(index)).copied())
            .take_while(|place| {
                let more = bytes == 0 || bytes.saturating_add(place.length as usize) <= bytes_max;
                bytes = bytes.saturating_add((place.length as usize).max(1));
                more
            })
            .collect();
        if places.is_empty() { Err(missing(LogIndex(state.end().0 - 1))) } else { Ok(places) }
    }

    /// Reads entries whose payloads lie one behind the other, in one go.
    fn read_run(
        &self,
        group: RaftGroup,
        first: LogIndex,
        places: &[Place],
        entries: &mut Vec<LogEntry>,
    ) -> Result<(), WalReadError> {
        let corrupt = |index: LogIndex, place: &Place| WalReadError::Corrupt {
            group,
            index,
            file: file_path(&self.shared.options.directory, place.file),
            position: place.position,
        };
        let file = self.shared.files.lock().file(places[0].file).ok_or_else(|| corrupt(first, &places[0]))?;
        let mut buffer = vec![0; places.iter().map(|place| place.length as usize).sum()];
        let read = file.read_at(&mut buffer, places[0].position)?;
        buffer.truncate(read);
        let mut bytes = Bytes::from(buffer);
        for (place, index) in places.iter().zip(first.0..) {
            let index = LogIndex(index);
            if bytes.len() < place.length as usize {
                return Err(corrupt(index, place));
            }
            let payload = bytes.split_to(place.length as usize);
            if crc32c(&payload) != place.crc {
                return Err(corrupt(index, place));
            }
            entries.push(LogEntry { index, term: place.term, payload });
        }
        Ok(())
    }

    /// The state of every group, as committed.
    pub fn groups(&self) -> BTreeMap<RaftGroup, RecoveredGroup> {
        self.shared.index.read().groups().map(|(group, state)| (group, recovered(state))).collect()
    }

    /// The state of one group, as committed.
    pub fn group(&self, group: RaftGroup) -> Option<RecoveredGroup> {
        self.shared.index.read().group(group).map(recovered)
    }

    /// How full the log is.
    pub fn pressure(&self) -> Pressure {
        let used_bytes = self.shared.files.lock().live_bytes();
        let limit_bytes = self.shared.options.bytes_max;
        Pressure {
            used_bytes,
            limit_bytes,
            checkpoint_wanted: used_bytes >= limit_bytes / 2,
            full: used_bytes >= limit_bytes,
        }
    }

    /// Submissions and their bytes that wait for a commit group.
    pub fn queued(&self) -> (usize, usize) {
        let queue = self.shared.queue.lock();
        (queue.submissions.len(), queue.bytes)
    }

    /// Counters since the log was opened.
    pub fn stats(&self) -> WalStats {
        *self.shared.stats.lock()
    }
}

fn follows(one: &Place, next: &Place) -> bool {
    next.file == one.file && next.position == one.position + u64::from(one.length)
}

pub(super) fn recovered(state: &GroupIndex) -> RecoveredGroup {
    RecoveredGroup {
        vote: state.vote.clone(),
        purged_through: state.purged,
        first: state.purged.next(),
        last: state.last(),
    }
}
