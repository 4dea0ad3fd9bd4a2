//! Reads a topic to its end, or reads it as a member of a group.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;

use crate::history::History;
use crate::{Outcome, Parameters};

const TIMEOUT: Duration = Duration::from_secs(60);

fn log_poll(history: &History, message: &BorrowedMessage<'_>) -> Outcome {
    let body = message.payload_view::<str>().ok_or("no value")??;
    let value = body.split(':').next().unwrap_or_default();
    let key = message.key_view::<str>().ok_or("no key")??;
    let headers = message.headers().ok_or("no headers")?;
    let header = headers.get_as::<str>(0)?.value.unwrap_or_default();
    let place = json!({
        "partition": message.partition(), "offset": message.offset(),
        "value": value, "key": key, "header": header,
    });
    history.log("poll", "ok", place);
    Ok(())
}

/// Reads from offset 0 to the ends that stand at the start, without a group's positions.
pub fn read_to_end(parameters: &Parameters) -> Outcome {
    let history = History::create(parameters)?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &parameters.bootstrap)
        .set("group.id", format!("reader-{}", parameters.topic))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .create()?;
    let mut ends = BTreeMap::new();
    let mut assigned = TopicPartitionList::new();
    for partition in 0..parameters.partitions {
        let (low, high) = watermarks(&consumer, &parameters.topic, partition)?;
        if low < high {
            ends.insert(partition, high);
            assigned.add_partition_offset(&parameters.topic, partition, Offset::Offset(0))?;
        }
    }
    consumer.assign(&assigned)?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while !ends.is_empty() {
        if Instant::now() > deadline {
            return Err(format!("not read to {ends:?}").into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(500)) else { continue };
        let message = message?;
        log_poll(&history, &message)?;
        if ends.get(&message.partition()) == Some(&(message.offset() + 1)) {
            ends.remove(&message.partition());
        }
    }
    history.flush();
    Ok(())
}

/// A partition of a broker that just restarted may have no leader for a moment.
fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<(i64, i64), KafkaError> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match consumer.fetch_watermarks(topic, partition, TIMEOUT) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            result => return result,
        }
    }
}

struct Moves(History);

impl ClientContext for Moves {}

impl ConsumerContext for Moves {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (op, list) = match rebalance {
            Rebalance::Assign(list) => ("assign", list),
            Rebalance::Revoke(list) => ("revoke", list),
            Rebalance::Error(_) => return,
        };
        let partitions: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
        self.0.log(op, "ok", json!({"partitions": partitions}));
        self.0.flush();
    }
}

/// Reads and commits until standard input ends.
pub fn be_member(parameters: &Parameters) -> Outcome {
    let history = History::create(parameters)?;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &parameters.bootstrap)
        .set("group.id", &parameters.group)
        .set("group.protocol", &parameters.protocol)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("reconnect.backoff.max.ms", "500");
    if parameters.protocol == "classic" {
        config
            .set("session.timeout.ms", parameters.session_ms.to_string())
            .set("heartbeat.interval.ms", "500");
    }
    let consumer: BaseConsumer<Moves> = config.create_with_context(Moves(history.clone()))?;
    consumer.subscribe(&[&parameters.topic])?;
    let stop = asked_to_stop();
    while !stop.load(Ordering::Relaxed) {
        let following = poll_some(&consumer, &history)?;
        if !following.is_empty() {
            commit(&consumer, &history, parameters, &following)?;
        }
        history.flush();
    }
    consumer.unsubscribe();
    while consumer.assignment()?.count() > 0 {
        consumer.poll(Duration::from_millis(100));
    }
    history.flush();
    Ok(())
}

/// Set once standard input has ended.
fn asked_to_stop() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let setter = Arc::clone(&stop);
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest); // an error is an end too
        setter.store(true, Ordering::Relaxed);
    });
    stop
}

/// Up to 500 records, as far as they are there within 200 ms; returns the positions to commit.
fn poll_some(
    consumer: &BaseConsumer<Moves>,
    history: &History,
) -> Result<BTreeMap<i32, i64>, Box<dyn std::error::Error>> {
    let mut following = BTreeMap::new();
    let deadline = Instant::now() + Duration::from_millis(200);
    for _ in 0..500 {
        let left = deadline.saturating_duration_since(Instant::now());
        let Some(polled) = consumer.poll(left) else { break };
        // Errors of a broker that is being restarted: librdkafka goes on by itself.
        let Ok(message) = polled else { continue };
        log_poll(history, &message)?;
        following.insert(message.partition(), message.offset() + 1);
    }
    Ok(following)
}

fn commit(
    consumer: &BaseConsumer<Moves>,
    history: &History,
    parameters: &Parameters,
    following: &BTreeMap<i32, i64>,
) -> Outcome {
    let mut list = TopicPartitionList::new();
    for (&partition, &offset) in following {
        list.add_partition_offset(&parameters.topic, partition, Offset::Offset(offset))?;
    }
    history.log("commit", "invoke", json!({"offsets": following}));
    history.flush();
    match consumer.commit(&list, CommitMode::Sync) {
        Ok(()) => history.log("commit", "ok", json!({"offsets": following})),
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
        // A rebalance or a crash in between; the next owner reads again.
        Err(error) => history.log("commit", "unknown", json!({"offsets": following, "error": error.to_string()})),
    }
    Ok(())
}
