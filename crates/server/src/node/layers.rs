//! The broker's configuration with all its layers, dynamic ones included, as of the metadata that was applied.

use tallymq_broker::{
    config::BrokerLayers,
    metadata::{ConfigSet, VersionedConfigs},
};
use tallymq_model::NodeId;
use tallymq_replica::MetadataView;

use crate::config::Config;

/// Runs `read` with the layers of `node`: its own overrides, those of all brokers, what was set at start.
pub(super) fn with_layers<T>(
    metadata: &MetadataView,
    config: &Config,
    node: NodeId,
    read: impl FnOnce(&BrokerLayers<'_>) -> T,
) -> T {
    static NOTHING: ConfigSet = ConfigSet::new();
    fn overrides(held: Option<&VersionedConfigs>) -> &ConfigSet {
        held.map_or(&NOTHING, |held| &held.configs)
    }
    let metadata = metadata.state();
    read(&BrokerLayers {
        broker: overrides(metadata.broker_configs(Some(node))),
        cluster: overrides(metadata.broker_configs(None)),
        fixed: config.set(),
    })
}
