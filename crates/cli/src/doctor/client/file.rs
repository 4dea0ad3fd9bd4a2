//! A client's property file, understood: whose keys they are, which kind of client it is for, and each setting under one
//! name with its default. Pure.

use super::{
    java_keys, librdkafka_keys,
    properties::{self, Entry},
};
use crate::doctor::{Finding, Object, Rule, Setting, Severity};

/// Whose keys and defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Apache Kafka's Java clients, 4.x.
    Java,
    /// librdkafka 2.x and what is built on it.
    Librdkafka,
}

impl Dialect {
    /// The keys of producers, of consumers, and of both.
    pub(super) fn keys(self) -> [&'static [&'static str]; 3] {
        match self {
            Dialect::Java => [java_keys::PRODUCER, java_keys::CONSUMER, java_keys::SHARED],
            Dialect::Librdkafka => {
                [librdkafka_keys::PRODUCER, librdkafka_keys::CONSUMER, librdkafka_keys::SHARED]
            }
        }
    }

    fn has(self, key: &str) -> bool {
        self.keys().iter().any(|keys| keys.contains(&key))
    }
}

/// librdkafka's name → the name that is used here, which is Java's.
const ALIASES: &[(&str, &str)] = &[
    ("request.required.acks", "acks"),
    ("message.send.max.retries", "retries"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("auto.commit.enable", "enable.auto.commit"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("compression.codec", "compression.type"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
];

/// A file, read.
#[derive(Clone, Debug)]
pub struct ClientFile {
    /// Its path, as it was given.
    pub path: String,
    /// Whose keys.
    pub dialect: Dialect,
    /// The keys would fit both: the dialect is a guess.
    pub guessed: bool,
    pub(super) entries: Vec<Entry>,
}

/// A setting as a file has it.
#[derive(Clone, Debug)]
pub(super) struct Known<T> {
    /// The key as it is written, or its name here.
    pub name: String,
    /// What is written, or the default.
    pub text: String,
    pub line: Option<usize>,
    pub value: T,
}

impl<T> Known<T> {
    /// Somebody wrote it.
    pub(super) fn is_set(&self) -> bool {
        self.line.is_some()
    }
}

impl ClientFile {
    /// Reads a file. Without a dialect, that of the two to which more of the keys belong.
    pub fn parse(path: &str, text: &str, dialect: Option<Dialect>) -> ClientFile {
        let mut entries = properties::parse(text);
        let only = |ours: Dialect, theirs: Dialect| {
            entries.iter().filter(|entry| ours.has(&entry.key) && !theirs.has(&entry.key)).count()
        };
        let java = only(Dialect::Java, Dialect::Librdkafka);
        let librdkafka = only(Dialect::Librdkafka, Dialect::Java);
        let likely = if librdkafka > java { Dialect::Librdkafka } else { Dialect::Java };
        let dialect_found = dialect.unwrap_or(likely);
        if dialect_found == Dialect::Librdkafka {
            entries.iter_mut().for_each(drop_topic_prefix);
        }
        ClientFile {
            path: path.to_owned(),
            dialect: dialect_found,
            guessed: dialect.is_none() && java == librdkafka,
            entries,
        }
    }

    /// Whether it has a setting that only producers have.
    pub fn is_producer(&self) -> bool {
        let [keys, _, _] = self.dialect.keys();
        self.entries.iter().any(|entry| keys.contains(&entry.key.as_str()))
    }

    /// Whether it has a setting that only consumers have.
    pub fn is_consumer(&self) -> bool {
        let [_, keys, _] = self.dialect.keys();
        self.entries.iter().any(|entry| keys.contains(&entry.key.as_str()))
    }

    /// Whether the client has this key.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.dialect.has(key)
    }

    /// The name under which rules ask for a key.
    pub(super) fn name_of<'a>(&self, key: &'a str) -> &'a str {
        match self.dialect {
            Dialect::Java => key,
            Dialect::Librdkafka => java_name(key).unwrap_or(key),
        }
    }

    /// What counts for a key: the last that is written (both clients' way), if any.
    pub(super) fn written(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| self.name_of(&entry.key) == key)
    }

    /// A setting that is a word, in lower case where the client does not mind.
    pub(super) fn word(&self, key: &str, default: &str) -> Known<String> {
        self.known(key, default, |text| Some(self.folded(text)))
    }

    /// librdkafka reads words in any case, Java as they are.
    pub(super) fn folded(&self, text: &str) -> String {
        match self.dialect {
            Dialect::Java => text.to_owned(),
            Dialect::Librdkafka => text.to_ascii_lowercase(),
        }
    }

    /// A setting that is a number; the default if what is written is none.
    pub(super) fn number(&self, key: &str, default: i64) -> Known<i64> {
        self.known(key, &default.to_string(), |text| text.parse().ok())
    }

    /// A setting that is on or off; the default if what is written is neither.
    pub(super) fn flag(&self, key: &str, default: bool) -> Known<bool> {
        self.known(key, if default { "true" } else { "false" }, |text| self.truth(text))
    }

    /// What a word means as a flag, for this client.
    pub(super) fn truth(&self, text: &str) -> Option<bool> {
        let known = match self.dialect {
            Dialect::Java => (["true"].as_slice(), ["false"].as_slice()),
            Dialect::Librdkafka => (["true", "t", "1"].as_slice(), ["false", "f", "0"].as_slice()),
        };
        let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
        if is(known.0) { Some(true) } else { is(known.1).then_some(false) }
    }

    fn known<T>(&self, key: &str, default: &str, read: impl Fn(&str) -> Option<T>) -> Known<T> {
        let written = self.written(key);
        if let Some((entry, value)) = written.and_then(|entry| Some((entry, read(&entry.value)?))) {
            return Known {
                name: entry.key.clone(),
                text: entry.value.clone(),
                line: Some(entry.line),
                value,
            };
        }
        let value = read(default).expect("a default is of its own type");
        Known { name: key.to_owned(), text: default.to_owned(), line: None, value }
    }

    /// A finding about a setting, with what it should be.
    pub(super) fn finding<T>(
        &self,
        severity: Severity,
        rule: Rule,
        setting: &Known<T>,
        suggested: &str,
        why: impl Into<String>,
    ) -> Finding {
        let object = Object::Client(self.path.clone(), setting.line);
        Finding::new(severity, rule, object, why).mended_by(Setting {
            name: setting.name.clone(),
            present: Some(setting.text.clone()),
            is_default: setting.line.is_none(),
            suggested: Some(suggested.to_owned()),
        })
    }
}

/// librdkafka's tools let settings of topics be written as `topic.KEY`.
fn drop_topic_prefix(entry: &mut Entry) {
    if let Some(rest) = entry.key.strip_prefix("topic.")
        && !Dialect::Librdkafka.has(&entry.key)
        && Dialect::Librdkafka.has(rest)
    {
        entry.key = rest.to_owned();
    }
}

/// Java's name of a key that only librdkafka has.
pub(super) fn java_name(key: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| *alias == key).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_tell_the_dialect_and_the_kind() {
        let cases = [
            ("key.serializer=x\nacks=all", Dialect::Java, false, (true, false)),
            ("request.required.acks=1", Dialect::Librdkafka, false, (true, false)),
            ("metadata.broker.list=x\ngroup.id=g", Dialect::Librdkafka, false, (false, true)),
            ("bootstrap.servers=x\nacks=1", Dialect::Java, true, (true, false)),
            ("bootstrap.servers=x", Dialect::Java, true, (false, false)),
            ("topic.acks=1\nmetadata.broker.list=x", Dialect::Librdkafka, false, (true, false)),
            ("acks=all\ngroup.id=g\nvalue.deserializer=x", Dialect::Java, false, (true, true)),
        ];
        for (text, dialect, guessed, kinds) in cases {
            let file = ClientFile::parse("f", text, None);
            let found = (file.dialect, file.guessed, (file.is_producer(), file.is_consumer()));
            assert_eq!(found, (dialect, guessed, kinds), "{text}");
        }
        let told = ClientFile::parse("f", "acks=1", Some(Dialect::Librdkafka));
        assert_eq!((told.dialect, told.guessed), (Dialect::Librdkafka, false));
    }

    #[test]
    fn the_last_one_counts_whatever_its_name() {
        let text = "acks=all\nrequest.required.acks=1\nmessage.send.max.retries=3";
        let file = ClientFile::parse("f", text, None);
        let acks = file.word("acks", "-1");
        assert_eq!(
            (acks.name.as_str(), acks.text.as_str(), acks.line),
            ("request.required.acks", "1", Some(2))
        );
        assert_eq!(file.number("retries", 9).value, 3);
        assert!(!file.number("linger.ms", 5).is_set());
    }
}
