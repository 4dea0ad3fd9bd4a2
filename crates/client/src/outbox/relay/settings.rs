//! What can be set about a relay, and the back-off that follows from it. Pure.

use std::time::Duration;

/// Three renewals have to fit in.
const LEASE_MIN: Duration = Duration::from_millis(100);

/// How a relay works. The defaults fit most services.
///
/// ```
/// use std::time::Duration;
/// use tallymq_client::outbox::RelaySettings;
///
/// let settings = RelaySettings::default().poll(Duration::from_millis(50));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySettings {
    pub(super) batch_rows_max: u32,
    pub(super) batch_bytes_max: u64,
    pub(super) lanes_max: u32,
    pub(super) lease: Duration,
    pub(super) round_max: Duration,
    pub(super) send_timeout: Duration,
    pub(super) poll: Duration,
    pub(super) back_off_first: Duration,
    pub(super) back_off_max: Duration,
    pub(super) on_refused: OnRefused,
    pub(super) keep_sent: Duration,
    pub(super) clean_every: Duration,
    pub(super) clean_rows_max: u32,
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

impl RelaySettings {
    /// Most messages in memory at a time. Default 512.
    #[must_use]
    pub fn batch_rows_max(mut self, batch_rows_max: u32) -> RelaySettings {
        self.batch_rows_max = batch_rows_max;
        self
    }

    /// Most bytes of messages in memory at a time; one message may be larger. Default 8 MiB.
    #[must_use]
    pub fn batch_bytes_max(mut self, batch_bytes_max: u64) -> RelaySettings {
        self.batch_bytes_max = batch_bytes_max;
        self
    }

    /// Most of the 64 lanes that it takes for one round; others are left to other relays. Default 16.
    #[must_use]
    pub fn lanes_max(mut self, lanes_max: u32) -> RelaySettings {
        self.lanes_max = lanes_max;
        self
    }

    /// How long a relay that died keeps others from its lanes. A living one renews. Default 15 s, at least 100 ms.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> RelaySettings {
        self.lease = lease.max(LEASE_MIN);
        self
    }

    /// After so long, a round begins no more sends, so that one slow key does not keep the others waiting. Default 5 s.
    #[must_use]
    pub fn round_max(mut self, round_max: Duration) -> RelaySettings {
        self.round_max = round_max;
        self
    }

    /// After so long without an answer from the destination, a send counts as failed. Default 60 s.
    #[must_use]
    pub fn send_timeout(mut self, send_timeout: Duration) -> RelaySettings {
        self.send_timeout = send_timeout;
        self
    }

    /// How often it looks for messages when there were none. Default 200 ms. [`Outbox::wake`](super::super::Outbox::wake)
    /// makes it look at once.
    #[must_use]
    pub fn poll(mut self, poll: Duration) -> RelaySettings {
        self.poll = poll;
        self
    }

    /// How long a key waits after its first failure; doubled with each further one. Default 100 ms.
    #[must_use]
    pub fn back_off_first(mut self, back_off_first: Duration) -> RelaySettings {
        self.back_off_first = back_off_first;
        self
    }

    /// The longest wait between two attempts, also between attempts to reach the database. Default 30 s.
    #[must_use]
    pub fn back_off_max(mut self, back_off_max: Duration) -> RelaySettings {
        self.back_off_max = back_off_max;
        self
    }

    /// What happens to a message that the destination refuses. Default: it holds its key.
    #[must_use]
    pub fn on_refused(mut self, on_refused: OnRefused) -> RelaySettings {
        self.on_refused = on_refused;
        self
    }

    /// How long sent messages are kept. Default one day.
    #[must_use]
    pub fn keep_sent(mut self, keep_sent: Duration) -> RelaySettings {
        self.keep_sent = keep_sent;
        self
    }

    /// How often sent messages are cleaned. Default 10 s.
    #[must_use]
    pub fn clean_every(mut self, clean_every: Duration) -> RelaySettings {
        self.clean_every = clean_every;
        self
    }

    /// Most sent messages that are cleaned at a time. Default 1,000.
    #[must_use]
    pub fn clean_rows_max(mut self, clean_rows_max: u32) -> RelaySettings {
        self.clean_rows_max = clean_rows_max;
        self
    }
}

/// What happens to a message that the destination refuses
/// ([`DestinationError::Refused`](super::super::DestinationError::Refused)).
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
