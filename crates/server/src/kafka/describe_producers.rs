//! DescribeProducers: the idempotent producers that a partition remembers (KIP-664).

use std::sync::Arc;

use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::describe_producers::{
        DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
    },
};
use tallymq_model::{PartitionIndex, TopicPartition};

use super::repeated::merge_partitions;
use crate::node::Node;

/// Answers per partition.
pub fn handle(node: &Arc<Node>, request: DescribeProducersRequest) -> DescribeProducersResponse {
    let asked = request.topics.into_iter().map(|topic| (topic.name, topic.partition_indexes));
    let topics = merge_partitions(asked).into_iter().map(|(name, indexes)| {
        let partitions = indexes.into_iter().map(|index| match producers(node, &name, index) {
            Some(active_producers) => {
                PartitionResponse { partition_index: index, active_producers, ..Default::default() }
            }
            None => PartitionResponse {
                partition_index: index,
                error_code: ErrorCode::UnknownTopicOrPartition,
                ..Default::default()
            },
        });
        let partitions = partitions.collect();
        TopicResponse { name, partitions }
    });
    DescribeProducersResponse { topics: topics.collect(), ..Default::default() }
}

fn producers(node: &Node, topic: &str, index: i32) -> Option<Vec<ProducerState>> {
    let topic = node.topic(topic)?;
    let tp = TopicPartition { topic: topic.id, partition: PartitionIndex(index) };
    let (handle, _) = node.partition(&topic, tp)?;
    let state = handle.view.state();
    let described = state.partition(tp)?.producers().describe().into_iter().map(|producer| ProducerState {
        producer_id: producer.producer_id.0,
        producer_epoch: i32::from(producer.epoch.0),
        last_sequence: producer.last_sequence.0,
        last_timestamp: producer.last_timestamp.0,
        coordinator_epoch: -1,
        ..Default::default()
    });
    Some(described.collect())
}
