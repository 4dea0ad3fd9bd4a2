//! What was seen of a cluster. Whatever the cluster did not tell is absent here, and then no rule says anything about it.

use std::collections::BTreeMap;

use crate::doctor::Setting;

/// Settings of a broker or a topic as DescribeConfigs gives them (KIP-133).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, (String, bool)>);

impl Settings {
    /// Takes up a setting, and whether it is the default.
    pub fn put(&mut self, name: impl Into<String>, value: impl Into<String>, is_default: bool) {
        self.0.insert(name.into(), (value.into(), is_default));
    }

    /// Its value, if the cluster told.
    pub fn word(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.trim())
    }

    /// Its value as a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.word(name)?.parse().ok()
    }

    /// Whether it is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.word(name) == Some("true")
    }

    /// Whether a list has this entry.
    pub fn lists(&self, name: &str, entry: &str) -> bool {
        self.word(name).is_some_and(|list| list.split(',').any(|found| found.trim() == entry))
    }

    /// The setting as a finding shows it.
    pub fn setting(&self, name: &str, suggested: impl Into<String>) -> Setting {
        let found = self.0.get(name);
        Setting {
            name: name.to_owned(),
            present: found.map(|(value, _)| value.clone()),
            is_default: found.is_some_and(|(_, is_default)| *is_default),
            suggested: Some(suggested.into()),
        }
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The cluster's id, if it told.
    pub id: Option<String>,
    /// It is a TallyMQ: it syncs before it acknowledges and never elects a leader that lacks records.
    pub tallymq: bool,
    /// The brokers.
    pub brokers: Vec<Broker>,
    /// The topics.
    pub topics: Vec<Topic>,
    /// The groups of consumers.
    pub groups: Vec<Group>,
    /// When it was looked at the last time, in milliseconds since 1970.
    pub now_ms: i64,
    /// How long lies between the first and the last look; 0 if there was one look.
    pub watched_ms: i64,
}

impl Cluster {
    /// A topic by its name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }
}

/// One broker.
#[derive(Clone, Debug, Default)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// Its settings.
    pub settings: Settings,
}

impl Broker {
    /// Whether the settings are a TallyMQ's: no other broker has a shared write-ahead log and a flush mode for all topics.
    pub fn is_tallymq(&self) -> bool {
        self.settings.word("wal.bytes").is_some() && self.settings.word("flush").is_some()
    }
}

/// One topic.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Made by the brokers for themselves.
    pub internal: bool,
    /// Its settings, each with the value that counts.
    pub settings: Settings,
    /// Its partitions.
    pub partitions: Vec<Partition>,
}

impl Topic {
    /// On how many brokers each partition is kept; that of the worst partition.
    pub fn replication(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas).min().unwrap_or(0)
    }

    /// For how long records are kept, in milliseconds; None if retention by time never removes any.
    pub fn retention_ms(&self) -> Option<i64> {
        let deletes = self.settings.lists("cleanup.policy", "delete");
        self.settings.number("retention.ms").filter(|ms| deletes && *ms >= 0)
    }
}

/// One partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// It has a leader.
    pub led: bool,
    /// How many brokers keep it.
    pub replicas: usize,
    /// How many of them are in sync.
    pub in_sync: usize,
}

/// One group of consumers.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its state, as Kafka names it: `Stable`, `Empty`, …
    pub state: String,
    /// Its members.
    pub members: Vec<Member>,
    /// Where it stands, per partition for which it committed something.
    pub positions: Vec<Position>,
    /// Partitions with records that members have, and for which it never committed anything.
    pub uncommitted: Vec<(String, i32)>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// The client's own name.
    pub client_id: String,
    /// How many partitions are assigned to it.
    pub partitions: usize,
}

/// A group's position in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset that is still there.
    pub log_start: i64,
    /// Position and log end at the first look, if there were two.
    pub first: Option<Look>,
    /// Position and log end at the last look.
    pub last: Look,
    /// How often the position was seen to move between the two.
    pub moves: u64,
    /// The newest timestamp of the batch that is read next, in milliseconds since 1970; None if nothing is unread or it
    /// could not be read.
    pub unread_ms: Option<i64>,
    /// Whether a member has the partition.
    pub owned: bool,
}

/// One look at a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The offset that is read next.
    pub position: i64,
    /// The offset that the next record gets.
    pub log_end: i64,
}

impl Look {
    /// How many records are unread, at most: some offsets may have none.
    pub fn lag(self) -> i64 {
        (self.log_end - self.position).max(0)
    }
}
