//! A record on its way through the producer, and who is told in the end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::outcome::{SendError, Stored};
use crate::record::Record;

/// What a send answers.
pub(super) type SendResult = Result<Stored, SendError>;

/// Who is told.
pub(super) enum Reply {
    Awaited(oneshot::Sender<SendResult>),
    Callback(Box<dyn FnOnce(SendResult) + Send>),
    OneWay,
}

impl Reply {
    pub(super) fn is_one_way(&self) -> bool {
        matches!(self, Reply::OneWay)
    }

    pub(super) fn tell(self, result: SendResult) {
        match self {
            // A caller that stopped waiting is told by the counters only.
            Reply::Awaited(caller) => drop(caller.send(result)),
            // It runs among the producer's own tasks, which have others' records in their hands.
            Reply::Callback(callback) => {
                if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
                    tracing::error!("a callback of send_with panicked");
                }
            }
            Reply::OneWay => {
                if let Err(error) = result {
                    tracing::warn!(%error, "a one-way record is lost");
                }
            }
        }
    }
}

/// A record with its caller and its share of the buffer.
pub(super) struct Job {
    /// As the caller gave it: what an error gives back.
    pub(super) original: Record,
    /// With partition and number, once it has them.
    pub(super) record: Record,
    pub(super) reply: Reply,
    pub(super) room: Option<OwnedSemaphorePermit>,
}
