//! Where a relay sends to. The trait keeps the relay free of any client, so that it is tested without a broker.

use std::{future::Future, sync::Arc};

use crate::{Producer, Record, Refusal};

/// Takes a record and returns when it is stored durably.
///
/// The relay sends the next record of a key only after the one before was acknowledged, and keeps at most one send per
/// key under way. A destination therefore needs no order of its own: a copy that arrives late, after its send was given
/// up, can only be a repetition. Give the relay a producer without a fallback: the outbox is the better one.
pub trait Destination: Send + Sync {
    /// Sends one record. `Ok` says that it is durable: the relay will never send it again.
    ///
    /// # Errors
    /// [`DestinationError::Retry`] if it is not stored, or nobody knows; the relay backs off and sends it again.
    /// [`DestinationError::Refused`] if it cannot be stored as it is.
    fn send(&self, record: Record) -> impl Future<Output = Result<(), DestinationError>> + Send;
}

/// Why a destination did not store a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// Not stored, or not known to be. A later attempt may succeed.
    #[error("not stored, or nobody knows: {reason}; it will be sent again")]
    Retry {
        /// What happened, for the person who looks at the held key.
        reason: String,
    },
    /// Refused as it is: too large, no such topic, not allowed.
    #[error("refused: {reason}; correct the cause, or park the message")]
    Refused {
        /// What the broker said.
        reason: String,
    },
}

impl DestinationError {
    /// An attempt that may succeed later.
    pub fn retry(reason: impl Into<String>) -> DestinationError {
        DestinationError::Retry { reason: reason.into() }
    }

    /// A refusal.
    pub fn refused(reason: impl Into<String>) -> DestinationError {
        DestinationError::Refused { reason: reason.into() }
    }
}

impl<D: Destination> Destination for Arc<D> {
    fn send(&self, record: Record) -> impl Future<Output = Result<(), DestinationError>> + Send {
        D::send(self, record)
    }
}

/// What a broker acknowledged is sent, also if it is the broker of a fallback. What is only in the producer's spool is not:
/// that disk may be lost, the outbox is not.
impl Destination for Producer {
    async fn send(&self, record: Record) -> Result<(), DestinationError> {
        match Producer::send(self, record).await {
            Ok(stored) if stored.by_broker() => Ok(()),
            Ok(_) => Err(DestinationError::retry(
                "it is only in the local spool; give the relay a producer without one",
            )),
            Err(crate::SendError::Refused {
                cause: cause @ (Refusal::Rejected(_) | Refusal::NoTopic(_)),
                ..
            }) => Err(DestinationError::refused(cause.to_string())),
            Err(error) => Err(DestinationError::retry(error.to_string())),
        }
    }
}
