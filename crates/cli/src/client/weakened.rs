//! Settings of TallyMQ's brokers under which less is promised. Brokers of others have no such settings.

use std::collections::BTreeSet;

use super::{Address, Client, configs::Config};

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
        let brokers = self.described_cluster().await.map(|cluster| cluster.brokers);
        for broker in brokers.unwrap_or_default() {
            let (id, Ok(port)) = (broker.broker_id, u16::try_from(broker.port)) else { continue };
            let address = Address { host: broker.host, port };
            if addresses.contains(&address) {
                let configs = self.broker_configs(id, &address).await.unwrap_or_default();
                warnings.extend(configs.iter().filter_map(|config| warning(id, config)));
            }
        }
        warnings
    }

    /// The same for the broker that coordinates `group`, if it was asked for something already.
    pub async fn weakened_coordinator(&mut self, group: &str) -> Vec<String> {
        let address = self.coordinators.get(group).cloned();
        self.weakened(address.into_iter().collect()).await
    }
}

fn warning(broker: i32, config: &Config) -> Option<String> {
    let is_so = |(key, value, _): &&(&str, &str, &str)| {
        config.name == *key && config.value.as_deref() == Some(*value)
    };
    let (key, value, what) = WEAKENING.iter().find(is_so)?;
    Some(format!("broker {broker}: {key} = {value}: {what}"))
}
