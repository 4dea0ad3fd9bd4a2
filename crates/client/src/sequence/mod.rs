//! Sequence numbers from `send()` to the handler: every record carries who sent it and the how-manieth it is, so that a
//! reader can name what is missing. Pure but for [`SequenceWatch`], which tells what it found.
//!
//! ```text
//!   producer instance (a UUID per Producer) ─┬─ topic A, partition 0:  0 1 2 3 …
//!                                            └─ topic A, partition 1:  0 1 2 …
//! ```
//!
//! A number is given after the partition is chosen, and a resend keeps it. So a number seen twice at two offsets is a
//! duplicate, and a number passed over is a record that `send()` took and the log does not have.

mod checker;
mod numbers;
mod ranges;
mod watch;

use uuid::Uuid;

pub use checker::{Finding, SequenceChecker, SequenceCounts, SequenceLimits};
pub(crate) use numbers::Numbers;
pub use ranges::Ranges;
pub use watch::{SequenceCheck, SequenceWatch};

use crate::headers::{self, Header};

/// Which record of which producer instance this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId {
    /// The producer instance.
    pub producer: Uuid,
    /// The record's number, from 0, per producer instance, topic and partition.
    pub number: u64,
}

impl SequenceId {
    /// What the headers `tally-producer` and `tally-seq` say; None if one is absent or unreadable.
    pub fn of(headers: &[Header]) -> Option<SequenceId> {
        SequenceId::read(headers, headers::PRODUCER, headers::SEQUENCE)
    }

    /// What a copy (in a retry or dead-letter topic, or redriven) says of the record that it is a copy of.
    pub fn of_origin(headers: &[Header]) -> Option<SequenceId> {
        SequenceId::read(headers, headers::ORIGIN_PRODUCER, headers::ORIGIN_SEQUENCE)
    }

    fn read(headers: &[Header], producer: &str, sequence: &str) -> Option<SequenceId> {
        let producer = headers::text(headers, producer)?.parse().ok()?;
        Some(SequenceId { producer, number: headers::number(headers, sequence)? })
    }

    /// Writes the two headers, in place of any that are there.
    pub(crate) fn write(self, headers: &mut Vec<Header>) {
        headers::put(headers, headers::PRODUCER, Some(self.producer.to_string()));
        headers::put(headers, headers::SEQUENCE, Some(self.number.to_string()));
    }
}
