//! The Rust SDK of TallyMQ: nothing is lost before the queue, and nothing is done twice behind it. It stands on
//! librdkafka, works against any cluster that speaks the Kafka protocol, and imports no other crate of the workspace.
//!
//! | you want | you take |
//! |---|---|
//! | to know what became of a record | [`Producer`]: every send ends as [`Stored`] or as a typed [`SendError`] |
//! | to get over an outage | a [`SpoolSettings`] or a fallback in the [`ProducerBuilder`] |
//! | to acknowledge only what is done | [`Consumer`] with a [`Handler`] |
//! | to live with records that fail | [`Retry`], and [`DeadLetters`] for what no retry mends |
//! | to see what is missing | [`sequence`]: every record is numbered, and gaps are named |
//! | to send in your database's transaction | the outbox (features `postgres`, `mysql`, `sqlite`) |
//! | to do work once | the [`inbox`] (the same, and `redis`) |
//!
//! Whole programs are in `examples/` and in `docs/client.md`: this one, a spool, dead letters, an outbox and an inbox.
//!
//! ```no_run
#![doc = include_str!("../examples/hello.rs")]
//! ```
//!
//! Everything runs on tokio. The counters ([`ProducerCounts`], [`SpoolStatus`], [`ConsumerCounts`],
//! [`sequence::SequenceCounts`]) are plain numbers with a `metrics()` each, for whatever collects yours.
//!
//! The feature `tls` builds librdkafka with TLS and SASL-SCRAM; it needs the headers of OpenSSL.

pub mod headers;
pub mod inbox;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub mod outbox;
pub mod partition;
pub mod sequence;

mod cluster;
mod consumer;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod database_clock;
mod dead_letters;
mod passing;
mod planted;
mod producer;
mod receipt;
mod record;
mod spool;
mod topics;

/// Its types are in this crate's signatures; so it is with the other crates here. Taken from here, they have the version
/// that fits.
pub use bytes;
pub use cluster::{Cluster, StartError};
pub use consumer::{
    Consumer, ConsumerBuilder, ConsumerCounts, Handler, HandlerError, Order, Position, Received, Retry,
    Stopped, dead_letter_topic, retry_topic,
};
pub use dead_letters::{DeadLetter, DeadLetterError, DeadLetterStream, DeadLetters, Letters};
pub use headers::Header;
pub use producer::{Producer, ProducerBuilder, ProducerCounts, Refusal, SendError, Stored, Unsettled};
pub use receipt::{CountingReceipts, Outcome, Receipt, ReceiptSink};
pub use record::Record;
#[cfg(feature = "redis")]
pub use redis;
pub use spool::{OpenError, Spool, SpoolError, SpoolSettings, SpoolStatus};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use sqlx;
pub use uuid;
