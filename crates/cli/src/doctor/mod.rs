//! What can lose or double messages, found from facts: the settings and the state of a cluster, and the property files of
//! clients. All of it is pure; `commands::doctor` gathers the facts and prints what is found.
//!
//! ```text
//!  cluster::facts ──► cluster::{brokers, topics, groups, retention} ──┐
//!                                                                      ├──► findings
//!  client::ClientFile ──► client::{producer, consumer, keys, …} ───────┘
//! ```

pub mod client;
pub mod cluster;
mod finding;

pub use finding::{Finding, Object, Rule, Setting, Severity};
