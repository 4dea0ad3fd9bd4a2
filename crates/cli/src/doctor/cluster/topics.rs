//! Topics: copies, who must have them, and what removes records beside their age. Pure.

use super::facts::{Cluster, Topic};
use crate::doctor::{Finding, Object, Rule, Severity};

/// Findings about topics.
pub fn examine(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    for topic in &cluster.topics {
        findings.extend(offline(topic));
        if !cluster.tallymq {
            // TallyMQ acknowledges by the majority of a group, and never elects who lacks records: these do not concern it.
            findings.extend(replication(topic));
            findings.extend(min_in_sync(topic));
            findings.extend(behind(topic));
            findings.extend(unclean_election(topic));
        }
        if !topic.internal {
            findings.extend(compaction(topic));
            findings.extend(timestamps(topic));
        }
    }
    findings
}

fn finding(severity: Severity, rule: Rule, topic: &Topic, why: impl Into<String>) -> Finding {
    Finding::new(severity, rule, Object::Topic(topic.name.clone()), why)
}

fn replication(topic: &Topic) -> Option<Finding> {
    if topic.replication() != 1 {
        return None;
    }
    let why = match topic.internal {
        false => "there is one copy of each record: it is gone if its broker's disk dies",
        true => {
            "there is one copy of what the brokers remember of groups or transactions: it is gone if its broker's disk dies"
        }
    };
    let setting = crate::doctor::Setting {
        name: "replication.factor".to_owned(),
        present: Some("1".to_owned()),
        is_default: false,
        suggested: Some("3".to_owned()),
    };
    Some(finding(Severity::Loss, Rule::TopicReplication, topic, why).mended_by(setting))
}

/// Since Kafka 3.7 a number above that of the replicas counts as that number (`Partition.effectiveMinIsr`); before, nothing
/// could be written.
fn min_in_sync(topic: &Topic) -> Option<Finding> {
    let key = "min.insync.replicas";
    let (least, replicas) = (topic.settings.number(key)?, topic.replication() as i64);
    if replicas < 2 {
        return None;
    }
    let (severity, why, suggested) = if least < 2 {
        let why = "acks=all is answered with the leader's copy alone while the other replicas are behind: if it dies then, \
                   acknowledged records are gone";
        (Severity::Loss, why, 2)
    } else if least >= replicas {
        let why = "one broker that is away stops all writes with acks=all: producers that give up lose their records";
        (Severity::Advice, why, (replicas - 1).max(2))
    } else {
        return None;
    };
    let suggested = if suggested >= replicas {
        format!("{suggested}, with replication.factor {}", suggested + 1)
    } else {
        suggested.to_string()
    };
    let setting = topic.settings.setting(key, suggested);
    Some(finding(severity, Rule::TopicMinInSync, topic, why).mended_by(setting))
}

fn unclean_election(topic: &Topic) -> Option<Finding> {
    let key = "unclean.leader.election.enable";
    if !topic.settings.is_on(key) || topic.replication() < 2 {
        return None;
    }
    let why =
        "a replica that lacks acknowledged records may become leader, and what it lacks is gone from all";
    let setting = topic.settings.setting(key, "false");
    Some(finding(Severity::Loss, Rule::TopicUncleanElection, topic, why).mended_by(setting))
}

/// The state of now: partitions whose newest records are on the leader alone.
fn behind(topic: &Topic) -> Vec<Finding> {
    let alone = topic.partitions.iter().filter(|known| known.led && known.replicas > 1 && known.in_sync <= 1);
    alone
        .map(|known| {
            let object = Object::Partition(topic.name.clone(), known.index);
            let why = format!(
                "of {} replicas only the leader has the newest records: if it dies now, they are gone",
                known.replicas
            );
            Finding::new(Severity::Loss, Rule::TopicInSync, object, why)
        })
        .collect()
}

fn offline(topic: &Topic) -> Vec<Finding> {
    let offline = topic.partitions.iter().filter(|known| !known.led);
    offline
        .map(|known| {
            let object = Object::Partition(topic.name.clone(), known.index);
            let why = "it has no leader: nothing can be written or read, and producers that give up lose their records";
            Finding::new(Severity::Loss, Rule::TopicOffline, object, why)
        })
        .collect()
}

fn compaction(topic: &Topic) -> Option<Finding> {
    let key = "cleanup.policy";
    if !topic.settings.lists(key, "compact") {
        return None;
    }
    let (why, suggested) = if topic.settings.lists(key, "delete") {
        (
            "compaction removes records that have a newer one of their key, and retention removes the newest too, read or not",
            "compact for state, delete for messages",
        )
    } else {
        (
            "compaction removes records that have a newer one of their key, read or not: right for state, not for messages",
            "delete, if each record is a message",
        )
    };
    let setting = topic.settings.setting(key, suggested);
    Some(finding(Severity::Advice, Rule::TopicCompaction, topic, why).mended_by(setting))
}

/// Retention goes by the records' timestamps, which are the producers' unless the topic says otherwise; KIP-937 bounds how
/// old they may be.
fn timestamps(topic: &Topic) -> Option<Finding> {
    let retention_ms = topic.retention_ms()?;
    let producers = topic.settings.word("message.timestamp.type")? == "CreateTime";
    let oldest_ms = topic.settings.number("message.timestamp.before.max.ms").unwrap_or(i64::MAX);
    if !producers || oldest_ms <= retention_ms {
        return None;
    }
    let why = "retention goes by the producer's timestamps: records with old ones (a replay, a wrong clock) are removed at \
               once, read or not";
    let suggested = format!("LogAppendTime, or message.timestamp.before.max.ms={retention_ms}");
    let setting = topic.settings.setting("message.timestamp.type", suggested);
    Some(finding(Severity::Advice, Rule::TopicTimestamps, topic, why).mended_by(setting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::cluster::facts::Partition;

    fn topic(replicas: usize, in_sync: usize, settings: &[(&str, &str)]) -> Topic {
        let partition = Partition { index: 0, led: true, replicas, in_sync };
        let mut topic = Topic { name: "t".to_owned(), partitions: vec![partition], ..Topic::default() };
        settings.iter().for_each(|(name, value)| topic.settings.put(*name, *value, false));
        topic
    }

    fn found(topic: Topic, tallymq: bool) -> Vec<String> {
        let findings = examine(&Cluster { topics: vec![topic], tallymq, ..Cluster::default() }).into_iter();
        findings
            .map(|finding| {
                let suggested = finding.setting.and_then(|setting| setting.suggested).unwrap_or_default();
                format!("{} {} {suggested}", finding.severity.name(), finding.rule.name())
            })
            .collect()
    }

    #[test]
    fn copies() {
        let least = |number| [("min.insync.replicas", number)];
        assert_eq!(found(topic(1, 1, &least("1")), false), ["loss topic-replication 3"]);
        assert_eq!(found(topic(1, 1, &least("2")), false), ["loss topic-replication 3"], "counts as 1 (3.7)");
        assert_eq!(found(topic(3, 3, &least("1")), false), ["loss topic-min-insync-replicas 2"]);
        assert_eq!(found(topic(3, 3, &least("2")), false), [""; 0]);
        assert_eq!(found(topic(3, 3, &least("3")), false), ["advice topic-min-insync-replicas 2"]);
        let with = "topic-min-insync-replicas 2, with replication.factor 3";
        assert_eq!(found(topic(2, 2, &least("1")), false), [format!("loss {with}")]);
        assert_eq!(found(topic(2, 2, &least("2")), false), [format!("advice {with}")]);
        assert_eq!(found(topic(3, 1, &least("2")), false), ["loss topic-in-sync "]);
        assert_eq!(found(topic(3, 3, &[]), false), [""; 0], "what is not told is not judged");
        assert_eq!(found(topic(1, 1, &least("1")), true), [""; 0], "TallyMQ's one broker is said once");
    }

    #[test]
    fn leaders() {
        let unclean = [("unclean.leader.election.enable", "true")];
        assert_eq!(found(topic(3, 3, &unclean), false), ["loss topic-unclean-election false"]);
        assert_eq!(found(topic(3, 3, &unclean), true), [""; 0]);
        let mut offline = topic(3, 0, &[]);
        offline.partitions[0].led = false;
        assert_eq!(found(offline, false), ["loss topic-offline "]);
    }

    #[test]
    fn what_else_removes_records() {
        let old = |policy, kind, before| {
            let settings = [
                ("cleanup.policy", policy),
                ("retention.ms", "1000"),
                ("message.timestamp.type", kind),
                ("message.timestamp.before.max.ms", before),
            ];
            found(topic(3, 3, &settings), true)
        };
        let any = "9223372036854775807";
        let suggested = "LogAppendTime, or message.timestamp.before.max.ms=1000";
        assert_eq!(old("delete", "CreateTime", any), [format!("advice topic-timestamps {suggested}")]);
        assert_eq!(old("delete", "CreateTime", "1000"), [""; 0]);
        assert_eq!(old("delete", "LogAppendTime", any), [""; 0]);
        assert_eq!(old("", "CreateTime", any), [""; 0], "no policy removes nothing");
        assert_eq!(
            old("compact", "LogAppendTime", any),
            ["advice topic-compaction delete, if each record is a message"]
        );
        assert_eq!(
            old("compact,delete", "LogAppendTime", any),
            ["advice topic-compaction compact for state, delete for messages"]
        );
    }

    #[test]
    fn the_brokers_own_topics_are_theirs_to_compact() {
        let mut own = topic(1, 1, &[("cleanup.policy", "compact")]);
        own.internal = true;
        assert_eq!(found(own, false), ["loss topic-replication 3"]);
    }
}
