//! DescribeLogDirs: the data directory, its free space, and the size of each partition in it.

use std::sync::Arc;

use tallymq_broker::metadata::Topic;
use tallymq_gateway::kafka::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};

use super::repeated::merge_partitions;
use crate::node::Node;

/// Answers with the one directory there is.
pub fn handle(node: &Arc<Node>, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let topics = match request.topics {
        Some(asked) => {
            let asked = merge_partitions(asked.into_iter().map(|topic| (topic.topic, topic.partitions)));
            let found = asked.iter().filter_map(|(name, partitions)| {
                let topic = node.topic(name)?;
                Some(describe(node, &topic, |partition| partitions.contains(&partition)))
            });
            found.collect()
        }
        None => {
            let all: Vec<Arc<Topic>> = node.metadata_view().state().topics().iter().cloned().collect();
            all.iter().map(|topic| describe(node, topic, |_| true)).collect()
        }
    };
    let space = node.disk_space();
    let result = DescribeLogDirsResult {
        log_dir: node.startup.data_dir.display().to_string(),
        topics,
        total_bytes: space.map_or(-1, |space| space.total_bytes as i64),
        usable_bytes: space.map_or(-1, |space| space.available_bytes as i64),
        ..Default::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
}

fn describe(node: &Node, topic: &Topic, wanted: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let partitions =
        topic.topic_partitions().filter(|(tp, _)| wanted(tp.partition.0)).filter_map(|(tp, _)| {
            let (_, log) = node.partition(topic, tp)?;
            Some(DescribeLogDirsPartition {
                partition_index: tp.partition.0,
                partition_size: log.size_bytes() as i64,
                ..Default::default()
            })
        });
    DescribeLogDirsTopic { name: topic.name.clone(), partitions: partitions.collect() }
}
