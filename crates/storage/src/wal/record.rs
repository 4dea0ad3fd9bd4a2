//! What is queued for the log, and what is read back from it. The payload is opaque and never copied on its way in.

use bytes::Bytes;
use tallymq_model::{LogIndex, RaftGroup, Term};

/// One change to a Raft group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalRecord {
    /// Appends an entry; its index is one above the group's last (or what is purged).
    Entry {
        /// The group.
        group: RaftGroup,
        /// Its position in the group's log.
        index: LogIndex,
        /// The term it was proposed in.
        term: Term,
        /// The payload, in parts that are written one behind the other.
        payload: Vec<Bytes>,
    },
    /// The group's vote; the latest one counts.
    Vote {
        /// The group.
        group: RaftGroup,
        /// Opaque.
        vote: Bytes,
    },
    /// Removes entries from `from` on.
    Truncate {
        /// The group.
        group: RaftGroup,
        /// The first entry removed.
        from: LogIndex,
    },
    /// A checkpoint covers the entries through `through`: they are not needed any more. It may lie beyond the last
    /// entry; then the next one follows it.
    Purge {
        /// The group.
        group: RaftGroup,
        /// The last entry purged.
        through: LogIndex,
    },
}

impl WalRecord {
    /// The group that it belongs to.
    pub fn group(&self) -> RaftGroup {
        match self {
            WalRecord::Entry { group, .. }
            | WalRecord::Vote { group, .. }
            | WalRecord::Truncate { group, .. }
            | WalRecord::Purge { group, .. } => *group,
        }
    }
}

/// An entry read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position in the group's log.
    pub index: LogIndex,
    /// The term it was proposed in.
    pub term: Term,
    /// Its payload, in one piece.
    pub payload: Bytes,
}
