//! One cluster through one librdkafka producer: records in, verdicts out. It knows no fallback, no spool and no number.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::KafkaError,
    message::{Header as WireHeader, OwnedHeaders},
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
    },
    types::RDKafkaErrorCode as Code,
};
use tokio::sync::oneshot;

use super::verdict::{self, Verdict};
use crate::{cluster, cluster::Cluster, record::Record};

/// How long a topic's number of partitions is believed before it is asked for again, as `metadata.max.age.ms`.
const METADATA_AGE_MAX: Duration = Duration::from_secs(300);
/// How long a topic may be unknown before it is called missing: brokers that create it meanwhile need a moment.
const CREATION_TIME_MAX: Duration = Duration::from_secs(2);
const CREATION_POLL: Duration = Duration::from_millis(100);

/// The end of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempt {
    Stored { partition: i32, offset: i64 },
    NoTopic(String),
    Refused(String),
    Unknown(String),
}

/// A record did not enter librdkafka's queue.
#[derive(Debug)]
pub(crate) enum NotQueued {
    Full,
    Ended(Attempt),
}

/// The number of a topic's partitions is not known.
#[derive(Debug)]
pub(crate) enum NoMetadata {
    Missing(String),
    Unreachable(String),
}

struct Deliveries;

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        cluster::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Attempt>>;

    fn delivery(&self, result: &DeliveryResult<'_>, reply: Self::DeliveryOpaque) {
        let attempt = match result {
            Ok(message) => Attempt::Stored { partition: message.partition(), offset: message.offset() },
            Err((error, message)) => ended(error, message.topic()),
        };
        // Whoever waits may have been cancelled with its runtime.
        let _ = reply.send(attempt);
    }
}

type Client = ThreadedProducer<Deliveries, NoCustomPartitioner>;

/// See the module.
pub(crate) struct Wire {
    config: ClientConfig,
    client: RwLock<Option<Arc<Client>>>, // None only while it is dropped
    partitions: Mutex<HashMap<String, (i32, Instant)>>,
}

impl Wire {
    /// Starts a client. `deadline` bounds everything between the queue and the verdict.
    pub(crate) fn new(cluster: &Cluster, deadline: Duration, retries_max: u32) -> Result<Wire, KafkaError> {
        let config = cluster.config(&[
            ("acks", "all".into()),
            ("enable.idempotence", "true".into()),
            ("message.timeout.ms", cluster::milliseconds(deadline)),
            ("retries", retries_max.clamp(1, i32::MAX as u32).to_string()),
            ("reconnect.backoff.max.ms", "1000".into()),
            // The producer bounds what is on its way by bytes; librdkafka's own bounds stay out of the way.
            ("queue.buffering.max.messages", "10000000".into()),
            ("queue.buffering.max.kbytes", "2097151".into()),
        ]);
        let client = RwLock::new(Some(Arc::new(Client::from_config_and_context(&config, Deliveries)?)));
        Ok(Wire { config, client, partitions: Mutex::default() })
    }

    /// Queues a record that has its partition. Records of a partition keep the order of these calls.
    pub(crate) fn enqueue(&self, record: &Record) -> Result<oneshot::Receiver<Attempt>, NotQueued> {
        let (reply, verdict) = oneshot::channel();
        let headers = record.headers.iter().fold(
            OwnedHeaders::new_with_capacity(record.headers.len()),
            |headers, header| {
                headers.insert(WireHeader { key: &header.name, value: header.value.as_deref() })
            },
        );
        let outgoing: BaseRecord<'_, [u8], [u8], _> = BaseRecord {
            topic: &record.topic,
            partition: record.partition,
            payload: record.value.as_deref(),
            key: record.key.as_deref(),
            timestamp: record.timestamp_ms,
            headers: (!record.headers.is_empty()).then_some(headers),
            delivery_opaque: Box::new(reply),
        };
        let result = self.client().send(outgoing);
        match result {
            Ok(()) => Ok(verdict),
            Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) => Err(NotQueued::Full),
            Err((error, _)) => {
                self.renew_if_fatal();
                Err(NotQueued::Ended(ended(&error, &record.topic)))
            }
        }
    }

    /// Waits for the verdict on a queued record.
    pub(crate) async fn verdict(&self, verdict: oneshot::Receiver<Attempt>) -> Attempt {
        let attempt = verdict.await.unwrap_or_else(|_| Attempt::Unknown("the client ended".into()));
        if matches!(attempt, Attempt::Unknown(_)) {
            self.renew_if_fatal();
        }
        attempt
    }

    /// How many partitions the topic has, as far as is known without asking.
    pub(crate) fn known_partitions(self: &Arc<Wire>, topic: &str) -> Option<i32> {
        let (count, since) = self.partitions.lock().get(topic).copied()?;
        if since.elapsed() > METADATA_AGE_MAX {
            // Believed until the answer is there, and asked for only once.
            self.partitions.lock().insert(topic.to_owned(), (count, Instant::now()));
            let (wire, topic) = (self.clone(), topic.to_owned());
            tokio::spawn(async move { wire.ask_partitions(&topic, Duration::from_secs(10)).await });
        }
        Some(count)
    }

    /// How many partitions the topic has.
    pub(crate) async fn partitions(
        self: &Arc<Wire>,
        topic: &str,
        within: Duration,
    ) -> Result<i32, NoMetadata> {
        if let Some(count) = self.known_partitions(topic) {
            return Ok(count);
        }
        let start = Instant::now();
        loop {
            let left = within.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
            match self.ask_partitions(topic, left).await {
                Err(NoMetadata::Missing(cause)) if start.elapsed() > CREATION_TIME_MAX.min(within) => {
                    return Err(NoMetadata::Missing(cause));
                }
                Err(NoMetadata::Missing(_)) => tokio::time::sleep(CREATION_POLL).await,
                answer => return answer,
            }
        }
    }

    async fn ask_partitions(self: &Arc<Wire>, topic: &str, within: Duration) -> Result<i32, NoMetadata> {
        let (client, name) = (self.client(), topic.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = client.client().fetch_metadata(Some(&name), within);
            metadata.map(|metadata| {
                let topic = metadata.topics().iter().find(|topic| topic.name() == name);
                topic.map(|topic| (topic.partitions().len() as i32, topic.error().map(Code::from)))
            })
        });
        match asked.await {
            Ok(Ok(Some((count, _)))) if count > 0 => {
                self.partitions.lock().insert(topic.to_owned(), (count, Instant::now()));
                Ok(count)
            }
            Ok(Ok(found)) => {
                let code = found.and_then(|(_, code)| code).unwrap_or(Code::UnknownTopicOrPartition);
                Err(NoMetadata::Missing(code.to_string()))
            }
            Ok(Err(error)) => Err(NoMetadata::Unreachable(error.to_string())),
            Err(error) => Err(NoMetadata::Unreachable(error.to_string())),
        }
    }

    fn client(&self) -> Arc<Client> {
        self.client.read().clone().expect("there until it is dropped")
    }

    /// An idempotent client that met a fatal error sends nothing any more (KIP-98): it is replaced.
    fn renew_if_fatal(&self) {
        let Some((code, reason)) = self.client().client().fatal_error() else { return };
        let mut client = self.client.write();
        if client.as_ref().is_some_and(|client| client.client().fatal_error().is_none()) {
            return;
        }
        match Client::from_config_and_context(&self.config, Deliveries) {
            Ok(renewed) => {
                tracing::warn!(%code, reason, "the producer's session ended; a new one begins");
                drop_elsewhere(client.replace(Arc::new(renewed)));
            }
            Err(error) => tracing::error!(%error, "no new producer session"),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop_elsewhere(self.client.write().take());
    }
}

/// librdkafka's end waits for its threads, which would hold up a task.
fn drop_elsewhere(client: Option<Arc<Client>>) {
    if let Some(client) = client {
        std::thread::spawn(move || drop(client));
    }
}

fn ended(error: &KafkaError, topic: &str) -> Attempt {
    match verdict::of(error.rdkafka_error_code()) {
        Verdict::NoTopic => Attempt::NoTopic(topic.to_owned()),
        Verdict::Refused => Attempt::Refused(error.to_string()),
        Verdict::Unknown => Attempt::Unknown(error.to_string()),
    }
}
