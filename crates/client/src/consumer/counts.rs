//! What a consumer did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A consumer's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerCounts {
    /// Records read, redeliveries and retries included.
    pub received: u64,
    /// Records whose handler returned well.
    pub handled: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// How often a handler said [`HandlerError::not_now`](crate::HandlerError::not_now): one that goes on rising is an outage.
    pub put_off: u64,
    /// Failed records that are stored in a retry topic.
    pub retried: u64,
    /// Failed records that are stored in the dead-letter topic.
    pub dead_lettered: u64,
    /// Failed records that wait now for a retry or dead-letter topic that did not take their copies yet. While there is one that stays,
    /// its partition is committed no further.
    pub copies_waiting: u64,
    /// Records passed over: those of retry topics that another group put there, whose name makes the same topic, since they are for
    /// it; and in dead-letter topics the notes that say which letters are settled.
    pub passed_over: u64,
    /// Records that were not finished when their partition went or the consumer stopped: they come again, to it or
    /// another.
    pub given_back: u64,
    /// Commits that the broker refused; the position is committed again with the next one.
    pub commits_failed: u64,
    /// How often a partition's log had lost its end: offsets that were read before hold other records now, which are handled.
    pub truncations: u64,
    /// Errors while reading, after which reading is tried again: a broker that is away, a topic that is missing, damage to the log.
    pub read_errors: u64,
    /// Records handed to the receipt sink.
    pub receipts: u64,
    /// Handlers at work.
    pub running: u64,
}

impl ConsumerCounts {
    /// All of it under the names of metrics, as Prometheus would have them. Later versions may add some.
    pub fn metrics(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("tallymq_consumer_received_total", self.received),
            ("tallymq_consumer_handled_total", self.handled),
            ("tallymq_consumer_failed_attempts_total", self.failed),
            ("tallymq_consumer_put_off_total", self.put_off),
            ("tallymq_consumer_retried_total", self.retried),
            ("tallymq_consumer_dead_lettered_total", self.dead_lettered),
            ("tallymq_consumer_copies_waiting", self.copies_waiting),
            ("tallymq_consumer_passed_over_total", self.passed_over),
            ("tallymq_consumer_given_back_total", self.given_back),
            ("tallymq_consumer_commits_failed_total", self.commits_failed),
            ("tallymq_consumer_truncations_total", self.truncations),
            ("tallymq_consumer_read_errors_total", self.read_errors),
            ("tallymq_consumer_receipts_total", self.receipts),
            ("tallymq_consumer_running", self.running),
        ]
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) handled: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) put_off: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
    pub(super) copies_waiting: AtomicU64,
    pub(super) passed_over: AtomicU64,
    pub(super) given_back: AtomicU64,
    pub(super) commits_failed: AtomicU64,
    pub(super) truncations: AtomicU64,
    pub(super) read_errors: AtomicU64,
    pub(super) receipts: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self, running: usize) -> ConsumerCounts {
        ConsumerCounts {
            received: self.received.load(Relaxed),
            handled: self.handled.load(Relaxed),
            failed: self.failed.load(Relaxed),
            put_off: self.put_off.load(Relaxed),
            retried: self.retried.load(Relaxed),
            dead_lettered: self.dead_lettered.load(Relaxed),
            copies_waiting: self.copies_waiting.load(Relaxed),
            passed_over: self.passed_over.load(Relaxed),
            given_back: self.given_back.load(Relaxed),
            commits_failed: self.commits_failed.load(Relaxed),
            truncations: self.truncations.load(Relaxed),
            read_errors: self.read_errors.load(Relaxed),
            receipts: self.receipts.load(Relaxed),
            running: running as u64,
        }
    }
}

/// Counted for as long as it lives.
pub(super) struct Held<'a>(&'a AtomicU64);

impl Held<'_> {
    pub(super) fn by(counter: &AtomicU64) -> Held<'_> {
        one(counter);
        Held(counter)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Counts one.
pub(super) fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
