//! What can be set about a relay, and the back-off that follows from it. Pure.

use std::time::Duration;

/// How a relay works. The defaults fit most services.
///
/// ```
/// use std::time::Duration;
/// use tallymq_client::outbox::RelaySettings;
///
/// let settings = RelaySettings { poll: Duration::from_millis(50), ..RelaySettings::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySettings {
    /// Most messages in memory at a time. Default 512.
    pub batch_rows_max: u32,
    /// Most bytes of messages in memory at a time; one message may be larger. Default 8 MiB.
    pub batch_bytes_max: u64,
    /// Most of the 64 lanes that it takes for one round; others are left to other relays. Default 16.
    pub lanes_max: u32,
    /// How long a relay that died keeps others from its lanes. A living one renews. Default 15 s, at least 100 ms.
    pub lease: Duration,
    /// After so long, a round begins no more sends, so that one slow key does not keep the others waiting. Default 5 s.
    pub round_max: Duration,
    /// After so long without an answer from the destination, a send counts as failed. Default 60 s.
    pub send_timeout: Duration,
    /// How often it looks for messages when there were none. Default 200 ms. [`Outbox::wake`](super::super::Outbox::wake)
    /// makes it look at once.
    pub poll: Duration,
    /// How long a key waits after its first failure; doubled with each further one. Default 100 ms.
    pub back_off_first: Duration,
    /// The longest wait between two attempts, also between attempts to reach the database. Default 30 s.
    pub back_off_max: Duration,
    /// What happens to a message that the destination refuses. Default: it holds its key.
    pub on_refused: OnRefused,
    /// How long sent messages are kept. Default one day.
    pub keep_sent: Duration,
    /// How often sent messages are cleaned, and at most how many at a time: 10 s and 1,000 by default.
    pub clean_every: Duration,
    /// See [`clean_every`](Self::clean_every).
    pub clean_rows_max: u32,
}

impl Default for RelaySettings {
    fn default() -> Self {
        RelaySettings {
            batch_rows_max: 512,
            batch_bytes_max: 8 << 20,
            lanes_max: 16,
            lease: Duration::from_secs(15),
            round_max: Duration::from_secs(5),
            send_timeout: Duration::from_secs(60),
            poll: Duration::from_millis(200),
            back_off_first: Duration::from_millis(100),
            back_off_max: Duration::from_secs(30),
            on_refused: OnRefused::HoldKey,
            keep_sent: Duration::from_secs(24 * 60 * 60),
            clean_every: Duration::from_secs(10),
            clean_rows_max: 1000,
        }
    }
}

/// What happens to a message that the destination refuses ([`SendError::Refused`](super::super::SendError::Refused)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnRefused {
    /// It is tried again, with back-off, and the later messages of its key wait: order before progress.
    HoldKey,
    /// It is set aside after so many attempts, and its key goes on: progress before order. It stays in the table, is
    /// counted, and can be sent with [`Outbox::unpark`](super::super::Outbox::unpark).
    Park {
        /// At least 1.
        after_attempts: u32,
    },
}

impl RelaySettings {
    pub(super) fn lease(&self) -> Duration {
        self.lease.max(Duration::from_millis(100))
    }

    /// The wait after so many failures in a row.
    pub(super) fn back_off(&self, failures: i64) -> Duration {
        let doublings = failures.saturating_sub(1).clamp(0, 30) as u32;
        self.back_off_first.saturating_mul(1 << doublings).min(self.back_off_max)
    }
}

/// A duration in whole milliseconds, at least 1.
pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let settings = RelaySettings::default();
        let waits: Vec<u128> =
            [1, 2, 3, 9, 10, 1000].map(|failures| settings.back_off(failures).as_millis()).into();
        assert_eq!(waits, [100, 200, 400, 25_600, 30_000, 30_000]);
    }
}
