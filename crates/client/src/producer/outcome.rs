//! What becomes of a send: stored, refused or unknown. Nothing else, and never silence.

use crate::{record::Record, sequence::SequenceId, spool::SpoolError};

/// Where a record is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a record in the fallback or the spool is safe, but not where it was meant to be"]
#[non_exhaustive]
pub enum Stored {
    /// Its broker acknowledged it, durably.
    InTopic {
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// The number it carries, if numbers are on.
        sequence: Option<SequenceId>,
    },
    /// Its broker did not answer in time; a fallback acknowledged it. If the answer was lost and not the record, it is
    /// in its topic too.
    InFallback {
        /// Which fallback, in the order in which they were given to the builder.
        fallback: usize,
        /// The topic there.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// No broker answered in time; it is on the local disk, synced, and will be sent from there.
    InSpool,
}

impl Stored {
    /// Whether a broker has it.
    pub fn by_broker(&self) -> bool {
        !matches!(self, Stored::InSpool)
    }
}

/// A record was not stored, or nobody can say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It is certainly not stored. Send it again, once the cause is mended.
    #[error("not stored: {cause}")]
    Refused {
        /// Why.
        cause: Refusal,
        /// The record, unchanged.
        record: Box<Record>,
    },
    /// It may or may not be stored: the answer is missing. Sending it again may store it twice.
    #[error("nobody can say whether it is stored: {cause}; sending it again may store it twice")]
    Unknown {
        /// What happened.
        cause: String,
        /// The record, unless the producer's runtime ended with it.
        record: Option<Box<Record>>,
    },
}

impl SendError {
    /// Whether it is certain that the record is not stored.
    pub fn is_refused(&self) -> bool {
        matches!(self, SendError::Refused { .. })
    }

    /// The record, to keep or to send again.
    pub fn into_record(self) -> Option<Record> {
        match self {
            SendError::Refused { record, .. } => Some(*record),
            SendError::Unknown { record, .. } => record.map(|record| *record),
        }
    }
}

/// Why a record was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The broker, or librdkafka before it, will not take such a record.
    #[error("{0}")]
    Rejected(String),
    /// The topic or partition does not exist.
    #[error("topic {0} does not exist; create it")]
    NoTopic(String),
    /// No broker was reached, and nothing was sent.
    #[error("no broker was reached: {0}")]
    Unreachable(String),
    /// No broker was reached, and the spool could not take it either.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The records that wait for an answer fill the producer's buffer.
    #[error("the producer's buffer of {buffer_bytes_max} bytes is full; slow down, or raise it")]
    BufferFull {
        /// The bound.
        buffer_bytes_max: usize,
    },
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
}
