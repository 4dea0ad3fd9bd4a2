//! What a topic holds, read with plain librdkafka from its beginning to its end; and what a group committed.

use std::collections::BTreeSet;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::Headers as _,
};
use tallymq_client::{
    Header,
    sequence::{SequenceChecker, SequenceId, SequenceLimits},
};

use crate::waiting::LIMIT;

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecord {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    pub value: String,
    pub headers: Vec<Header>,
    pub timestamp_ms: i64,
}

/// How many partitions a topic has.
pub fn partitions(address: &str, topic: &str) -> usize {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    consumer.fetch_metadata(Some(topic), LIMIT).unwrap().topics()[0].partitions().len()
}

/// What a topic's setting is.
pub async fn setting(address: &str, topic: &str, name: &str) -> String {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let asked = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new()).await;
    let config = asked.unwrap().remove(0).unwrap();
    config.get(name).unwrap().value.clone().unwrap()
}

/// Everything a topic holds, in order per partition.
pub fn read(address: &str, topic: &str) -> Vec<StoredRecord> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "nobody")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT).unwrap();
    let mut open: BTreeSet<i32> = metadata.topics()[0].partitions().iter().map(|one| one.id()).collect();
    assert!(!open.is_empty(), "there is no topic {topic}");
    let mut list = TopicPartitionList::new();
    for partition in &open {
        list.add_partition_offset(topic, *partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut records = Vec::new();
    while !open.is_empty() {
        match consumer.poll(LIMIT).expect("the broker is silent") {
            Ok(message) => records.push(StoredRecord {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().map(|key| String::from_utf8(key.to_vec()).unwrap()),
                value: String::from_utf8(message.payload().unwrap_or_default().to_vec()).unwrap(),
                headers: message
                    .headers()
                    .into_iter()
                    .flat_map(|headers| headers.iter())
                    .map(|header| Header::new(header.key, header.value.unwrap_or_default().to_vec()))
                    .collect(),
                timestamp_ms: message.timestamp().to_millis().unwrap(),
            }),
            Err(KafkaError::PartitionEOF(partition)) => {
                open.remove(&partition);
            }
            Err(error) => panic!("{error}"),
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

/// What a checker says about those records.
pub fn check(records: &[StoredRecord]) -> SequenceChecker {
    let mut checker = SequenceChecker::new(SequenceLimits::default());
    for record in records {
        let _finding = checker.seen(record.partition, record.offset, SequenceId::of(&record.headers));
    }
    checker
}

/// The sum of a group's positions in a topic.
pub fn committed(address: &str, group: &str, topic: &str, partitions: i32) -> i64 {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", address).set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let committed = consumer.committed_offsets(list, LIMIT).unwrap();
    committed
        .elements()
        .iter()
        .filter_map(|element| element.offset().to_raw())
        .map(|offset| offset.max(0))
        .sum()
}
