//! What `/v1/account` answers, as far as it is shown. Fields that are not known here are left alone.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The answer.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub enabled: bool,
    pub balanced: bool,
    pub accounts: Vec<GroupTopic>,
    pub more: bool,
    pub unopened: u64,
    pub alarms: u64,
    /// What producers sent and was not stored. A broker of an older release does not say it.
    #[serde(default)]
    pub not_stored: Vec<TopicNotStored>,
}

/// What `/v1/account/ended` answers, as far as it is shown.
#[derive(Debug, Deserialize)]
pub struct EndedReport {
    pub balanced: bool,
    pub ended: Vec<GroupTopic>,
    pub more: bool,
    pub trimmed: bool,
    pub complete: bool,
    pub known_since: Option<i64>,
    #[serde(default)]
    pub unreadable: Vec<String>,
}

/// What of a topic was not stored.
#[derive(Debug, Deserialize)]
pub struct TopicNotStored {
    pub topic: String,
    #[serde(flatten)]
    pub counts: NotStored,
    pub partitions: Vec<PartitionNotStored>,
}

/// What of a partition was not stored.
#[derive(Debug, Deserialize)]
pub struct PartitionNotStored {
    pub partition: i32,
    #[serde(flatten)]
    pub counts: NotStored,
}

/// By why.
#[derive(Debug, Deserialize)]
pub struct NotStored {
    pub duplicates: Batches,
    pub fenced: Batches,
    pub out_of_order: Batches,
    pub refused_since_start: u64,
}

/// So many.
#[derive(Debug, Deserialize)]
pub struct Batches {
    pub batches: u64,
    pub records: u64,
}

impl Report {
    /// The account of that group in that topic, if it is there.
    pub fn of(&self, group: &str, topic: &str) -> Option<&GroupTopic> {
        self.accounts.iter().find(|account| account.group == group && account.topic == topic)
    }
}

/// Records by class.
pub type Classes = BTreeMap<String, u64>;

/// One group's account of a topic.
#[derive(Debug, Deserialize)]
pub struct GroupTopic {
    pub group: String,
    pub topic: String,
    pub stored: u64,
    pub classes: Classes,
    pub possible: u64,
    pub handled: u64,
    pub tallies: Tallies,
    pub balanced: bool,
    pub partitions: Vec<Partition>,
    /// If it has.
    #[serde(flatten)]
    pub ended: Option<Ended>,
}

/// When and why an account ended.
#[derive(Debug, Deserialize)]
pub struct Ended {
    pub ended_at: i64,
    pub why: String,
    pub topic_deleted: bool,
}

impl GroupTopic {
    /// The topic is not there any more; one that is may have its name.
    pub fn is_topic_deleted(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.topic_deleted)
    }

    /// Records of one class, by its name here.
    pub fn class(&self, name: &str) -> u64 {
        self.classes.get(name).copied().unwrap_or(0)
    }
}

/// One of its partitions.
#[derive(Debug, Deserialize)]
pub struct Partition {
    pub partition: i32,
    pub opened_at: i64,
    pub position: Option<i64>,
    pub stored: u64,
    pub classes: Classes,
    pub handled: u64,
    pub intervals: Vec<Interval>,
    pub more: bool,
    pub balanced: bool,
    #[serde(default)]
    pub imbalances: Vec<String>,
}

/// Offsets of one class.
#[derive(Debug, Deserialize)]
pub struct Interval {
    pub from: i64,
    pub to: i64,
    pub class: String,
}

/// What is counted beside the equation.
#[derive(Debug, Deserialize)]
pub struct Tallies {
    pub redelivered: u64,
    pub recovered: u64,
    pub refused: u64,
    pub merged_records: u64,
    pub intervals_folded: u64,
}
