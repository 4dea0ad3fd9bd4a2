//! The nouns of TallyMQ: ids, positions, record batches. Pure data; nothing here may touch a clock, a file, a
//! socket or randomness, and nothing here imports another crate of ours.

pub mod batch;
pub mod ids;

pub use batch::{BatchError, BatchHeader, TimestampType};
pub use ids::*;
