//! One thing that is found: how bad, about what, why, and which setting mends it. The names here are those of the JSON
//! output, which scripts depend on.

use std::fmt;

/// How bad a finding is; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Records can be lost, or never be read.
    Loss,
    /// Records can be stored or handled twice.
    Duplicate,
    /// Neither, but it hides the other two, or leads to them.
    Advice,
}

impl Severity {
    /// All, the worst first.
    pub const ALL: [Severity; 3] = [Severity::Loss, Severity::Duplicate, Severity::Advice];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Loss => "loss",
            Severity::Duplicate => "duplicate",
            Severity::Advice => "advice",
        }
    }
}

macro_rules! rules {
    ($($name:ident $text:literal;)*) => {
        /// What is looked for. The names stand in docs/doctor.md, which a test compares.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = concat!("`", $text, "`.")] $name,)*
        }

        impl Rule {
            /// Every rule.
            #[cfg(test)]
            pub const ALL: &'static [Rule] = &[$(Rule::$name,)*];

            /// Its name, as the JSON output has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Rule::$name => $text,)*
                }
            }
        }
    };
}

rules! {
    BrokerUncleanElection "broker-unclean-election";
    BrokerDefaultReplication "broker-default-replication";
    BrokerMinInSync "broker-min-insync-replicas";
    BrokerFlush "broker-flush";
    BrokerAutoCreate "broker-auto-create-topics";
    BrokerOffsetsRetention "broker-offsets-retention";
    ClusterSingleBroker "cluster-single-broker";
    TopicReplication "topic-replication";
    TopicMinInSync "topic-min-insync-replicas";
    TopicUncleanElection "topic-unclean-election";
    TopicInSync "topic-in-sync";
    TopicOffline "topic-offline";
    TopicCompaction "topic-compaction";
    TopicTimestamps "topic-timestamps";
    GroupExpired "group-expired";
    GroupExpiring "group-expiring";
    GroupBeyondEnd "group-beyond-end";
    GroupStuck "group-stuck";
    GroupEmpty "group-empty";
    GroupUnowned "group-unowned";
    GroupUncommitted "group-uncommitted";
    GroupIdleMember "group-idle-member";
    GroupCommitInterval "group-commit-interval";
    ClientAcks "client-acks";
    ClientIdempotence "client-idempotence";
    ClientRetries "client-retries";
    ClientDeliveryTimeout "client-delivery-timeout";
    ClientOrder "client-order";
    ClientAutoCommit "client-auto-commit";
    ClientOffsetStore "client-offset-store";
    ClientOffsetReset "client-offset-reset";
    ClientIsolation "client-isolation";
    ClientCommitInterval "client-commit-interval";
    ClientPollInterval "client-poll-interval";
    ClientSession "client-session";
    ClientChecksums "client-checksums";
    ClientConflict "client-conflict";
    ClientValue "client-value";
    ClientRepeatedKey "client-repeated-key";
    ClientUnknownKey "client-unknown-key";
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// All of it.
    Cluster,
    /// One broker.
    Broker(i32),
    /// One topic.
    Topic(String),
    /// One partition of a topic.
    Partition(String, i32),
    /// One group.
    Group(String),
    /// A group's position in one partition of a topic.
    Position(String, String, i32),
    /// A property file of a client, and the line if there is one.
    Client(String, Option<usize>),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Cluster => write!(f, "cluster"),
            Object::Broker(id) => write!(f, "broker {id}"),
            Object::Topic(topic) => write!(f, "topic {topic}"),
            Object::Partition(topic, partition) => write!(f, "partition {topic}-{partition}"),
            Object::Group(group) => write!(f, "group {group}"),
            Object::Position(group, topic, partition) => write!(f, "group {group} on {topic}-{partition}"),
            Object::Client(file, None) => write!(f, "{file}"),
            Object::Client(file, Some(line)) => write!(f, "{file}:{line}"),
        }
    }
}

/// The setting that mends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub name: String,
    /// Its value now; None if it has none, or if it could be a secret.
    pub present: Option<String>,
    /// Nobody set it: it is the default.
    pub is_default: bool,
    /// What it should be; None if no value mends it.
    pub suggested: Option<String>,
}

/// One thing that is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Which rule found it.
    pub rule: Rule,
    /// What it is about.
    pub object: Object,
    /// Why, in one sentence.
    pub why: String,
    /// What mends it, where a setting does.
    pub setting: Option<Setting>,
}

impl Finding {
    /// A finding that no setting mends.
    pub fn new(severity: Severity, rule: Rule, object: Object, why: impl Into<String>) -> Finding {
        Finding { severity, rule, object, why: why.into(), setting: None }
    }

    /// With the setting that mends it.
    pub fn mended_by(self, setting: Setting) -> Finding {
        Finding { setting: Some(setting), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_docs_name_each_rule_and_no_other() {
        let docs = include_str!("../../../../docs/doctor.md");
        let listed = docs.lines().filter_map(|line| line.strip_prefix("| `"));
        let listed = listed.filter_map(|line| line.split_once('`')).map(|(name, _)| name);
        let prefixes = ["broker-", "cluster-", "topic-", "group-", "client-"];
        let listed: BTreeSet<&str> =
            listed.filter(|name| prefixes.iter().any(|start| name.starts_with(start))).collect();
        let known: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(listed, known);
    }

    #[test]
    fn the_worst_comes_first() {
        let mut all = [Severity::Advice, Severity::Loss, Severity::Duplicate];
        all.sort();
        assert_eq!(all, Severity::ALL);
    }
}
