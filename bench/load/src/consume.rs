//! Reads all partitions of a topic from the beginning to the ends that stand at the start, or a number of records; without a
//! group, or as its only member.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;

use crate::Measured;
use crate::clock::{now_ns, seconds};

/// A run that takes longer has failed.
const DEADLINE_NS: u64 = 600_000_000_000;

pub fn run(
    bootstrap: &str,
    (topic, partitions): (&str, i32),
    group: Option<&str>,
    records_wanted: Option<u64>,
) -> Measured {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group.unwrap_or("bench-reader"))
        .set("enable.auto.commit", if group.is_some() { "true" } else { "false" })
        .set("auto.commit.interval.ms", "1000")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "false")
        .set("queued.min.messages", "1000000")
        .set("fetch.message.max.bytes", "1048576")
        .set("fetch.max.bytes", "52428800")
        .set("enable.partition.eof", "false")
        .create()?;
    let mut ends = BTreeMap::new();
    let mut assigned = TopicPartitionList::new();
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(30))?;
        if low < high {
            ends.insert(partition, high);
            assigned.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
    }
    let mut begin = now_ns();
    let deadline = begin + DEADLINE_NS;
    match group {
        Some(_) => consumer.subscribe(&[topic])?,
        None => consumer.assign(&assigned)?,
    }
    let (mut bytes, mut records) = (0_u64, 0_u64);
    while records_wanted.map_or(!ends.is_empty(), |wanted| records < wanted) {
        if now_ns() > deadline {
            return Err(format!("{records} records, and {} ends not reached within 600 s", ends.len()).into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        if records == 0 && group.is_some() {
            begin = now_ns(); // joining a group takes its time, and none of the broker's
        }
        bytes += message.payload_len() as u64;
        records += 1;
        if ends.get(&message.partition()).is_some_and(|&end| message.offset() + 1 >= end) {
            ends.remove(&message.partition());
        }
    }
    if group.is_some() {
        consumer.commit_consumer_state(CommitMode::Sync)?;
    }
    let elapsed = now_ns() - begin;
    Ok(json!({
        "seconds": seconds(elapsed),
        "begin_ns": begin,
        "end_ns": begin + elapsed,
        "records": records,
        "megabytes_per_s": bytes as f64 / 1e6 / seconds(elapsed),
        "messages_per_s": records as f64 / seconds(elapsed),
    }))
}
