//! Sends records with keys and headers and logs each answer.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use serde_json::json;

use crate::history::History;
use crate::{Outcome, Parameters};

struct Answers(History);

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, value: Self::DeliveryOpaque) {
        match result {
            Ok(message) => {
                let place = json!({"partition": message.partition(), "offset": message.offset(), "value": value});
                self.0.log("send", "ok", place);
            }
            Err((error, message)) => {
                let partition = message.partition();
                let rest = json!({"partition": partition, "value": value, "error": error.to_string()});
                self.0.log("send", "unknown", rest);
            }
        }
    }
}

pub fn run(parameters: &Parameters) -> Outcome {
    let history = History::create(parameters)?;
    let producer: ThreadedProducer<Answers> = ClientConfig::new()
        .set("bootstrap.servers", &parameters.bootstrap)
        .set("enable.idempotence", "true")
        .set("compression.type", &parameters.compression)
        .set("linger.ms", "5")
        .set("message.timeout.ms", "120000")
        .set("reconnect.backoff.max.ms", "500")
        .create_with_context(Answers(history.clone()))?;
    let begin = Instant::now();
    for number in 0..parameters.count {
        if parameters.rate > 0 {
            let due = begin + Duration::from_nanos(number * 1_000_000_000 / parameters.rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        send(&producer, &history, parameters, number)?;
        if number % 200 == 0 {
            history.flush();
        }
    }
    producer.flush(Duration::from_secs(150))?;
    history.flush();
    Ok(())
}

fn send(
    producer: &ThreadedProducer<Answers>,
    history: &History,
    parameters: &Parameters,
    number: u64,
) -> Result<(), KafkaError> {
    let value = format!("{}-{number}", parameters.process);
    let partition = (number % parameters.partitions as u64) as i32;
    let key = format!("k{value}");
    let body = format!("{:x<size$}", format!("{value}:"), size = parameters.size);
    history.log("send", "invoke", json!({"partition": partition, "value": value}));
    let headers = OwnedHeaders::new().insert(Header { key: "n", value: Some(&value) });
    let mut record = BaseRecord::with_opaque_to(&parameters.topic, Box::new(value.clone()))
        .partition(partition)
        .key(&key)
        .payload(&body)
        .headers(headers);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                std::thread::sleep(Duration::from_millis(10));
                record = back;
            }
            Err((error, _)) => return Err(error),
        }
    }
}
