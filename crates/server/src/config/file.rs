//! Configuration from a TOML file and from the environment, flattened to `key.with.dots` → text. Which keys exist is
//! not known here.

use std::collections::BTreeMap;

use thiserror::Error;

/// Why a source could not be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The file does not parse.
    #[error("{name}: {message}")]
    Syntax {
        /// The file's name.
        name: String,
        /// Line and reason.
        message: String,
    },
    /// A value that no setting can have.
    #[error("{name}: `{key}` is neither text, a number, true or false, nor a list of those")]
    Shape {
        /// The file's name.
        name: String,
        /// The key.
        key: String,
    },
}

/// Parses TOML. Tables nest with dots, so `[log] retention.hours = 1` and `"log.retention.hours" = 1` are the same; a
/// list becomes its elements joined with commas, as Kafka writes them.
pub fn parse(name: &str, text: &str) -> Result<BTreeMap<String, String>, SourceError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| SourceError::Syntax {
        name: name.to_owned(),
        message: error.to_string(),
    })?;
    let mut flat = BTreeMap::new();
    flatten(name, "", &table, &mut flat)?;
    Ok(flat)
}

fn flatten(
    name: &str,
    prefix: &str,
    table: &toml::Table,
    flat: &mut BTreeMap<String, String>,
) -> Result<(), SourceError> {
    for (part, value) in table {
        let key = if prefix.is_empty() { part.clone() } else { format!("{prefix}.{part}") };
        if let toml::Value::Table(inner) = value {
            flatten(name, &key, inner, flat)?;
            continue;
        }
        let text =
            text_of(value).ok_or_else(|| SourceError::Shape { name: name.to_owned(), key: key.clone() })?;
        flat.insert(key, text);
    }
    Ok(())
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            items.iter().map(text_of).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// What the environment says: `TALLYMQ_LOG_RETENTION_HOURS` sets `log.retention.hours`. Only variables that match one of
/// `keys` (with dots and dashes read as underscores) are taken; the others with our prefix are returned as unknown.
pub fn from_environment<'a>(
    variables: impl Iterator<Item = (String, String)>,
    keys: impl Iterator<Item = &'a str>,
) -> (BTreeMap<String, String>, Vec<String>) {
    let names: BTreeMap<String, &str> = keys.map(|key| (variable_name(key), key)).collect();
    let (mut known, mut unknown) = (BTreeMap::new(), Vec::new());
    for (variable, value) in variables.filter(|(variable, _)| variable.starts_with(PREFIX)) {
        match names.get(&variable) {
            Some(key) => drop(known.insert((*key).to_owned(), value)),
            None if NOT_SETTINGS.contains(&variable.as_str()) => {}
            None => unknown.push(variable),
        }
    }
    (known, unknown)
}

const PREFIX: &str = "TALLYMQ_";
/// Variables with our prefix that are read elsewhere.
const NOT_SETTINGS: [&str; 5] =
    ["TALLYMQ_PLANTED", "TALLYMQ_CONFIG", "TALLYMQ_BOOTSTRAP", "TALLYMQ_POWER_CUTS", "TALLYMQ_HTTP"];

/// The environment variable that sets `key`.
pub fn variable_name(key: &str) -> String {
    let name: String =
        key.chars().map(|c| if matches!(c, '.' | '-') { '_' } else { c.to_ascii_uppercase() }).collect();
    format!("{PREFIX}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_dotted_keys_are_the_same() {
        let nested = parse("a", "[log]\nretention.hours = 1\nsegment.bytes = 2\n").unwrap();
        let quoted = parse("b", "\"log.retention.hours\" = 1\nlog.\"segment.bytes\" = \"2\"\n").unwrap();
        assert_eq!(nested, quoted);
    }

    #[test]
    fn lists_join_as_kafka_writes_them() {
        assert_eq!(parse("a", "listen = [\"a:1\", \"b:2\"]").unwrap()["listen"], "a:1,b:2");
    }

    #[test]
    fn a_variable_sets_its_key_and_an_unknown_one_is_named() {
        let variables = [("TALLYMQ_NUM_PARTITIONS", "4"), ("TALLYMQ_NUM_PARTITION", "4"), ("HOME", "/")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (known, unknown) = from_environment(variables.into_iter(), ["num.partitions"].into_iter());
        assert_eq!(known["num.partitions"], "4");
        assert_eq!(unknown, ["TALLYMQ_NUM_PARTITION"]);
    }
}
