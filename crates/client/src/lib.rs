//! The Rust SDK of TallyMQ, for any cluster that speaks the Kafka protocol. It may not import another crate of the workspace.

pub mod headers;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite", feature = "redis"))]
pub mod inbox;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub mod outbox;
pub mod partition;
pub mod sequence;

mod cluster;
mod planted;
mod producer;
mod record;
mod spool;

pub use cluster::{Cluster, StartError};
pub use headers::Header;
pub use producer::{Producer, ProducerBuilder, ProducerCounts, Refusal, SendError, Stored, Unsettled};
pub use record::Record;
pub use spool::{OpenError, Spool, SpoolError, SpoolSettings, SpoolStatus};
