//! Where in a Raft group's log a command stands when it is applied. That, the command and the state before it are all
//! that an outcome may depend on.

use tallymq_model::{LogIndex, Term};

/// The log position of the entry that carried a command. The commands of one entry share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyContext {
    /// Index of the entry in its group's log.
    pub index: LogIndex,
    /// Term of the leader that appended it.
    pub term: Term,
}
