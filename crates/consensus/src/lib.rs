//! Raft groups over the node's write-ahead log: commands go in, outcomes that are proven to be committed come out. The
//! only crate that names openraft, and it shows none of its types; it knows no broker rule.
//!
//! ```text
//!  propose ─► queue ─► Proposer: what is queued becomes one entry ─► engine ─► RaftLog ─► wal: one sync for all groups
//!                                                                      │                          │ Durable
//!  Committed ◄─ outcomes, after readers are woken ◄─ StateMachine ◄─ apply ◄── Watermark ◄────────┘
//! ```
//!
//! | file | is |
//! |---|---|
//! | `group` | a group: start, propose, leadership, shutdown |
//! | `recovery`, `launch` | what a group starts from: checkpoint, vote, log; and how |
//! | `proposer`, `batch` | commands become entries |
//! | `applier` | entries become outcomes |
//! | `checkpointer` | checkpoints, and the purge behind them |
//! | `durability` | the chain of proof from the sync to the acknowledgement |
//! | `fate` | how a group ends |
//! | `format` | the bytes of entries, votes and checkpoint headers |
//! | `raft` | the engine and what it is given |

mod applier;
mod batch;
mod checkpointer;
mod command;
mod durability;
mod error;
mod fate;
mod format;
mod group;
mod launch;
mod options;
mod proposer;
mod raft;
mod recovery;

pub use command::{BuildState, Command, DecodeError, EntryId, StateMachine};
pub use durability::Committed;
pub use error::{CheckpointFailed, GroupEnded, ProposeError, StartError};
pub use fate::OnFatal;
pub use format::stored_commands;
pub use group::{Group, Proposal, Room};
pub use options::GroupOptions;
pub use tallymq_model::Parts;
