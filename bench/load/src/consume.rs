//! Reads all partitions of a topic from the beginning to the ends that stand at the start.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;

use crate::Measured;
use crate::clock::{now_ns, seconds};

pub fn run(bootstrap: &str, topic: &str, partitions: i32) -> Measured {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bench-reader")
        .set("enable.auto.commit", "false")
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
    let begin = now_ns();
    consumer.assign(&assigned)?;
    let (mut bytes, mut records) = (0_u64, 0_u64);
    let deadline = begin + 600_000_000_000;
    while !ends.is_empty() {
        if now_ns() > deadline {
            return Err(format!("not read to {} ends within 600 s", ends.len()).into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        bytes += message.payload_len() as u64;
        records += 1;
        if ends.get(&message.partition()).is_some_and(|&end| message.offset() + 1 >= end) {
            ends.remove(&message.partition());
        }
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
