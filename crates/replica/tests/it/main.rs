//! The replicas over a disk in memory: state and logs stay in step through every command, checkpoint and restore.

mod batches;
mod journal;
mod metadata;
mod restore;
mod step;
