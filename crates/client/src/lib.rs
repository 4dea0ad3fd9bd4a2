//! The Rust SDK of TallyMQ, for any cluster that speaks the Kafka protocol. It may not import another crate of the workspace.

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite", feature = "redis"))]
pub mod inbox;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub mod outbox;
