//! Configuration: tables of every key, and pure functions over them. A key works; or it takes only the values that do
//! (`Support::Only`); or, where what it asks for is always met or cannot matter here, it is kept without effect and says
//! why (`Support::Stored`). What would change something and does not is refused. Reads no file and no environment; that is
//! the server's loader, which uses the same tables.

mod broker;
mod broker_group;
mod broker_log;
mod check;
mod describe;
mod edit;
mod group;
mod key;
mod layers;
mod own;
mod settings;
mod topic;

pub use check::{InvalidValue, Rule, VALUE_BYTES_MAX};
pub use describe::{
    ConfigDescription, describe_broker, describe_cluster_default, describe_group, describe_topic,
};
pub use edit::{ConfigEdit, EditError, EditOperation, KeyTable};
pub use group::{GROUP_KEYS, check_group_bounds};
pub use key::{Changes, ConfigKey, ConfigType, Support, Synonym, Unit};
pub use layers::{BrokerLayers, ConfigSource, SourcedValue};
pub use own::OWN_KEYS;
pub use settings::TopicSettings;
pub use topic::TOPIC_KEYS;

/// The topic keys, for changes.
pub static TOPIC_TABLE: KeyTable = KeyTable { scope: "topic", find: find_topic_key };
/// The broker keys, ours included, for changes.
pub static BROKER_TABLE: KeyTable = KeyTable { scope: "broker", find: find_broker_key };
/// The group keys, for changes.
pub static GROUP_TABLE: KeyTable = KeyTable { scope: "group", find: find_group_key };

/// All keys of a broker: Kafka's, then ours.
pub fn broker_keys() -> impl Iterator<Item = &'static ConfigKey> {
    [broker::BROKER_KEYS, broker_group::COORDINATION_KEYS, broker_log::LOG_KEYS, OWN_KEYS]
        .into_iter()
        .flatten()
}

/// A broker key by name.
pub fn find_broker_key(name: &str) -> Option<&'static ConfigKey> {
    broker_keys().find(|key| key.name == name)
}

/// A topic key by name.
pub fn find_topic_key(name: &str) -> Option<&'static ConfigKey> {
    TOPIC_KEYS.iter().find(|key| key.name == name)
}

/// A group key by name.
pub fn find_group_key(name: &str) -> Option<&'static ConfigKey> {
    GROUP_KEYS.iter().find(|key| key.name == name)
}
