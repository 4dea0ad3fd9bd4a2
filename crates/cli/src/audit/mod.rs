//! The books of an audit: which sequence numbers a topic's records carry, per partition and producer, and what is wrong with
//! them. Pure: labelled records come in, in the order of their offsets; `commands::audit` reads the topic and prints.
//!
//! ```text
//!  headers ──► label ──► book ──► one ledger per producer instance and partition ──► gaps, repeats, late ones
//! ```

mod book;
mod label;
mod ledger;

pub use book::{Book, Bounds, LookUp, PartitionBook, Place};
pub use label::label;
pub use ledger::{Ledger, Range};
