//! What is known about one configuration key: type, default, rule, whether it works, when it may change. The tables are
//! lists of these; the tables, not code, say what a setting may be.

use super::check::Rule;

/// The type of a value, as DescribeConfigs names it (KIP-133). Values are text everywhere; the type says which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// "true" or "false". On the wire 1.
    Boolean,
    /// Text. On the wire 2.
    String,
    /// 32 bits, signed. On the wire 3.
    Int,
    /// 16 bits, signed. On the wire 4.
    Short,
    /// 64 bits, signed. On the wire 5.
    Long,
    /// A decimal number. On the wire 6.
    Double,
    /// Text, separated by commas. On the wire 7.
    List,
    /// A Java class name. On the wire 8.
    Class,
    /// Text that is never shown. On the wire 9.
    Password,
}

/// When a key may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Only in the configuration of the process, at its start.
    AtStart,
    /// At any time, through AlterConfigs.
    Anytime,
}

/// What setting a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// What Kafka documents.
    Works,
    /// It is stored and shown, and changes nothing; the text says why that is harmless.
    Stored(&'static str),
    /// Only these values work so far; another one is refused, with the text.
    Only(&'static [&'static str], &'static str),
}

/// How a synonym's value becomes the key's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As it is.
    Same,
    /// Minutes to milliseconds.
    Minutes,
    /// Hours to milliseconds.
    Hours,
}

impl Unit {
    /// A synonym's value in the key's unit; -1 ("none") stays.
    pub fn convert(self, value: &str) -> Option<String> {
        let milliseconds = match self {
            Unit::Same => return Some(value.to_owned()),
            Unit::Minutes => 60_000_i64,
            Unit::Hours => 3_600_000,
        };
        let number: i64 = value.trim().parse().ok()?;
        Some(if number < 0 { number } else { number.saturating_mul(milliseconds) }.to_string())
    }
}

/// A broker key that a topic's or a broker's key falls back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The broker key.
    pub name: &'static str,
    /// How its value is converted.
    pub unit: Unit,
}

/// One configuration key.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Its name: Kafka's, where Kafka has it.
    pub name: &'static str,
    /// Its type.
    pub kind: ConfigType,
    /// Its default, as text; `None` is "not set".
    pub default: Option<&'static str>,
    /// Which values are valid.
    pub rule: Rule,
    /// What setting it does.
    pub support: Support,
    /// When it may change.
    pub changes: Changes,
    /// The broker keys that it falls back to, the strongest first.
    pub synonyms: &'static [Synonym],
    /// One or two sentences for people.
    pub doc: &'static str,
}

impl ConfigKey {
    const fn new(name: &'static str, kind: ConfigType, default: Option<&'static str>) -> ConfigKey {
        ConfigKey {
            name,
            kind,
            default,
            rule: Rule::Any,
            support: Support::Works,
            changes: Changes::AtStart,
            synonyms: &[],
            doc: "",
        }
    }

    pub(super) const fn boolean(name: &'static str, default: &'static str) -> ConfigKey {
        ConfigKey::new(name, ConfigType::Boolean, Some(default))
    }

    pub(super) const fn int(name: &'static str, default: &'static str) -> ConfigKey {
        ConfigKey::new(name, ConfigType::Int, Some(default))
    }

    pub(super) const fn short(name: &'static str, default: &'static str) -> ConfigKey {
        ConfigKey::new(name, ConfigType::Short, Some(default))
    }

    pub(super) const fn long(name: &'static str, default: &'static str) -> ConfigKey {
        ConfigKey::new(name, ConfigType::Long, Some(default))
    }

    pub(super) const fn double(name: &'static str, default: &'static str) -> ConfigKey {
        ConfigKey::new(name, ConfigType::Double, Some(default))
    }

    pub(super) const fn string(name: &'static str, default: &'static str) -> ConfigKey {
        ConfigKey::new(name, ConfigType::String, Some(default))
    }

    pub(super) const fn list(name: &'static str, default: &'static str) -> ConfigKey {
        ConfigKey::new(name, ConfigType::List, Some(default))
    }

    /// A key without a default.
    pub(super) const fn unset(name: &'static str, kind: ConfigType) -> ConfigKey {
        ConfigKey::new(name, kind, None)
    }

    pub(super) const fn rule(mut self, rule: Rule) -> ConfigKey {
        self.rule = rule;
        self
    }

    pub(super) const fn at_least(self, least: i64) -> ConfigKey {
        self.rule(Rule::Between(least, i64::MAX))
    }

    pub(super) const fn stored(mut self, why: &'static str) -> ConfigKey {
        self.support = Support::Stored(why);
        self
    }

    pub(super) const fn only(mut self, values: &'static [&'static str], why: &'static str) -> ConfigKey {
        self.support = Support::Only(values, why);
        self
    }

    pub(super) const fn anytime(mut self) -> ConfigKey {
        self.changes = Changes::Anytime;
        self
    }

    pub(super) const fn synonyms(mut self, synonyms: &'static [Synonym]) -> ConfigKey {
        self.synonyms = synonyms;
        self
    }

    pub(super) const fn doc(mut self, doc: &'static str) -> ConfigKey {
        self.doc = doc;
        self
    }

    /// Whether its value is never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }

    /// Whether AlterConfigs refuses it.
    pub fn is_read_only(&self) -> bool {
        self.changes == Changes::AtStart
    }
}

impl ConfigKey {
    /// For people: what it is, and what of it works.
    pub fn documentation(&self) -> String {
        match self.support {
            Support::Works => self.doc.to_owned(),
            Support::Stored(why) => format!("{} Accepted without effect: {why}", self.doc),
            Support::Only(_, why) => format!("{} Limited: {why}.", self.doc),
        }
    }
}
