//! OffsetDelete: deletes single positions of a group, but not of topics that its members are subscribed to (KIP-496).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use tallymq_broker::{
    data::{DataCommand, DataOutcome},
    group::{
        GroupCommand, GroupError, GroupId, GroupOutcome, Request, Response, Text,
        request::DeletePositionsCheck,
    },
    metadata::Topic,
};
use tallymq_consensus::ProposeError;
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::offset_delete::{
        OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
    },
};
use tallymq_model::{PartitionIndex, RaftGroup, TopicPartition};

use super::errors::{coordinator_refusal, group_refusal};
use crate::node::Node;

/// Deletes what may go, and answers per partition.
pub async fn handle(node: &Node, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let group = GroupId::from(request.group_id);
    let check = DeletePositionsCheck { group: group.clone() };
    let checked = match node.ask_group(Request::DeletePositionsCheck(check), false).await {
        Response::DeletePositionsCheck(checked) => checked,
        _ => Err(GroupError::CoordinatorNotAvailable),
    };
    let subscribed: HashSet<Text> = match checked {
        Ok(subscribed) => subscribed.into_iter().collect(),
        Err(error) => {
            let error_code = group_refusal(&error);
            node.metrics.requests.failed("OffsetDelete", error_code.name());
            return OffsetDeleteResponse { error_code, ..Default::default() };
        }
    };
    let asked: Vec<(String, Option<Arc<Topic>>, Vec<i32>)> = request
        .topics
        .into_iter()
        .map(|topic| {
            let known = node.topic(&topic.name);
            (topic.name, known, topic.partitions.iter().map(|partition| partition.partition_index).collect())
        })
        .collect();
    let mut by_group: BTreeMap<RaftGroup, Vec<TopicPartition>> = BTreeMap::new();
    for (name, topic, indexes) in &asked {
        let Some(topic) = topic.as_deref().filter(|_| !subscribed.contains(name.as_str())) else {
            continue;
        };
        for &index in indexes {
            if let Some(home) = topic.group_of(PartitionIndex(index)) {
                by_group.entry(home).or_default().push(topic_partition(topic, index));
            }
        }
    }
    let deleted = delete(node, &group, by_group).await;
    let error_code = |name: &str, topic: Option<&Topic>, index: i32| match topic {
        Some(topic) if topic.group_of(PartitionIndex(index)).is_some() => {
            if subscribed.contains(name) {
                ErrorCode::GroupSubscribedToTopic
            } else {
                deleted.get(&topic_partition(topic, index)).copied().unwrap_or(ErrorCode::UnknownServerError)
            }
        }
        _ => ErrorCode::UnknownTopicOrPartition,
    };
    let topics = asked.into_iter().map(|(name, topic, indexes)| {
        let partitions = indexes.into_iter().map(|partition_index| {
            let error_code = error_code(&name, topic.as_deref(), partition_index);
            if error_code.is_error() {
                node.metrics.requests.failed("OffsetDelete", error_code.name());
            }
            OffsetDeleteResponsePartition { partition_index, error_code }
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic { name, partitions }
    });
    OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
}

fn topic_partition(topic: &Topic, index: i32) -> TopicPartition {
    TopicPartition { topic: topic.id, partition: PartitionIndex(index) }
}

/// Deletes in every data group at once. That there was no position is no error.
async fn delete(
    node: &Node,
    group: &GroupId,
    by_group: BTreeMap<RaftGroup, Vec<TopicPartition>>,
) -> HashMap<TopicPartition, ErrorCode> {
    let (mut pending, at) = (Vec::with_capacity(by_group.len()), node.now());
    for (home, tps) in by_group {
        let command = GroupCommand::DeletePositions { group: group.clone(), partitions: Some(tps.clone()) };
        let enqueued = match node.data(home) {
            Some(handle) => match handle.before_accounts_end(group, at).await {
                Ok(()) => handle.enqueue(DataCommand::Group(command)).await,
                Err(error) => Err(error),
            },
            None => Err(ProposeError::NotLeader { leader: None }),
        };
        pending.push((tps, enqueued));
    }
    let mut codes = HashMap::new();
    for (tps, enqueued) in pending {
        let outcome = match enqueued {
            Ok(proposal) => proposal.await,
            Err(error) => Err(error),
        };
        let code = match outcome {
            Ok(committed) => match committed.outcome() {
                DataOutcome::Group(GroupOutcome::PositionsDeleted { .. }) => ErrorCode::None,
                _ => ErrorCode::UnknownServerError,
            },
            Err(error) => coordinator_refusal(&error),
        };
        codes.extend(tps.into_iter().map(|tp| (tp, code)));
    }
    codes
}
