//! Brokers: which leader may be elected, what new topics get, and when acknowledged records are on a disk. Pure.

use super::facts::{Broker, Cluster};
use crate::doctor::{Finding, Object, Rule, Setting, Severity};

/// Since KIP-186.
const OFFSETS_RETENTION_MINUTES: i64 = 10_080;
/// "Never" in Kafka.
const NEVER: i64 = i64::MAX;

/// Findings about brokers.
pub fn examine(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(single(cluster));
    for broker in &cluster.brokers {
        findings.extend(auto_create(broker));
        if cluster.tallymq {
            findings.extend(tallymq_flush(broker));
            continue;
        }
        findings.extend(unclean_election(broker));
        findings.extend(default_replication(broker));
        findings.extend(min_in_sync(cluster, broker));
        findings.extend(kafka_flush(cluster, broker));
        findings.extend(offsets_retention(broker));
    }
    findings
}

/// TallyMQ has acknowledged records on its disk, so that one broker is not a danger in itself; but one disk is one disk.
/// Elsewhere the topics' replication says it.
fn single(cluster: &Cluster) -> Option<Finding> {
    if !cluster.tallymq || cluster.brokers.len() != 1 {
        return None;
    }
    let why = "acknowledged records are on one disk: they survive a power cut, and are gone if the disk dies";
    Some(Finding::new(Severity::Advice, Rule::ClusterSingleBroker, Object::Cluster, why))
}

fn finding(severity: Severity, rule: Rule, broker: &Broker, why: &str, setting: Setting) -> Finding {
    Finding::new(severity, rule, Object::Broker(broker.id), why).mended_by(setting)
}

fn unclean_election(broker: &Broker) -> Option<Finding> {
    let key = "unclean.leader.election.enable";
    let why =
        "a replica that lacks acknowledged records may become leader, and what it lacks is gone from all";
    let setting = broker.settings.setting(key, "false");
    broker
        .settings
        .is_on(key)
        .then(|| finding(Severity::Loss, Rule::BrokerUncleanElection, broker, why, setting))
}

fn default_replication(broker: &Broker) -> Option<Finding> {
    let key = "default.replication.factor";
    if broker.settings.number(key)? > 1 {
        return None;
    }
    let why =
        "topics that are made without a number get one copy of each record, which a disk's death takes along";
    let setting = broker.settings.setting(key, "3");
    Some(finding(Severity::Loss, Rule::BrokerDefaultReplication, broker, why, setting))
}

/// Only where a topic can have more than one replica: with one, the topic's replication is the finding.
fn min_in_sync(cluster: &Cluster, broker: &Broker) -> Option<Finding> {
    let key = "min.insync.replicas";
    if cluster.brokers.len() < 2 || broker.settings.number(key)? > 1 {
        return None;
    }
    let why = "topics that do not say otherwise acknowledge acks=all with the leader's copy alone while the others are behind";
    let setting = broker.settings.setting(key, "2");
    Some(finding(Severity::Loss, Rule::BrokerMinInSync, broker, why, setting))
}

/// Kafka acknowledges out of the page cache and trusts in replicas, unless each message is flushed. Where a topic has one
/// replica there is nothing to trust in.
fn kafka_flush(cluster: &Cluster, broker: &Broker) -> Option<Finding> {
    let key = "log.flush.interval.messages";
    if broker.settings.number(key).unwrap_or(NEVER) <= 1 {
        return None;
    }
    broker.settings.word(key)?;
    // Topics may say otherwise, and none may be left that do not.
    let mut topics = cluster.topics.iter().filter(|topic| !topic.internal).peekable();
    let some = topics.peek().is_some();
    if some && topics.all(|topic| topic.settings.number("flush.messages").is_some_and(|count| count <= 1)) {
        return None;
    }
    let alone = cluster.brokers.len() == 1;
    let (severity, why) = if alone {
        (
            Severity::Loss,
            "records are acknowledged out of the page cache, and there is no other broker: a power cut loses the newest",
        )
    } else {
        (
            Severity::Advice,
            "records are acknowledged out of the page caches: a power cut of all their brokers at once loses the newest",
        )
    };
    let suggested = if alone { "1" } else { "1, or brokers on separate power" };
    Some(finding(severity, Rule::BrokerFlush, broker, why, broker.settings.setting(key, suggested)))
}

fn tallymq_flush(broker: &Broker) -> Option<Finding> {
    if broker.settings.word("flush")? != "async" {
        return None;
    }
    let why = "records are acknowledged before they are on the disk: a power cut loses the newest";
    Some(finding(Severity::Loss, Rule::BrokerFlush, broker, why, broker.settings.setting("flush", "sync")))
}

fn auto_create(broker: &Broker) -> Option<Finding> {
    let key = "auto.create.topics.enable";
    let why = "a topic's name with a typing error becomes a topic, whose records nobody reads";
    let setting = broker.settings.setting(key, "false");
    broker
        .settings
        .is_on(key)
        .then(|| finding(Severity::Advice, Rule::BrokerAutoCreate, broker, why, setting))
}

/// Positions of a group without members are deleted after this time (KIP-211).
fn offsets_retention(broker: &Broker) -> Option<Finding> {
    let key = "offsets.retention.minutes";
    if broker.settings.number(key)? >= OFFSETS_RETENTION_MINUTES {
        return None;
    }
    let why = "a group that is away for longer loses its positions, and auto.offset.reset decides what it skips or repeats";
    let setting = broker.settings.setting(key, OFFSETS_RETENTION_MINUTES.to_string());
    Some(finding(Severity::Loss, Rule::BrokerOffsetsRetention, broker, why, setting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::cluster::facts::Topic;

    fn broker(id: i32, settings: &[(&str, &str)]) -> Broker {
        let mut broker = Broker { id, ..Broker::default() };
        settings.iter().for_each(|(name, value)| broker.settings.put(*name, *value, false));
        broker
    }

    fn cluster(brokers: &[Broker]) -> Cluster {
        let tallymq = brokers.iter().any(Broker::is_tallymq);
        Cluster { brokers: brokers.to_vec(), tallymq, ..Cluster::default() }
    }

    fn found(cluster: &Cluster) -> Vec<String> {
        let findings = examine(cluster).into_iter();
        findings
            .map(|finding| format!("{} {} {}", finding.severity.name(), finding.rule.name(), finding.object))
            .collect()
    }

    const KAFKA: &[(&str, &str)] = &[
        ("unclean.leader.election.enable", "false"),
        ("default.replication.factor", "1"),
        ("min.insync.replicas", "1"),
        ("log.flush.interval.messages", "9223372036854775807"),
        ("auto.create.topics.enable", "true"),
        ("offsets.retention.minutes", "10080"),
    ];

    #[test]
    fn kafka_as_it_comes() {
        let alone = cluster(&[broker(1, KAFKA)]);
        let expected =
            ["advice broker-auto-create-topics", "loss broker-default-replication", "loss broker-flush"];
        assert_eq!(found(&alone), expected.map(|text| format!("{text} broker 1")));
        let two = found(&cluster(&[broker(1, KAFKA), broker(2, &[])]));
        assert!(two.contains(&"loss broker-min-insync-replicas broker 1".to_owned()), "{two:?}");
        assert!(two.contains(&"advice broker-flush broker 1".to_owned()), "{two:?}");
        assert!(two.iter().all(|text| text.ends_with("broker 1")), "what is not told is not judged: {two:?}");
    }

    #[test]
    fn topics_that_are_flushed_need_no_flushing_broker() {
        let topic = |messages: &str| {
            let mut topic = Topic { name: "t".to_owned(), ..Topic::default() };
            topic.settings.put("flush.messages", messages, false);
            topic
        };
        let flush = |topics: Vec<Topic>| {
            let mut alone = cluster(&[broker(1, &KAFKA[3..4])]);
            alone.topics = topics;
            found(&alone)
        };
        assert_eq!(flush(vec![topic("1"), topic("1")]), [""; 0]);
        assert_eq!(flush(vec![topic("1"), topic("2")]), ["loss broker-flush broker 1"]);
        assert_eq!(flush(vec![Topic::default()]), ["loss broker-flush broker 1"]);
    }

    #[test]
    fn kafka_as_it_should_be() {
        let good = [
            ("unclean.leader.election.enable", "false"),
            ("default.replication.factor", "3"),
            ("min.insync.replicas", "2"),
            ("log.flush.interval.messages", "1"),
            ("auto.create.topics.enable", "false"),
        ];
        let three = [1, 2, 3].map(|id| broker(id, &good));
        assert_eq!(found(&cluster(&three)), [""; 0]);
        let bad =
            broker(1, &[("unclean.leader.election.enable", "true"), ("offsets.retention.minutes", "60")]);
        assert_eq!(
            found(&cluster(&[bad])),
            ["loss broker-unclean-election broker 1", "loss broker-offsets-retention broker 1"]
        );
    }

    #[test]
    fn tallymq_is_not_blamed_for_what_it_guarantees() {
        let own = [("wal.bytes", "1073741824"), ("flush", "sync")];
        let safe = [KAFKA, &own].concat();
        assert_eq!(
            found(&cluster(&[broker(1, &safe)])),
            ["advice cluster-single-broker cluster", "advice broker-auto-create-topics broker 1"]
        );
        let hasty = [("wal.bytes", "1"), ("flush", "async")];
        assert_eq!(
            found(&cluster(&[broker(1, &hasty)])),
            ["advice cluster-single-broker cluster", "loss broker-flush broker 1"]
        );
    }
}
