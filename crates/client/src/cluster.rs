//! How a cluster is reached. It holds properties of librdkafka and opens no connection by itself.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError};

/// The largest bound that librdkafka knows.
const MESSAGE_BYTES_MAX: &str = "1000000000";

/// A Kafka-compatible cluster: its addresses, and any [property of librdkafka][properties].
///
/// ```
/// use tallymq_client::Cluster;
///
/// let cluster = Cluster::at("127.0.0.1:9092").set("client.id", "order-service");
/// ```
///
/// Properties on which a promise of this crate rests (`acks`, `enable.idempotence`, `enable.auto.commit`, …) are set by
/// it and cannot be overridden here.
///
/// [properties]: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    properties: BTreeMap<String, String>,
}

impl Cluster {
    /// The cluster behind these addresses: `host:port`, separated by commas.
    pub fn at(bootstrap: impl Into<String>) -> Cluster {
        let bootstrap = ("bootstrap.servers".to_owned(), bootstrap.into());
        Cluster { properties: BTreeMap::from([bootstrap]) }
    }

    /// Sets a property of librdkafka. An unknown one is an error when the client starts.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Cluster {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// The same for copies of records that some broker took: they have more headers, and librdkafka's own bound for a record is
    /// below the brokers'. Theirs decides.
    pub(crate) fn for_copies(&self) -> Cluster {
        self.clone().set("message.max.bytes", MESSAGE_BYTES_MAX)
    }

    /// The properties with those on which promises rest put over them.
    pub(crate) fn config(&self, fixed: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        for (name, value) in fixed {
            config.set(*name, value);
        }
        config
    }
}

/// A client could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// librdkafka refused the properties.
    #[error("the client cannot be created: {0}; check the properties given to Cluster::set")]
    Client(String),
    /// The local spool cannot be used.
    #[error("the spool cannot be opened: {0}")]
    Spool(#[from] crate::spool::OpenError),
    /// A retry or dead-letter topic is missing and could not be created.
    #[error("topic {topic} cannot be created: {cause}; create it, or allow the client to")]
    Topic {
        /// The topic.
        topic: String,
        /// What the broker said.
        cause: String,
    },
    /// No asynchronous runtime.
    #[error("no tokio runtime is running here; start the client inside of one")]
    NoRuntime,
    /// A setting that cannot be.
    #[error("{0}")]
    Setting(&'static str),
}

impl From<KafkaError> for StartError {
    fn from(error: KafkaError) -> StartError {
        StartError::Client(error.to_string())
    }
}

/// One line of librdkafka's log. Lost connections are its daily life, so that nothing of it is more than a warning.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::warn!(facility, message, "librdkafka");
        }
        _ => tracing::debug!(facility, message, "librdkafka"),
    }
}

/// A duration as librdkafka's milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> String {
    duration.as_millis().clamp(1, i32::MAX as u128).to_string()
}
