//! DescribeConfigs: every key of a resource with value, source, synonyms and documentation (KIP-226, KIP-569).

use std::{collections::HashSet, sync::Arc};

use tallymq_broker::config::{
    ConfigDescription, ConfigSource, ConfigType, SourcedValue, describe_broker, describe_cluster_default,
    describe_group, describe_topic,
};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::describe_configs::{
        DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
        DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
    },
};

use super::{
    CallContext,
    config_changes::{GROUP, Resource, source_code},
    endpoint::endpoint,
    errors::Refusal,
    repeated::keep_first,
};
use crate::node::Node;

/// Groups that one request describes: every name is a group that could have settings, so that nothing else bounds them.
const GROUPS_MAX: usize = 10_000;

/// Answers per resource.
pub fn handle(
    node: &Arc<Node>,
    context: &CallContext,
    mut request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let (synonyms, documentation) = (request.include_synonyms, request.include_documentation);
    keep_first(&mut request.resources, |resource| (resource.resource_type, resource.resource_name.clone()));
    let mut groups = 0;
    let results = request.resources.into_iter().map(|resource| {
        let result = DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        groups += usize::from(resource.resource_type == GROUP);
        let described =
            if groups > GROUPS_MAX { Err(too_many()) } else { describe(node, context, &resource) };
        match described {
            Ok(configs) => {
                let configs =
                    configs.into_iter().map(|config| entry(config, synonyms, documentation)).collect();
                DescribeConfigsResult { configs, ..result }
            }
            Err(refusal) => {
                node.metrics.requests.failed("DescribeConfigs", refusal.code.name());
                DescribeConfigsResult {
                    error_code: refusal.code,
                    error_message: Some(refusal.message),
                    ..result
                }
            }
        }
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

fn too_many() -> Refusal {
    let message = format!("A request describes at most {GROUPS_MAX} groups");
    Refusal::new(ErrorCode::InvalidRequest, message)
}

fn describe(
    node: &Node,
    context: &CallContext,
    asked: &DescribeConfigsResource,
) -> Result<Vec<ConfigDescription>, Refusal> {
    let resource = Resource::find(node, asked.resource_type, &asked.resource_name)?;
    let overrides = resource.overrides(node).configs;
    let mut configs = match resource {
        Resource::Topic(_) => node.with_layers(|layers| describe_topic(&overrides, layers)),
        Resource::Broker(Some(_)) => {
            let mut configs = node.with_layers(describe_broker);
            configs.iter_mut().for_each(|config| {
                show_advertised(config, node, context);
                show_identity(config, node);
            });
            configs
        }
        Resource::Broker(None) => describe_cluster_default(&overrides),
        Resource::Group(_) => node.with_layers(|layers| describe_group(&overrides, layers)),
    };
    if let Some(keys) = asked.configuration_keys.as_ref().filter(|keys| !keys.is_empty()) {
        let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
        configs.retain(|config| keys.contains(config.name));
    }
    Ok(configs)
}

/// A broker has an advertised listener even if none is configured: the one that this client is told. Kafka too shows the
/// effective one, as given at start.
fn show_advertised(config: &mut ConfigDescription, node: &Node, context: &CallContext) {
    if config.name != "advertised.listeners" || config.value.is_some() {
        return;
    }
    let (host, port) = endpoint(node, context);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    show_fixed(config, format!("PLAINTEXT://{host}:{port}"));
}

/// What is fixed when the data directory is made counts as it is there, whatever was set at this start.
fn show_identity(config: &mut ConfigDescription, node: &Node) {
    let fixed = match config.name {
        "node.id" => node.identity.node_id.to_string(),
        "data.groups" => node.identity.data_groups.to_string(),
        _ => return,
    };
    if config.value.as_deref().map(str::trim) != Some(&fixed) {
        show_fixed(config, fixed);
    }
}

fn show_fixed(config: &mut ConfigDescription, value: String) {
    config.value = Some(value);
    config.source = ConfigSource::Static;
    config.synonyms =
        vec![SourcedValue { name: config.name, value: config.value.clone(), source: ConfigSource::Static }];
}

fn entry(config: ConfigDescription, synonyms: bool, documentation: bool) -> DescribeConfigsResourceResult {
    let shown = config.synonyms.into_iter().map(|synonym| DescribeConfigsSynonym {
        name: synonym.name.to_owned(),
        value: synonym.value,
        source: source_code(synonym.source),
    });
    DescribeConfigsResourceResult {
        name: config.name.to_owned(),
        value: config.value,
        read_only: config.read_only,
        config_source: source_code(config.source),
        is_sensitive: config.sensitive,
        synonyms: if synonyms { shown.collect() } else { Vec::new() },
        config_type: type_code(config.kind),
        documentation: documentation.then_some(config.documentation),
    }
}

fn type_code(kind: ConfigType) -> i8 {
    match kind {
        ConfigType::Boolean => 1,
        ConfigType::String => 2,
        ConfigType::Int => 3,
        ConfigType::Short => 4,
        ConfigType::Long => 5,
        ConfigType::Double => 6,
        ConfigType::List => 7,
        ConfigType::Class => 8,
        ConfigType::Password => 9,
    }
}
