//! What the checker found, for people and for machines. Decides nothing but how it is said.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How many anomalies of one class a person is shown.
const SHOWN_MAX: usize = 10;

/// The kinds of anomaly; each one's file in [`super::classes`] defines it. JSON and `Display` use kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Class {
    LostWrite,
    Unseen,
    Duplicate,
    InconsistentOffsets,
    UnwrittenRead,
    AbortedRead,
    PrecommittedRead,
    PollSkip,
    NonmonotonicPoll,
    NonmonotonicSend,
    CommitSkip,
    CommitLost,
    RedeliveredAfterAck,
    TwoHolders,
    Unbalanced,
}

impl Class {
    /// Every class, in report order.
    pub const ALL: [Class; 15] = [
        Class::LostWrite,
        Class::Unseen,
        Class::Duplicate,
        Class::InconsistentOffsets,
        Class::UnwrittenRead,
        Class::AbortedRead,
        Class::PrecommittedRead,
        Class::PollSkip,
        Class::NonmonotonicPoll,
        Class::NonmonotonicSend,
        Class::CommitSkip,
        Class::CommitLost,
        Class::RedeliveredAfterAck,
        Class::TwoHolders,
        Class::Unbalanced,
    ];

    /// The name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Class::LostWrite => "lost-write",
            Class::Unseen => "unseen",
            Class::Duplicate => "duplicate",
            Class::InconsistentOffsets => "inconsistent-offsets",
            Class::UnwrittenRead => "unwritten-read",
            Class::AbortedRead => "aborted-read",
            Class::PrecommittedRead => "precommitted-read",
            Class::PollSkip => "poll-skip",
            Class::NonmonotonicPoll => "nonmonotonic-poll",
            Class::NonmonotonicSend => "nonmonotonic-send",
            Class::CommitSkip => "commit-skip",
            Class::CommitLost => "commit-lost",
            Class::RedeliveredAfterAck => "redelivered-after-ack",
            Class::TwoHolders => "two-holders",
            Class::Unbalanced => "unbalanced",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Which promise.
    pub class: Class,
    /// The event that shows it, counted from 1 in the (merged) history.
    pub event: usize,
    /// The client concerned.
    pub process: i64,
    /// The consumer group, where one is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The values concerned, the accused one first.
    pub values: Vec<String>,
    /// The case in words.
    pub detail: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: process {}", self.class, self.process)?;
        if let Some(group) = &self.group {
            write!(f, " group {group}")?;
        }
        if let Some(topic) = &self.topic {
            write!(f, " {topic}")?;
        }
        if let Some(partition) = self.partition {
            write!(f, "-{partition}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " @{offset}")?;
        }
        write!(f, " [{}]: {} (event {})", self.values.join(", "), self.detail, self.event)
    }
}

/// How much the history held: a clean report over nothing proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events.
    pub events: usize,
    /// Values sent.
    pub sent: usize,
    /// Of these acknowledged (in a committed transaction, if in one).
    pub acknowledged: usize,
    /// Of these failed or aborted.
    pub failed: usize,
    /// Records read by polls, leases and inventories.
    pub read: usize,
    /// A final phase was there.
    pub final_phase: bool,
}

/// What the checker says of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was looked at.
    pub counts: Counts,
    /// What was found, class by class.
    pub anomalies: Vec<Anomaly>,
}

impl Report {
    /// Nothing was found.
    pub fn is_clean(&self) -> bool {
        self.anomalies.is_empty()
    }

    /// How many anomalies each class has; classes without any are absent.
    pub fn by_class(&self) -> BTreeMap<Class, usize> {
        let mut counts = BTreeMap::new();
        for anomaly in &self.anomalies {
            *counts.entry(anomaly.class).or_default() += 1;
        }
        counts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { events, sent, acknowledged, failed, read, final_phase } = self.counts;
        let ending = if final_phase { "with" } else { "without" };
        writeln!(
            f,
            "{events} events, {sent} values sent ({acknowledged} acknowledged, {failed} failed), \
             {read} records read, {ending} a final phase"
        )?;
        if self.is_clean() {
            return writeln!(f, "clean");
        }
        for (class, count) in self.by_class() {
            writeln!(f, "{class}: {count}")?;
            for anomaly in self.anomalies.iter().filter(|a| a.class == class).take(SHOWN_MAX) {
                writeln!(f, "  {anomaly}")?;
            }
            if count > SHOWN_MAX {
                writeln!(f, "  … and {} more", count - SHOWN_MAX)?;
            }
        }
        Ok(())
    }
}
