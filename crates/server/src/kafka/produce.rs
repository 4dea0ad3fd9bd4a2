//! Produce: admits each batch, submits it to the log of its partition's data group, and answers when all are committed.
//! An answer without an error is only built from a [`Committed`] outcome.

use std::sync::Arc;

use futures_util::future::join_all;
use tallymq_broker::{
    data::{DataCommand, DataOutcome, Produce, ProduceRefusal, Produced},
    metadata::Topic,
    produce::{AdmitRules, Admitted, RequiredAcks, admit},
};
use tallymq_consensus::{Committed, Proposal};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::produce::{
        PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
    },
    wire::Records,
};
use tallymq_model::{Offset, PartitionIndex, RaftGroup, Timestamp, TimestampType, TopicId, TopicPartition};
use uuid::Uuid;

use super::{
    dispatch::CallContext,
    errors::{Refusal, admit_refusal, propose_refusal},
};
use crate::{
    account::Writer,
    net::connection::{Answer, Step},
    node::{DataHandle, Node},
};

/// From this version on topics are named by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

/// Where a topic's answers go in the response, and what they wait for.
struct SubmittedTopic {
    name: String,
    id: Uuid,
    partitions: Vec<(i32, Submitted)>,
}

/// One partition's batch on its way.
enum Submitted {
    Refused(Refusal),
    Waiting { pending: Proposal<DataOutcome>, size: Size, append_time: Timestamp, place: Place },
}

/// How much.
#[derive(Clone, Copy)]
struct Size {
    records: i64,
    bytes: usize,
}

/// Where, and when it was taken in.
#[derive(Clone, Copy)]
struct Place {
    data: RaftGroup,
    tp: TopicPartition,
    now: Timestamp,
}

/// Submits every batch in order, then waits for all of them aside.
pub async fn begin(node: Arc<Node>, context: CallContext, request: ProduceRequest) -> Step {
    let acks = match RequiredAcks::try_from(request.acks) {
        Ok(acks) => acks,
        Err(error) => {
            let refusal = Refusal::new(ErrorCode::InvalidRequiredAcks, error);
            return Step::Answered(Answer::Response(refuse_all(&request, &refusal).into()));
        }
    };
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for data in request.topic_data {
        let topic = find_topic(&node, &data.name, data.topic_id, context.version);
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for partition in data.partition_data {
            let index = partition.index;
            let submitted = match &topic {
                Ok(topic) => submit(&node, topic, partition, context.version).await,
                Err(refusal) => Err(refusal.clone()),
            };
            partitions.push((index, submitted.unwrap_or_else(Submitted::Refused)));
        }
        topics.push(SubmittedTopic { name: data.name, id: data.topic_id, partitions });
    }
    Step::Waiting(Box::pin(async move {
        let response = finish(&node, &context, topics).await;
        answer(acks, response)
    }))
}

fn find_topic(node: &Node, name: &str, id: Uuid, version: i16) -> Result<Arc<Topic>, Refusal> {
    if version >= TOPIC_ID_VERSION {
        node.topic_by_id(TopicId(id)).ok_or_else(|| ErrorCode::UnknownTopicId.into())
    } else {
        node.topic(name).ok_or_else(|| ErrorCode::UnknownTopicOrPartition.into())
    }
}

async fn submit(
    node: &Arc<Node>,
    topic: &Arc<Topic>,
    data: PartitionProduceData,
    version: i16,
) -> Result<Submitted, Refusal> {
    let partition = PartitionIndex(data.index);
    let group = topic.group_of(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let handle: &DataHandle = node.data(group).ok_or(ErrorCode::NotLeaderOrFollower)?;
    if node.is_disk_nearly_full() {
        return Err(Refusal::new(ErrorCode::KafkaStorageError, "the disk is nearly full"));
    }
    let now = node.now();
    let settings = node.settings(topic);
    let rules = AdmitRules {
        request_version: version,
        message_bytes_max: settings.message_bytes_max,
        timestamp_type: settings.timestamp_type,
        timestamp_before_max_ms: settings.timestamp_before_max_ms,
        timestamp_after_max_ms: settings.timestamp_after_max_ms,
        walk_records: true,
    };
    let records = data.records.map(Records::into_contiguous).unwrap_or_default();
    let tp = TopicPartition { topic: topic.id, partition };
    let Admitted { header, batch } = admit(records, &rules, now).map_err(|error| {
        node.accounting.refused.count(tp);
        admit_refusal(&error)
    })?;
    let append_time = match settings.timestamp_type {
        TimestampType::LogAppendTime => now,
        TimestampType::CreateTime => Timestamp(-1),
    };
    let size = Size { records: i64::from(header.record_count), bytes: batch.len() };
    let command = DataCommand::Produce(Produce { tp, header, batch, now });
    node.takes_to_disk(size.bytes);
    node.wait_for_room().await;
    let pending = handle.enqueue(command).await.map_err(|error| propose_refusal(&error))?;
    Ok(Submitted::Waiting { pending, size, append_time, place: Place { data: group, tp, now } })
}

async fn finish(node: &Node, context: &CallContext, topics: Vec<SubmittedTopic>) -> ProduceResponse {
    let responses = topics.into_iter().map(|topic| async move {
        let answers = topic.partitions.into_iter();
        let answers = answers.map(|(index, submitted)| finish_partition(node, context, index, submitted));
        let partition_responses = join_all(answers).await;
        TopicProduceResponse { name: topic.name, topic_id: topic.id, partition_responses }
    });
    ProduceResponse { responses: join_all(responses).await, ..Default::default() }
}

async fn finish_partition(
    node: &Node,
    context: &CallContext,
    index: i32,
    submitted: Submitted,
) -> PartitionProduceResponse {
    let (pending, Size { records, bytes }, append_time, place) = match submitted {
        Submitted::Refused(refusal) => return refused(node, index, refusal),
        Submitted::Waiting { pending, size, append_time, place } => (pending, size, append_time, place),
    };
    match pending.await {
        Ok(committed) => match acknowledge(index, &committed, append_time) {
            Ok((response, duplicate)) => {
                let requests = &node.metrics.requests;
                if duplicate {
                    requests.produced_duplicates.inc();
                } else {
                    requests.produced_records.inc_by(records as u64);
                    requests.produced_bytes.inc_by(bytes as u64);
                    note_stored(node, context, place, (Offset(response.base_offset), records));
                }
                response
            }
            Err(refusal) => refused(node, index, refusal),
        },
        Err(error) => refused(node, index, propose_refusal(&error)),
    }
}

/// Who stored it, for the trace.
fn note_stored(node: &Node, context: &CallContext, place: Place, (from, records): (Offset, i64)) {
    if node.accounting.is_on() {
        let CallContext { client_id, client, connection, .. } = context;
        let writer = Writer { client_id, address: *client, connection: *connection };
        node.stored.note(place.data, place.tp, (from, from.plus(records)), place.now, writer);
    }
}

/// The only place where a produce is acknowledged: it takes the proof that the batch is committed.
fn acknowledge(
    index: i32,
    committed: &Committed<DataOutcome>,
    append_time: Timestamp,
) -> Result<(PartitionProduceResponse, bool), Refusal> {
    let (base_offset, log_append_time, log_start, duplicate) = match committed.outcome() {
        DataOutcome::Produced(Ok(Produced::Appended { base_offset, log_start, .. })) => {
            (base_offset, append_time, log_start, false)
        }
        DataOutcome::Produced(Ok(Produced::Duplicate { base_offset, timestamp, log_start })) => {
            let time = if append_time.0 < 0 { append_time } else { *timestamp };
            (base_offset, time, log_start, true)
        }
        DataOutcome::Produced(Err(refusal)) => return Err(refusal_of(refusal)),
        _ => return Err(ErrorCode::UnknownServerError.into()),
    };
    let response = PartitionProduceResponse {
        index,
        base_offset: base_offset.0,
        log_append_time_ms: log_append_time.0,
        log_start_offset: log_start.0,
        ..Default::default()
    };
    Ok((response, duplicate))
}

fn refusal_of(refusal: &ProduceRefusal) -> Refusal {
    let code = match refusal {
        ProduceRefusal::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        ProduceRefusal::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        ProduceRefusal::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
    };
    Refusal::new(code, refusal)
}

fn refused(node: &Node, index: i32, refusal: Refusal) -> PartitionProduceResponse {
    node.metrics.requests.failed("Produce", refusal.code.name());
    PartitionProduceResponse {
        index,
        error_code: refusal.code,
        base_offset: -1,
        error_message: Some(refusal.message),
        ..Default::default()
    }
}

fn refuse_all(request: &ProduceRequest, refusal: &Refusal) -> ProduceResponse {
    let responses = request
        .topic_data
        .iter()
        .map(|topic| TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: topic
                .partition_data
                .iter()
                .map(|partition| PartitionProduceResponse {
                    index: partition.index,
                    error_code: refusal.code,
                    base_offset: -1,
                    error_message: Some(refusal.message.clone()),
                    ..Default::default()
                })
                .collect(),
        })
        .collect();
    ProduceResponse { responses, ..Default::default() }
}

/// A client with acks=0 waits for no answer, so that a closed connection is the only way to tell it of an error.
fn answer(acks: RequiredAcks, response: ProduceResponse) -> Answer {
    if acks != RequiredAcks::Nothing {
        return Answer::Response(response.into());
    }
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let mut errors = partitions.filter(|partition| partition.error_code != ErrorCode::None);
    match errors.next() {
        Some(error) => Answer::Close(format!("a produce with acks=0 failed: {}", error.error_code.name())),
        None => Answer::Silence,
    }
}
