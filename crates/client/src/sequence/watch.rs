//! The interceptor of a consumer: a checker per topic, and what becomes of its findings (log, callback, counters).

use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Finding, SequenceChecker, SequenceCounts, SequenceId, SequenceLimits};

type Callback = Arc<dyn Fn(&str, &Finding) + Send + Sync>;

/// Whether and how a consumer checks sequence numbers.
///
/// ```
/// use tallymq_client::sequence::SequenceCheck;
///
/// let off = SequenceCheck::off();
/// let loud = SequenceCheck::on().on_finding(|topic, finding| eprintln!("{topic}: {finding}"));
/// ```
#[derive(Clone)]
pub struct SequenceCheck {
    enabled: bool,
    limits: SequenceLimits,
    callback: Option<Callback>,
}

impl SequenceCheck {
    /// Checks; findings go to `tracing` and to the counters.
    pub fn on() -> SequenceCheck {
        SequenceCheck { enabled: true, limits: SequenceLimits::default(), callback: None }
    }

    /// Checks no numbers. For compacted topics, where they go missing by design. A log that lost its end is told of all the same.
    pub fn off() -> SequenceCheck {
        SequenceCheck { enabled: false, ..SequenceCheck::on() }
    }

    /// Also calls this with the topic and each finding, on the thread that reads: it must be short. A panic of it is logged.
    #[must_use]
    pub fn on_finding(mut self, callback: impl Fn(&str, &Finding) + Send + Sync + 'static) -> SequenceCheck {
        self.callback = Some(Arc::new(callback));
        self
    }

    /// What is remembered at most, per topic.
    #[must_use]
    pub fn limits(mut self, limits: SequenceLimits) -> SequenceCheck {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for SequenceCheck {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SequenceCheck")
            .field("enabled", &self.enabled)
            .field("limits", &self.limits)
            .finish()
    }
}

/// Checkers for all topics of a reader.
#[derive(Debug)]
pub struct SequenceWatch {
    check: SequenceCheck,
    topics: Mutex<HashMap<String, SequenceChecker>>,
}

impl SequenceWatch {
    /// A watch that saw nothing yet.
    pub fn new(check: SequenceCheck) -> SequenceWatch {
        SequenceWatch { check, topics: Mutex::default() }
    }

    /// Notes a record, and tells if something is wrong with its number.
    pub fn seen(&self, topic: &str, partition: i32, offset: i64, id: Option<SequenceId>) {
        if !self.check.enabled {
            return;
        }
        let finding = {
            let mut topics = self.topics.lock();
            if !topics.contains_key(topic) {
                topics.insert(topic.to_owned(), SequenceChecker::new(self.check.limits));
            }
            topics.get_mut(topic).expect("inserted above").seen(partition, offset, id)
        };
        let Some(finding) = finding else { return };
        match &finding {
            Finding::Gap { .. } => tracing::error!(topic, %finding, "records are missing"),
            _ => tracing::warn!(topic, %finding, "a record is out of its sequence"),
        }
        self.call_back(topic, &finding);
    }

    /// Tells that the log of a partition lost its end, also if numbers are not checked, and begins anew with its numbers.
    pub(crate) fn truncated(&self, topic: &str, partition: i32, from: i64, to: i64) {
        self.forget(topic, partition);
        let finding = Finding::Truncated { partition, from, to };
        tracing::error!(topic, %finding, "a log lost its end");
        self.call_back(topic, &finding);
    }

    /// The reading goes on, whatever the application makes of a finding.
    fn call_back(&self, topic: &str, finding: &Finding) {
        if let Some(callback) = &self.check.callback
            && catch_unwind(AssertUnwindSafe(|| callback(topic, finding))).is_err()
        {
            tracing::error!(topic, %finding, "the callback of a sequence check panicked");
        }
    }

    /// Forgets a partition that is read no more.
    pub fn forget(&self, topic: &str, partition: i32) {
        if let Some(checker) = self.topics.lock().get_mut(topic) {
            checker.forget(partition);
        }
    }

    /// What was seen so far, over all topics.
    pub fn counts(&self) -> SequenceCounts {
        self.topics.lock().values().map(SequenceChecker::counts).fold(SequenceCounts::default(), add)
    }
}

fn add(sum: SequenceCounts, more: SequenceCounts) -> SequenceCounts {
    SequenceCounts {
        checked: sum.checked + more.checked,
        unnumbered: sum.unnumbered + more.unnumbered,
        missing: sum.missing + more.missing,
        duplicates: sum.duplicates + more.duplicates,
        late: sum.late + more.late,
        redelivered: sum.redelivered + more.redelivered,
        producers_dropped: sum.producers_dropped + more.producers_dropped,
        ranges_dropped: sum.ranges_dropped + more.ranges_dropped,
    }
}
