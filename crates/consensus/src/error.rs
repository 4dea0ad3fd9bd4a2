//! One error enum per operation of a group. No openraft type shows.

use std::io;

use tallymq_model::{LogIndex, NodeId, RaftGroup};
use tallymq_storage::{
    checkpoint::{LoadError, SaveError},
    wal::WalReadError,
};
use thiserror::Error;

use crate::DecodeError;

/// Why a proposal has no outcome.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProposeError {
    /// Not appended: this node does not lead the group.
    #[error("this node does not lead the group")]
    NotLeader {
        /// Who does, as far as is known.
        leader: Option<NodeId>,
    },
    /// Not appended: the group is shutting down, or has ended after a failure.
    #[error("the group is shutting down")]
    ShuttingDown,
    /// Maybe appended, maybe not: a disk failed, the leader changed or the group ended underneath.
    #[error("the outcome is not known")]
    Unknown,
    /// Not appended: the command is larger than the group takes.
    #[error("the command has {size_bytes} bytes, more than {limit_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
}

/// Why a group does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The group's checkpoint cannot be used.
    #[error("group {group}: {source}")]
    Checkpoint {
        /// The group.
        group: RaftGroup,
        /// What is wrong.
        source: LoadError,
    },
    /// The checkpoint could not be made the one that every later start finds.
    #[error("group {group}: {source}")]
    Settle {
        /// The group.
        group: RaftGroup,
        /// Why.
        source: SaveError,
    },
    /// The header of the checkpoint cannot be read.
    #[error("group {group}: the checkpoint's header: {source}")]
    CheckpointHeader {
        /// The group.
        group: RaftGroup,
        /// What is wrong.
        source: DecodeError,
    },
    /// The stored vote cannot be read.
    #[error("group {group}: the stored vote: {source}")]
    Vote {
        /// The group.
        group: RaftGroup,
        /// What is wrong.
        source: DecodeError,
    },
    /// The state machine refuses the checkpoint's state.
    #[error("group {group}: the state of the checkpoint at {applied}: {source}")]
    Restore {
        /// The group.
        group: RaftGroup,
        /// Through which entry the checkpoint goes.
        applied: LogIndex,
        /// What is wrong.
        source: io::Error,
    },
    /// Between the newest usable checkpoint and the first entry of the write-ahead log entries are missing: a newer
    /// checkpoint is damaged or gone. The group must be restored from a replica or a backup.
    #[error(
        "group {group}: the newest usable checkpoint ends at {checkpoint}, the write-ahead log begins at {first}; \
             what is between is missing, restore this group from a replica or a backup"
    )]
    Gap {
        /// The group.
        group: RaftGroup,
        /// Through which entry the checkpoint goes, 0 if there is none.
        checkpoint: LogIndex,
        /// The first entry that the log still has.
        first: LogIndex,
    },
    /// The consensus engine refused to start.
    #[error("group {group}: {reason}")]
    Engine {
        /// The group.
        group: RaftGroup,
        /// What it said.
        reason: String,
    },
}

/// Why there is no new checkpoint.
#[derive(Debug, Error)]
pub enum CheckpointFailed {
    /// There is no room for it. The old one stays; try again later.
    #[error("no room for the checkpoint: {0}")]
    NoSpace(SaveError),
    /// The state could not be built or made durable: the group has ended, because what a failed sync left behind is not
    /// known.
    #[error("building the state: {0}")]
    Build(io::Error),
    /// It could not be stored; the group has ended.
    #[error("{0}")]
    Save(SaveError),
    /// The group has ended, or ends.
    #[error("the group is shutting down")]
    ShuttingDown,
}

/// Why a group ended by itself. The process must end: what is on the disk has to be read again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("group {group} ended: {reason}")]
pub struct GroupEnded {
    /// Which group.
    pub group: RaftGroup,
    /// Why.
    pub reason: String,
}

/// Why entries cannot be read back.
#[derive(Debug, Error)]
pub(crate) enum ReadEntriesError {
    #[error(transparent)]
    Wal(#[from] WalReadError),
    #[error("entry {index}: {source}")]
    Decode { index: LogIndex, source: DecodeError },
    #[error("the log ends before entry {0}")]
    Missing(LogIndex),
}

impl From<ReadEntriesError> for io::Error {
    fn from(error: ReadEntriesError) -> io::Error {
        io::Error::other(error)
    }
}
