//! What a client refuses at its start: values that are none, and settings that contradict each other. Mostly advice, but
//! whoever writes such a line believes that it protects them. Pure. Sources: `ProducerConfig` and `ConsumerConfig` of
//! kafka-clients 4.3, `rd_kafka_conf_finalize` of librdkafka 2.16.

use super::{
    ClientFile, Dialect,
    file::Known,
    producer::{ACKS_ALL, acks},
};
use crate::doctor::{Finding, Object, Rule, Setting, Severity};

const FLAGS: &[&str] =
    &["enable.idempotence", "enable.auto.commit", "enable.auto.offset.store", "check.crcs"];
const NUMBERS: &[&str] = &[
    "retries",
    "retry.backoff.ms",
    "retry.backoff.max.ms",
    "linger.ms",
    "request.timeout.ms",
    "delivery.timeout.ms",
    "max.in.flight.requests.per.connection",
    "auto.commit.interval.ms",
    "max.poll.interval.ms",
    "max.poll.records",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "transaction.timeout.ms",
];
const IN_FLIGHT_MAX: i64 = 5;
/// What members of the consumer protocol get from the broker instead (KIP-848).
const BROKER_DECIDES: &[(&str, &str)] = &[
    ("session.timeout.ms", "the broker's group.consumer.session.timeout.ms"),
    ("heartbeat.interval.ms", "the broker's group.consumer.heartbeat.interval.ms"),
    ("partition.assignment.strategy", "group.remote.assignor"),
];

/// Findings about what would not start.
pub fn examine(file: &ClientFile) -> Vec<Finding> {
    let mut findings = values(file);
    if file.is_producer() {
        findings.extend(idempotence_conflicts(file));
        findings.extend(delivery_conflict(file));
    }
    if file.is_consumer() {
        findings.extend(group_conflicts(file));
    }
    findings
}

fn values(file: &ClientFile) -> Vec<Finding> {
    let words = |key: &str| -> Option<&[&str]> {
        Some(match (key, file.dialect) {
            ("acks", _) => &["all", "-1", "0", "1"],
            ("isolation.level", _) => &["read_committed", "read_uncommitted"],
            ("auto.offset.reset", Dialect::Java) => &["earliest", "latest", "none"],
            ("auto.offset.reset", Dialect::Librdkafka) => {
                &["smallest", "earliest", "beginning", "largest", "latest", "end", "error"]
            }
            _ => return None,
        })
    };
    let mut findings = Vec::new();
    for entry in &file.entries {
        let key = file.name_of(&entry.key);
        let (fits, allowed) = if FLAGS.contains(&key) {
            (file.truth(&entry.value).is_some(), "true, false".to_owned())
        } else if NUMBERS.contains(&key) {
            // librdkafka takes fractions of a millisecond for linger.ms.
            let fraction = key == "linger.ms" && file.dialect == Dialect::Librdkafka;
            let is_number = entry.value.parse::<i64>().is_ok_and(|number| number >= 0);
            (is_number || (fraction && entry.value.parse::<f64>().is_ok()), "a number".to_owned())
        } else if let Some(words) = words(key) {
            let duration = key == "auto.offset.reset" && entry.value.starts_with("by_duration:");
            let fits = words.contains(&file.folded(&entry.value).as_str())
                || (duration && file.dialect == Dialect::Java);
            (fits, words.join(", "))
        } else {
            continue;
        };
        if !fits && file.knows(&entry.key) {
            let object = Object::Client(file.path.clone(), Some(entry.line));
            let why = "the client does not start with this value, or the broker refuses it";
            findings.push(Finding::new(Severity::Advice, Rule::ClientValue, object, why).mended_by(
                Setting {
                    name: entry.key.clone(),
                    present: Some(entry.value.clone()),
                    is_default: false,
                    suggested: Some(allowed),
                },
            ));
        }
    }
    findings
}

fn conflict<T>(file: &ClientFile, setting: &Known<T>, suggested: &str, why: &str) -> Finding {
    let why = format!("the client refuses to start: {why}");
    file.finding(Severity::Advice, Rule::ClientConflict, setting, suggested, why)
}

fn idempotence_conflicts(file: &ClientFile) -> Vec<Finding> {
    let flag = file.flag("enable.idempotence", file.dialect == Dialect::Java);
    let transactional = file.word("transactional.id", "");
    let demanded = (flag.is_set() && flag.value) || transactional.is_set();
    let mut findings = Vec::new();
    if flag.is_set() && !flag.value && transactional.is_set() {
        findings.push(conflict(file, &flag, "true", "transactional.id needs idempotence"));
        return findings;
    }
    let (acks, number) = acks(file);
    if demanded && acks.is_set() && number.is_some_and(|number| number != -1) {
        findings.push(conflict(file, &acks, ACKS_ALL, "idempotence needs acks=all"));
    }
    let retries = file.number("retries", 1);
    if demanded && retries.value == 0 {
        findings.push(conflict(file, &retries, "2147483647", "idempotence needs retries"));
    }
    // Java checks this one even where acks or retries have switched idempotence off.
    let in_flight = file.number("max.in.flight.requests.per.connection", IN_FLIGHT_MAX);
    if (demanded || flag.value) && in_flight.value > IN_FLIGHT_MAX {
        findings.push(conflict(file, &in_flight, "5", "idempotence needs at most 5 requests in flight"));
    }
    findings
}

fn delivery_conflict(file: &ClientFile) -> Option<Finding> {
    let delivery = file.number("delivery.timeout.ms", 0);
    let linger = file.number("linger.ms", 5);
    let transactional = file.word("transactional.id", "").is_set();
    let transaction = file.number("transaction.timeout.ms", 60_000);
    let (least, why) = match file.dialect {
        Dialect::Java => {
            let request = file.number("request.timeout.ms", 30_000);
            let least = linger.value.saturating_add(request.value);
            (least, "delivery.timeout.ms must be at least linger.ms + request.timeout.ms (KIP-91)")
        }
        Dialect::Librdkafka if delivery.value == 0 => return None,
        Dialect::Librdkafka if transactional && delivery.value > transaction.value => {
            let why = "message.timeout.ms must not be above transaction.timeout.ms";
            return Some(conflict(file, &delivery, &transaction.text, why));
        }
        Dialect::Librdkafka if linger.is_set() => {
            (linger.value.saturating_add(1), "message.timeout.ms must be above linger.ms")
        }
        Dialect::Librdkafka => return None,
    };
    (delivery.is_set() && delivery.value < least)
        .then(|| conflict(file, &delivery, &least.max(120_000).to_string(), why))
}

fn group_conflicts(file: &ClientFile) -> Vec<Finding> {
    let protocol = file.word("group.protocol", "classic");
    if protocol.value.eq_ignore_ascii_case("consumer") {
        let written = BROKER_DECIDES.iter().filter(|(key, _)| file.written(key).is_some());
        return written
            .map(|(key, instead)| {
                let setting = file.word(key, "");
                let why = format!("with group.protocol=consumer (KIP-848) this is {instead}");
                conflict(file, &setting, "leave it out", &why)
            })
            .collect();
    }
    let session = file.number("session.timeout.ms", 45_000);
    let heartbeat = file.number("heartbeat.interval.ms", 3000);
    let interval = file.number("max.poll.interval.ms", 300_000);
    let mut findings = Vec::new();
    if file.dialect == Dialect::Java && heartbeat.value >= session.value {
        let suggested = (session.value / 3).to_string();
        findings.push(conflict(file, &heartbeat, &suggested, "it must be below session.timeout.ms"));
    }
    if file.dialect == Dialect::Librdkafka && interval.value < session.value {
        findings.push(conflict(file, &interval, "300000", "it must be at least session.timeout.ms"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, dialect: Dialect) -> Vec<String> {
        let file = ClientFile::parse("f", text, Some(dialect));
        let findings = examine(&file).into_iter();
        findings.map(|finding| format!("{} {}", finding.rule.name(), finding.setting.unwrap().name)).collect()
    }

    const NONE: [&str; 0] = [];

    /// What kafka-clients 4.3.1 says to each of these was tried; `compat/` tries it again.
    #[test]
    fn java_refuses_what_it_refuses() {
        let cases: &[(&str, &[&str])] = &[
            ("acks=1", &[]),
            ("acks=1\nenable.idempotence=true", &["client-conflict acks"]),
            ("acks=2", &["client-value acks"]),
            ("acks=ALL", &["client-value acks"]),
            ("retries=0", &[]),
            ("retries=0\nenable.idempotence=true", &["client-conflict retries"]),
            (
                "max.in.flight.requests.per.connection=6",
                &["client-conflict max.in.flight.requests.per.connection"],
            ),
            (
                "max.in.flight.requests.per.connection=6\nacks=1",
                &["client-conflict max.in.flight.requests.per.connection"],
            ),
            ("max.in.flight.requests.per.connection=6\nenable.idempotence=false", &[]),
            ("delivery.timeout.ms=30004", &["client-conflict delivery.timeout.ms"]),
            ("delivery.timeout.ms=30005", &[]),
            ("request.timeout.ms=200000\nacks=all", &[]),
            ("transactional.id=x\nenable.idempotence=false", &["client-conflict enable.idempotence"]),
            ("transactional.id=x\nacks=1", &["client-conflict acks"]),
            ("enable.idempotence=yes", &["client-value enable.idempotence"]),
            (
                "session.timeout.ms=3000\nheartbeat.interval.ms=3000",
                &["client-conflict heartbeat.interval.ms"],
            ),
            ("group.protocol=consumer\nsession.timeout.ms=10000", &["client-conflict session.timeout.ms"]),
            ("group.protocol=CONSUMER\ngroup.id=g", &[]),
            ("auto.offset.reset=smallest", &["client-value auto.offset.reset"]),
            ("auto.offset.reset=by_duration:PT1H", &[]),
            ("isolation.level=READ_COMMITTED", &["client-value isolation.level"]),
            ("max.poll.interval.ms=1000\ngroup.id=g", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text, Dialect::Java), *expected, "{text}");
        }
    }

    #[test]
    fn librdkafka_refuses_what_it_refuses() {
        let rd = |text| found(text, Dialect::Librdkafka);
        assert_eq!(
            rd("enable.idempotence=true\nrequest.required.acks=1"),
            ["client-conflict request.required.acks"]
        );
        assert_eq!(rd("max.in.flight=6"), NONE, "idempotence is off");
        assert_eq!(rd("max.in.flight=6\nenable.idempotence=true"), ["client-conflict max.in.flight"]);
        assert_eq!(rd("message.timeout.ms=100\nlinger.ms=100"), ["client-conflict message.timeout.ms"]);
        assert_eq!(rd("message.timeout.ms=0\nlinger.ms=100"), NONE);
        assert_eq!(rd("linger.ms=0.5"), NONE);
        assert_eq!(
            rd("transactional.id=x\nmessage.timeout.ms=70000"),
            ["client-conflict message.timeout.ms"]
        );
        assert_eq!(rd("group.id=g\nmax.poll.interval.ms=10000"), ["client-conflict max.poll.interval.ms"]);
        assert_eq!(
            rd("group.protocol=consumer\nheartbeat.interval.ms=1"),
            ["client-conflict heartbeat.interval.ms"]
        );
        assert_eq!(rd("auto.offset.reset=smallest"), NONE);
        assert_eq!(
            rd("acks=ALL\nauto.offset.reset=Latest\nisolation.level=READ_COMMITTED"),
            NONE,
            "any case"
        );
    }
}
