//! What DescribeConfigs tells of a resource: every key with its value, source, synonyms and documentation (KIP-226, KIP-569).

use super::key::{ConfigKey, ConfigType};
use super::layers::{BrokerLayers, ConfigSource, SourcedValue};
use super::{GROUP_KEYS, TOPIC_KEYS, broker_keys};
use crate::metadata::ConfigSet;

/// One key of a resource, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDescription {
    /// The key.
    pub name: &'static str,
    /// The value that counts; `None` if not set, or if it is sensitive.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// Whether AlterConfigs refuses it.
    pub read_only: bool,
    /// Whether its value is never shown.
    pub sensitive: bool,
    /// Its type.
    pub kind: ConfigType,
    /// All values that could count, the strongest first.
    pub synonyms: Vec<SourcedValue>,
    /// For people.
    pub documentation: String,
}

/// Describes all keys of a topic with these overrides.
pub fn describe_topic(overrides: &ConfigSet, broker: &BrokerLayers<'_>) -> Vec<ConfigDescription> {
    TOPIC_KEYS.iter().map(|key| describe_override(key, overrides, ConfigSource::Topic, broker)).collect()
}

/// Describes all keys of a group with these overrides.
pub fn describe_group(overrides: &ConfigSet, broker: &BrokerLayers<'_>) -> Vec<ConfigDescription> {
    GROUP_KEYS.iter().map(|key| describe_override(key, overrides, ConfigSource::Group, broker)).collect()
}

/// Describes all keys of a broker.
pub fn describe_broker(broker: &BrokerLayers<'_>) -> Vec<ConfigDescription> {
    broker_keys()
        .map(|key| {
            let synonyms: Vec<_> = if key.synonyms.is_empty() {
                broker.chain(key).collect()
            } else {
                shown_synonyms(key, broker)
            };
            let own = broker.chain(key).next();
            let value = own.as_ref().and_then(|own| own.value.clone());
            description(key, value, own.map_or(ConfigSource::Default, |own| own.source), synonyms)
        })
        .collect()
}

/// Describes what is set dynamically for all brokers; Kafka shows nothing else for the broker resource without a name.
pub fn describe_cluster_default(cluster: &ConfigSet) -> Vec<ConfigDescription> {
    broker_keys()
        .filter_map(|key| {
            let value = Some(cluster.get(key.name)?.clone());
            let source = ConfigSource::DynamicDefault;
            let synonyms = vec![SourcedValue { name: key.name, value: value.clone(), source }];
            Some(description(key, value, source, synonyms))
        })
        .collect()
}

fn describe_override(
    key: &'static ConfigKey,
    overrides: &ConfigSet,
    source: ConfigSource,
    broker: &BrokerLayers<'_>,
) -> ConfigDescription {
    let mut synonyms = shown_synonyms(key, broker);
    let counted = match overrides.get(key.name) {
        Some(value) => {
            let own = SourcedValue { name: key.name, value: Some(value.clone()), source };
            synonyms.insert(0, own.clone());
            own
        }
        None => broker.fallback(key),
    };
    description(key, counted.value, counted.source, synonyms)
}

/// The synonyms that Kafka lists: of those that a key merely falls back to (`log.retention.hours` for `log.retention.ms`),
/// it does not show the defaults.
fn shown_synonyms(key: &ConfigKey, broker: &BrokerLayers<'_>) -> Vec<SourcedValue> {
    let mut synonyms = broker.synonyms(key);
    let own = key.synonyms.first().map(|synonym| synonym.name);
    synonyms.retain(|synonym| synonym.source != ConfigSource::Default || Some(synonym.name) == own);
    synonyms
}

fn description(
    key: &ConfigKey,
    value: Option<String>,
    source: ConfigSource,
    mut synonyms: Vec<SourcedValue>,
) -> ConfigDescription {
    let sensitive = key.is_sensitive();
    if sensitive {
        synonyms.iter_mut().for_each(|synonym| synonym.value = None);
    }
    ConfigDescription {
        name: key.name,
        value: value.filter(|_| !sensitive),
        source,
        read_only: key.is_read_only(),
        sensitive,
        kind: key.kind,
        synonyms,
        documentation: key.documentation(),
    }
}
