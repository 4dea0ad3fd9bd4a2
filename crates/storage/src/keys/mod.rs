//! Indexes of keys: which batches of a part of a log hold records with a key. A help and never the truth: what an index points at
//! is read and compared, what is damaged in it is refused, so that it cannot hide a record, and all of them can be built again.
//! Nothing here knows what a key or a record looks like: whoever builds hands in who finds the keys in a batch.
//!
//! ```text
//!  plan: a part of one segment, below the durable checkpoint ─► BatchRange
//!     Build::step … ─► Sorter ─► <from>.keys.new ─► <from>.keys ─► KeyIndexes ◄─ find(key)
//! ```
//! An index speaks of offsets below a durable checkpoint. What is there never changes, whatever crashes, so nothing needs to be synced and
//! no segment's boundaries are remembered. One part lies in one segment; a segment that grows slowly has several.
//!
//! Architecture Invariant: never on the way of a produce or a fetch; only the one who builds creates files here, and whoever finds one
//! damaged removes it, in a directory of their own, so that the segment writer never meets them.

mod build;
mod check;
mod error;
mod file;
mod format;
mod inventory;
mod names;
mod plan;
mod posting;
mod sort;

pub use build::{Build, BuildError, BuildStep, Extract, Unreadable};
pub use check::{Finding, check};
pub use error::KeysError;
pub use format::Facts;
pub use inventory::{Found, KeyIndexes, KeyStats, Part};
pub use plan::{PART_BYTES_MIN, next as plan};
pub use posting::{KeyHash, PostingSum, unread_term};
