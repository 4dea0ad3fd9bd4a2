//! `tallymq bench`: how fast a broker acknowledges. With a rate, batches are due at fixed times and latency counts from
//! when a batch was due, not from when it could be sent: a stall is measured, not skipped.

mod load;
mod report;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tallymq_gateway::kafka::{
    messages::create_topics::{CreatableTopic, CreateTopicsRequest},
    records::{BatchOptions, Record, build_batch},
};
use tallymq_model::{Offset, Timestamp};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    arguments::BenchArguments,
    client::{CLIENT_ID, Client, ClientError, Connection, TopicInfo, call, check},
    failure::Failure,
    output,
};
use load::{Measured, Sender};

/// Runs the load and prints what was measured.
pub async fn run(arguments: BenchArguments, json: bool) -> Result<(), Failure> {
    let bad = |what: &str| Failure::Usage(format!("{what} must be at least 1"));
    if arguments.connections == 0 || arguments.batch_records == 0 || arguments.in_flight == 0 {
        return Err(bad("--connections, --batch-records and --in-flight"));
    }
    if arguments.seconds == 0 || arguments.rate == Some(0) {
        return Err(bad("--seconds and --rate"));
    }
    let mut client = Client::connect(&arguments.connection).await?;
    let topic = topic(&mut client, &arguments).await?;
    let batch = batch(&arguments);
    let room = Arc::new(Semaphore::new(arguments.in_flight.min(Semaphore::MAX_PERMITS)));
    let began = Instant::now();
    let ends = began + Duration::from_secs(arguments.seconds);
    let mut tasks = Vec::new();
    for number in 0..arguments.connections {
        let (connection, partitions) = connection(&client, &topic, &arguments, number).await?;
        let sender = Sender {
            connection,
            topic: topic.clone(),
            partitions,
            batch: batch.clone(),
            batch_records: arguments.batch_records as u64,
            room: room.clone(),
            schedule: schedule(&arguments, number),
            timeout_ms: client.timeout().as_millis() as i32,
        };
        tasks.push(tokio::spawn(sender.run(began, ends)));
    }
    let bar = output::progress(Some(arguments.seconds), "seconds");
    for second in 1..=arguments.seconds {
        tokio::time::sleep_until(began + Duration::from_secs(second)).await;
        bar.set_position(second);
    }
    bar.finish_and_clear();
    let mut measured = Measured::default();
    for task in tasks {
        let one = task.await.map_err(|error| Failure::Failed(format!("a connection's task: {error}")))?;
        measured.add(one);
    }
    report::print(&arguments, &measured, json)?;
    if measured.errors > 0 {
        let why = measured.first_error.unwrap_or_default();
        return Err(Failure::Failed(format!("{} batches were not acknowledged: {why}", measured.errors)));
    }
    Ok(())
}

/// When batches of a connection are due: the first one, and the pause between two. None as fast as it goes.
fn schedule(arguments: &BenchArguments, number: usize) -> Option<(Duration, Duration)> {
    let rate = arguments.rate?;
    let between = Duration::from_secs_f64(arguments.batch_records as f64 / rate as f64);
    Some((between.mul_f64(number as f64), between.mul_f64(arguments.connections as f64)))
}

async fn topic(client: &mut Client, arguments: &BenchArguments) -> Result<TopicInfo, ClientError> {
    if client.topic(&arguments.topic, false).await.is_err() {
        let topic = CreatableTopic {
            name: arguments.topic.clone(),
            num_partitions: arguments.partitions,
            replication_factor: -1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: client.timeout().as_millis() as i32,
            ..CreateTopicsRequest::default()
        };
        let answer = call!(client.any().await?, CreateTopics, request)?;
        for result in answer.topics {
            check(format!("topic {}", result.name), result.error_code, result.error_message)?;
        }
    }
    client.topic_with_leaders(&arguments.topic, true).await
}

/// A connection of its own to one of the leaders, and that leader's partitions, shared out among the connections.
async fn connection(
    client: &Client,
    topic: &TopicInfo,
    arguments: &BenchArguments,
    number: usize,
) -> Result<(Connection, Vec<i32>), ClientError> {
    let count = topic.partitions.len().max(1);
    let first = topic.partitions.get(number % count);
    let first = first.map_or(0, |known| known.index);
    let address = topic.leader(first)?.clone();
    let led = topic.partitions.iter().filter(|known| known.address.as_ref() == Some(&address));
    let led: Vec<i32> = led.map(|known| known.index).collect();
    let ours = led.iter().filter(|index| **index as usize % arguments.connections == number % count);
    let ours: Vec<i32> = ours.copied().collect();
    let partitions = if ours.is_empty() { vec![first] } else { ours };
    Ok((Connection::open(&address, client.timeout(), CLIENT_ID).await?, partitions))
}

/// One batch, made before the clock runs. Its values differ from each other, so that nothing compresses them away.
fn batch(arguments: &BenchArguments) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut value = || -> Bytes {
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..arguments.record_bytes).map(byte).collect()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let timestamp = Timestamp(now.map_or(0, |since| since.as_millis() as i64));
    let records: Vec<Record> = (0..arguments.batch_records)
        .map(|_| Record {
            offset: Offset::ZERO,
            timestamp,
            key: None,
            value: Some(value()),
            headers: Vec::new(),
        })
        .collect();
    build_batch(&records, &BatchOptions::default())
}
