//! What the handle, the committer and the preparer share. Locks are held for memory operations only, never during I/O,
//! and never two at once.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::disk::Disk;

use super::{
    commit::{CommitFailed, Completion},
    files::Files,
    index::Index,
    options::WalOptions,
    record::WalRecord,
    stats::WalStats,
};

pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    /// Fitted to the disk.
    pub(super) options: WalOptions,
    pub(super) queue: Mutex<Queue>,
    /// Notified when something was queued, or the queue closed.
    pub(super) queued: Condvar,
    pub(super) index: RwLock<Index>,
    pub(super) files: Mutex<Files>,
    /// Notified when a spare file was used.
    pub(super) spare_wanted: Condvar,
    pub(super) stats: Mutex<WalStats>,
}

/// What waits for the next commit group.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) submissions: VecDeque<Submission>,
    /// Bytes of `submissions`.
    pub(super) bytes: usize,
    /// Once set, nothing is queued any more.
    pub(super) closed: Option<CommitFailed>,
    /// The committer's thread sleeps and must be woken.
    pub(super) parked: bool,
    /// The committer's thread shall end when the queue is empty.
    pub(super) stopping: bool,
}

pub(super) struct Submission {
    pub(super) records: Vec<WalRecord>,
    /// Encoded, payloads included.
    pub(super) bytes: usize,
    pub(super) done: Completion,
}

impl Shared {
    /// Refuses everything from now on, and fails what is queued, in order.
    pub(super) fn close(&self, reason: &CommitFailed) {
        let pending = {
            let mut queue = self.queue.lock();
            queue.closed.get_or_insert_with(|| reason.clone());
            queue.bytes = 0;
            std::mem::take(&mut queue.submissions)
        };
        for submission in pending {
            (submission.done)(Err(reason.clone()));
        }
        self.queued.notify_all();
        self.spare_wanted.notify_all();
    }
}
