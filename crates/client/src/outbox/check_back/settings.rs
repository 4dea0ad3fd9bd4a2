//! What can be set about half messages, and what holds by default. Pure.

use std::time::Duration;

use super::super::RelaySettings;

/// How halves are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckBackSettings {
    pub(super) first_check_after: Duration,
    pub(super) check_every: Duration,
    pub(super) checks_max: u32,
    pub(super) ask_timeout: Duration,
    pub(super) keep_settled: Duration,
    pub(super) relay: RelaySettings,
}

impl Default for CheckBackSettings {
    fn default() -> Self {
        CheckBackSettings {
            first_check_after: Duration::from_secs(60),
            check_every: Duration::from_secs(60),
            checks_max: 15,
            ask_timeout: Duration::from_secs(30),
            keep_settled: Duration::from_secs(7 * 24 * 60 * 60),
            relay: RelaySettings::default(),
        }
    }
}

impl CheckBackSettings {
    /// How long after it was prepared a half is asked about: longer than the business change takes. Default 60 s.
    #[must_use]
    pub fn first_check_after(mut self, first_check_after: Duration) -> CheckBackSettings {
        self.first_check_after = first_check_after;
        self
    }

    /// How long after an answer of [`Verdict::Unknown`](super::Verdict::Unknown) it is asked about again. Default 60 s.
    #[must_use]
    pub fn check_every(mut self, check_every: Duration) -> CheckBackSettings {
        self.check_every = check_every;
        self
    }

    /// After so many checks without a verdict it is unresolved. Default 15.
    #[must_use]
    pub fn checks_max(mut self, checks_max: u32) -> CheckBackSettings {
        self.checks_max = checks_max;
        self
    }

    /// After so long without an answer, the answer is [`Verdict::Unknown`](super::Verdict::Unknown). Default 30 s.
    #[must_use]
    pub fn ask_timeout(mut self, ask_timeout: Duration) -> CheckBackSettings {
        self.ask_timeout = ask_timeout;
        self
    }

    /// How long it is remembered what became of a half. Default 7 days.
    #[must_use]
    pub fn keep_settled(mut self, keep_settled: Duration) -> CheckBackSettings {
        self.keep_settled = keep_settled;
        self
    }

    /// How the relay of committed messages works.
    #[must_use]
    pub fn relay(mut self, relay: RelaySettings) -> CheckBackSettings {
        self.relay = relay;
        self
    }
}
