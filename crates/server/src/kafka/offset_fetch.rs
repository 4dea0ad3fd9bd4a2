//! OffsetFetch: the committed positions of groups, read where their partitions are. What can be read is committed, so that
//! `require_stable` asks for nothing more.

use std::collections::BTreeMap;

use indexmap::IndexSet;
use tallymq_broker::{
    group::{GroupError, GroupId, Request, Response, durable::Position, request::FetchCheck},
    metadata::Topic,
};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::offset_fetch::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
        OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    },
};
use tallymq_model::{PartitionIndex, TopicId, TopicPartition};
use uuid::Uuid;

use super::{
    dispatch::CallContext,
    errors::group_refusal,
    repeated::{keep_first, merge_partitions},
};
use crate::node::Node;

/// From this version on a request asks for many groups (KIP-709).
const MANY_GROUPS_VERSION: i16 = 8;
/// From this version on the asker may be a member of a consumer group (KIP-848).
const MEMBER_EPOCH_VERSION: i16 = 9;
/// From this version on topics are named by id (KIP-848).
const TOPIC_ID_VERSION: i16 = 10;

/// Reads the positions of each group.
pub async fn handle(
    node: &Node,
    context: &CallContext,
    mut request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if context.version < MANY_GROUPS_VERSION {
        let group = fetch(node, context.version, only_group(request)).await;
        return only_response(group);
    }
    keep_first(&mut request.groups, |group| group.group_id.clone());
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        groups.push(fetch(node, context.version, group).await);
    }
    OffsetFetchResponse { groups, ..Default::default() }
}

/// An old request in the shape of a new one.
fn only_group(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..Default::default()
        });
        topics.collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }
}

/// A new answer in the shape of an old one.
fn only_response(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let topics = group.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|one| OffsetFetchResponsePartition {
            partition_index: one.partition_index,
            committed_offset: one.committed_offset,
            committed_leader_epoch: one.committed_leader_epoch,
            metadata: one.metadata,
            error_code: one.error_code,
        });
        OffsetFetchResponseTopic { name: topic.name, partitions: partitions.collect() }
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: group.error_code, ..Default::default() }
}

async fn fetch(node: &Node, version: i16, request: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let group = GroupId::from(request.group_id.as_str());
    if version >= MEMBER_EPOCH_VERSION {
        let member = request.member_id.map(Into::into);
        let check = FetchCheck { group: group.clone(), member, member_epoch: request.member_epoch };
        let refused = match node.ask_group(Request::FetchCheck(check), false).await {
            Response::FetchCheck(result) => result.err(),
            _ => Some(GroupError::CoordinatorNotAvailable),
        };
        if let Some(error) = refused {
            let error_code = group_refusal(&error);
            node.metrics.requests.failed("OffsetFetch", error_code.name());
            return OffsetFetchResponseGroup { group_id: request.group_id, error_code, ..Default::default() };
        }
    }
    let topics = match request.topics {
        Some(topics) => {
            let asked = topics.into_iter().map(|one| ((one.name, one.topic_id), one.partition_indexes));
            let asked = merge_partitions(asked).into_iter();
            asked.map(|(topic, indexes)| some_positions(node, version, &group, topic, indexes)).collect()
        }
        None => all_positions(node, &group),
    };
    OffsetFetchResponseGroup { group_id: request.group_id, topics, ..Default::default() }
}

fn some_positions(
    node: &Node,
    version: i16,
    group: &GroupId,
    (name, topic_id): (String, Uuid),
    indexes: IndexSet<i32>,
) -> OffsetFetchResponseTopics {
    let has_ids = version >= TOPIC_ID_VERSION;
    let topic = if has_ids { node.topic_by_id(TopicId(topic_id)) } else { node.topic(&name) };
    // A name may belong to a topic that is yet to come; an id that is unknown was deleted.
    let error_code = if has_ids && topic.is_none() { ErrorCode::UnknownTopicId } else { ErrorCode::None };
    if error_code.is_error() {
        node.metrics.requests.failed("OffsetFetch", error_code.name());
    }
    let partitions = indexes.into_iter().map(|partition_index| {
        let position =
            topic.as_deref().and_then(|topic| position(node, group, topic, PartitionIndex(partition_index)));
        OffsetFetchResponsePartitions { error_code, ..partition_answer(partition_index, position.as_ref()) }
    });
    OffsetFetchResponseTopics { name, topic_id, partitions: partitions.collect() }
}

fn position(node: &Node, group: &GroupId, topic: &Topic, partition: PartitionIndex) -> Option<Position> {
    let handle = node.data(topic.group_of(partition)?)?;
    let tp = TopicPartition { topic: topic.id, partition };
    handle.view.state().groups().positions().position(group, &tp).cloned()
}

/// All that the group has committed, but not for topics that are gone.
fn all_positions(node: &Node, group: &GroupId) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: BTreeMap<TopicId, Vec<OffsetFetchResponsePartitions>> = BTreeMap::new();
    for handle in node.data_groups() {
        let state = handle.view.state();
        for (tp, position) in state.groups().positions().of_group(group) {
            topics.entry(tp.topic).or_default().push(partition_answer(tp.partition.0, Some(position)));
        }
    }
    let known = topics.into_iter().filter_map(|(id, mut partitions)| {
        let topic = node.topic_by_id(id)?;
        partitions.sort_unstable_by_key(|one| one.partition_index);
        Some(OffsetFetchResponseTopics { name: topic.name.clone(), topic_id: id.0, partitions })
    });
    known.collect()
}

fn partition_answer(partition_index: i32, position: Option<&Position>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: position.map_or(-1, |position| position.offset.0),
        committed_leader_epoch: position.map_or(-1, |position| position.leader_epoch.0),
        metadata: Some(position.map(|position| position.metadata.to_string()).unwrap_or_default()),
        error_code: ErrorCode::None,
    }
}
