//! Keys that the client does not have, with the nearest that it has; and keys that are written twice. Their values may be
//! anything, so they are not shown. Pure.

use std::collections::BTreeMap;

use super::{ClientFile, Dialect, file::java_name};
use crate::doctor::{Finding, Object, Rule, Setting, Severity};

/// Jaro-Winkler; lower, and the nearest is no typing error any more.
const LIKENESS_MIN: f64 = 0.87;

/// Findings about keys, whatever their values.
pub fn examine(file: &ClientFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for entry in &file.entries {
        let object = || Object::Client(file.path.clone(), Some(entry.line));
        let setting = |suggested| Setting { name: entry.key.clone(), suggested, ..Setting::default() };
        if !file.knows(&entry.key) {
            let (why, suggested) = unknown(file, &entry.key);
            let finding = Finding::new(Severity::Advice, Rule::ClientUnknownKey, object(), why);
            findings.push(finding.mended_by(setting(suggested)));
            continue;
        }
        let name = file.name_of(&entry.key);
        if seen.insert(name, &entry.value).is_some_and(|before| before != entry.value) {
            let why = "the same setting stands further up with another value: the last one counts";
            let finding = Finding::new(Severity::Advice, Rule::ClientRepeatedKey, object(), why);
            findings.push(finding.mended_by(setting(Some("write it once".to_owned()))));
        }
    }
    findings
}

fn unknown(file: &ClientFile, key: &str) -> (String, Option<String>) {
    let why = match file.dialect {
        Dialect::Java => {
            if let Some(name) = java_name(key) {
                return (
                    format!("this is librdkafka's name for {name}: a Java client ignores it"),
                    Some(name.to_owned()),
                );
            }
            "no Java client has this key: it is ignored, unless a plugin of yours reads it"
        }
        Dialect::Librdkafka => "librdkafka does not have this key, and does not start with it",
    };
    (why.to_owned(), nearest(key, &file.dialect.keys()))
}

fn nearest(key: &str, known: &[&[&'static str]]) -> Option<String> {
    let known = known.iter().flat_map(|keys| keys.iter());
    known
        .map(|candidate| (strsim::jaro_winkler(key, candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, dialect: Dialect) -> Vec<(String, Option<String>)> {
        let file = ClientFile::parse("f", text, Some(dialect));
        let findings = examine(&file).into_iter();
        findings
            .map(|finding| {
                let setting = finding.setting.unwrap();
                assert_eq!(setting.present, None, "a value may be a secret");
                (format!("{} {}", finding.rule.name(), setting.name), setting.suggested)
            })
            .collect()
    }

    #[test]
    fn typing_errors_are_named_with_what_was_meant() {
        let cases = [
            ("ack=all", Dialect::Java, Some("acks")),
            ("enable.idempotance=true", Dialect::Java, Some("enable.idempotence")),
            ("enable.auto.comit=false", Dialect::Java, Some("enable.auto.commit")),
            ("request.required.acks=-1", Dialect::Java, Some("acks")),
            ("message.send.max.retries=3", Dialect::Java, Some("retries")),
            ("auto.ofset.reset=earliest", Dialect::Librdkafka, Some("auto.offset.reset")),
            ("schema.registry.password=secret", Dialect::Java, None),
            ("x=y", Dialect::Librdkafka, None),
        ];
        for (text, dialect, suggested) in cases {
            let key = text.split('=').next().unwrap();
            let expected = (format!("client-unknown-key {key}"), suggested.map(str::to_owned));
            assert_eq!(found(text, dialect), [expected], "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_named_once() {
        assert_eq!(found("acks=all\nacks=all", Dialect::Java), []);
        assert_eq!(found("acks=all\nacks=1", Dialect::Java)[0].0, "client-repeated-key acks");
        let two_names = found("retries=1\nmessage.send.max.retries=2", Dialect::Librdkafka);
        assert_eq!(two_names[0].0, "client-repeated-key message.send.max.retries");
    }
}
