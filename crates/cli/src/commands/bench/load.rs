//! One connection's load: batches go out when they are due, answers are timed as they come.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hdrhistogram::Histogram;
use tallymq_gateway::kafka::{
    Records, Response,
    messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep_until},
};

use crate::client::{ClientError, Connection, Pending, TopicInfo};

/// Three significant digits: an error of at most 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// What was measured.
pub struct Measured {
    /// From when a batch was due (or sent, without a rate) to its acknowledgement, in microseconds.
    pub latency_micros: Histogram<u64>,
    /// Records acknowledged.
    pub records: u64,
    /// Bytes of their batches.
    pub bytes: u64,
    /// Batches that were not acknowledged.
    pub errors: u64,
    /// Why, for the first of them.
    pub first_error: Option<String>,
    /// When the last answer came, counted from the start.
    pub took: Duration,
}

impl Default for Measured {
    fn default() -> Measured {
        let histogram = Histogram::new(SIGNIFICANT_DIGITS).expect("three digits are valid");
        Measured {
            latency_micros: histogram,
            records: 0,
            bytes: 0,
            errors: 0,
            first_error: None,
            took: Duration::ZERO,
        }
    }
}

impl Measured {
    /// Adds what another connection measured.
    pub fn add(&mut self, other: Measured) {
        self.latency_micros.add(other.latency_micros).expect("histograms without bounds can be added");
        self.records += other.records;
        self.bytes += other.bytes;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.took = self.took.max(other.took);
    }

    fn fail(&mut self, error: &ClientError) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }
}

/// What one connection sends.
pub struct Sender {
    /// Its connection.
    pub connection: Connection,
    /// To this topic.
    pub topic: TopicInfo,
    /// To these partitions, in turn.
    pub partitions: Vec<i32>,
    /// Always this batch.
    pub batch: Bytes,
    /// Records in it.
    pub batch_records: u64,
    /// Batches that may be unanswered, over all connections.
    pub room: Arc<Semaphore>,
    /// When the first batch is due, and the pause between two; None as fast as it goes.
    pub schedule: Option<(Duration, Duration)>,
    /// How long the broker may take.
    pub timeout_ms: i32,
}

struct Sent {
    due: Instant,
    pending: Pending,
    _room: OwnedSemaphorePermit,
}

impl Sender {
    /// Sends from `began` until `ends`, then waits for what is unanswered.
    pub async fn run(self, began: Instant, ends: Instant) -> Measured {
        let (sender, sent) = mpsc::unbounded_channel();
        let collector = tokio::spawn(collect(sent, began, self.batch_records, self.batch.len() as u64));
        let mut failed = None;
        for number in 0_u64.. {
            let due = match self.schedule {
                Some((first, between)) => began + first + between.mul_f64(number as f64),
                None => Instant::now(),
            };
            if due >= ends || Instant::now() >= ends {
                break;
            }
            sleep_until(due).await;
            let Ok(room) = self.room.clone().acquire_owned().await else {
                break;
            };
            // Without a rate a batch is due when there is room for it.
            let due = if self.schedule.is_some() { due } else { Instant::now() };
            match self.connection.start(self.request(number)) {
                Ok(pending) => drop(sender.send(Sent { due, pending, _room: room })),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            if !self.connection.is_open() {
                break;
            }
        }
        drop(sender);
        let mut measured = collector.await.unwrap_or_default();
        if let Some(error) = failed {
            measured.fail(&error);
        }
        measured
    }

    fn request(&self, number: u64) -> ProduceRequest {
        let partition = self.partitions[(number % self.partitions.len() as u64) as usize];
        let records = Some(Records::from(self.batch.clone()));
        let topic = TopicProduceData {
            name: self.topic.name.clone(),
            topic_id: self.topic.id,
            partition_data: vec![PartitionProduceData { index: partition, records }],
        };
        ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: self.timeout_ms,
            topic_data: vec![topic],
        }
    }
}

async fn collect(
    mut sent: mpsc::UnboundedReceiver<Sent>,
    began: Instant,
    records: u64,
    bytes: u64,
) -> Measured {
    let mut measured = Measured::default();
    // Answers come in the order of the requests, so waiting for the oldest delays none.
    while let Some(Sent { due, pending, _room }) = sent.recv().await {
        let answer = pending.answer().await;
        let now = Instant::now();
        match answer.and_then(acknowledged) {
            Ok(()) => {
                measured.records += records;
                measured.bytes += bytes;
                let micros = now.duration_since(due).as_micros() as u64;
                // Without an upper bound the histogram grows; `saturating_record` would clamp instead.
                measured.latency_micros.record(micros.max(1)).expect("the histogram grows as needed");
                measured.took = now.duration_since(began);
            }
            Err(error) => measured.fail(&error),
        }
    }
    measured
}

fn acknowledged(answer: Response) -> Result<(), ClientError> {
    let Response::Produce(answer) = answer else {
        return Err(ClientError::WrongAnswer(answer.api()));
    };
    for partition in answer.responses.into_iter().flat_map(|topic| topic.partition_responses) {
        crate::client::check("produce", partition.error_code, partition.error_message)?;
    }
    Ok(())
}
