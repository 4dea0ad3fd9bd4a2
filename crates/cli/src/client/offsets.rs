//! Where logs begin and end, and which offset a time has (ListOffsets).

use std::collections::BTreeMap;

use tallymq_gateway::kafka::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use super::{Address, Client, ClientError, TopicInfo, call, check};

/// Asks for the log end.
pub const LATEST: i64 = -1;
/// Asks for the log start.
pub const EARLIEST: i64 = -2;

impl Client {
    /// For each partition the first offset at or after `timestamp` (milliseconds since 1970, [`EARLIEST`] or
    /// [`LATEST`]); -1 if no record is that late.
    pub async fn offsets(
        &mut self,
        topic: &TopicInfo,
        partitions: &[i32],
        timestamp: i64,
    ) -> Result<BTreeMap<i32, i64>, ClientError> {
        let mut by_leader: BTreeMap<Address, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for &partition in partitions {
            let asked = ListOffsetsPartition {
                partition_index: partition,
                timestamp,
                ..ListOffsetsPartition::default()
            };
            by_leader.entry(topic.leader(partition)?.clone()).or_default().push(asked);
        }
        let mut found = BTreeMap::new();
        for (address, partitions) in by_leader {
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: vec![ListOffsetsTopic { name: topic.name.clone(), partitions }],
                timeout_ms: self.timeout.as_millis() as i32,
                ..ListOffsetsRequest::default()
            };
            let answer = call!(self.to(&address).await?, ListOffsets, request)?;
            for partition in answer.topics.into_iter().flat_map(|topic| topic.partitions) {
                let what = format!("positions of {}-{}", topic.name, partition.partition_index);
                check(what, partition.error_code, None)?;
                found.insert(partition.partition_index, partition.offset);
            }
        }
        Ok(found)
    }
}
