//! OffsetForLeaderEpoch: where an epoch ends, so that a consumer notices a log that was cut behind its back (KIP-320).

use std::sync::Arc;

use tallymq_broker::data::{EpochEnd, check_epoch};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::offset_for_leader_epoch::{
        EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
        OffsetForLeaderTopicResult,
    },
};
use tallymq_model::{LeaderEpoch, PartitionIndex, TopicPartition};

use super::errors::epoch_refusal;
use crate::node::Node;

/// Answers per partition.
pub fn handle(node: &Arc<Node>, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions =
            topic.partitions.iter().map(|partition| match end_of(node, &topic.topic, partition) {
                Ok(end) => EpochEndOffset {
                    partition: partition.partition,
                    leader_epoch: end.epoch.0,
                    end_offset: end.end_offset.0,
                    ..Default::default()
                },
                Err(error_code) => {
                    node.metrics.requests.failed("OffsetForLeaderEpoch", error_code.name());
                    EpochEndOffset { error_code, partition: partition.partition, ..Default::default() }
                }
            });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult { topic: topic.topic, partitions }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}

fn end_of(node: &Node, topic: &str, asked: &OffsetForLeaderPartition) -> Result<EpochEnd, ErrorCode> {
    let topic = node.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let tp = TopicPartition { topic: topic.id, partition: PartitionIndex(asked.partition) };
    let (handle, _) = node.partition(&topic, tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let term = handle.group.term();
    let state = handle.view.state();
    let partition = state.partition(tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_epoch(LeaderEpoch(asked.current_leader_epoch), partition.leader_epoch(term))
        .map_err(epoch_refusal)?;
    Ok(partition.epoch_end(LeaderEpoch(asked.leader_epoch), term))
}
