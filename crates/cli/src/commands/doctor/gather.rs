//! The facts about a cluster: brokers, topics and their settings, then the groups. What the cluster does not tell becomes an
//! entry in a list, never a failure of the whole.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use indicatif::ProgressBar;

use super::{Unchecked, watch};
use crate::{
    client::{Address, Client, ClientError, Config, TopicInfo},
    doctor::cluster::facts::{Broker, Cluster, Partition, Settings, Topic},
};

/// Looks at all of it; at the groups twice, `watch` apart.
pub async fn gather(
    client: &mut Client,
    watch: Duration,
    bar: &ProgressBar,
    unchecked: &mut Vec<Unchecked>,
) -> Result<Cluster, ClientError> {
    let id = match client.cluster_id().await {
        Ok(id) => id,
        Err(error) => {
            not_told(unchecked, "cluster id", &error);
            None
        }
    };
    let addresses = client.brokers_by_id().await?;
    let brokers = brokers(client, &addresses, unchecked).await;
    let infos = client.topics().await?;
    let topics = topics(client, &infos, unchecked).await;
    let mut cluster = Cluster {
        id,
        tallymq: brokers.iter().any(Broker::is_tallymq),
        brokers,
        topics,
        ..Cluster::default()
    };
    let seen = watch::Seen { brokers: &addresses, topics: &infos };
    (cluster.groups, cluster.watched_ms) = watch::groups(client, seen, watch, bar, unchecked).await;
    cluster.now_ms = now_ms();
    Ok(cluster)
}

/// Notes that something was not told.
pub fn not_told(unchecked: &mut Vec<Unchecked>, what: impl Into<String>, error: &ClientError) {
    let refused = !matches!(error, ClientError::Unsupported { .. });
    unchecked.push(Unchecked { what: what.into(), why: error.to_string(), refused });
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

async fn brokers(
    client: &mut Client,
    addresses: &BTreeMap<i32, Address>,
    unchecked: &mut Vec<Unchecked>,
) -> Vec<Broker> {
    let mut brokers = Vec::new();
    for (&id, address) in addresses {
        let settings = match client.broker_configs(id, address).await {
            Ok(configs) => settings(configs),
            Err(error) => {
                not_told(unchecked, format!("settings of broker {id}"), &error);
                Settings::default()
            }
        };
        brokers.push(Broker { id, settings });
    }
    brokers
}

fn settings(configs: Vec<Config>) -> Settings {
    let mut settings = Settings::default();
    for config in configs {
        if let Some(value) = config.value {
            settings.put(config.name, value, config.is_default);
        }
    }
    settings
}

async fn topics(client: &mut Client, infos: &[TopicInfo], unchecked: &mut Vec<Unchecked>) -> Vec<Topic> {
    let names: Vec<String> = infos.iter().map(|info| info.name.clone()).collect();
    let mut configs = match client.topic_configs(&names).await {
        Ok(configs) => configs,
        Err(error) => {
            not_told(unchecked, "settings of topics", &error);
            BTreeMap::new()
        }
    };
    let mut topics = Vec::new();
    for info in infos {
        let settings = match configs.remove(&info.name) {
            Some(Ok(configs)) => settings(configs),
            Some(Err(error)) => {
                not_told(unchecked, format!("settings of topic {}", info.name), &error);
                Settings::default()
            }
            None => Settings::default(),
        };
        let partitions = info.partitions.iter().map(|known| Partition {
            index: known.index,
            led: known.leader.is_some(),
            replicas: known.replicas.len(),
            in_sync: known.in_sync.len(),
        });
        let partitions = partitions.collect();
        topics.push(Topic { name: info.name.clone(), internal: info.internal, settings, partitions });
    }
    topics
}
