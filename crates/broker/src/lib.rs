//! The rules of TallyMQ. Commands are admitted by a leader, go through a Raft group's log, and are applied here
//! deterministically; beside them stand the leader's decisions that need not last. Pure: no clock, file, socket,
//! thread, randomness, async; time comes in as an argument.

pub mod account;
pub mod apply;
pub mod codec;
pub mod config;
pub mod data;
pub mod group;
pub mod hash;
pub mod metadata;
pub mod produce;

pub use apply::ApplyContext;
pub use codec::{DecodeError, Parts, Reader};
