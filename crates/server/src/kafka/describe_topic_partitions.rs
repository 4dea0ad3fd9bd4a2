//! DescribeTopicPartitions: topics page by page (KIP-966).

use std::sync::Arc;

use tallymq_broker::metadata::Topic;
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::describe_topic_partitions::{
        Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
        DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
    },
};

use super::operations;
use crate::node::Node;

/// Answers with as many partitions as one page holds, and where the next page begins.
pub fn handle(node: &Arc<Node>, request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let limit = node.with_layers(|layers| layers.number("max.request.partition.size.limit"));
    let mut left = limit.min(i64::from(request.response_partition_limit)).max(1) as usize;
    let mut names: Vec<String> = if request.topics.is_empty() {
        node.metadata_view().state().topics().iter().map(|topic| topic.name.clone()).collect()
    } else {
        request.topics.into_iter().map(|topic| topic.name).collect()
    };
    names.sort();
    names.dedup();
    let (mut from_name, mut from_partition) = (String::new(), 0);
    if let Some(cursor) = request.cursor {
        (from_name, from_partition) = (cursor.topic_name, cursor.partition_index.max(0));
    }
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.into_iter().filter(|name| *name >= from_name) {
        let first = if name == from_name { from_partition as usize } else { 0 };
        let Some(topic) = node.topic(&name) else {
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                error_code: ErrorCode::UnknownTopicOrPartition,
                name: Some(name),
                topic_authorized_operations: operations::of_topic(true),
                ..Default::default()
            });
            continue;
        };
        if left == 0 {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: first as i32 });
            break;
        }
        let described = describe(node, &topic, first, left);
        let next = first + described.partitions.len();
        left -= described.partitions.len();
        response.topics.push(described);
        if next < topic.partitions.len() {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: next as i32 });
            break;
        }
    }
    response
}

fn describe(node: &Node, topic: &Topic, first: usize, limit: usize) -> DescribeTopicPartitionsResponseTopic {
    let this = node.identity.node_id;
    let partitions = topic.topic_partitions().skip(first).take(limit).map(|(tp, group)| {
        let epoch = node.data(group).and_then(|handle| handle.leader_epoch(tp));
        DescribeTopicPartitionsResponsePartition {
            error_code: if epoch.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable },
            partition_index: tp.partition.0,
            leader_id: if epoch.is_some() { this } else { -1 },
            leader_epoch: epoch.map_or(-1, |epoch| epoch.0),
            replica_nodes: vec![this],
            isr_nodes: vec![this],
            // Java's client takes no null here, although the message allows one.
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            offline_replicas: Vec::new(),
        }
    });
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id.0,
        partitions: partitions.collect(),
        topic_authorized_operations: operations::of_topic(true),
        ..Default::default()
    }
}
