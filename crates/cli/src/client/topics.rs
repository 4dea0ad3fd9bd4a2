//! Topics and their leaders (Metadata).

use std::collections::BTreeMap;

use tallymq_gateway::kafka::{
    ErrorCode,
    messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic},
};
use uuid::Uuid;

use super::{Address, Client, ClientError, call, check};

/// One partition, as the cluster describes it.
#[derive(Clone, Debug)]
pub struct PartitionInfo {
    /// Its number.
    pub index: i32,
    /// The broker that leads it, if any.
    pub leader: Option<i32>,
    /// The leader's address.
    pub address: Option<Address>,
    /// The leader epoch; -1 if not known.
    pub epoch: i32,
    /// The brokers that keep it.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync: Vec<i32>,
}

/// One topic.
#[derive(Clone, Debug)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its id; nil if the broker does not say.
    pub id: Uuid,
    /// Made by the broker for itself.
    pub internal: bool,
    /// The partitions, by number.
    pub partitions: Vec<PartitionInfo>,
}

impl TopicInfo {
    fn new(topic: MetadataResponseTopic, brokers: &BTreeMap<i32, Address>) -> TopicInfo {
        let mut partitions: Vec<_> = topic
            .partitions
            .into_iter()
            .map(|partition| PartitionInfo {
                index: partition.partition_index,
                leader: (partition.leader_id >= 0).then_some(partition.leader_id),
                address: brokers.get(&partition.leader_id).cloned(),
                epoch: partition.leader_epoch,
                replicas: partition.replica_nodes,
                in_sync: partition.isr_nodes,
            })
            .collect();
        partitions.sort_by_key(|partition| partition.index);
        TopicInfo {
            name: topic.name.unwrap_or_default(),
            id: topic.topic_id,
            internal: topic.is_internal,
            partitions,
        }
    }

    /// The address of a partition's leader.
    pub fn leader(&self, partition: i32) -> Result<&Address, ClientError> {
        let found = self.partitions.iter().find(|known| known.index == partition);
        found
            .and_then(|known| known.address.as_ref())
            .ok_or_else(|| ClientError::NoLeader { topic: self.name.clone(), partition })
    }
}

impl Client {
    /// All topics, by name.
    pub async fn topics(&mut self) -> Result<Vec<TopicInfo>, ClientError> {
        let answer = self.metadata(None, false).await?;
        let brokers = addresses(&answer);
        let mut topics: Vec<_> =
            answer.topics.into_iter().map(|topic| TopicInfo::new(topic, &brokers)).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// The addresses of all brokers.
    pub async fn brokers(&mut self) -> Result<Vec<Address>, ClientError> {
        Ok(self.brokers_by_id().await?.into_values().collect())
    }

    /// All brokers with their addresses.
    pub async fn brokers_by_id(&mut self) -> Result<BTreeMap<i32, Address>, ClientError> {
        Ok(addresses(&self.metadata(None, false).await?))
    }

    /// One topic; made by the broker if `create` and it is configured to. A topic that was just made may have no
    /// leader yet.
    pub async fn topic(&mut self, name: &str, create: bool) -> Result<TopicInfo, ClientError> {
        let answer = self.metadata(Some(name), create).await?;
        let brokers = addresses(&answer);
        let what = format!("topic {name}");
        let found = answer.topics.into_iter().next();
        let found = found
            .ok_or_else(|| ClientError::refused(what.clone(), ErrorCode::UnknownTopicOrPartition, None))?;
        check(what, found.error_code, None)?;
        Ok(TopicInfo::new(found, &brokers))
    }

    /// As [`Client::topic`], going on until it is there and each partition has a leader, up to the time limit.
    pub async fn topic_with_leaders(&mut self, name: &str, create: bool) -> Result<TopicInfo, ClientError> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        loop {
            let error = match self.topic(name, create).await {
                Ok(topic) => match topic.partitions.iter().find(|known| known.address.is_none()) {
                    None => return Ok(topic),
                    Some(known) => ClientError::NoLeader { topic: name.to_owned(), partition: known.index },
                },
                Err(error) => error,
            };
            let unknown =
                matches!(&error, ClientError::Refused { code: ErrorCode::UnknownTopicOrPartition, .. });
            if !error.is_retriable() || (unknown && !create) || tokio::time::Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(super::producer::BACKOFF).await;
        }
    }

    async fn metadata(&mut self, name: Option<&str>, create: bool) -> Result<MetadataResponse, ClientError> {
        let topics = name.map(|name| {
            vec![MetadataRequestTopic { name: Some(name.to_owned()), ..MetadataRequestTopic::default() }]
        });
        let request =
            MetadataRequest { topics, allow_auto_topic_creation: create, ..MetadataRequest::default() };
        let connection = self.any().await?;
        match call!(connection, Metadata, request) {
            // Before version 1 it was not null but none that stood for all.
            Err(ClientError::Encode(_)) if name.is_none() => {
                let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
                call!(connection, Metadata, request)
            }
            answer => answer,
        }
    }
}

fn addresses(answer: &MetadataResponse) -> BTreeMap<i32, Address> {
    let address =
        |host: &str, port: i32| Some(Address { host: host.to_owned(), port: u16::try_from(port).ok()? });
    answer
        .brokers
        .iter()
        .filter_map(|broker| Some((broker.node_id, address(&broker.host, broker.port)?)))
        .collect()
}
