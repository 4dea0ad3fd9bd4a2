//! The local spool: records that no broker took, on the sender's own disk until one does. It sends nothing itself.
//!
//! A record counts only when it is synced. The spool survives kill -9, power cuts and torn ends, is bounded in bytes, and
//! gives its records back in the order of their sends. What it holds belongs to one process at a time (a lock file).

mod frame;
mod journal;
mod medium;
mod recovery;
mod writer;

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed},
        },
        mpsc,
    },
    thread,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::{journal::Journal, medium::Directory, writer::Request};
use crate::{record::Record, sequence::SequenceId};

/// Files are left for the next one at this size, so that space comes back in such steps.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where a spool is and how large it may grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    directory: PathBuf,
    bytes_max: u64,
}

impl SpoolSettings {
    /// A spool in that directory, which is made if it is missing, of at most 1 GiB. A directory serves one producer
    /// of one process at a time.
    pub fn at(directory: impl AsRef<Path>) -> SpoolSettings {
        SpoolSettings { directory: directory.as_ref().to_owned(), bytes_max: 1 << 30 }
    }

    /// How many bytes of records it takes at most; marks of a few bytes per record come on top.
    #[must_use]
    pub fn bytes_max(mut self, bytes_max: u64) -> SpoolSettings {
        self.bytes_max = bytes_max;
        self
    }
}

/// A spool could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another producer has it.
    #[error("{0} is in use by another producer; give each producer a directory of its own")]
    InUse(PathBuf),
    /// The file system refused.
    #[error(
        "{directory}: {source}; see that the process may write there and that the disk has room, or choose another directory"
    )]
    Io {
        /// The spool's directory.
        directory: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A record could not be spooled, or the spool not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// It holds as many bytes as it may.
    #[error(
        "the spool is full: {bytes} of {bytes_max} bytes; it empties itself once the broker takes records again, or may grow \
         with SpoolSettings::bytes_max"
    )]
    Full {
        /// What it holds.
        bytes: u64,
        /// What it may hold.
        bytes_max: u64,
    },
    /// A write or sync failed. The spool takes nothing more until the process starts again: after a failed sync, nobody
    /// knows what is on the disk.
    #[error("the spool failed: {0}; mend the disk, then start the process again")]
    Failed(Arc<io::Error>),
    /// The spool's thread ended.
    #[error("the spool is closed; start another producer")]
    Closed,
}

/// How a spool stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolStatus {
    /// Records that wait to be sent.
    pub waiting: u64,
    /// Records taken since it was opened.
    pub taken: u64,
    /// Records sent again, and stored by a broker, since it was opened.
    pub resent: u64,
    /// Records that a broker refused for good: they are kept for a person ([`Spool::refused`]).
    pub refused: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes it may hold.
    pub bytes_max: u64,
    /// Bytes of an unfinished write, cut when it was opened. Nothing acknowledged was in them.
    pub torn_bytes: u64,
    /// Unreadable bytes in its files, passed over when it was opened or later. **Records are lost if this is not 0.**
    pub damaged_bytes: u64,
}

impl SpoolStatus {
    /// All of it under the names of metrics, as Prometheus would have them. Later versions may add some.
    pub fn metrics(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("tallymq_spool_waiting", self.waiting),
            ("tallymq_spool_taken_total", self.taken),
            ("tallymq_spool_resent_total", self.resent),
            ("tallymq_spool_refused", self.refused),
            ("tallymq_spool_bytes", self.bytes),
            ("tallymq_spool_bytes_max", self.bytes_max),
            ("tallymq_spool_torn_bytes", self.torn_bytes),
            ("tallymq_spool_damaged_bytes", self.damaged_bytes),
        ]
    }
}

#[derive(Debug, Default)]
struct Gauges {
    waiting: AtomicU64,
    taken: AtomicU64,
    resent: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
    queued_bytes: AtomicU64, // of records that the thread has not written yet
    damaged_bytes: AtomicU64,
}

/// An open spool; a [`Producer`](crate::Producer) has one if its builder was told to.
#[derive(Debug)]
pub struct Spool {
    requests: Mutex<Option<mpsc::Sender<Request>>>, // None only while it is dropped
    thread: Option<thread::JoinHandle<()>>,
    gauges: Arc<Gauges>,
    bytes_max: u64,
    torn_bytes: u64,
    unplaced_at_open: HashSet<String>,
}

impl Spool {
    /// Opens it, reads what is there and starts its thread. Blocks on the disk.
    pub(crate) fn open(settings: &SpoolSettings) -> Result<Spool, OpenError> {
        let directory = settings.directory.clone();
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse(directory.clone()),
            _ => OpenError::Io { directory: directory.clone(), source },
        };
        let medium = Directory::open(&settings.directory).map_err(failed)?;
        let journal = Journal::open(medium, FILE_BYTES_MAX).map_err(failed)?;
        if journal.damaged_bytes > 0 {
            tracing::error!(directory = %directory.display(), bytes = journal.damaged_bytes, "the spool is damaged");
        }
        let gauges = Arc::new(Gauges::default());
        gauges.waiting.store(journal.waiting(), Relaxed);
        gauges.refused.store(journal.refused_count(), Relaxed);
        gauges.bytes.store(journal.bytes(), Relaxed);
        gauges.damaged_bytes.store(journal.damaged_bytes, Relaxed);
        let (torn_bytes, unplaced_at_open) = (journal.torn_bytes, journal.unplaced_topics());
        let (requests, thread) = writer::start(journal, gauges.clone()).map_err(failed)?;
        Ok(Spool {
            requests: Mutex::new(Some(requests)),
            thread: Some(thread),
            gauges,
            bytes_max: settings.bytes_max,
            torn_bytes,
            unplaced_at_open,
        })
    }

    /// How it stands.
    pub fn status(&self) -> SpoolStatus {
        SpoolStatus {
            waiting: self.waiting(), // before what became of the others
            taken: self.gauges.taken.load(Relaxed),
            resent: self.gauges.resent.load(Relaxed),
            refused: self.gauges.refused.load(Relaxed),
            bytes: self.gauges.bytes.load(Relaxed),
            bytes_max: self.bytes_max,
            torn_bytes: self.torn_bytes,
            damaged_bytes: self.gauges.damaged_bytes.load(Relaxed),
        }
    }

    /// Records that a broker refused for good, with an id for [`Spool::discard`].
    pub async fn refused(&self) -> Result<Vec<(u64, Record)>, SpoolError> {
        self.ask(|reply| Request::Refused { reply }).await
    }

    /// Removes a refused record: a person saw to it.
    pub async fn discard(&self, id: u64) -> Result<(), SpoolError> {
        self.ask(|reply| Request::Discard { id, reply }).await
    }

    /// Queues a record, in the order of the calls. The receiver answers when it is synced. Never blocks.
    pub(crate) fn append(
        &self,
        record: Record,
    ) -> Result<oneshot::Receiver<Result<(), SpoolError>>, SpoolError> {
        let size = record.size_bytes() as u64;
        let bytes = self.gauges.bytes.load(Relaxed) + self.gauges.queued_bytes.load(Relaxed);
        if bytes + size > self.bytes_max {
            return Err(SpoolError::Full { bytes, bytes_max: self.bytes_max });
        }
        let (reply, answer) = oneshot::channel();
        self.gauges.waiting.fetch_add(1, Relaxed);
        self.gauges.queued_bytes.fetch_add(size, Relaxed);
        self.request(Request::Append { record, reply })?;
        Ok(answer)
    }

    fn request(&self, request: Request) -> Result<(), SpoolError> {
        let requests = self.requests.lock();
        requests.as_ref().and_then(|requests| requests.send(request).ok()).ok_or(SpoolError::Closed)
    }

    /// The topics of which it held records without partition or number when it was opened.
    pub(crate) fn unplaced_at_open(&self) -> &HashSet<String> {
        &self.unplaced_at_open
    }

    /// Records that wait, with those that are queued.
    pub(crate) fn waiting(&self) -> u64 {
        self.gauges.waiting.load(Acquire)
    }

    /// Puts what waits into the order of sending.
    pub(crate) async fn arrange(&self) -> Result<(), SpoolError> {
        self.ask(|reply| Request::Arrange { reply }).await
    }

    /// The next records, in the order of sending.
    pub(crate) async fn next(
        &self,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Record)>, SpoolError> {
        self.ask(|reply| Request::Next { records_max, bytes_max, reply }).await
    }

    /// Notes partitions and numbers, durably.
    pub(crate) async fn assign(
        &self,
        assigned: Vec<(u64, i32, Option<SequenceId>)>,
    ) -> Result<(), SpoolError> {
        self.ask(|reply| Request::Assign { assigned, reply }).await
    }

    /// Strikes records off that a broker stored.
    pub(crate) async fn settle(&self, ids: Vec<u64>) -> Result<(), SpoolError> {
        self.ask(|reply| Request::Settle { ids, reply }).await
    }

    /// Keeps a record for a person.
    pub(crate) async fn refuse(&self, id: u64) -> Result<(), SpoolError> {
        self.ask(|reply| Request::Refuse { id, reply }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, SpoolError>>) -> Request,
    ) -> Result<T, SpoolError> {
        let (reply, answer) = oneshot::channel();
        self.request(request(reply))?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }
}

impl Drop for Spool {
    /// Waits for the thread's last write, so that the directory can be opened again at once.
    fn drop(&mut self) {
        drop(self.requests.lock().take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the spool's thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_record_that_gets_damaged_is_counted_and_waits_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(&SpoolSettings::at(directory.path())).unwrap();
        for value in ["first", "second", "third"] {
            spool.append(Record::to("t").value(value)).unwrap().await.unwrap().unwrap();
        }
        let file = directory.path().join("00000000000000000001.spool");
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.windows(5).position(|window| window == b"first").unwrap();
        bytes[at] = b'F';
        fs::write(&file, &bytes).unwrap();
        let next = spool.next(10, usize::MAX).await.unwrap();
        let values: Vec<_> = next.iter().map(|(_, record)| record.value.clone().unwrap()).collect();
        assert_eq!(values, ["second", "third"]);
        let status = spool.status();
        assert!(status.waiting == 2 && status.damaged_bytes > 0, "{status:?}");
        spool.settle(next.iter().map(|(id, _)| *id).collect()).await.unwrap();
        let status = spool.status();
        assert_eq!((status.waiting, status.resent, status.bytes), (0, 2, 0));
    }
}
