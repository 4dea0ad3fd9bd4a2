//! How far an outbox is, as values to show. It asks nothing by itself.

use std::time::Duration;

use super::statements::Counts;

/// What is in an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Committed and not yet acknowledged by the destination.
    pub pending: u64,
    /// Sent, and kept until they are cleaned.
    pub sent: u64,
    /// Refused by the destination and set aside; nothing happens to them until a person acts.
    pub parked: u64,
    /// Keys whose first pending message failed, and that wait.
    pub held_keys: u64,
    /// How long ago the oldest pending message was put: the figure to raise an alarm on.
    pub oldest_pending: Option<Duration>,
}

impl From<Counts> for Progress {
    fn from(counts: Counts) -> Progress {
        let count = |count: i64| count.max(0) as u64;
        Progress {
            pending: count(counts.pending),
            sent: count(counts.sent),
            parked: count(counts.parked),
            held_keys: count(counts.held_keys),
            oldest_pending: counts.oldest_pending_ms.map(|ms| Duration::from_millis(count(ms))),
        }
    }
}

/// A key that waits because its first pending message failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldKey {
    /// The id of that message.
    pub message_id: String,
    /// How often it was tried.
    pub attempts: u64,
    /// Why the last attempt failed.
    pub reason: String,
}

impl From<(String, i64, String)> for HeldKey {
    fn from((message_id, attempts, reason): (String, i64, String)) -> HeldKey {
        HeldKey { message_id, attempts: attempts.max(0) as u64, reason }
    }
}

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedMessage {
    /// Its id.
    pub message_id: String,
    /// Where it was to go.
    pub topic: String,
    /// Why it was refused.
    pub reason: String,
}

impl From<(String, String, String)> for ParkedMessage {
    fn from((message_id, topic, reason): (String, String, String)) -> ParkedMessage {
        ParkedMessage { message_id, topic, reason }
    }
}
