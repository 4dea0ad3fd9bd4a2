//! The settings that are read once, at start, in the types that the rest of the server wants.

use std::{path::PathBuf, time::Duration};

use tallymq_broker::config::BrokerLayers;
use tallymq_gateway::kafka::session::SessionLimits;
use tallymq_model::NodeId;
use tallymq_storage::wal::Flush;
use thiserror::Error;

use super::Config;
use crate::{
    memory::Budget,
    net::{connection::ConnectionLimits, listener::SocketOptions},
};

/// Requests that one connection may have in flight; Kafka's clients have at most five produces.
const REQUESTS_IN_FLIGHT_MAX: usize = 64;

/// Settings of a start.
#[derive(Clone, Debug)]
pub struct Startup {
    /// `data.dir`.
    pub data_dir: PathBuf,
    /// `listen`.
    pub listen: Vec<String>,
    /// `http.listen`.
    pub http_listen: Vec<String>,
    /// `advertised.listeners`: host and port that clients are told, or the address that they connected to.
    pub advertised: Option<(String, u16)>,
    /// `insecure_listeners`.
    pub insecure_listeners: bool,
    /// `node.id`, if it was set.
    pub node_id: Option<NodeId>,
    /// `data.groups`.
    pub data_groups: u32,
    /// `flush`, `flush.interval.ms`, `flush.bytes`.
    pub flush: Flush,
    /// `wal.bytes`.
    pub wal_bytes_max: u64,
    /// `wal.sync.delay.ms`.
    pub wal_sync_delay: Duration,
    /// `tail.cache.bytes`.
    pub tail_cache_bytes_max: u64,
    /// `produce.inflight.bytes`.
    pub produce_inflight_bytes_max: usize,
    /// `open.files.max`.
    pub open_files_max: usize,
    /// `disk.reserve.bytes`.
    pub disk_reserve_bytes: u64,
    /// `checkpoint.interval.ms`.
    pub checkpoint_interval: Duration,
    /// `max.connections`.
    pub connections_max: usize,
    /// `max.connections.per.ip`.
    pub connections_per_address_max: usize,
    /// `socket.listen.backlog.size`, `socket.receive.buffer.bytes`, `socket.send.buffer.bytes`.
    pub sockets: SocketOptions,
    /// `fetch.buffer.bytes`.
    pub fetch_buffer_bytes: u64,
    /// `catchup.read.bytes.per.second`.
    pub catchup_bytes_per_second: u64,
    /// `key.index`.
    pub key_index: KeyIndexing,
    /// `key.index.bytes.per.second`.
    pub key_index_bytes_per_second: u64,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: usize,
    /// Whether `group.coordinator.rebalance.protocols` names the consumer protocol (KIP-848).
    pub consumer_protocol: bool,
    /// `account.enabled`.
    pub account_enabled: bool,
    /// `account.journal.bytes`.
    pub account_journal_bytes: u64,
    /// Bounds of each connection.
    pub connection: ConnectionLimits,
}

/// When keys are indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyIndexing {
    /// As soon as a durable checkpoint has them.
    Background,
    /// Where a lookup by key had to read the log.
    Lookup,
    /// Never; what there was is removed.
    Off,
}

/// Why settings do not fit together.
#[derive(Debug, Error)]
pub enum StartupError {
    /// The largest request would wait for ever.
    #[error(
        "request.buffer.bytes is {buffer_bytes}, less than the {frame_bytes} of socket.request.max.bytes: the largest request \
         could never be read"
    )]
    RequestBuffer {
        /// `request.buffer.bytes`.
        buffer_bytes: u64,
        /// `socket.request.max.bytes`.
        frame_bytes: u64,
    },
    /// Not `[NAME://]HOST:PORT`.
    #[error("advertised.listeners: `{0}` is not HOST:PORT")]
    Advertised(String),
}

impl Startup {
    /// Picks the settings out.
    pub fn from_config(config: &Config) -> Result<Startup, StartupError> {
        let layers = config.layers();
        let bytes = |key: &str| layers.number(key).max(0) as u64;
        let (buffer_bytes, frame_bytes) = (bytes("request.buffer.bytes"), bytes("socket.request.max.bytes"));
        if buffer_bytes < frame_bytes {
            return Err(StartupError::RequestBuffer { buffer_bytes, frame_bytes });
        }
        let list = |key: &str| layers.list(key);
        let advertised =
            list("advertised.listeners").first().map(|text| parse_advertised(text)).transpose()?;
        Ok(Startup {
            data_dir: PathBuf::from(layers.text("data.dir").unwrap_or_default()),
            listen: list("listen").iter().map(|text| without_name(text).to_owned()).collect(),
            http_listen: list("http.listen"),
            advertised,
            insecure_listeners: layers.flag("insecure_listeners"),
            node_id: config.set().contains_key("node.id").then(|| NodeId(layers.number("node.id") as i32)),
            data_groups: layers.number("data.groups") as u32,
            flush: flush(&layers),
            wal_bytes_max: bytes("wal.bytes"),
            wal_sync_delay: Duration::from_millis(bytes("wal.sync.delay.ms")),
            tail_cache_bytes_max: bytes("tail.cache.bytes"),
            produce_inflight_bytes_max: bytes("produce.inflight.bytes") as usize,
            open_files_max: bytes("open.files.max") as usize,
            disk_reserve_bytes: bytes("disk.reserve.bytes"),
            checkpoint_interval: Duration::from_millis(bytes("checkpoint.interval.ms")),
            connections_max: bytes("max.connections") as usize,
            connections_per_address_max: bytes("max.connections.per.ip") as usize,
            sockets: sockets(&layers),
            fetch_buffer_bytes: bytes("fetch.buffer.bytes"),
            catchup_bytes_per_second: bytes("catchup.read.bytes.per.second"),
            key_index: key_indexing(&layers),
            key_index_bytes_per_second: bytes("key.index.bytes.per.second"),
            fetch_sessions_max: bytes("max.incremental.fetch.session.cache.slots") as usize,
            consumer_protocol: list("group.coordinator.rebalance.protocols")
                .iter()
                .any(|one| one == "consumer"),
            account_enabled: layers.flag("account.enabled"),
            account_journal_bytes: bytes("account.journal.bytes"),
            connection: connection(&layers),
        })
    }
}

fn connection(layers: &BrokerLayers<'_>) -> ConnectionLimits {
    const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
    let frame_bytes_max = layers.number("socket.request.max.bytes").max(0) as usize;
    let idle_ms = u64::try_from(layers.number("connections.max.idle.ms")).ok();
    ConnectionLimits {
        session: SessionLimits {
            frame_bytes_max,
            requests_in_flight_max: REQUESTS_IN_FLIGHT_MAX,
            bytes_in_flight_max: frame_bytes_max,
        },
        idle_max: idle_ms.map_or(FOREVER, Duration::from_millis),
        budget: Budget::new(layers.number("request.buffer.bytes").max(0) as u64),
    }
}

fn sockets(layers: &BrokerLayers<'_>) -> SocketOptions {
    let buffer = |key: &str| usize::try_from(layers.number(key)).ok();
    SocketOptions {
        backlog: layers.number("socket.listen.backlog.size").clamp(1, i64::from(i32::MAX)) as i32,
        receive_buffer_bytes: buffer("socket.receive.buffer.bytes"),
        send_buffer_bytes: buffer("socket.send.buffer.bytes"),
    }
}

fn flush(layers: &BrokerLayers<'_>) -> Flush {
    match layers.text("flush").as_deref() {
        Some("async") => Flush::Async {
            interval: Duration::from_millis(layers.number("flush.interval.ms").max(1) as u64),
            bytes: layers.number("flush.bytes").max(0) as u64,
        },
        _ => Flush::Sync,
    }
}

fn key_indexing(layers: &BrokerLayers<'_>) -> KeyIndexing {
    match layers.text("key.index").as_deref() {
        Some("off") => KeyIndexing::Off,
        Some("lookup") => KeyIndexing::Lookup,
        _ => KeyIndexing::Background,
    }
}

/// `PLAINTEXT://host:port`, as Kafka writes listeners, without its name.
fn without_name(listener: &str) -> &str {
    listener.split_once("://").map_or(listener, |(_, address)| address)
}

fn parse_advertised(text: &str) -> Result<(String, u16), StartupError> {
    let bad = || StartupError::Advertised(text.to_owned());
    let (host, port) = without_name(text).rsplit_once(':').ok_or_else(bad)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(bad());
    }
    Ok((host.to_owned(), port.parse().map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_listener_may_have_a_name_and_an_ipv6_host() {
        assert_eq!(parse_advertised("PLAINTEXT://broker:9092").unwrap(), ("broker".to_owned(), 9092));
        assert_eq!(parse_advertised("[::1]:9093").unwrap(), ("::1".to_owned(), 9093));
        for bad in ["broker", ":9092", "broker:x", "broker:70000"] {
            assert!(parse_advertised(bad).is_err(), "{bad}");
        }
    }
}
