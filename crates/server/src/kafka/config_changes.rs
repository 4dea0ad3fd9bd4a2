//! What AlterConfigs and IncrementalAlterConfigs share: the resource, the overrides it has, and the change of them as one
//! command that another change in between refuses.

use std::sync::Arc;

use tallymq_broker::{
    config::{
        BROKER_TABLE, ConfigKey, ConfigSource, EditError, GROUP_TABLE, KeyTable, TOPIC_TABLE,
        check_group_bounds,
    },
    metadata::{
        ConfigScope, ConfigSet, MetadataCommand, MetadataOutcome, SetConfigsError, Topic, VersionedConfigs,
    },
};
use tallymq_consensus::ProposeError;
use tallymq_gateway::kafka::error_code::ErrorCode;
use tallymq_model::NodeId;

use super::errors::{Refusal, propose_refusal};
use crate::node::{Node, to_its_end};

/// Resource types of the configuration APIs (`ConfigResource.Type`).
pub const TOPIC: i8 = 2;
/// See [`TOPIC`].
pub const BROKER: i8 = 4;
/// See [`TOPIC`]; KIP-714.
pub const CLIENT_METRICS: i8 = 16;
/// See [`TOPIC`]; KIP-848.
pub const GROUP: i8 = 32;

/// A resource that has overrides.
pub enum Resource {
    /// A topic.
    Topic(Arc<Topic>),
    /// This broker, or the default of all.
    Broker(Option<NodeId>),
    /// A group.
    Group(String),
}

impl Resource {
    /// The resource that a request names.
    pub fn find(node: &Node, kind: i8, name: &str) -> Result<Resource, Refusal> {
        match kind {
            TOPIC => {
                let unknown = || Refusal::from(ErrorCode::UnknownTopicOrPartition);
                node.topic(name).map(Resource::Topic).ok_or_else(unknown)
            }
            BROKER if name.is_empty() => Ok(Resource::Broker(None)),
            BROKER => match name.parse() {
                Ok(id) if id == node.identity.node_id => Ok(Resource::Broker(Some(NodeId(id)))),
                Ok(id) => {
                    let message =
                        format!("Unexpected broker id, expected {} but received {id}", node.identity.node_id);
                    Err(Refusal::new(ErrorCode::InvalidRequest, message))
                }
                Err(_) => {
                    let message = format!("Node id must be an integer, but it is: {name}");
                    Err(Refusal::new(ErrorCode::InvalidRequest, message))
                }
            },
            GROUP if name.is_empty() => {
                Err(Refusal::new(ErrorCode::InvalidRequest, "Group name must not be empty"))
            }
            GROUP => Ok(Resource::Group(name.to_owned())),
            other => {
                Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unsupported resource type {other}")))
            }
        }
    }

    fn table(&self) -> &'static KeyTable {
        match self {
            Resource::Topic(_) => &TOPIC_TABLE,
            Resource::Broker(_) => &BROKER_TABLE,
            Resource::Group(_) => &GROUP_TABLE,
        }
    }

    fn scope(&self) -> ConfigScope {
        match self {
            Resource::Topic(topic) => ConfigScope::Topic(topic.id),
            Resource::Broker(node) => ConfigScope::Broker(*node),
            Resource::Group(group) => ConfigScope::Group(group.clone()),
        }
    }

    /// The overrides that the resource has now.
    pub fn overrides(&self, node: &Node) -> VersionedConfigs {
        let metadata = node.metadata_view().state();
        let held = match self {
            Resource::Topic(topic) => {
                return VersionedConfigs { configs: topic.configs.clone(), version: topic.config_version };
            }
            Resource::Broker(id) => metadata.broker_configs(*id),
            Resource::Group(group) => metadata.group_configs(group),
        };
        held.cloned().unwrap_or_default()
    }
}

/// Replaces a resource's overrides by what `edit` makes of them, unless it is only to be validated.
pub async fn change(
    node: &Arc<Node>,
    kind: i8,
    name: &str,
    validate_only: bool,
    edit: impl Fn(&KeyTable, &ConfigSet) -> Result<ConfigSet, EditError>,
) -> Result<(), Refusal> {
    loop {
        let resource = Resource::find(node, kind, name)?;
        let held = resource.overrides(node);
        let configs = edit(resource.table(), &held.configs).map_err(|error| edit_refusal(&error))?;
        if let Resource::Group(_) = resource {
            node.with_layers(|layers| check_group_bounds(&configs, layers))
                .map_err(|error| Refusal::new(ErrorCode::InvalidConfig, error))?;
        }
        if validate_only {
            return Ok(());
        }
        let command =
            MetadataCommand::SetConfigs { scope: resource.scope(), based_on: held.version, configs };
        let outcome = to_its_end(set(node.clone(), resource, command)).await;
        match outcome.map_err(|error| propose_refusal(&error))? {
            MetadataOutcome::ConfigsSet(Ok(_)) => return Ok(()),
            // Somebody else was faster: edit what they made of it.
            MetadataOutcome::ConfigsSet(Err(SetConfigsError::Changed(_))) => {}
            MetadataOutcome::ConfigsSet(Err(SetConfigsError::UnknownTopic(_))) => {
                return Err(ErrorCode::UnknownTopicOrPartition.into());
            }
            MetadataOutcome::ConfigsSet(Err(error @ SetConfigsError::TooManyGroups(_))) => {
                return Err(Refusal::new(ErrorCode::PolicyViolation, error));
            }
            MetadataOutcome::ConfigsSet(Err(error @ SetConfigsError::GroupNameTooLong(_))) => {
                return Err(Refusal::new(ErrorCode::InvalidGroupId, error));
            }
            _ => return Err(ErrorCode::UnknownServerError.into()),
        }
    }
}

/// Changes the overrides, and if they were hands them to the logs.
async fn set(
    node: Arc<Node>,
    resource: Resource,
    command: MetadataCommand,
) -> Result<MetadataOutcome, ProposeError> {
    let outcome = node.propose_metadata(command).await?;
    if let MetadataOutcome::ConfigsSet(Ok(_)) = &outcome {
        settle(&node, &resource);
    }
    Ok(outcome)
}

/// Code and message of an answer to `api`; counts the refusal.
pub fn answer(node: &Node, api: &'static str, changed: Result<(), Refusal>) -> (ErrorCode, Option<String>) {
    match changed {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => {
            node.metrics.requests.failed(api, refusal.code.name());
            (refusal.code, Some(refusal.message))
        }
    }
}

/// Hands changed settings to the logs.
fn settle(node: &Node, resource: &Resource) {
    match resource {
        Resource::Topic(topic) => {
            if let Some(topic) = node.topic_by_id(topic.id) {
                node.apply_settings(&topic);
            }
        }
        Resource::Broker(_) => {
            let topics: Vec<_> = node.metadata_view().state().topics().iter().cloned().collect();
            topics.iter().for_each(|topic| node.apply_settings(topic));
        }
        Resource::Group(_) => {}
    }
}

/// The value that a key has without an override: what a list is appended to.
pub fn default_of(node: &Node, key: &'static ConfigKey) -> Option<String> {
    node.with_layers(|layers| layers.fallback(key).value)
}

/// Why overrides are refused.
pub fn edit_refusal(error: &EditError) -> Refusal {
    let code = match error {
        EditError::ReadOnly(_) | EditError::DuplicateKey(_) => ErrorCode::InvalidRequest,
        EditError::UnknownKey { .. } | EditError::InvalidValue(_) | EditError::NotAList(_) => {
            ErrorCode::InvalidConfig
        }
    };
    Refusal::new(code, error)
}

/// A source as DescribeConfigs numbers it (`DescribeConfigsResponse.ConfigSource`).
pub fn source_code(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::Topic => 1,
        ConfigSource::DynamicBroker => 2,
        ConfigSource::DynamicDefault => 3,
        ConfigSource::Static => 4,
        ConfigSource::Default => 5,
        ConfigSource::Group => 8,
    }
}
