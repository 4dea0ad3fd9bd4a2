//! What a group promises, over the real write-ahead log on a disk in memory.
#![allow(clippy::unwrap_used)]

mod checkpoints;
mod crashes;
mod failures;
mod large;
mod many;
mod order;
mod power;
mod restart;
mod shutdown;
mod world;
