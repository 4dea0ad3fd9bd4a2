//! Consumers: how long handlers may take, how fast a silent member is given up, how much comes again after a crash (KIP-62,
//! KIP-735). Pure.

use super::{
    ClientFile, Dialect,
    consumer::{POLL_INTERVAL_MS, POLL_RECORDS, auto_commit},
};
use crate::doctor::{Finding, Rule, Severity};

const COMMIT_INTERVAL_MS: i64 = 5000;
/// A batch of records that takes longer than this is nothing unusual.
const POLL_INTERVAL_SHORT_MS: i64 = 60_000;
/// A record that takes longer than this is nothing unusual: a call to a database or to another service.
const PER_RECORD_MS: i64 = 50;
/// KIP-735 made the default 45 s because 10 s were too short for clouds.
const SESSION_SHORT_MS: i64 = 10_000;
const SESSION_MS: i64 = 45_000;
const HEARTBEAT_MS: i64 = 3000;
/// So many heartbeats should fit in a session, that one or two may be late (Kafka's own advice).
const HEARTBEATS_IN_SESSION: i64 = 3;

/// Findings about intervals and timeouts.
pub fn examine(file: &ClientFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(commits_rare(file));
    findings.extend(poll_short(file));
    findings.extend(session_short(file));
    findings.extend(heartbeats_few(file));
    findings
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn commits_rare(file: &ClientFile) -> Option<Finding> {
    let interval = file.number("auto.commit.interval.ms", COMMIT_INTERVAL_MS);
    if !auto_commit(file).value {
        return None;
    }
    let why = match interval.value {
        0 if file.dialect == Dialect::Librdkafka => {
            "0 switches commits off although enable.auto.commit is on: each start begins where the last one did".to_owned()
        }
        ms if ms > COMMIT_INTERVAL_MS => {
            format!("after a crash up to {:.1} s of handled records come again", seconds(ms))
        }
        _ => return None,
    };
    Some(file.finding(Severity::Duplicate, Rule::ClientCommitInterval, &interval, "5000", why))
}

fn poll_short(file: &ClientFile) -> Option<Finding> {
    let interval = file.number("max.poll.interval.ms", POLL_INTERVAL_MS);
    let records = file.number("max.poll.records", POLL_RECORDS);
    if interval.is_set() && interval.value < POLL_INTERVAL_SHORT_MS {
        let why = format!(
            "a batch that takes longer than {:.1} s loses the member its partitions, and the next one handles it again",
            seconds(interval.value)
        );
        return Some(file.finding(Severity::Duplicate, Rule::ClientPollInterval, &interval, "300000", why));
    }
    if file.dialect != Dialect::Java || !records.is_set() || records.value < 1 {
        return None;
    }
    let per_record_ms = interval.value / records.value;
    if per_record_ms >= PER_RECORD_MS {
        return None;
    }
    let why = format!(
        "a full batch leaves {per_record_ms} ms for each record until max.poll.interval.ms ({}) is over and another member \
         handles them again",
        interval.text
    );
    let suggested = (interval.value / PER_RECORD_MS).clamp(1, POLL_RECORDS).to_string();
    Some(file.finding(Severity::Duplicate, Rule::ClientPollInterval, &records, &suggested, why))
}

fn session_short(file: &ClientFile) -> Option<Finding> {
    let session = file.number("session.timeout.ms", SESSION_MS);
    if session.value >= SESSION_SHORT_MS {
        return None;
    }
    let why = format!(
        "a pause of {:.1} s (garbage collection, a hiccup of the network) moves the partitions, and what is being handled is \
         handled again",
        seconds(session.value)
    );
    Some(file.finding(Severity::Duplicate, Rule::ClientSession, &session, "45000", why))
}

fn heartbeats_few(file: &ClientFile) -> Option<Finding> {
    let session = file.number("session.timeout.ms", SESSION_MS);
    let heartbeat = file.number("heartbeat.interval.ms", HEARTBEAT_MS);
    if heartbeat.value.saturating_mul(HEARTBEATS_IN_SESSION) <= session.value {
        return None;
    }
    let why = format!(
        "fewer than {HEARTBEATS_IN_SESSION} heartbeats fit in session.timeout.ms ({}): one that is late costs the member its \
         partitions",
        session.text
    );
    let suggested = (session.value / HEARTBEATS_IN_SESSION).max(1).to_string();
    Some(file.finding(Severity::Duplicate, Rule::ClientSession, &heartbeat, &suggested, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, dialect: Dialect) -> Vec<String> {
        let file = ClientFile::parse("f", text, Some(dialect));
        let findings = examine(&file).into_iter();
        findings
            .map(|finding| {
                let setting = finding.setting.unwrap();
                format!("{} {}→{}", finding.rule.name(), setting.name, setting.suggested.unwrap())
            })
            .collect()
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn defaults_are_long_enough() {
        assert_eq!(found("group.id=g", Dialect::Java), NONE);
        assert_eq!(found("group.id=g", Dialect::Librdkafka), NONE);
    }

    #[test]
    fn rare_commits() {
        let rare = ["client-commit-interval auto.commit.interval.ms→5000"];
        assert_eq!(found("auto.commit.interval.ms=60000", Dialect::Java), rare);
        assert_eq!(found("auto.commit.interval.ms=60000\nenable.auto.commit=false", Dialect::Java), NONE);
        assert_eq!(found("auto.commit.interval.ms=0", Dialect::Librdkafka), rare, "0 is never");
        assert_eq!(found("auto.commit.interval.ms=0", Dialect::Java), NONE, "0 is always");
    }

    #[test]
    fn short_polls() {
        let short = ["client-poll-interval max.poll.interval.ms→300000"];
        assert_eq!(found("max.poll.interval.ms=10000", Dialect::Java), short);
        assert_eq!(found("max.poll.interval.ms=60000\nsession.timeout.ms=45000", Dialect::Librdkafka), NONE);
        assert_eq!(
            found("max.poll.records=10000", Dialect::Java),
            ["client-poll-interval max.poll.records→500"]
        );
        assert_eq!(found("max.poll.records=6000", Dialect::Java), NONE);
        let both = "max.poll.interval.ms=60000\nmax.poll.records=2000";
        assert_eq!(found(both, Dialect::Java), ["client-poll-interval max.poll.records→500"]);
    }

    #[test]
    fn short_sessions() {
        let short = ["client-session session.timeout.ms→45000", "client-session heartbeat.interval.ms→2000"];
        assert_eq!(found("session.timeout.ms=6000", Dialect::Java), short);
        assert_eq!(found("session.timeout.ms=6000\nheartbeat.interval.ms=2000", Dialect::Java), short[..1]);
        let few = ["client-session heartbeat.interval.ms→15000"];
        assert_eq!(found("heartbeat.interval.ms=20000", Dialect::Librdkafka), few);
    }
}
