//! What the committer hands back: the proof of durability, or why there is none. Nothing else can make the proof.

use std::sync::Arc;

use tallymq_model::{LogIndex, RaftGroup};
use thiserror::Error;

/// Proof that what was submitted is as durable as the broker's flush mode promises: on disk under
/// [`Flush::Sync`](super::Flush::Sync). Only the committer makes it, after the sync.
///
/// ```
/// use tallymq_storage::wal::{Completion, Durable};
///
/// fn acknowledge(_: Durable) {}
/// let done: Completion = Box::new(|told| told.map_or((), acknowledge));
/// ```
/// Nobody else can make one,
/// ```compile_fail,E0423
/// use tallymq_storage::wal::Durable;
///
/// fn not_synced() -> Durable {
///     Durable(())
/// }
/// ```
/// ```compile_fail,E0277
/// fn not_synced() -> tallymq_storage::wal::Durable {
///     Default::default()
/// }
/// ```
/// and there is no second one of it:
/// ```compile_fail,E0277
/// use tallymq_storage::wal::Durable;
///
/// fn twice(durable: &Durable) -> Durable {
///     <Durable as Clone>::clone(durable)
/// }
/// ```
#[derive(Debug)]
pub struct Durable(pub(super) ());

/// Called once per submission, on the committer's thread, in queue order: it is a watermark. It must not block.
pub type Completion = Box<dyn FnOnce(Result<Durable, CommitFailed>) + Send>;

/// Why a submission is not durable.
#[derive(Clone, Debug, Error)]
pub enum CommitFailed {
    /// A write or a sync failed. Nothing since the last good sync may be assumed to be on disk, and nothing is
    /// accepted any more: the process must end.
    #[error("the write-ahead log failed and accepts nothing more: {0}")]
    Disk(Arc<std::io::Error>),
    /// The committer is gone.
    #[error("the write-ahead log is closed")]
    Closed,
    /// More bytes than one commit group can hold ([`super::SUBMISSION_BYTES_MAX`]). Nothing of it was written.
    #[error("{bytes} bytes are too many for one submission")]
    TooLarge {
        /// Bytes that were submitted.
        bytes: usize,
    },
    /// The entry does not follow the group's last one. Nothing of the submission was written.
    #[error("entry {index} of group {group} does not follow {last}")]
    OutOfOrder {
        /// Its group.
        group: RaftGroup,
        /// The index submitted.
        index: LogIndex,
        /// The group's last index, or what is purged.
        last: LogIndex,
    },
}

/// One commit group that became durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommittedGroup {
    /// Submissions completed.
    pub submissions: usize,
    /// Records in it; 0 for a closing group.
    pub records: usize,
    /// Bytes on disk, header and padding included.
    pub bytes: usize,
    /// Nanoseconds that the write took, by the committer's clock (0 without one).
    pub write_nanos: u64,
    /// Nanoseconds that the sync took; 0 if none was due.
    pub sync_nanos: u64,
    /// Whether a sync was due.
    pub synced: bool,
}

/// Told of each commit group, on the committer's thread, before its completions run. For metrics; it must not block.
pub trait CommitObserver: Send + Sync + 'static {
    /// A group was committed.
    fn committed(&self, group: CommittedGroup);
}
