//! Producers: what is acknowledged, and what is stored once (KIP-98, KIP-679). Pure.

use super::{ClientFile, Dialect, Surroundings, file::Known};
use crate::doctor::{Finding, Rule, Severity};

/// Kafka's word for "all in-sync replicas".
pub(super) const ACKS_ALL: &str = "all";
pub(super) const RETRIES_DEFAULT: i64 = i32::MAX as i64;

/// Findings about acknowledgement and idempotence.
pub fn examine(file: &ClientFile, around: Surroundings) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(acks_weak(file, around));
    findings.extend(idempotence_off(file));
    findings
}

/// The acks that are asked for: -1, 0, 1, or None if it is something else.
pub(super) fn acks(file: &ClientFile) -> (Known<String>, Option<i16>) {
    let written = file.word("acks", ACKS_ALL);
    let number = match written.value.as_str() {
        ACKS_ALL => Some(-1),
        text => text.parse().ok().filter(|number| (-1..=1).contains(number)),
    };
    (written, number)
}

fn acks_weak(file: &ClientFile, around: Surroundings) -> Option<Finding> {
    let (written, number) = acks(file);
    let why = match number? {
        0 => {
            "the broker never answers, so a record that does not arrive or is refused is lost without a word"
        }
        1 if !around.tallymq => {
            "the leader answers before its followers have the record: if it dies then, the record is gone"
        }
        _ => return None,
    };
    Some(file.finding(Severity::Loss, Rule::ClientAcks, &written, ACKS_ALL, why))
}

/// Whether records are stored once, and the setting that decides it.
pub(super) struct Idempotence {
    pub(super) on: bool,
    pub(super) decided_by: Known<String>,
    pub(super) suggested: &'static str,
}

/// KIP-679: Java switches it on unless told otherwise, and silently off where acks or retries do not go with it. librdkafka
/// switches it on only if told to, or for transactions.
pub(super) fn idempotence(file: &ClientFile) -> Idempotence {
    let transactional = file.written("transactional.id").is_some();
    let default = file.dialect == Dialect::Java || transactional;
    let flag = file.flag("enable.idempotence", default);
    let (on, is_set) = (flag.value, flag.is_set());
    let own = Known { name: flag.name, text: flag.text, line: flag.line, value: String::new() };
    let decided = |on, decided_by, suggested| Idempotence { on, decided_by, suggested };
    if !on || is_set || transactional {
        return decided(on, own, "true");
    }
    let (acks, number) = acks(file);
    if number != Some(-1) {
        return decided(false, acks, ACKS_ALL);
    }
    let retries = file.number("retries", RETRIES_DEFAULT);
    if retries.value == 0 {
        let retries =
            Known { name: retries.name, text: retries.text, line: retries.line, value: String::new() };
        return decided(false, retries, "2147483647");
    }
    decided(true, own, "true")
}

fn idempotence_off(file: &ClientFile) -> Option<Finding> {
    let found = idempotence(file);
    let never_again = acks(file).1 == Some(0) || file.number("retries", RETRIES_DEFAULT).value == 0;
    if found.on || never_again {
        // What is never sent again is never stored twice; that it can be lost is said elsewhere.
        return None;
    }
    let why = match found.decided_by.name.as_str() {
        "enable.idempotence" => {
            "a batch whose answer was lost is sent again and stored a second time".to_owned()
        }
        name => format!(
            "{name}={} switches idempotence off: a batch whose answer was lost is sent again and stored a second time",
            found.decided_by.text
        ),
    };
    Some(file.finding(Severity::Duplicate, Rule::ClientIdempotence, &found.decided_by, found.suggested, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, dialect: Dialect, tallymq: bool) -> Vec<(&'static str, &'static str, String)> {
        let file = ClientFile::parse("f", text, Some(dialect));
        let around = Surroundings { tallymq, transactions: false };
        let findings = examine(&file, around).into_iter();
        findings
            .map(|finding| {
                let setting = finding.setting.unwrap();
                let change =
                    format!("{}={}→{}", setting.name, setting.present.unwrap(), setting.suggested.unwrap());
                (finding.severity.name(), finding.rule.name(), change)
            })
            .collect()
    }

    fn one(severity: &'static str, rule: &'static str, change: &str) -> (&'static str, &'static str, String) {
        (severity, rule, change.to_owned())
    }

    #[test]
    fn java_is_safe_until_somebody_changes_it() {
        let java = |text| found(text, Dialect::Java, false);
        assert_eq!(java("linger.ms=5"), []);
        assert_eq!(java("acks=-1\nretries=7"), []);
        let weak = one("loss", "client-acks", "acks=1→all");
        assert_eq!(java("acks=1"), [weak.clone(), one("duplicate", "client-idempotence", "acks=1→all")]);
        assert_eq!(java("acks=0"), [one("loss", "client-acks", "acks=0→all")]);
        assert_eq!(java("retries=0"), [], "lost perhaps, but never twice");
        let off = one("duplicate", "client-idempotence", "enable.idempotence=false→true");
        assert_eq!(java("enable.idempotence=false"), std::slice::from_ref(&off));
        assert_eq!(java("enable.idempotence=false\nacks=1"), [weak, off]);
        assert_eq!(java("enable.idempotence=false\nretries=0"), []);
    }

    #[test]
    fn librdkafka_must_be_told() {
        let rd = |text| found(text, Dialect::Librdkafka, false);
        assert_eq!(
            rd("linger.ms=5"),
            [one("duplicate", "client-idempotence", "enable.idempotence=false→true")]
        );
        assert_eq!(rd("enable.idempotence=true"), []);
        assert_eq!(rd("transactional.id=x"), []);
        let both = rd("request.required.acks=1\nmessage.send.max.retries=3");
        assert_eq!(both[0], one("loss", "client-acks", "request.required.acks=1→all"));
        assert_eq!(both[1].2, "enable.idempotence=false→true");
    }

    #[test]
    fn tallymq_syncs_before_any_acknowledgement() {
        assert_eq!(
            found("acks=1", Dialect::Java, true),
            [one("duplicate", "client-idempotence", "acks=1→all")]
        );
        assert_eq!(found("acks=0", Dialect::Java, true), [one("loss", "client-acks", "acks=0→all")]);
    }
}
