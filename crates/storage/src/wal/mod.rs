//! The write-ahead log: one per node, shared by all Raft groups, and it *is* their Raft log. Payloads are opaque.
//! Nothing here may acknowledge a record before the sync that covers it, nor repair what it cannot prove to be unsynced.
//!
//! ```text
//!  submit ──► queue ──► committer.step(): drain, one write, one fdatasync ──► index ──► completions, in queue order
//!                                                        │
//!             wal/0000000000000007.wal  [file header | group | group | …]      fixed size, zero-filled in advance
//!             wal/0000000000000008.wal  [file header | snapshot | group | …]   recycled by rename when all is purged
//!             wal/spare-3               zeros, or the stale bytes of a recycled file
//! ```
//!
//! The bytes are drawn in `docs/formats.md`. The rules that recovery lives by:
//! - a commit group is written only after the one before it was written, and carries the newest group that was *synced*;
//! - a closing group follows within [`WalOptions::closing_delay`] of the queue running empty, so a bad group with
//!   something newer behind it that calls it synced is damage, and one without is a torn tail;
//! - a file ends synced before the next one begins, and each file begins with what idle groups must not lose.
//!
//! What a full log does: [`Wal::submit`] goes on queueing and the committer goes on writing, past
//! [`WalOptions::bytes_max`], because the purges that make room travel through the same queue; whoever admits load
//! looks at [`Wal::pressure`]. Files beyond the limit are deleted, not recycled, once they are purged.

mod commit;
mod committer;
mod error;
mod files;
mod format;
mod group;
mod handle;
mod index;
mod options;
mod prepare;
mod record;
mod recovery;
mod scan;
mod shared;
mod stats;
mod thread;
mod walk;
mod writer;

pub use commit::{CommitFailed, CommitObserver, CommittedGroup, Completion, Durable};
pub use committer::{Clock, Committer, Step};
pub use error::{WalOpenError, WalReadError};
pub use group::{GroupSnapshot, MetaRecord};
pub use handle::{SUBMISSION_BYTES_MAX, Wal};
pub use options::{Flush, Nanos, WalOptions};
pub use prepare::Preparer;
pub use record::{LogEntry, WalRecord};
pub use recovery::{Recovered, RecoveredGroup, TornTail};
pub use scan::{ScanItem, ScanSummary, scan};
pub use stats::{Pressure, WalStats};
pub use thread::{CommitterThread, spawn};
