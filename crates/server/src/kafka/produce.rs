//! Produce: admits each batch, submits it to the log of its partition's data group, and answers when all are committed.
//! An answer without an error is only built from a [`Committed`] outcome.

use std::sync::Arc;

use bytes::Bytes;
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

/// Records below this size are copied out of what was read: the buffer of a connection holds 64 KiB, and a client that sends little
/// and goes leaves it to the few records in it.
const COPIED_BELOW_BYTES: usize = 16 * 1024;
/// Larger ones share their frame's memory where all of them are at least this part of it.
const SHARED_PART: usize = 4;

/// Where a topic's answers go in the response, and what they wait for.
struct Sent<P> {
    name: String,
    id: Uuid,
    partitions: Vec<(i32, P)>,
}

/// A batch that may go to the log.
struct Ready {
    data: RaftGroup,
    admitted: Admitted,
    tp: TopicPartition,
    timestamp_type: TimestampType,
    now: Timestamp,
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
    let mut ready = admit_all(&node, &context, request);
    let admitted = ready.iter_mut().flat_map(|topic| &mut topic.partitions);
    let admitted = admitted.filter_map(|(_, ready)| ready.as_mut().ok());
    leave_frame(
        &mut admitted.map(|ready| &mut ready.admitted.batch).collect::<Vec<_>>(),
        context.frame_bytes,
    );
    let mut topics = Vec::with_capacity(ready.len());
    for Sent { name, id, partitions: waiting } in ready {
        let mut partitions = Vec::with_capacity(waiting.len());
        for (index, ready) in waiting {
            let submitted = match ready {
                Ok(ready) => submit(&node, ready).await,
                Err(refusal) => Err(refusal),
            };
            partitions.push((index, submitted.unwrap_or_else(Submitted::Refused)));
        }
        topics.push(Sent { name, id, partitions });
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

fn admit_all(
    node: &Node,
    context: &CallContext,
    request: ProduceRequest,
) -> Vec<Sent<Result<Ready, Refusal>>> {
    let topics = request.topic_data.into_iter().map(|data| {
        let topic = find_topic(node, &data.name, data.topic_id, context.version);
        let partitions = data.partition_data.into_iter().map(|partition| {
            let index = partition.index;
            let topic = topic.as_ref().map_err(Refusal::clone);
            (index, topic.and_then(|topic| admit_one(node, topic, partition, context.version)))
        });
        Sent { partitions: partitions.collect(), name: data.name, id: data.topic_id }
    });
    topics.collect()
}

/// Records stay in memory for as long as the tail cache has room, and are counted there by their own size. They keep what they
/// share memory with, so what is small beside that gets memory of its own.
fn leave_frame(batches: &mut [&mut Bytes], frame_bytes: usize) {
    let bytes: usize = batches.iter().map(|batch| batch.len()).sum();
    let is_small_part = bytes.saturating_mul(SHARED_PART) < frame_bytes;
    for batch in batches {
        if is_small_part || batch.len() < COPIED_BELOW_BYTES {
            **batch = Bytes::copy_from_slice(batch);
        }
    }
}

fn admit_one(node: &Node, topic: &Topic, data: PartitionProduceData, version: i16) -> Result<Ready, Refusal> {
    let partition = PartitionIndex(data.index);
    let group = topic.group_of(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
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
    let admitted = admit(records, &rules, now).map_err(|error| {
        node.accounting.refused.count(tp);
        admit_refusal(&error)
    })?;
    Ok(Ready { data: group, admitted, tp, timestamp_type: settings.timestamp_type, now })
}

async fn submit(node: &Arc<Node>, ready: Ready) -> Result<Submitted, Refusal> {
    let Ready { data, admitted: Admitted { header, batch }, tp, timestamp_type, now } = ready;
    let handle: &DataHandle = node.data(data).ok_or(ErrorCode::NotLeaderOrFollower)?;
    let append_time = match timestamp_type {
        TimestampType::LogAppendTime => now,
        TimestampType::CreateTime => Timestamp(-1),
    };
    let size = Size { records: i64::from(header.record_count), bytes: batch.len() };
    let command = DataCommand::Produce(Produce { tp, header, batch, now });
    node.takes_to_disk(size.bytes);
    node.wait_for_room().await;
    let pending = handle.enqueue(command).await.map_err(|error| propose_refusal(&error))?;
    Ok(Submitted::Waiting { pending, size, append_time, place: Place { data, tp, now } })
}

async fn finish(node: &Node, context: &CallContext, topics: Vec<Sent<Submitted>>) -> ProduceResponse {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(frame: &Bytes, part: &Bytes) -> bool {
        frame.as_ptr_range().contains(&part.as_ptr())
    }

    #[test]
    fn records_that_are_a_small_part_of_what_was_read_get_memory_of_their_own() {
        let frame = Bytes::from(vec![7; 1 << 20]);
        let cut = |bytes: usize| frame.slice(100..100 + bytes);
        let large = (1 << 20) / SHARED_PART;
        for (sizes, shared) in [
            (vec![300], vec![false]),
            (vec![large - 1], vec![false]),
            (vec![large], vec![true]),
            (vec![large, COPIED_BELOW_BYTES - 1], vec![true, false]),
            (
                vec![COPIED_BELOW_BYTES; 2 * large / COPIED_BELOW_BYTES],
                vec![true; 2 * large / COPIED_BELOW_BYTES],
            ),
        ] {
            let mut batches: Vec<_> = sizes.iter().map(|bytes| cut(*bytes)).collect();
            leave_frame(&mut batches.iter_mut().collect::<Vec<_>>(), frame.len());
            let found: Vec<_> = batches.iter().map(|batch| shares(&frame, batch)).collect();
            assert_eq!(found, shared, "{sizes:?}");
            assert!(batches.iter().zip(&sizes).all(|(batch, bytes)| batch[..] == cut(*bytes)[..]));
        }
    }
}
