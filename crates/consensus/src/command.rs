//! What a Raft group carries and what it drives: commands and the state machine that applies them. Both are the
//! replica's; nothing here knows a broker rule.

use std::{fmt, io};

use bytes::Bytes;
use tallymq_model::{LogIndex, Term};

use crate::Parts;

/// One command: what a state machine applies. Several travel in one log entry.
pub trait Command: Clone + fmt::Debug + Send + Sync + 'static {
    /// Appends the encoded command. Large buffers are linked ([`Parts::link`]), not copied.
    fn encode(&self, out: &mut Parts);
    /// Reads one command back. `bytes` holds exactly one; what is left unread is an error of the caller's.
    fn decode(bytes: &mut Bytes) -> Result<Self, DecodeError>;
    /// About the bytes that [`Command::encode`] appends: counted against the bytes in flight.
    fn size_bytes(&self) -> usize;
}

/// One group's state. Applied on one task, in log order; the same commands give the same state on every node.
pub trait StateMachine: Send + Sync + 'static {
    /// What it applies.
    type Command: Command;
    /// What a command came to, for whoever proposed it.
    type Outcome: Send + 'static;

    /// Applies the next command. Cannot fail, only answer. All commands of one entry have the same `at`.
    fn apply(&mut self, at: EntryId, command: Self::Command) -> Self::Outcome;
    /// A run of entries has been applied; comes before the run's outcomes are delivered. Wake readers here, once.
    fn batch_applied(&mut self);
    /// Takes the state as it is now. The closure (encode, flush, sync) runs on another thread while apply goes on, and
    /// gives the state's parts.
    fn begin_checkpoint(&mut self) -> BuildState;
    /// The checkpoint through `through` is durable: what only older ones need may go.
    fn checkpoint_durable(&mut self, through: LogIndex);
    /// Takes over the state of a checkpoint. At start, before any apply.
    fn restore(&mut self, state: Bytes) -> io::Result<()>;
}

/// Finishes a checkpoint off the apply path: encodes the state that was taken, and makes durable what it refers to.
pub type BuildState = Box<dyn FnOnce() -> io::Result<Vec<Bytes>> + Send>;

/// Where a command stands in its group's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId {
    /// The term of the leader that appended the entry.
    pub term: Term,
    /// The entry's position.
    pub index: LogIndex,
}

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(String);

impl DecodeError {
    /// Says what is wrong.
    pub fn new(what: impl Into<String>) -> DecodeError {
        DecodeError(what.into())
    }
}

impl From<DecodeError> for io::Error {
    fn from(error: DecodeError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}
