//! The Kafka listener's handlers: one file per API. A handler translates between the wire's structs and the broker's nouns
//! and moves them between the groups; it decides no rule.

mod dispatch;
mod errors;
mod fetch;
mod produce;

pub use dispatch::KafkaCalls;
pub use fetch::sessions::FetchSessions;
