//! The configuration at start: a TOML file, then the environment, then flags, each stronger than the one before. Keys,
//! defaults and rules are `broker::config`'s tables; what is unknown or invalid stops the start, by name.

mod file;
mod show;
mod startup;

use std::collections::BTreeMap;

use tallymq_broker::{
    config::{BrokerLayers, broker_keys, find_broker_key},
    metadata::ConfigSet,
};
use thiserror::Error;

pub use file::SourceError;
pub use startup::{KeyIndexing, Startup, StartupError};

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The named file.
    File(String),
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

/// What was set, before any dynamic change. Every key is known and every value valid.
#[derive(Clone, Debug, Default)]
pub struct Config {
    set: ConfigSet,
    origins: BTreeMap<String, Origin>,
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not TOML of settings.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No such key.
    #[error("unknown setting `{key}`{}", suggestion(.nearest))]
    UnknownKey {
        /// As given.
        key: String,
        /// The most similar key there is.
        nearest: Option<&'static str>,
    },
    /// No such environment variable of ours.
    #[error("unknown environment variable {variable}{}", suggestion(.nearest))]
    UnknownVariable {
        /// As given.
        variable: String,
        /// The most similar one there is.
        nearest: Option<String>,
    },
    /// `--set` without `=`.
    #[error("`--set {0}` is not KEY=VALUE")]
    NotAPair(String),
    /// The value is not valid for the key.
    #[error("{0}")]
    Invalid(String),
}

fn suggestion(nearest: &Option<impl std::fmt::Display>) -> String {
    nearest.as_ref().map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// Where settings may come from, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Name and text of a TOML file.
    pub file: Option<(String, String)>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Keys and values from flags.
    pub flags: Vec<(String, String)>,
}

impl Config {
    /// Reads and checks all sources.
    pub fn load(sources: Sources) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        if let Some((name, text)) = sources.file {
            for (key, value) in file::parse(&name, &text)? {
                config.put(key, value, Origin::File(name.clone()))?;
            }
        }
        let names = broker_keys().map(|key| key.name);
        let (known, unknown) = file::from_environment(sources.environment.into_iter(), names);
        if let Some(variable) = unknown.into_iter().next() {
            let candidates = broker_keys().map(|key| file::variable_name(key.name));
            let nearest = nearest(&variable, candidates);
            return Err(ConfigError::UnknownVariable { variable, nearest });
        }
        for (key, value) in known {
            config.put(key, value, Origin::Environment)?;
        }
        for (key, value) in sources.flags {
            config.put(key, value, Origin::Flag)?;
        }
        Ok(config)
    }

    /// Splits `--set KEY=VALUE`.
    pub fn pair(text: &str) -> Result<(String, String), ConfigError> {
        let (key, value) = text.split_once('=').ok_or_else(|| ConfigError::NotAPair(text.to_owned()))?;
        Ok((key.trim().to_owned(), value.trim().to_owned()))
    }

    fn put(&mut self, key: String, value: String, origin: Origin) -> Result<(), ConfigError> {
        let Some(known) = find_broker_key(&key) else {
            let nearest = nearest(&key, broker_keys().map(|key| key.name));
            return Err(ConfigError::UnknownKey { key, nearest });
        };
        known.check(&value).map_err(|error| ConfigError::Invalid(error.to_string()))?;
        self.set.insert(key.clone(), value);
        self.origins.insert(key, origin);
        Ok(())
    }

    /// What was set, by key; defaults are not in it.
    pub fn set(&self) -> &ConfigSet {
        &self.set
    }

    /// Reads values with their defaults.
    pub fn layers(&self) -> BrokerLayers<'_> {
        static NOTHING: ConfigSet = ConfigSet::new();
        BrokerLayers { broker: &NOTHING, cluster: &NOTHING, fixed: &self.set }
    }

    /// Every key with its effective value and where that comes from, as TOML that can be loaded again.
    pub fn show(&self) -> String {
        show::toml(&self.layers(), &self.origins)
    }

    /// The same as JSON: an object of `value` and `origin` for each key. What is secret, and where a default comes from, is
    /// null.
    pub fn show_json(&self) -> serde_json::Value {
        show::json(&self.layers(), &self.origins)
    }
}

/// The candidate most like `name`, if any is like it at all.
fn nearest<S: AsRef<str>>(name: &str, candidates: impl Iterator<Item = S>) -> Option<S> {
    const LIKENESS_MIN: f64 = 0.75;
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate.as_ref()), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(items: &[(&str, &str)]) -> Vec<(String, String)> {
        items.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn flags_beat_the_environment_and_that_beats_the_file() {
        let config = Config::load(Sources {
            file: Some(("f".to_owned(), "\"num.partitions\" = 2\n\"log.retention.hours\" = 3\n".to_owned())),
            environment: pairs(&[("TALLYMQ_NUM_PARTITIONS", "4"), ("TALLYMQ_NODE_ID", "7")]),
            flags: pairs(&[("num.partitions", "8")]),
        })
        .unwrap();
        let layers = config.layers();
        assert_eq!(layers.number("num.partitions"), 8);
        assert_eq!(layers.number("node.id"), 7);
        assert_eq!(layers.number("log.retention.hours"), 3);
        assert_eq!(layers.number("message.max.bytes"), 1_048_588);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let flags = pairs(&[("num.partition", "8")]);
        let error = Config::load(Sources { flags, ..Sources::default() }).unwrap_err();
        assert_eq!(error.to_string(), "unknown setting `num.partition`; did you mean `num.partitions`?");
        let environment = pairs(&[("TALLYMQ_NUM_PARTITION", "8")]);
        let error = Config::load(Sources { environment, ..Sources::default() }).unwrap_err();
        assert!(error.to_string().contains("TALLYMQ_NUM_PARTITIONS"), "{error}");
    }

    #[test]
    fn a_value_that_does_not_work_yet_is_refused() {
        let flags = pairs(&[("log.cleanup.policy", "compact")]);
        assert!(Config::load(Sources { flags, ..Sources::default() }).is_err());
    }

    #[test]
    fn what_is_shown_can_be_loaded_again() {
        let flags = pairs(&[("num.partitions", "8"), ("tracing.filter", "debug")]);
        let config = Config::load(Sources { flags, ..Sources::default() }).unwrap();
        let file = Some(("shown".to_owned(), config.show()));
        let again = Config::load(Sources { file, ..Sources::default() }).unwrap();
        assert_eq!(again.layers().number("num.partitions"), 8);
        assert_eq!(again.layers().text("tracing.filter").as_deref(), Some("debug"));
        let shown = config.show_json();
        let set = |value: serde_json::Value| serde_json::json!({ "value": value, "origin": "command line" });
        assert_eq!(
            (&shown["num.partitions"], &shown["tracing.filter"]),
            (&set(8.into()), &set("debug".into()))
        );
        let default = Config::default().show_json();
        assert_eq!(default["tracing.filter"], serde_json::json!({ "value": "info", "origin": null }));
        let lines = config.show().lines().count();
        assert_eq!(shown.as_object().unwrap().len(), lines, "both show the same keys");
    }
}
