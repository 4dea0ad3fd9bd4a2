//! One dead letter, with its story as its headers tell it.

use crate::{
    consumer::{Position, Received},
    headers,
};

/// A record that a consumer gave up on.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    record: Received,
}

impl DeadLetter {
    pub(super) fn new(record: Received) -> DeadLetter {
        DeadLetter { record }
    }

    /// The record with its key, payload and headers.
    pub fn record(&self) -> &Received {
        &self.record
    }

    /// Where the letter is.
    pub fn position(&self) -> &Position {
        self.record.position()
    }

    /// Where the record was first stored; the letter's own place if it does not say.
    pub fn origin(&self) -> Position {
        self.record.origin()
    }

    pub(super) fn origin_topic(&self) -> Option<&str> {
        headers::text(self.record.headers(), headers::ORIGIN_TOPIC)
    }

    /// Why the last attempt failed.
    pub fn cause(&self) -> &str {
        headers::text(self.record.headers(), headers::CAUSE).unwrap_or("unknown")
    }

    /// How often handlers tried.
    pub fn attempts(&self) -> u32 {
        headers::number(self.record.headers(), headers::ATTEMPTS).unwrap_or(0)
    }

    /// The group that gave up.
    pub fn group(&self) -> Option<&str> {
        headers::text(self.record.headers(), headers::GROUP)
    }

    /// When the last attempt failed, in milliseconds since 1970.
    pub fn failed_at_ms(&self) -> Option<i64> {
        headers::number(self.record.headers(), headers::FAILED_AT)
    }

    /// How often it was sent again before.
    pub fn redriven(&self) -> u32 {
        headers::number(self.record.headers(), headers::REDRIVEN).unwrap_or(0)
    }
}
