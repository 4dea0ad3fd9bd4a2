//! Storage: the disk, the write-ahead log that all Raft groups of a node share, the segments of each partition
//! behind it, their indexes of keys, and checkpoints. Synchronous; threads are only started by the shells that say so, clocks come in as
//! arguments. It knows no command, no topic name and no consensus rule.

pub mod checkpoint;
pub mod disk;
pub mod keys;
pub mod log;
pub mod wal;
