//! Reads entries back: from memory if they are not applied yet, else from the write-ahead log, in pieces bounded by
//! bytes, because the engine's own bounds count entries.

use std::{
    collections::VecDeque,
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use openraft::{EntryPayload, OptionalSend, RaftLogReader, async_runtime::AsyncRuntime};

use super::{Entry, Runtime, Types, Vote, from_engine, log::RaftLog};
use crate::{EntryId, batch::Batch, error::ReadEntriesError, format::decode_entry};

/// Bytes read from the write-ahead log at once in a replay or for a follower.
const READ_BYTES_MAX: usize = 4 << 20;

/// Reads one group's entries.
pub(crate) struct LogReader(pub(super) Arc<RaftLog>);

impl LogReader {
    /// Some of the entries from `from` to `to`, exclusive, at least the first. `copy` takes one out of the cache.
    async fn read(
        &self,
        from: u64,
        to: u64,
        copy: fn(&Entry) -> Entry,
    ) -> Result<Vec<Entry>, ReadEntriesError> {
        let to_read = {
            let cache = self.0.cache.lock();
            let cached: Vec<Entry> = (from..to).map_while(|index| cache.at(index)).map(copy).collect();
            if !cached.is_empty() {
                return Ok(cached);
            }
            cache.first().map_or(to, |first| if first > from { first.min(to) } else { to })
        };
        let log = self.0.clone();
        Runtime::spawn_blocking(move || {
            let entries = log.wal.read(log.group, from_engine(from), from_engine(to_read), READ_BYTES_MAX)?;
            entries
                .into_iter()
                .map(|entry| {
                    decode_entry(entry.payload, EntryId { term: entry.term, index: entry.index })
                        .map_err(|source| ReadEntriesError::Decode { index: entry.index, source })
                })
                .collect::<Result<Vec<Entry>, ReadEntriesError>>()
        })
        .await
        .map_err(|error| ReadEntriesError::Wal(error.into()))?
    }
}

/// An entry as a follower or a restart gets it: with its bytes.
fn whole(entry: &Entry) -> Entry {
    entry.clone()
}

/// An entry as the state machine gets it: its live commands, or its bytes if there are none.
fn to_apply(entry: &Entry) -> Entry {
    let payload = match &entry.payload {
        EntryPayload::Normal(batch) => EntryPayload::Normal(Batch::to_apply(batch)),
        other => other.clone(),
    };
    Entry { log_id: entry.log_id, payload }
}

/// An entry without its commands: all that the engine looks at when it starts, when it reads the log as a whole.
fn outline(entry: Entry) -> Entry {
    let payload = match entry.payload {
        EntryPayload::Normal(_) => EntryPayload::Normal(Batch::stored(Bytes::new())),
        other => other,
    };
    Entry { log_id: entry.log_id, payload }
}

/// `from` and `to`, exclusive.
fn bounds(range: &impl RangeBounds<u64>, end: u64) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last + 1,
        Bound::Excluded(to) => *to,
        Bound::Unbounded => end,
    };
    (from, to)
}

impl RaftLogReader<Types> for LogReader {
    /// For apply: in pieces, so that a long replay needs little memory.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        struct State {
            reader: LogReader,
            from: u64,
            to: u64,
            read: VecDeque<Entry>,
        }
        let (from, to) = bounds(&range, 0);
        let state = State { reader: LogReader(self.0.clone()), from, to, read: VecDeque::new() };
        stream::try_unfold(state, |mut state| async move {
            if state.read.is_empty() && state.from < state.to {
                state.read = state.reader.read(state.from, state.to, to_apply).await?.into();
                if state.read.is_empty() {
                    return Err(ReadEntriesError::Missing(from_engine(state.from)).into());
                }
            }
            let Some(entry) = state.read.pop_front() else {
                return Ok(None);
            };
            state.from += 1;
            Ok(Some((entry, state)))
        })
    }

    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let end = self.0.state.lock().last_log_id.map_or(0, |last| last.index + 1);
        let (mut from, to) = bounds(&range, end);
        let to = to.min(end);
        let mut entries = Vec::new();
        while from < to {
            let read = self.read(from, to, whole).await?;
            if read.is_empty() {
                return Err(ReadEntriesError::Missing(from_engine(from)).into());
            }
            from += read.len() as u64;
            let starting = self.0.starting.load(Ordering::Acquire);
            entries.extend(read.into_iter().map(|entry| if starting { outline(entry) } else { entry }));
        }
        Ok(entries)
    }

    /// For a follower: one piece, at least one entry.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        Ok(self.read(start, end, whole).await?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.0.vote())
    }
}
