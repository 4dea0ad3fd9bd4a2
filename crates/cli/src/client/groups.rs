//! Consumer groups from outside: their coordinator, committed positions, and commits.

use std::collections::BTreeMap;

use tallymq_gateway::kafka::messages::{
    find_coordinator::FindCoordinatorRequest,
    offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch::OffsetFetchRequest,
};

use super::{Address, Client, ClientError, Connection, call, check};

/// A partition of a topic, by name.
pub type Position = (String, i32);

impl Client {
    /// The connection to the broker that coordinates `group`.
    pub async fn coordinator(&mut self, group: &str) -> Result<Connection, ClientError> {
        if let Some(address) = self.coordinators.get(group).cloned()
            && let Ok(connection) = self.to(&address).await
        {
            return Ok(connection);
        }
        let request = FindCoordinatorRequest { key: group.to_owned(), ..FindCoordinatorRequest::default() };
        let answer = call!(self.any().await?, FindCoordinator, request)?;
        check(format!("coordinator of group {group}"), answer.error_code, answer.error_message)?;
        let port = u16::try_from(answer.port);
        let port = port.map_err(|_| ClientError::Address(format!("{}:{}", answer.host, answer.port)))?;
        let address = Address { host: answer.host, port };
        self.coordinators.insert(group.to_owned(), address.clone());
        self.to(&address).await
    }

    /// Asks for the coordinator anew the next time.
    pub fn forget_coordinator(&mut self, group: &str) {
        self.coordinators.remove(group);
    }

    /// Asks for all coordinators anew the next time.
    pub fn forget_coordinators(&mut self) {
        self.coordinators.clear();
    }

    /// All committed positions of a group.
    pub async fn committed(&mut self, group: &str) -> Result<BTreeMap<Position, i64>, ClientError> {
        let request =
            OffsetFetchRequest { group_id: group.to_owned(), topics: None, ..OffsetFetchRequest::default() };
        let answer = call!(self.coordinator(group).await?, OffsetFetch, request)?;
        check(format!("positions of group {group}"), answer.error_code, None)?;
        let mut committed = BTreeMap::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                let what = format!("position of {}-{}", topic.name, partition.partition_index);
                check(what, partition.error_code, None)?;
                if partition.committed_offset >= 0 {
                    let place = (topic.name.clone(), partition.partition_index);
                    committed.insert(place, partition.committed_offset);
                }
            }
        }
        Ok(committed)
    }

    /// Commits positions, as a member (its id and epoch) or from outside of an inactive group (`None`).
    pub async fn commit(
        &mut self,
        group: &str,
        member: Option<(&str, i32)>,
        positions: &BTreeMap<Position, i64>,
    ) -> Result<(), ClientError> {
        let (member_id, epoch) = member.unwrap_or(("", -1));
        let request = OffsetCommitRequest {
            group_id: group.to_owned(),
            generation_id_or_member_epoch: epoch,
            member_id: member_id.to_owned(),
            topics: by_topic(positions),
            ..OffsetCommitRequest::default()
        };
        let answer = call!(self.coordinator(group).await?, OffsetCommit, request)?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let what = format!("commit of {}-{}", topic.name, partition.partition_index);
                check(what, partition.error_code, None)?;
            }
        }
        Ok(())
    }
}

fn by_topic(positions: &BTreeMap<Position, i64>) -> Vec<OffsetCommitRequestTopic> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition), offset) in positions {
        topics.entry(topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            ..OffsetCommitRequestPartition::default()
        });
    }
    let topics = topics.into_iter();
    topics
        .map(|(name, partitions)| OffsetCommitRequestTopic {
            name: name.to_owned(),
            partitions,
            ..OffsetCommitRequestTopic::default()
        })
        .collect()
}
