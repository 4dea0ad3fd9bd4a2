//! The effective configuration as text: TOML, a line per key, with the origin behind what was set.

use std::{collections::BTreeMap, fmt::Write};

use tallymq_broker::config::{BrokerLayers, ConfigKey, ConfigType, broker_keys};

use super::Origin;

/// All keys that have a value.
pub(super) fn toml(layers: &BrokerLayers<'_>, origins: &BTreeMap<String, Origin>) -> String {
    let mut keys: Vec<&ConfigKey> = broker_keys().collect();
    keys.sort_by_key(|key| key.name);
    let mut text = String::new();
    for key in keys {
        let Some(value) = layers.text(key.name) else {
            continue;
        };
        let shown = if key.is_sensitive() { "\"[hidden]\"".to_owned() } else { literal(key, &value) };
        let origin = match origins.get(key.name) {
            None => String::new(),
            Some(Origin::File(name)) => format!("  # {name}"),
            Some(Origin::Environment) => format!("  # {}", super::file::variable_name(key.name)),
            Some(Origin::Flag) => "  # command line".to_owned(),
        };
        writeln!(text, "{:?} = {shown}{origin}", key.name).expect("writing to a string cannot fail");
    }
    text
}

fn literal(key: &ConfigKey, value: &str) -> String {
    let bare = match key.kind {
        ConfigType::Boolean | ConfigType::Int | ConfigType::Short | ConfigType::Long => true,
        ConfigType::Double => value.contains('.'),
        _ => false,
    };
    if bare { value.trim().to_owned() } else { toml::Value::String(value.to_owned()).to_string() }
}
