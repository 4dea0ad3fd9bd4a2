//! Changes of overrides: AlterConfigs replaces all of them, IncrementalAlterConfigs edits some (KIP-339). Both become the
//! whole resulting set, checked, which a command then carries.

use std::collections::BTreeSet;

use thiserror::Error;

use super::check::{InvalidValue, parts};
use super::key::{ConfigKey, ConfigType};
use crate::metadata::ConfigSet;

/// One edit of IncrementalAlterConfigs. Unknown operations are the protocol's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEdit {
    /// The key.
    pub key: String,
    /// What to do.
    pub operation: EditOperation,
}

/// What an edit does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditOperation {
    /// Sets the value. Wire 0.
    Set(String),
    /// Goes back to the default. Wire 1.
    Delete,
    /// Adds to a list what is not in it. Wire 2.
    Append(String),
    /// Takes out of a list. Wire 3.
    Subtract(String),
}

/// Why overrides are not changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EditError {
    /// Kafka: INVALID_CONFIG (40).
    #[error("Unknown {scope} config name: {key}")]
    UnknownKey {
        /// "topic", "broker" or "group".
        scope: &'static str,
        /// The key.
        key: String,
    },
    /// Kafka: INVALID_CONFIG (40).
    #[error(transparent)]
    InvalidValue(#[from] InvalidValue),
    /// Kafka: INVALID_REQUEST (42).
    #[error("Cannot update these configs dynamically: {0}")]
    ReadOnly(String),
    /// Kafka: INVALID_CONFIG (40).
    #[error("Can't append to or subtract from key {0} because its type is not LIST.")]
    NotAList(String),
    /// Kafka: INVALID_REQUEST (42).
    #[error("Error due to duplicate config key: {0}")]
    DuplicateKey(String),
}

/// The keys of one kind of resource.
#[derive(Clone, Copy, Debug)]
pub struct KeyTable {
    /// "topic", "broker" or "group".
    pub scope: &'static str,
    /// Looks a key up.
    pub find: fn(&str) -> Option<&'static ConfigKey>,
}

impl KeyTable {
    fn changeable(&self, key: &str) -> Result<&'static ConfigKey, EditError> {
        let unknown = || EditError::UnknownKey { scope: self.scope, key: key.to_owned() };
        let found = (self.find)(key).ok_or_else(unknown)?;
        if found.is_read_only() {
            return Err(EditError::ReadOnly(key.to_owned()));
        }
        Ok(found)
    }

    /// Checks a whole set, as CreateTopics and AlterConfigs send it.
    pub fn check_set(&self, set: &ConfigSet) -> Result<(), EditError> {
        for (key, value) in set {
            self.changeable(key)?.check(value)?;
        }
        self.check_together(set)
    }

    /// The overrides after `edits`, checked. `default_of` gives the value that a key has without an override: what a list is appended to and
    /// subtracted from when there is none.
    pub fn edit(
        &self,
        current: &ConfigSet,
        edits: &[ConfigEdit],
        default_of: impl Fn(&'static ConfigKey) -> Option<String>,
    ) -> Result<ConfigSet, EditError> {
        let mut seen = BTreeSet::new();
        let mut result = current.clone();
        for edit in edits {
            if !seen.insert(edit.key.as_str()) {
                return Err(EditError::DuplicateKey(edit.key.clone()));
            }
            let key = self.changeable(&edit.key)?;
            let list = || result.get(&edit.key).cloned().or_else(|| default_of(key)).unwrap_or_default();
            let value = match &edit.operation {
                EditOperation::Delete => {
                    result.remove(&edit.key);
                    continue;
                }
                EditOperation::Set(value) => value.clone(),
                EditOperation::Append(_) | EditOperation::Subtract(_) if key.kind != ConfigType::List => {
                    return Err(EditError::NotAList(edit.key.clone()));
                }
                EditOperation::Append(values) => append(&list(), values),
                EditOperation::Subtract(values) => subtract(&list(), values),
            };
            key.check(&value)?;
            result.insert(edit.key.clone(), value);
        }
        self.check_together(&result)?;
        Ok(result)
    }

    /// What Kafka's `LogConfig.validateValues` checks across keys.
    fn check_together(&self, set: &ConfigSet) -> Result<(), EditError> {
        let number = |key: &str| {
            let default = || (self.find)(key).and_then(|key| key.default).map(str::to_owned);
            set.get(key).cloned().or_else(default).and_then(|text| text.trim().parse::<i64>().ok())
        };
        match (number("min.compaction.lag.ms"), number("max.compaction.lag.ms")) {
            (Some(min), Some(max)) if min > max => Err(EditError::InvalidValue(InvalidValue {
                key: "min.compaction.lag.ms".to_owned(),
                value: min.to_string(),
                reason: format!("It is greater than max.compaction.lag.ms ({max})"),
            })),
            _ => Ok(()),
        }
    }
}

fn append(list: &str, values: &str) -> String {
    let mut all: Vec<&str> = parts(list).collect();
    for value in parts(values) {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all.join(",")
}

fn subtract(list: &str, values: &str) -> String {
    let removed: Vec<&str> = parts(values).collect();
    parts(list).filter(|value| !removed.contains(value)).collect::<Vec<_>>().join(",")
}
