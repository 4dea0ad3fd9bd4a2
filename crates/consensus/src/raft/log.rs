//! A group's log and vote, kept in the node's write-ahead log. Completions run there in queue order, so the order in
//! which things are queued here is the order in which they are durable; nothing here waits for a sync but a vote.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use openraft::{
    LogState, OptionalSend, RaftTypeConfig,
    storage::{IOFlushed, RaftLogStorage},
};
use parking_lot::Mutex;
use tallymq_model::{LogIndex, RaftGroup, planted};
use tallymq_storage::wal::{CommitFailed, Wal, WalRecord};
use tokio::sync::{oneshot, watch};

use super::{EngineLogId, Entry, Types, Vote, cache::Cache, entry_id, from_engine, reader::LogReader};
use crate::{
    EntryId, ProposeError,
    durability::Watermark,
    fate::Fate,
    format::{encode_entry, encode_vote},
};

/// Bytes after which one append is split into several submissions: a submission must fit one commit group.
const SUBMISSION_BYTES: usize = 8 << 20;

/// What the group's log held at start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StoredLog {
    /// The last entry that a checkpoint covers.
    pub(crate) purged: Option<EntryId>,
    /// The last entry, or `purged` if there is none behind it.
    pub(crate) last: Option<EntryId>,
}

/// A group's log, shared by the engine, its readers and the apply path.
pub(crate) struct RaftLog {
    pub(super) group: RaftGroup,
    pub(super) wal: Wal,
    pub(super) cache: Mutex<Cache>,
    pub(super) vote: Mutex<Option<Vote>>,
    pub(super) state: Mutex<LogState<Types>>,
    pub(crate) watermark: Watermark,
    pub(crate) fate: Arc<Fate>,
    purged: watch::Sender<LogIndex>,
    /// While the engine starts it looks for memberships and log ids only, in all of the log.
    pub(super) starting: AtomicBool,
}

impl RaftLog {
    pub(crate) fn new(
        group: RaftGroup,
        wal: Wal,
        stored: StoredLog,
        vote: Option<Vote>,
        fate: Arc<Fate>,
    ) -> RaftLog {
        let state = LogState {
            last_purged_log_id: stored.purged.map(super::engine_log_id),
            last_log_id: stored.last.map(super::engine_log_id),
        };
        RaftLog {
            group,
            wal,
            cache: Mutex::default(),
            vote: Mutex::new(vote),
            state: Mutex::new(state),
            watermark: Watermark::new(stored.last.map_or(LogIndex(0), |last| last.index)),
            fate,
            purged: watch::Sender::new(stored.purged.map_or(LogIndex(0), |purged| purged.index)),
            starting: AtomicBool::new(true),
        }
    }

    /// The engine has started: from now on who reads entries wants all of them.
    pub(crate) fn started(&self) {
        self.starting.store(false, Ordering::Release);
    }

    /// The vote, as last saved.
    pub(crate) fn vote(&self) -> Option<Vote> {
        *self.vote.lock()
    }

    /// Entries through `applied` need not be kept in memory.
    pub(super) fn applied(&self, applied: &EngineLogId) {
        self.cache.lock().applied(applied);
    }

    /// The group has ended: no one gets an answer other than that the outcome is not known.
    pub(crate) fn abandon(&self) {
        self.watermark.end();
        let entries: Vec<Entry> = self.cache.lock().drain().collect();
        for entry in &entries {
            if let openraft::EntryPayload::Normal(batch) = &entry.payload {
                batch.live().into_iter().for_each(|live| live.refuse(&ProposeError::Unknown));
            }
        }
    }

    /// Waits until entries through `through` have been purged.
    pub(crate) async fn purged_through(&self, through: LogIndex) {
        let mut purged = self.purged.subscribe();
        purged.wait_for(|purged| *purged >= through).await.expect("the sender is borrowed");
    }

    /// Queues a record whose completion nobody waits for.
    pub(crate) fn queue(self: &Arc<Self>, record: WalRecord) {
        let log = self.clone();
        self.wal.submit(vec![record], Box::new(move |result| log.check(result.map(drop))));
    }

    fn check(&self, result: Result<(), CommitFailed>) {
        if let Err(error) = result {
            self.failed(&error);
        }
    }

    /// The write-ahead log failed. First of all nothing may be reported as a success any more.
    fn failed(&self, error: &CommitFailed) {
        self.fate.fail(error);
        self.abandon();
    }

    /// Queues entries as one submission; `flushed` hears of it when they are durable.
    fn submit_entries(
        self: &Arc<Self>,
        records: Vec<WalRecord>,
        last: LogIndex,
        flushed: Option<IOFlushed<Types>>,
    ) {
        let log = self.clone();
        self.watermark.queue(last);
        let done = move |result: Result<_, CommitFailed>| match result {
            Ok(token) => {
                log.watermark.advance(token);
                flushed.into_iter().for_each(|flushed| flushed.io_completed(Ok(())));
            }
            Err(error) => {
                log.failed(&error);
                flushed
                    .into_iter()
                    .for_each(|flushed| flushed.io_completed(Err(io::Error::other(error.clone()))));
            }
        };
        self.wal.submit(records, Box::new(done));
    }
}

/// The engine's view of the log.
pub(crate) struct LogStore(pub(crate) Arc<RaftLog>);

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        Ok(self.0.state.lock().clone())
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader(self.0.clone())
    }

    /// Durable before it returns: a vote that is forgotten can be given twice in one term (Raft §5.2).
    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        if planted("vote-not-saved") {
            *self.0.vote.lock() = Some(*vote);
            return Ok(());
        }
        let (done, saved) = oneshot::channel();
        let log = self.0.clone();
        let record = WalRecord::Vote { group: self.0.group, vote: encode_vote(vote) };
        let completion = move |result: Result<_, CommitFailed>| {
            log.check(result.as_ref().map(drop).map_err(Clone::clone));
            let _ = done.send(result);
        };
        self.0.wal.submit(vec![record], Box::new(completion));
        saved.await.map_err(|_| io::Error::other(CommitFailed::Closed))?.map_err(io::Error::other)?;
        *self.0.vote.lock() = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = <Types as RaftTypeConfig>::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let log = &self.0;
        let (mut records, mut bytes, mut last) = (Vec::new(), 0, None);
        for entry in entries {
            let at = entry_id(&entry.log_id);
            let payload = encode_entry(&entry);
            let size_bytes: usize = payload.iter().map(bytes::Bytes::len).sum();
            if bytes + size_bytes > SUBMISSION_BYTES
                && let Some(EntryId { index, .. }) = last
            {
                log.submit_entries(std::mem::take(&mut records), index, None);
                bytes = 0;
            }
            bytes += size_bytes;
            records.push(WalRecord::Entry { group: log.group, index: at.index, term: at.term, payload });
            last = Some(at);
            log.state.lock().last_log_id = Some(entry.log_id);
            log.cache.lock().push(entry);
        }
        match last {
            Some(last) => log.submit_entries(records, last.index, Some(callback)),
            None => callback.io_completed(Ok(())),
        }
        Ok(())
    }

    /// Only queues the record: whatever is appended next is queued behind it.
    async fn truncate_after(&mut self, last: Option<EngineLogId>) -> Result<(), io::Error> {
        let last_index = last.as_ref().map_or(LogIndex(0), |last| from_engine(last.index));
        self.0.state.lock().last_log_id = last;
        self.0.cache.lock().truncate(last_index.0); // the engine's index of the entry behind it
        self.0.watermark.truncate(last_index);
        self.0.queue(WalRecord::Truncate { group: self.0.group, from: last_index.next() });
        Ok(())
    }

    /// Only queues the record: a purge that is lost is made again from the checkpoint at the next start.
    async fn purge(&mut self, through: EngineLogId) -> Result<(), io::Error> {
        let through_index = from_engine(through.index);
        {
            let mut state = self.0.state.lock();
            state.last_purged_log_id = state.last_purged_log_id.max(Some(through));
            state.last_log_id = state.last_log_id.max(Some(through));
        }
        self.0.applied(&through);
        self.0.queue(WalRecord::Purge { group: self.0.group, through: through_index });
        self.0.purged.send_if_modified(|purged| {
            let rises = *purged < through_index;
            *purged = (*purged).max(through_index);
            rises
        });
        Ok(())
    }
}
