//! One Raft group's replicated state machine: the broker's state and, for a data group, the partition logs, kept in
//! step. Synchronous and driven from outside; it knows no runtime, no socket and nothing of how entries got committed,
//! so that the simulation runs it as it is.
//!
//! ```text
//!  committed command ─► DataReplica::apply ─► broker::DataGroup::apply ─► outcome ─► whoever proposed it
//!                            ├─ appended at offset ─► PartitionLog::append (memory; written behind)
//!                            └─ journal events ─► the accounts' journal, a log like any other
//!  readers ─► DataView ─► PartitionLog::read, or the state under a short read lock
//! ```

pub mod data;
mod data_checkpoint;
mod journal;
pub mod metadata;
mod view;

pub use data::{DataReplica, PendingCheckpoint, RestoreError};
pub use data_checkpoint::{Contents as DataCheckpoint, decode as decode_data_checkpoint};
pub use metadata::{MetadataChanges, MetadataReplica, MetadataView};
pub use view::DataView;
