//! What a relay says about itself: counters to watch, and the steps of its rounds.

/// What a relay has done since it was made. See [`Relay::status`](super::Relay::status).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStatus {
    /// Messages acknowledged by the destination, each one counted once per acknowledgement.
    pub sent: u64,
    /// Attempts that failed, and will be repeated.
    pub failed_attempts: u64,
    /// Messages set aside.
    pub parked: u64,
    /// Sent messages removed from the table.
    pub cleaned: u64,
    /// Rounds that found something to send.
    pub rounds: u64,
    /// Errors of the database in a row; 0 if the last round went well.
    pub database_failures: u64,
    /// The last error, of the database or the destination.
    pub last_error: Option<String>,
}

/// What one round did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Round {
    /// Messages read.
    pub read: usize,
    /// Messages acknowledged.
    pub sent: usize,
    /// Attempts that failed.
    pub failed: usize,
    /// Others had taken what this relay wanted: there may be more at once.
    pub(super) outrun: bool,
}

/// A step of a round, told after it was done. Whatever happens between two of them, nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// It has so many lanes.
    Claimed(usize),
    /// It has read so many messages.
    Read(usize),
    /// The message with this id was acknowledged.
    Sent(String),
    /// So many acknowledged messages are marked in the database; if it was the end of the round, the lanes are free.
    Marked(usize),
}
