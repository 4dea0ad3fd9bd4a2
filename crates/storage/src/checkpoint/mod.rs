//! Checkpoints of Raft groups: `groups/<group>/checkpoint-<applied index, 20 digits>`. Two are kept; each is whole or
//! not there, and checked when it is read. What is in one is for others to know.
//!
//! ```text
//! preamble:  "TALLYCKP" | format version u32 = 1 | crc32c u32 of these twelve bytes        the same in every version
//! header:    group u32 | applied index u64 | applied term u64 | header bytes u64 | state bytes u64
//!            | crc32c u32 of header and state | crc32c u32 of the fields before
//! body:      header | state
//! ```
//! All big-endian.

mod format;
mod load;
mod save;

use bytes::Bytes;
pub use load::{CheckpointFile, LoadError, Loaded, list, load, read};
pub use save::{SaveError, save, settle};
use tallymq_model::{LogIndex, RaftGroup, Term};

/// Checkpoints kept per group.
pub const KEPT: usize = 2;

/// The state of one Raft group as of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last entry that the state contains.
    pub applied: LogIndex,
    /// Its term.
    pub term: Term,
    /// What consensus keeps with it (vote, membership); opaque.
    pub header: Bytes,
    /// The state, in pieces that are written one behind the other; opaque. Read back as one piece.
    pub state: Vec<Bytes>,
}

fn group_dir(group: RaftGroup) -> String {
    format!("groups/{}", group.0)
}

fn file_name(applied: LogIndex) -> String {
    format!("checkpoint-{:020}", applied.0)
}
