//! A librdkafka producer that counts its answers. May not pace: its callers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use crate::Producing;
use crate::clock::now_ns;

/// Short against a batch on its way, long against the cost of a wake-up.
const QUEUE_FULL_PAUSE: Duration = Duration::from_micros(300);

/// Answers of one or more producers.
pub struct Counters {
    pub acked: AtomicU64,
    pub failed: AtomicU64,
    /// Latencies are recorded only for records that were due from here on.
    pub count_from_ns: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        let count_from_ns = AtomicU64::new(u64::MAX);
        Self { acked: AtomicU64::new(0), failed: AtomicU64::new(0), count_from_ns }
    }
}

/// Latencies in microseconds up to ten minutes, three digits.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are valid")
}

pub struct Answers {
    pub counters: Arc<Counters>,
    pub latencies_us: std::sync::Mutex<Histogram<u64>>,
}

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    /// When the record was due, in nanoseconds of CLOCK_MONOTONIC.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due_ns: Self::DeliveryOpaque) {
        if result.is_err() {
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.counters.acked.fetch_add(1, Ordering::Relaxed);
        let due_ns = due_ns as u64;
        if due_ns >= self.counters.count_from_ns.load(Ordering::Relaxed) {
            let microseconds = now_ns().saturating_sub(due_ns) / 1000;
            let mut latencies = self.latencies_us.lock().expect("no holder panics");
            latencies.saturating_record(microseconds.max(1));
        }
    }
}

/// One producer with a thread of its own for the callbacks.
pub struct Sender {
    pub producer: ThreadedProducer<Answers>,
    topic: String,
    payload: Vec<u8>,
    partitions: u64,
    next: u64,
}

impl Sender {
    /// `number`: which of the producers this is; they start at different partitions.
    pub fn connect(
        bootstrap: &str,
        producing: &Producing,
        number: u32,
        counters: &Arc<Counters>,
    ) -> KafkaResult<Self> {
        let in_flight = (producing.in_flight / producing.producers).max(1);
        let answers =
            Answers { counters: Arc::clone(counters), latencies_us: std::sync::Mutex::new(latencies()) };
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", producing.linger_ms.to_string())
            .set("batch.size", producing.batch_bytes.to_string())
            .set("batch.num.messages", "100000")
            .set("queue.buffering.max.messages", in_flight.to_string())
            .set("queue.buffering.max.kbytes", "1048576")
            .set("message.timeout.ms", "120000")
            .set("reconnect.backoff.ms", "10")
            .set("reconnect.backoff.max.ms", "100")
            .set("retry.backoff.ms", "10")
            .set("retry.backoff.max.ms", "100")
            .create_with_context(answers)?;
        Ok(Self {
            producer,
            topic: producing.topic.clone(),
            payload: incompressible(producing.record_bytes),
            partitions: producing.partitions as u64,
            next: u64::from(number) * 7919,
        })
    }

    /// Enqueues one record to the next partition; waits while the queue is full.
    pub fn send(&mut self, due_ns: u64) -> KafkaResult<()> {
        let partition = (self.next % self.partitions) as i32;
        self.next += 1;
        loop {
            let record: BaseRecord<'_, (), [u8], usize> =
                BaseRecord::with_opaque_to(&self.topic, due_ns as usize).partition(partition);
            match self.producer.send(record.payload(&self.payload)) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(QUEUE_FULL_PAUSE);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Waits for the answers that are still out.
    pub fn finish(&self, timeout: Duration) -> KafkaResult<()> {
        self.producer.flush(timeout)
    }

    pub fn take_latencies(&self) -> Histogram<u64> {
        self.producer.context().latencies_us.lock().expect("no holder panics").clone()
    }
}

/// Bytes that no codec shrinks, the same in each run (xorshift64).
fn incompressible(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
