//! Which value of a broker key counts, and where it comes from: this broker's dynamic one, else the dynamic default of
//! all brokers, else the configuration at start, else the key's default (KIP-226).

use super::check::{parse_bool, parts};
use super::find_broker_key;
use super::key::{ConfigKey, Unit};
use crate::metadata::ConfigSet;

/// Where a value comes from, as DescribeConfigs names it (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic's own. On the wire 1.
    Topic,
    /// This broker's dynamic one. On the wire 2.
    DynamicBroker,
    /// The dynamic default of all brokers. On the wire 3.
    DynamicDefault,
    /// The configuration at start. On the wire 4.
    Static,
    /// The key's default. On the wire 5.
    Default,
    /// The group's own. On the wire 8.
    Group,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcedValue {
    /// The key under which it was set.
    pub name: &'static str,
    /// The value; `None` if nothing is set and there is no default.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// The layers of one broker's configuration, the strongest first.
#[derive(Clone, Copy, Debug)]
pub struct BrokerLayers<'a> {
    /// This broker's dynamic overrides.
    pub broker: &'a ConfigSet,
    /// The dynamic default of all brokers.
    pub cluster: &'a ConfigSet,
    /// The configuration at start: file, environment, flags. Only what was set.
    pub fixed: &'a ConfigSet,
}

impl BrokerLayers<'_> {
    /// Every layer that has a value for `key` itself, the strongest first; the key's default last, if it has one.
    pub fn chain(&self, key: &'static ConfigKey) -> impl Iterator<Item = SourcedValue> {
        let layers = [
            (self.broker, ConfigSource::DynamicBroker),
            (self.cluster, ConfigSource::DynamicDefault),
            (self.fixed, ConfigSource::Static),
        ];
        let set = layers.into_iter().filter_map(move |(layer, source)| {
            let value = Some(layer.get(key.name)?.clone());
            Some(SourcedValue { name: key.name, value, source })
        });
        let default = key.default.map(|value| SourcedValue {
            name: key.name,
            value: Some(value.to_owned()),
            source: ConfigSource::Default,
        });
        set.chain(default)
    }

    /// The synonyms of a topic's, group's or broker's `key` that have a value, as they were set; the first counts. The
    /// key's own default is left to the caller.
    pub fn synonyms(&self, key: &ConfigKey) -> Vec<SourcedValue> {
        let broker_keys = key.synonyms.iter().filter_map(|synonym| find_broker_key(synonym.name));
        broker_keys.flat_map(|broker_key| self.chain(broker_key)).collect()
    }

    /// The value that counts for a topic's or group's `key` without an override of its own, converted to its unit.
    pub fn fallback(&self, key: &'static ConfigKey) -> SourcedValue {
        let strongest = self.synonyms(key).into_iter().next();
        let converted = strongest.and_then(|found| {
            let unit =
                key.synonyms.iter().find(|synonym| synonym.name == found.name).map_or(Unit::Same, |s| s.unit);
            Some(SourcedValue { value: Some(unit.convert(found.value.as_deref()?)?), ..found })
        });
        converted.unwrap_or(SourcedValue {
            name: key.name,
            value: key.default.map(str::to_owned),
            source: ConfigSource::Default,
        })
    }

    /// The value that counts for the broker key `name`; `None` if it is unknown or not set.
    pub fn text(&self, name: &str) -> Option<String> {
        self.chain(find_broker_key(name)?).next()?.value
    }

    /// The number that counts for the broker key `name`; 0 if it is unknown, not set or no number.
    pub fn number(&self, name: &str) -> i64 {
        self.text(name).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// The texts of the list that counts for the broker key `name`, trimmed; empty ones are left out.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.text(name).iter().flat_map(|text| parts(text)).map(str::to_owned).collect()
    }

    /// Whether the broker key `name` is "true".
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| parse_bool(&text) == Some(true))
    }
}
