//! DeleteRecords: a person moves a log start; who it was goes into the log with the command.

use std::sync::Arc;

use tallymq_broker::data::{DataCommand, DataOutcome, LogStartReason, MoveLogStart, MoveLogStartError};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::delete_records::{
        DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
    },
};
use tallymq_model::{Offset, PartitionIndex, TopicPartition};

use super::{CallContext, errors::propose_refusal};
use crate::node::Node;

/// "Up to the high watermark."
const HIGH_WATERMARK: i64 = -1;

/// Answers per partition.
pub async fn handle(
    node: &Arc<Node>,
    context: &CallContext,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            partitions.push(match delete(node, context, &topic.name, index, partition.offset).await {
                Ok(log_start) => DeleteRecordsPartitionResult {
                    partition_index: index,
                    low_watermark: log_start.0,
                    error_code: ErrorCode::None,
                },
                Err(error_code) => {
                    node.metrics.requests.failed("DeleteRecords", error_code.name());
                    DeleteRecordsPartitionResult { partition_index: index, low_watermark: -1, error_code }
                }
            });
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}

async fn delete(
    node: &Node,
    context: &CallContext,
    topic: &str,
    index: i32,
    offset: i64,
) -> Result<Offset, ErrorCode> {
    let topic = node.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let tp = TopicPartition { topic: topic.id, partition: PartitionIndex(index) };
    let (handle, log) = node.partition(&topic, tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let to = if offset == HIGH_WATERMARK { log.log_end() } else { Offset(offset) };
    let by = format!("client {:?} at {}", context.client_id, context.client);
    let why = LogStartReason::DeleteRecords { by };
    let now = node.now();
    let command = DataCommand::MoveLogStart(MoveLogStart { tp, to, why, now });
    // What was delivered just now is not deleted unread.
    let deletion = match handle.enqueue_deletion(command, &[(tp, to)], now).await {
        Ok(proposal) => proposal.await,
        Err(error) => Err(error),
    };
    match deletion.map_err(|error| propose_refusal(&error).code)?.into_outcome() {
        DataOutcome::LogStartMoved(Ok(moved)) => {
            node.files_given_up();
            Ok(moved.log_start)
        }
        DataOutcome::LogStartMoved(Err(MoveLogStartError::OutOfRange { .. })) => {
            Err(ErrorCode::OffsetOutOfRange)
        }
        DataOutcome::LogStartMoved(Err(MoveLogStartError::UnknownPartition)) => {
            Err(ErrorCode::UnknownTopicOrPartition)
        }
        _ => Err(ErrorCode::UnknownServerError),
    }
}
