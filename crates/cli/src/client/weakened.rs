//! Settings of TallyMQ's brokers under which less is promised. Brokers of others have no such settings.

use std::collections::BTreeSet;

use tallymq_gateway::kafka::messages::{
    describe_cluster::{DescribeClusterBroker, DescribeClusterRequest},
    describe_configs::{DescribeConfigsRequest, DescribeConfigsResource},
};

use super::{Address, Client, ClientError, call};

const RESOURCE_BROKER: i8 = 4;
/// The endpoints of brokers (KIP-919).
const ENDPOINT_BROKERS: i8 = 1;
/// Key, the value that weakens the promise, what that means.
const WEAKENING: [(&str, &str, &str); 2] = [
    ("flush", "async", "a power cut loses acknowledged records"),
    ("insecure_listeners", "true", "anyone on the network can read and write"),
];

impl Client {
    /// What whoever looks at something of the brokers at `addresses` has to know of them. A broker that does not tell is no
    /// reason to fail.
    pub async fn weakened(&mut self, addresses: BTreeSet<Address>) -> Vec<String> {
        let mut warnings = Vec::new();
        for broker in self.described_brokers().await.unwrap_or_default() {
            let Ok(port) = u16::try_from(broker.port) else { continue };
            let address = Address { host: broker.host, port };
            if addresses.contains(&address) {
                let weakened = self.weakened_at(broker.broker_id, &address).await;
                warnings.extend(weakened.unwrap_or_default());
            }
        }
        warnings
    }

    /// The same for the broker that coordinates `group`, if it was asked for something already.
    pub async fn weakened_coordinator(&mut self, group: &str) -> Vec<String> {
        let address = self.coordinators.get(group).cloned();
        self.weakened(address.into_iter().collect()).await
    }

    async fn described_brokers(&mut self) -> Result<Vec<DescribeClusterBroker>, ClientError> {
        let request =
            DescribeClusterRequest { endpoint_type: ENDPOINT_BROKERS, ..DescribeClusterRequest::default() };
        Ok(call!(self.any().await?, DescribeCluster, request)?.brokers)
    }

    async fn weakened_at(&mut self, id: i32, address: &Address) -> Result<Vec<String>, ClientError> {
        let resource = DescribeConfigsResource {
            resource_type: RESOURCE_BROKER,
            resource_name: id.to_string(),
            configuration_keys: Some(WEAKENING.iter().map(|(key, ..)| (*key).to_owned()).collect()),
        };
        let request =
            DescribeConfigsRequest { resources: vec![resource], ..DescribeConfigsRequest::default() };
        let answer = call!(self.to(address).await?, DescribeConfigs, request)?;
        let configs = answer.results.into_iter().flat_map(|result| result.configs);
        let weakening = configs.filter_map(|config| {
            let is_so = |(key, value, _): &&(&str, &str, &str)| {
                config.name == *key && config.value.as_deref() == Some(*value)
            };
            let (key, value, what) = WEAKENING.iter().find(is_so)?;
            Some(format!("broker {id}: {key} = {value}: {what}"))
        });
        Ok(weakening.collect())
    }
}
