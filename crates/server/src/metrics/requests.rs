//! Metrics of the Kafka listener: connections, requests, errors and latency per API, bytes in and out.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::latency_buckets;

/// The name of an API, `Produce` for instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabel {
    api: &'static str,
}

/// An API and the name of the error it answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabel {
    api: &'static str,
    error: &'static str,
}

/// Counters of the Kafka listener; clones share them.
#[derive(Clone)]
pub struct RequestMetrics {
    /// Open connections.
    pub connections: Gauge,
    /// Connections accepted since start.
    pub connections_accepted: Counter,
    /// Connections closed for a broken frame or body, or refused because there were too many.
    pub connections_refused: Counter,
    /// Bytes read from clients.
    pub received_bytes: Counter,
    /// Bytes written to clients.
    pub sent_bytes: Counter,
    /// Bytes of record batches appended.
    pub produced_bytes: Counter,
    /// Records appended.
    pub produced_records: Counter,
    /// Repeats of a batch that was already stored, answered with its first offset.
    pub produced_duplicates: Counter,
    /// Bytes of record batches handed to consumers.
    pub fetched_bytes: Counter,
    latency: Family<ApiLabel, Histogram, fn() -> Histogram>,
    errors: Family<ErrorLabel, Counter>,
}

impl RequestMetrics {
    pub(super) fn register(registry: &mut Registry) -> RequestMetrics {
        let metrics = RequestMetrics {
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            connections_refused: Counter::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            produced_bytes: Counter::default(),
            produced_records: Counter::default(),
            produced_duplicates: Counter::default(),
            fetched_bytes: Counter::default(),
            latency: Family::new_with_constructor(|| Histogram::new(latency_buckets())),
            errors: Family::default(),
        };
        registry.register("connections", "Open client connections", metrics.connections.clone());
        registry.register(
            "connections_accepted",
            "Client connections accepted",
            metrics.connections_accepted.clone(),
        );
        registry.register(
            "connections_refused",
            "Client connections closed for bad input or for being too many",
            metrics.connections_refused.clone(),
        );
        let bytes = [
            ("received", "Bytes read from clients", &metrics.received_bytes),
            ("sent", "Bytes written to clients", &metrics.sent_bytes),
            ("produced", "Bytes of record batches stored", &metrics.produced_bytes),
            ("fetched", "Bytes of record batches handed to consumers", &metrics.fetched_bytes),
        ];
        for (name, about, counter) in bytes {
            registry.register_with_unit(name, about, Unit::Bytes, counter.clone());
        }
        registry.register("produced_records", "Records stored", metrics.produced_records.clone());
        registry.register(
            "produced_duplicates",
            "Batches that a producer sent again and that were stored once",
            metrics.produced_duplicates.clone(),
        );
        registry.register_with_unit(
            "request_latency",
            "Time from a whole request being read to its answer being ready",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register("request_errors", "Errors answered, per API and error", metrics.errors.clone());
        metrics
    }

    /// Notes that `api` answered after `took`.
    pub fn answered(&self, api: &'static str, took: Duration) {
        self.latency.get_or_create(&ApiLabel { api }).observe(took.as_secs_f64());
    }

    /// Notes that `api` answered with the error named `error`, once per topic, partition or group it concerned.
    pub fn failed(&self, api: &'static str, error: &'static str) {
        self.errors.get_or_create(&ErrorLabel { api, error }).inc();
    }
}
