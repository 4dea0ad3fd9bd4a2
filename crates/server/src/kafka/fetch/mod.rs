//! Fetch: finds what the session's partitions have to give, waits for more if that is too little, and answers with shared
//! pieces of the logs, uncopied.

mod read;
pub mod sessions;

use std::{sync::Arc, time::Duration};

use read::{PartitionRead, Reads};
use sessions::{FetchContext, NO_SESSION, PartitionKey, TopicKey};
use tallymq_gateway::kafka::{
    error_code::ErrorCode,
    messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData},
};
use tokio::time::{Instant, timeout_at};

use super::{CallContext, KafkaCalls};
use crate::{account::FetchedRange, net::connection::Answer, node::Node};

/// The longest wait, whatever the client says, so that a connection is looked at now and then.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Answers a fetch.
pub async fn handle(calls: &Arc<KafkaCalls>, context: &CallContext, request: FetchRequest) -> Answer {
    let node = &calls.node;
    let mut fetch = match calls.fetch_sessions.begin(context.connection, &request) {
        Ok(fetch) => fetch,
        Err(error) => {
            node.metrics.requests.failed("Fetch", error.name());
            let response = FetchResponse { error_code: error, session_id: NO_SESSION, ..Default::default() };
            return Answer::Response(response.into());
        }
    };
    let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64).min(WAIT_MAX);
    let deadline = Instant::now() + wait;
    let bytes_max =
        node.with_layers(|layers| layers.number("fetch.max.bytes")).min(i64::from(request.max_bytes));
    let reads = Reads::plan(node, &fetch, bytes_max.max(0) as usize);
    let reader = (context.connection, context.client);
    let accepted = node.accounting.asked(reader, &context.client_id, node.now(), reads.partitions());
    // More than a fetch may have it need not wait for.
    let bytes_min = i64::from(request.min_bytes).min(bytes_max).max(0) as usize;
    let (mut partitions, held) = reads.run_until(node, bytes_min, deadline).await;
    node.metrics.requests.fetched_bytes.inc_by(partitions.iter().map(|read| read.bytes as u64).sum());
    let ranges = ranges(node, &mut fetch, &mut partitions);
    let handed = node.hand_over(reader, &context.client_id, accepted, &ranges).await;
    let responses = answer(node, &mut fetch, partitions, request.isolation_level);
    let session_id = calls.fetch_sessions.keep(fetch);
    let response = FetchResponse { responses, session_id, ..Default::default() };
    match (handed, held) {
        (Some(handed), held) => Answer::Watched(response.into(), held, Box::new(handed)),
        (None, Some(held)) => Answer::Held(response.into(), held),
        (None, None) => Answer::Response(response.into()),
    }
}

/// What the account has to know of: records, first positions, and damage, of which it is told here.
fn ranges(node: &Arc<Node>, fetch: &mut FetchContext, partitions: &mut [PartitionRead]) -> Vec<FetchedRange> {
    if !node.accounting.is_on() {
        return Vec::new();
    }
    let mut ranges = Vec::new();
    for read in partitions {
        if let Some(damaged) = read.damaged.take() {
            node.found_damage(damaged.data, damaged.log, damaged.at);
        }
        let Some(range) = read.range else { continue };
        if fetch.takes_position(read.at) || range.from < range.to {
            ranges.push(range);
        }
    }
    ranges
}

/// Waits until woken or until `deadline`; false if the time is up, also if something new has come meanwhile: where a client wants
/// more than its own bounds let it have, there may be something new each time.
async fn woken_before(registration: &crate::node::wakeups::Registration, deadline: Instant) -> bool {
    Instant::now() < deadline && timeout_at(deadline, registration.woken()).await.is_ok()
}

fn answer(
    node: &Node,
    fetch: &mut FetchContext,
    partitions: Vec<PartitionRead>,
    isolation_level: i8,
) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    for read in partitions {
        let failed = read.error != ErrorCode::None;
        if failed {
            node.metrics.requests.failed("Fetch", read.error.name());
        }
        if !fetch.tell(read.at, read.high_watermark, read.log_start, failed, read.bytes > 0) {
            continue;
        }
        let data = PartitionData {
            partition_index: read.key.partition,
            error_code: read.error,
            high_watermark: read.high_watermark,
            last_stable_offset: read.high_watermark,
            log_start_offset: read.log_start,
            aborted_transactions: (isolation_level == 1 && !failed).then(Vec::new),
            records: Some(read.records.into_iter().collect()),
            ..Default::default()
        };
        push(&mut topics, &read.key, data);
    }
    topics
}

/// Partitions of one topic that follow each other share its entry.
fn push(topics: &mut Vec<FetchableTopicResponse>, key: &PartitionKey, data: PartitionData) {
    let (topic, topic_id): (&str, _) = match &key.topic {
        TopicKey::Name(name) => (name, uuid::Uuid::nil()),
        TopicKey::Id(id) => ("", *id),
    };
    match topics.last_mut() {
        Some(last) if last.topic == topic && last.topic_id == topic_id => last.partitions.push(data),
        _ => {
            topics.push(FetchableTopicResponse { topic: topic.to_owned(), topic_id, partitions: vec![data] })
        }
    }
}

#[cfg(test)]
mod tests {
    use tallymq_model::{PartitionIndex, TopicId, TopicPartition};

    use super::*;
    use crate::node::wakeups::Wakeups;

    #[tokio::test]
    async fn a_fetch_whose_time_is_up_is_answered_however_often_it_is_woken() {
        let wakeups = Arc::new(Wakeups::default());
        let tp = TopicPartition { topic: TopicId::default(), partition: PartitionIndex(0) };
        let registration = wakeups.register(vec![tp]);
        wakeups.appended(&[tp]);
        assert!(woken_before(&registration, Instant::now() + WAIT_MAX).await);
        wakeups.appended(&[tp]);
        assert!(!woken_before(&registration, Instant::now()).await);
    }
}
