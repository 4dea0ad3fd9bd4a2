//! ListOffsets: the earliest, the latest, or the first offset at a time (KIP-79, KIP-734).

use std::sync::Arc;

use tallymq_broker::data::check_epoch;
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::list_offsets::{
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
        ListOffsetsTopicResponse,
    },
    records::{CompressionError, decompress},
};
use tallymq_model::{
    LeaderEpoch, Offset, PartitionIndex, RaftGroup, Timestamp, TopicPartition, batch::HEADER_BYTES,
};
use tallymq_storage::log::{FoundBatch, PartitionLog, ReadError, Searched, timestamp::record_at};

use super::{
    CallContext,
    errors::{epoch_refusal, read_refusal},
};
use crate::node::Node;

/// Bound on a batch that is decompressed to find a record in it.
const RECORDS_BYTES_MAX: usize = 64 << 20;
/// What a batch's attributes say of records that are not compressed.
const UNCOMPRESSED: i16 = 0;
/// From this version on an answer names the leader epoch (KIP-320).
const LEADER_EPOCH_VERSION: i16 = 4;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// An offset with its timestamp; both -1 when there is none.
struct Found {
    offset: Offset,
    timestamp: Timestamp,
}

/// What a look into a batch came to.
enum Placed {
    At(Found),
    /// What it has is in front of where the search began; it goes on here.
    Hidden {
        next: Offset,
    },
}

const NOTHING: Found = Found { offset: Offset(-1), timestamp: Timestamp(-1) };

/// Answers per partition.
pub async fn handle(
    node: &Arc<Node>,
    context: &CallContext,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            partitions.push(find(node, context, &topic.name, partition).await.unwrap_or_else(|error_code| {
                node.metrics.requests.failed("ListOffsets", error_code.name());
                ListOffsetsPartitionResponse { partition_index: index, error_code, ..Default::default() }
            }));
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
    }
    ListOffsetsResponse { topics, ..Default::default() }
}

async fn find(
    node: &Arc<Node>,
    context: &CallContext,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let topic = node.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let tp = TopicPartition { topic: topic.id, partition: PartitionIndex(asked.partition_index) };
    let (handle, log) = node.partition(&topic, tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let epoch_now = handle.leader_epoch(tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_epoch(LeaderEpoch(asked.current_leader_epoch), epoch_now).map_err(epoch_refusal)?;
    if context.version < first_version(asked.timestamp) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let found = match asked.timestamp {
        LATEST => Found { offset: log.log_end(), ..NOTHING },
        EARLIEST | EARLIEST_LOCAL => Found { offset: log.log_start(), ..NOTHING },
        LATEST_TIERED => NOTHING,
        MAX_TIMESTAMP => {
            let max = |log: &PartitionLog, _| {
                log.max_timestamp().map(|found| Searched { found, ..Searched::default() })
            };
            search(node, (handle.id, log), max, None).await?
        }
        at if at >= 0 => {
            let at = Timestamp(at);
            let first = move |log: &PartitionLog, from| log.search_timestamp(at, from);
            search(node, (handle.id, log), first, Some(at)).await?
        }
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    let epoch = {
        let state = handle.view.state();
        let partition = state.partition(tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        match asked.timestamp {
            LATEST => Some(epoch_now),
            _ => partition.epochs().epoch_at(found.offset),
        }
    };
    let epoch = epoch.filter(|_| context.version >= LEADER_EPOCH_VERSION);
    Ok(ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: ErrorCode::None,
        timestamp: found.timestamp.0,
        offset: found.offset.0,
        leader_epoch: epoch.map_or(-1, |epoch| epoch.0),
    })
}

/// The version from which on a timestamp that stands for something has its meaning (KIP-734, KIP-405, KIP-1005).
fn first_version(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        _ => 0,
    }
}

/// Searches from the log start. The batch that it cuts through may have what is looked for in front of it only.
async fn search(
    node: &Arc<Node>,
    (data, log): (RaftGroup, Arc<PartitionLog>),
    find: impl Fn(&PartitionLog, Offset) -> Result<Searched, ReadError> + Copy + Send + 'static,
    at: Option<Timestamp>,
) -> Result<Found, ErrorCode> {
    let mut from = log.log_start();
    loop {
        match search_from(node, (data, log.clone()), find, (at, from)).await? {
            Placed::At(found) => return Ok(found),
            Placed::Hidden { next } => from = next,
        }
    }
}

/// Searches on a thread that may block, then inside the batch that was found. Where damage took what was looked for, the first
/// whole batch behind it is the answer, and a refusal if there is none: that nothing is there would not be true.
async fn search_from(
    node: &Arc<Node>,
    (data, log): (RaftGroup, Arc<PartitionLog>),
    find: impl Fn(&PartitionLog, Offset) -> Result<Searched, ReadError> + Copy + Send + 'static,
    (at, from): (Option<Timestamp>, Offset),
) -> Result<Placed, ErrorCode> {
    let find = move |log: &PartitionLog| find(log, from);
    let mut searched = look(&log, find).await?;
    let mut turn = None;
    if is_compressed(&searched) {
        // A batch of a few bytes may be many when it is decompressed: few at a time. Who waits for that holds none: as many may
        // wait as there are connections.
        turn = node.decompressor.try_turn();
        if turn.is_none() {
            drop(searched);
            turn = Some(node.decompressor.turn().await.map_err(|_| ErrorCode::UnknownServerError)?);
            searched = look(&log, find).await?;
        }
    }
    let Searched { found, damaged } = searched;
    if let Some((offset, damage)) = &damaged {
        tracing::error!(partition = %log.topic_partition(), %offset, %damage, "a search by time met damage");
        node.found_damage(data, log, *offset);
    }
    let batch = match (found, damaged) {
        (Some(batch), _) => batch,
        (None, Some((_, damage))) => return Err(read_refusal(&damage.into())),
        (None, None) => return Ok(Placed::At(NOTHING)),
    };
    let placing = move || place(&batch, at, from);
    match turn {
        Some(turn) => turn.run(placing).await.map_err(|_| ErrorCode::UnknownServerError)?,
        None => tokio::task::spawn_blocking(placing).await.map_err(|_| ErrorCode::UnknownServerError)?,
    }
}

async fn look(
    log: &Arc<PartitionLog>,
    find: impl Fn(&PartitionLog) -> Result<Searched, ReadError> + Send + 'static,
) -> Result<Searched, ErrorCode> {
    let log = log.clone();
    let looking = tokio::task::spawn_blocking(move || find(&log).map_err(|error| read_refusal(&error)));
    looking.await.map_err(|_| ErrorCode::UnknownServerError)?
}

fn is_compressed(searched: &Searched) -> bool {
    searched.found.as_ref().is_some_and(|batch| batch.header.compression() != UNCOMPRESSED)
}

/// The record inside the batch. Of a batch that is too large to be looked into, its first: whoever starts there misses
/// nothing. Damage is answered as Kafka answers it where its decompression or its record iterator fails.
fn place(batch: &FoundBatch, at: Option<Timestamp>, from: Offset) -> Result<Placed, ErrorCode> {
    let header = &batch.header;
    let latest = at.unwrap_or(header.max_timestamp);
    let first = Found { offset: header.base_offset.max(from), timestamp: header.max_timestamp };
    let records = batch.bytes.slice(HEADER_BYTES..);
    let records = match decompress(header.compression(), records, RECORDS_BYTES_MAX) {
        Ok(records) => records,
        Err(CompressionError::TooLarge(_) | CompressionError::WindowTooLarge(_)) => {
            return Ok(Placed::At(first));
        }
        Err(CompressionError::Unknown(_) | CompressionError::Damaged(_)) => {
            return Err(ErrorCode::UnknownServerError);
        }
    };
    match record_at(header, &records, latest, from) {
        Ok(Some(found)) => Ok(Placed::At(Found { offset: found.offset, timestamp: found.timestamp })),
        // As Kafka's `FileRecords.searchForTimestamp`, which goes on with the next batch.
        Ok(None) if at.is_some() && header.base_offset < from => {
            Ok(Placed::Hidden { next: header.next_offset() })
        }
        Ok(None) => Ok(Placed::At(first)),
        Err(_) => Err(ErrorCode::InvalidRecord),
    }
}
