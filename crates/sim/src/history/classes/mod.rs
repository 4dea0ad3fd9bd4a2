//! One file per class of anomaly, each a pure function from the index to what it found; `steps` and `holds` are the
//! walks that two classes share. None looks at another's findings.

pub mod aborted_read;
pub mod commit_lost;
pub mod commit_skip;
pub mod duplicate;
mod holds;
pub mod inconsistent_offsets;
pub mod lost_write;
pub mod nonmonotonic_poll;
pub mod nonmonotonic_send;
pub mod poll_skip;
pub mod precommitted_read;
pub mod redelivered_after_ack;
mod steps;
pub mod two_holders;
pub mod unbalanced;
pub mod unseen;
pub mod unwritten_read;
