//! The logs of the partitions: segment files in the Kafka batch format, written behind the WAL, and the newest batches
//! in memory. Everything appended here was committed. Files are made durable only by checkpoints; what is behind
//! the newest one comes again from the WAL. Nothing here knows a topic's name, a producer or a group's rules.
//!
//! ```text
//!  apply ── append ──► Tail (memory) ◄── read ── fetch
//!                        │ queue            │ older
//!                   SegmentWriter ──► <base>.log, .index ── checked ──┘
//! ```

mod batches;
mod epochs;
mod error;
mod extent;
mod files;
mod holes;
mod index;
pub(crate) mod names;
mod options;
mod partition;
mod position;
mod prepare;
mod range;
mod read;
mod removal;
pub mod retention;
pub mod scan;
mod segment;
mod shared;
mod state;
mod store;
mod tail;
mod thread;
pub mod timestamp;
mod writeback;
mod writer;

pub use epochs::EpochStart;
pub use error::{AppendError, Damage, FlushError, ReadError, WriteFailed};
pub use extent::DamageExtent;
pub use options::{LogOptions, PartitionOptions};
pub use partition::{FetchedBatches, FoundBatch, PartitionLog};
pub use position::{LogPosition, PositionError, SegmentPosition};
pub use range::BatchRange;
pub use scan::ScanSummary;
pub use segment::SegmentView;
pub use shared::WrittenHook;
pub use store::{CheckpointMark, LogStats, LogStore};
pub use thread::{WriterThread, spawn};
pub use timestamp::Searched;
pub use writer::{SegmentWriter, Step};
