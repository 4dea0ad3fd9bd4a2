//! How a group ends: on request, or by a failure that must end the process. One place decides it, once.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tallymq_model::RaftGroup;
use tokio::sync::watch;

use crate::{GroupEnded, ProposeError};

/// Called once if the group ends by a failure, possibly on the write-ahead log's thread: it must not block. The process
/// is expected to end.
pub type OnFatal = Arc<dyn Fn(GroupEnded) + Send + Sync>;

/// Whether a group still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Running = 0,
    /// Takes no new proposals and finishes those in flight.
    Closing = 1,
    /// Failed, or shut down. No success is reported any more.
    Ended = 2,
}

pub(crate) struct Fate {
    group: RaftGroup,
    phase: AtomicU8,
    changed: watch::Sender<Phase>,
    on_fatal: OnFatal,
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fate").field("group", &self.group).field("phase", &self.phase()).finish()
    }
}

impl Fate {
    pub(crate) fn new(group: RaftGroup, on_fatal: OnFatal) -> Fate {
        Fate {
            group,
            phase: AtomicU8::new(Phase::Running as u8),
            changed: watch::Sender::new(Phase::Running),
            on_fatal,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Closing,
            _ => Phase::Ended,
        }
    }

    /// Begins a shutdown; false if the group is already ending.
    pub(crate) fn close(&self) -> bool {
        self.advance(Phase::Closing)
    }

    /// The shutdown is done.
    pub(crate) fn end(&self) {
        self.advance(Phase::Ended);
    }

    /// Something failed: the group ends, and with it the process. Only the first call counts.
    pub(crate) fn fail(&self, reason: impl fmt::Display) {
        if self.advance(Phase::Ended) {
            let ended = GroupEnded { group: self.group, reason: reason.to_string() };
            tracing::error!(group = self.group.0, reason = ended.reason, "the group ended");
            (self.on_fatal)(ended);
        }
    }

    /// Waits for a phase, or a later one.
    pub(crate) async fn reached(&self, phase: Phase) {
        let mut changed = self.changed.subscribe();
        changed.wait_for(|now| *now >= phase).await.expect("the sender is borrowed");
    }

    /// Whether a proposal may be queued.
    pub(crate) fn check_open(&self) -> Result<(), ProposeError> {
        if self.phase() == Phase::Running { Ok(()) } else { Err(ProposeError::ShuttingDown) }
    }

    fn advance(&self, to: Phase) -> bool {
        let before = self.phase.fetch_max(to as u8, Ordering::AcqRel);
        self.changed.send_if_modified(|now| {
            let rises = *now < to;
            *now = (*now).max(to);
            rises
        });
        before < to as u8
    }
}
