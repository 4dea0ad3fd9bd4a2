//! Reads a topic from its beginning to its end with plain librdkafka, as the last phase of a history.

use std::{collections::BTreeSet, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::Headers as _,
};

use crate::{
    Failure,
    arguments::Arguments,
    history::{History, SEND_HEADER},
};

const LIMIT: Duration = Duration::from_secs(120);

/// Reads everything that is there; says how much.
pub fn read(arguments: &Arguments) -> Result<(), Failure> {
    let (history, topic) = (History::open(arguments, "")?, arguments.text("topic")?);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", arguments.text("bootstrap")?)
        .set("group.id", "final-reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut open: BTreeSet<i32> = partitions.map(|partition| partition.id()).collect();
    let mut list = TopicPartitionList::new();
    for partition in &open {
        list.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    history.final_phase();
    let mut records = 0_u64;
    while !open.is_empty() {
        match consumer.poll(LIMIT).ok_or("the broker is silent")? {
            Ok(message) => {
                let headers = message.headers();
                let sent = headers
                    .and_then(|headers| headers.iter().find(|header| header.key == SEND_HEADER)?.value);
                let sent = String::from_utf8_lossy(sent.unwrap_or_default());
                history.read(message.partition(), message.offset(), &sent);
                records += 1;
            }
            Err(KafkaError::PartitionEOF(partition)) => drop(open.remove(&partition)),
            Err(error) => return Err(error.into()),
        }
    }
    println!("{}", serde_json::json!({ "records": records }));
    Ok(())
}
