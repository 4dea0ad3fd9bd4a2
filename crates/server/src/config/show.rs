//! The effective configuration: as TOML, a line per key, with the origin behind what was set, or as JSON.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};
use tallymq_broker::config::{BrokerLayers, ConfigKey, ConfigType, broker_keys};

use super::{Origin, file::variable_name};

/// A key that has a value.
struct Shown {
    key: &'static ConfigKey,
    /// None if it is a secret.
    value: Option<String>,
    /// Who set it.
    origin: Option<String>,
}

fn all(layers: &BrokerLayers<'_>, origins: &BTreeMap<String, Origin>) -> Vec<Shown> {
    let mut keys: Vec<&'static ConfigKey> = broker_keys().collect();
    keys.sort_by_key(|key| key.name);
    let shown = |key: &'static ConfigKey| {
        let value = layers.text(key.name)?;
        let origin = origins.get(key.name).map(|origin| match origin {
            Origin::File(name) => name.clone(),
            Origin::Environment => variable_name(key.name),
            Origin::Flag => "command line".to_owned(),
        });
        Some(Shown { key, value: (!key.is_sensitive()).then_some(value), origin })
    };
    keys.into_iter().filter_map(shown).collect()
}

/// All keys that have a value.
pub(super) fn toml(layers: &BrokerLayers<'_>, origins: &BTreeMap<String, Origin>) -> String {
    let mut text = String::new();
    for Shown { key, value, origin } in all(layers, origins) {
        let shown = value.map_or_else(|| "\"[hidden]\"".to_owned(), |value| literal(key, &value));
        let origin = origin.map(|origin| format!("  # {origin}")).unwrap_or_default();
        writeln!(text, "{:?} = {shown}{origin}", key.name).expect("writing to a string cannot fail");
    }
    text
}

/// By key: `value`, null if it is a secret, and `origin`, null for a default.
pub(super) fn json(layers: &BrokerLayers<'_>, origins: &BTreeMap<String, Origin>) -> Value {
    let shown = all(layers, origins).into_iter().map(|Shown { key, value, origin }| {
        // What TOML has bare is a number or a Boolean in JSON, too.
        let typed = |value: String| match is_bare(key, &value) {
            true => serde_json::from_str(value.trim()).unwrap_or(Value::String(value)),
            false => Value::String(value),
        };
        (key.name.to_owned(), json!({ "value": value.map(typed), "origin": origin }))
    });
    Value::Object(shown.collect())
}

fn is_bare(key: &ConfigKey, value: &str) -> bool {
    match key.kind {
        ConfigType::Boolean | ConfigType::Int | ConfigType::Short | ConfigType::Long => true,
        ConfigType::Double => value.contains('.'),
        _ => false,
    }
}

fn literal(key: &ConfigKey, value: &str) -> String {
    if is_bare(key, value) {
        value.trim().to_owned()
    } else {
        toml::Value::String(value.to_owned()).to_string()
    }
}
