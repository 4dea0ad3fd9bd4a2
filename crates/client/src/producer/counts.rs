//! What a producer did, in numbers: for metrics, and so that one-way sends do not lose in silence.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::outcome::{SendError, Stored};

/// A producer's counters. `sent = stored + in_fallback + spooled + refused + unknown + unsettled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerCounts {
    /// Records that `send` and its kin took.
    pub sent: u64,
    /// Acknowledged by the broker they were meant for.
    pub stored: u64,
    /// Acknowledged by a fallback.
    pub in_fallback: u64,
    /// Put into the spool.
    pub spooled: u64,
    /// Certainly not stored.
    pub refused: u64,
    /// Possibly not stored.
    pub unknown: u64,
    /// Still on their way.
    pub unsettled: u64,
    /// One-way sends among `refused` and `unknown`: nobody but this number was told.
    pub one_way_lost: u64,
}

impl ProducerCounts {
    /// All of it under the names of metrics, as Prometheus would have them. Later versions may add some.
    pub fn metrics(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("tallymq_producer_sent_total", self.sent),
            ("tallymq_producer_stored_total", self.stored),
            ("tallymq_producer_in_fallback_total", self.in_fallback),
            ("tallymq_producer_spooled_total", self.spooled),
            ("tallymq_producer_refused_total", self.refused),
            ("tallymq_producer_unknown_total", self.unknown),
            ("tallymq_producer_unsettled", self.unsettled),
            ("tallymq_producer_one_way_lost_total", self.one_way_lost),
        ]
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    sent: AtomicU64,
    stored: AtomicU64,
    in_fallback: AtomicU64,
    spooled: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    one_way_lost: AtomicU64,
}

impl Counters {
    pub(super) fn took(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    pub(super) fn settled(&self, result: &Result<Stored, SendError>, one_way: bool) {
        let counter = match result {
            Ok(Stored::InTopic { .. }) => &self.stored,
            Ok(Stored::InFallback { .. }) => &self.in_fallback,
            Ok(Stored::InSpool) => &self.spooled,
            Err(SendError::Refused { .. }) => &self.refused,
            Err(SendError::Unknown { .. }) => &self.unknown,
        };
        counter.fetch_add(1, Relaxed);
        if one_way && result.is_err() {
            self.one_way_lost.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn read(&self) -> ProducerCounts {
        let mut counts = ProducerCounts {
            stored: self.stored.load(Relaxed),
            in_fallback: self.in_fallback.load(Relaxed),
            spooled: self.spooled.load(Relaxed),
            refused: self.refused.load(Relaxed),
            unknown: self.unknown.load(Relaxed),
            one_way_lost: self.one_way_lost.load(Relaxed),
            ..ProducerCounts::default()
        };
        // Read last, so that it is not below the sum of the others.
        counts.sent = self.sent.load(Relaxed);
        let settled = counts.stored + counts.in_fallback + counts.spooled + counts.refused + counts.unknown;
        counts.unsettled = counts.sent.saturating_sub(settled);
        counts
    }
}
