//! OffsetCommit: the coordinator checks the committer, then the positions are committed where their partitions are. The
//! fence that the check gives goes with them, and is checked again behind them.

use std::collections::{BTreeMap, HashMap};

use tallymq_broker::{
    account::Committer,
    data::{DataCommand, DataOutcome},
    group::{
        GroupCommand, GroupError, GroupId, GroupState, Request, Response,
        durable::{CommitPosition, Fence},
        request::CommitCheck,
    },
};
use tallymq_consensus::{Proposal, ProposeError};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::offset_commit::{
        OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
        OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    },
};
use tallymq_model::{LeaderEpoch, Offset, PartitionIndex, RaftGroup, Timestamp, TopicId, TopicPartition};

use super::{
    dispatch::CallContext,
    errors::{coordinator_refusal, group_refusal},
    group_words::instance,
};
use crate::{
    account::CommitBy,
    node::{DataHandle, Node},
};

/// From this version on the committer may be a member of a consumer group (KIP-848).
const MEMBER_EPOCH_VERSION: i16 = 9;
/// From this version on topics are named by id (KIP-848).
const TOPIC_ID_VERSION: i16 = 10;

/// Positions that one command commits: with the longest metadata they are well below what a command may have.
const POSITIONS_PER_COMMAND: usize = 1000;

/// What becomes of one partition's position.
enum Fate {
    Refused(ErrorCode),
    /// The answer is that of the partition.
    Committing(TopicPartition),
}

/// The positions of a request by data group, and the longest metadata that they may have.
struct Batch {
    metadata_bytes_max: usize,
    now: Timestamp,
    by_group: BTreeMap<RaftGroup, Vec<CommitPosition>>,
}

/// Commits what can be, and answers per partition.
pub async fn handle(
    node: &Node,
    context: &CallContext,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let limit = node.with_layers(|layers| layers.number("offset.metadata.max.bytes"));
    let mut batch = Batch {
        metadata_bytes_max: usize::try_from(limit).unwrap_or(0),
        now: node.now(),
        by_group: BTreeMap::new(),
    };
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut fates = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let OffsetCommitRequestTopic { name, topic_id, partitions } = topic;
        let indexes: Vec<i32> = partitions.iter().map(|partition| partition.partition_index).collect();
        fates.push(admit(node, context.version, (&name, TopicId(topic_id)), partitions, &mut batch));
        topics.push((name, topic_id, indexes));
    }
    let is_needed =
        fates.iter().flatten().any(|fate| !matches!(fate, Fate::Refused(code) if is_unknown(*code)));
    let check = CommitCheck {
        group: request.group_id.into(),
        member: request.member_id.into(),
        instance: instance(request.group_instance_id),
        generation: request.generation_id_or_member_epoch,
        transactional: false,
        supports_member_epoch: context.version >= MEMBER_EPOCH_VERSION,
    };
    let committed =
        if is_needed { commit(node, context, check, batch.by_group).await } else { Ok(HashMap::new()) };
    let topics = topics.into_iter().zip(fates).map(|((name, topic_id, indexes), fates)| {
        let answers = indexes.into_iter().zip(fates).map(|(partition_index, fate)| {
            let error_code = error_code(&fate, &committed);
            if error_code.is_error() {
                node.metrics.requests.failed("OffsetCommit", error_code.name());
            }
            OffsetCommitResponsePartition { partition_index, error_code }
        });
        OffsetCommitResponseTopic { name, topic_id, partitions: answers.collect() }
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn is_unknown(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId)
}

/// A group's refusal stands before what is wrong with a position, but not before a partition that does not exist.
fn error_code(fate: &Fate, committed: &Result<HashMap<TopicPartition, ErrorCode>, ErrorCode>) -> ErrorCode {
    match (fate, committed) {
        (Fate::Refused(code), _) if is_unknown(*code) => *code,
        (_, Err(refused)) => *refused,
        (Fate::Refused(code), Ok(_)) => *code,
        (Fate::Committing(tp), Ok(codes)) => codes.get(tp).copied().unwrap_or(ErrorCode::UnknownServerError),
    }
}

/// Sorts the positions of a topic into the batch.
fn admit(
    node: &Node,
    version: i16,
    (name, id): (&str, TopicId),
    partitions: Vec<OffsetCommitRequestPartition>,
    batch: &mut Batch,
) -> Vec<Fate> {
    let (topic, unknown) = if version >= TOPIC_ID_VERSION {
        (node.topic_by_id(id), ErrorCode::UnknownTopicId)
    } else {
        (node.topic(name), ErrorCode::UnknownTopicOrPartition)
    };
    let Some(topic) = topic else {
        return partitions.iter().map(|_| Fate::Refused(unknown)).collect();
    };
    let admitted = partitions.into_iter().map(|one| {
        let partition = PartitionIndex(one.partition_index);
        let Some(group) = topic.group_of(partition) else {
            return Fate::Refused(ErrorCode::UnknownTopicOrPartition);
        };
        let metadata = one.committed_metadata.unwrap_or_default();
        if metadata.len() > batch.metadata_bytes_max {
            return Fate::Refused(ErrorCode::OffsetMetadataTooLarge);
        }
        let tp = TopicPartition { topic: topic.id, partition };
        batch.by_group.entry(group).or_default().push(CommitPosition {
            partition: tp,
            offset: Offset(one.committed_offset),
            leader_epoch: LeaderEpoch(one.committed_leader_epoch),
            metadata: metadata.into(),
            committed_at: batch.now,
        });
        Fate::Committing(tp)
    });
    admitted.collect()
}

fn offsets(positions: &[CommitPosition]) -> Vec<(TopicPartition, Offset)> {
    positions.iter().map(|position| (position.partition, position.offset)).collect()
}

/// Commits in every data group at once, and says per partition what came of it; or why the group refuses all of them.
async fn commit(
    node: &Node,
    context: &CallContext,
    check: CommitCheck,
    by_group: BTreeMap<RaftGroup, Vec<CommitPosition>>,
) -> Result<HashMap<TopicPartition, ErrorCode>, ErrorCode> {
    let (group, member) = (check.group.clone(), check.member.clone());
    let hold = node.hold_group(group.as_str()).await;
    let by = CommitBy {
        group: &group,
        member: member.as_str(),
        is_member: check.generation >= 0,
        client_id: &context.client_id,
        client: context.client,
    };
    let all = by_group.iter().flat_map(|(data, some)| some.iter().map(|one| (*data, one.partition)));
    let committer = node.committer(&by, all);
    // Whoever is no member may commit in the name of a group that does not exist yet.
    let may_create = check.generation < 0;
    let fence = match node.ask_held_group(&hold, Request::CommitCheck(check), may_create).await {
        Response::CommitCheck(Ok(fence)) => fence,
        Response::CommitCheck(Err(error)) => {
            let refused = by_group.iter().map(|(data, some)| (*data, offsets(some)));
            node.commit_refused(&by, &committer, &error, refused).await;
            return Err(group_refusal(&error));
        }
        _ => return Err(group_refusal(&GroupError::CoordinatorNotAvailable)),
    };
    let pending = enqueue(node, &by, (fence, committer), &by_group).await;
    let mut codes = HashMap::new();
    for (tps, enqueued) in pending {
        let outcome = match enqueued {
            Ok(proposal) => proposal.await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(committed) => {
                if let DataOutcome::PositionsCommitted { fenced, unknown } = committed.outcome() {
                    codes.extend(tps.iter().map(|&tp| (tp, ErrorCode::None)));
                    codes.extend(unknown.iter().map(|&tp| (tp, ErrorCode::UnknownTopicOrPartition)));
                    let code = |&tp: &TopicPartition| {
                        (tp, fenced_code(node, context.version, &group, &member, fence))
                    };
                    codes.extend(fenced.iter().map(code));
                }
            }
            Err(error) => codes.extend(tps.into_iter().map(|tp| (tp, coordinator_refusal(&error)))),
        }
    }
    Ok(codes)
}

/// The partitions of one command, and its place in the log.
type Enqueued = (Vec<TopicPartition>, Result<Proposal<DataOutcome>, ProposeError>);

/// Gives every commit its place in its data group's log, behind the deliveries that it relies on.
async fn enqueue(
    node: &Node,
    by: &CommitBy<'_>,
    (fence, committer): (Fence, Committer),
    by_group: &BTreeMap<RaftGroup, Vec<CommitPosition>>,
) -> Vec<Enqueued> {
    let mut pending = Vec::new();
    for (data_group, positions) in by_group {
        for some in positions.chunks(POSITIONS_PER_COMMAND) {
            let marked = offsets(some);
            let command = GroupCommand::CommitPositions {
                group: by.group.clone(),
                fence,
                positions: some.to_vec(),
                by: committer.clone(),
            };
            let enqueued = match node.data(*data_group) {
                Some(handle) => enqueue_one(node, handle, by, (&committer, some, &marked), command).await,
                None => Err(ProposeError::NotLeader { leader: None }),
            };
            let tps: Vec<TopicPartition> = marked.into_iter().map(|(tp, _)| tp).collect();
            pending.push((tps, enqueued));
        }
    }
    pending
}

/// What members were given, what they say that became of it, and only then that it is done with.
async fn enqueue_one(
    node: &Node,
    handle: &DataHandle,
    by: &CommitBy<'_>,
    (committer, positions, marked): (&Committer, &[CommitPosition], &[(TopicPartition, Offset)]),
    command: GroupCommand,
) -> Result<Proposal<DataOutcome>, ProposeError> {
    node.mark_before_commit(handle, by, marked).await?;
    if tallymq_model::planted("receipts-behind-commit") {
        let proposal = handle.enqueue(DataCommand::Group(command)).await;
        node.receipts_before_commit(handle, by.group, committer, positions).await?;
        return proposal;
    }
    node.receipts_before_commit(handle, by.group, committer, positions).await?;
    handle.enqueue(DataCommand::Group(command)).await
}

/// What a member is told that was overtaken between its check and its commit: members that use the classic protocol have
/// generations also where the group has epochs.
fn fenced_code(
    node: &Node,
    version: i16,
    group: &GroupId,
    member: &tallymq_broker::group::MemberId,
    fence: Fence,
) -> ErrorCode {
    if version < MEMBER_EPOCH_VERSION || !matches!(fence, Fence::MemberEpoch(_)) {
        return ErrorCode::IllegalGeneration;
    }
    let is_classic =
        node.home_of(group.as_str()).is_some_and(|home| match home.view.state().groups().group(group) {
            Some(state) => match state.as_ref() {
                GroupState::Consumer(state) => {
                    state.members.get(member).is_some_and(|own| own.classic.is_some())
                }
                GroupState::Classic(_) => true,
            },
            None => false,
        });
    if is_classic { ErrorCode::IllegalGeneration } else { ErrorCode::StaleMemberEpoch }
}
