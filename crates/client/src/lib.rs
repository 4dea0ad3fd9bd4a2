//! The Rust SDK of TallyMQ, for any cluster that speaks the Kafka protocol. It may not import another crate of the workspace.

pub mod headers;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite", feature = "redis"))]
pub mod inbox;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub mod outbox;
pub mod partition;
pub mod sequence;

mod cluster;
mod consumer;
mod dead_letters;
mod planted;
mod producer;
mod receipt;
mod record;
mod spool;
mod topics;

pub use cluster::{Cluster, StartError};
pub use consumer::{
    Consumer, ConsumerBuilder, ConsumerCounts, Handler, HandlerError, Order, Position, Received, Retry,
    Stopped, dead_letter_topic, retry_topic,
};
pub use dead_letters::{DeadLetter, DeadLetterError, DeadLetters, Letters};
pub use headers::Header;
pub use producer::{Producer, ProducerBuilder, ProducerCounts, Refusal, SendError, Stored, Unsettled};
pub use receipt::{CountingReceipts, Outcome, Receipt, ReceiptSink};
pub use record::Record;
pub use spool::{OpenError, Spool, SpoolError, SpoolSettings, SpoolStatus};
