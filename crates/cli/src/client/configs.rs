//! Settings of brokers and topics as the cluster describes them (DescribeConfigs, KIP-133).

use std::collections::BTreeMap;

use tallymq_gateway::kafka::messages::{
    describe_cluster::{DescribeClusterRequest, DescribeClusterResponse},
    describe_configs::{
        DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
    },
};

use super::{Address, Client, ClientError, call, check};

const RESOURCE_TOPIC: i8 = 2;
const RESOURCE_BROKER: i8 = 4;
/// Config source "default" (KIP-226).
const SOURCE_DEFAULT: i8 = 5;
/// How many topics are asked for at once.
const TOPICS_MAX: usize = 500;
/// The endpoints of brokers (KIP-919).
const ENDPOINT_BROKERS: i8 = 1;

/// One setting.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Its value; None if it has none or must not be shown.
    pub value: Option<String>,
    /// Nobody set it.
    pub is_default: bool,
}

impl From<DescribeConfigsResourceResult> for Config {
    fn from(found: DescribeConfigsResourceResult) -> Config {
        Config {
            name: found.name,
            value: found.value.filter(|_| !found.is_sensitive),
            is_default: found.config_source == SOURCE_DEFAULT,
        }
    }
}

/// The settings of one topic or broker, or why the cluster does not tell.
pub type Configs = Result<Vec<Config>, ClientError>;

impl Client {
    /// The cluster's id; None if the brokers do not know the request (KIP-700).
    pub async fn cluster_id(&mut self) -> Result<Option<String>, ClientError> {
        match self.described_cluster().await {
            Err(ClientError::Unsupported { .. }) => Ok(None),
            answer => Ok(Some(answer?.cluster_id)),
        }
    }

    /// The cluster and its brokers, without any topics (KIP-700).
    pub(super) async fn described_cluster(&mut self) -> Result<DescribeClusterResponse, ClientError> {
        let request =
            DescribeClusterRequest { endpoint_type: ENDPOINT_BROKERS, ..DescribeClusterRequest::default() };
        let answer = call!(self.any().await?, DescribeCluster, request)?;
        check("cluster", answer.error_code, answer.error_message.clone())?;
        Ok(answer)
    }

    /// A broker's settings. Only the broker itself knows them.
    pub async fn broker_configs(&mut self, id: i32, address: &Address) -> Configs {
        let request = request(RESOURCE_BROKER, &[id.to_string()]);
        let answer = call!(self.to(address).await?, DescribeConfigs, request)?;
        let found = answer.results.into_iter().next();
        found.map_or_else(|| Ok(Vec::new()), |found| configs(format!("settings of broker {id}"), found))
    }

    /// The settings of topics, which any broker knows.
    pub async fn topic_configs(
        &mut self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Configs>, ClientError> {
        let mut all = BTreeMap::new();
        for some in topics.chunks(TOPICS_MAX) {
            let answer = call!(self.any().await?, DescribeConfigs, request(RESOURCE_TOPIC, some))?;
            all.extend(answer.results.into_iter().map(|found| {
                let name = found.resource_name.clone();
                (name.clone(), configs(format!("settings of topic {name}"), found))
            }));
        }
        Ok(all)
    }
}

fn request(resource_type: i8, names: &[String]) -> DescribeConfigsRequest {
    let names = names.iter().cloned();
    let resource =
        |resource_name| DescribeConfigsResource { resource_type, resource_name, configuration_keys: None };
    DescribeConfigsRequest { resources: names.map(resource).collect(), ..DescribeConfigsRequest::default() }
}

fn configs(what: String, found: DescribeConfigsResult) -> Configs {
    check(what, found.error_code, found.error_message)?;
    Ok(found.configs.into_iter().map(Config::from).collect())
}
