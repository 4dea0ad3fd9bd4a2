//! Kafka's other broker keys: the node, its network, requests, topics.

use super::check::Rule;
use super::key::{ConfigKey, ConfigType};

const OWN_THREADS: &str = "Threads follow the cores of the machine, not a setting.";

/// Broker keys about the node, its network, requests and topics, by name.
pub static BROKER_KEYS: &[ConfigKey] = &[
    ConfigKey::unset("advertised.listeners", ConfigType::List)
        .rule(Rule::NotEmpty)
        .doc("Host and port that clients are told to connect to; without it, the address that each client connected to."),
    ConfigKey::boolean("auto.create.topics.enable", "true")
        .doc("Whether a topic that a client asks about, and that does not exist, is created."),
    ConfigKey::int("background.threads", "10").at_least(1).stored(OWN_THREADS).doc("Threads for background work."),
    ConfigKey::unset("broker.rack", ConfigType::String)
        .stored("All replicas are on this node.")
        .doc("The rack that this broker is in."),
    ConfigKey::long("connections.max.idle.ms", "600000")
        .doc("After which silence a connection is closed; negative is never."),
    ConfigKey::int("default.replication.factor", "1")
        .at_least(1)
        .only(&["1"], "there is one node, so only replication factor 1 works")
        .doc("Replicas of topics that are created without saying how many."),
    ConfigKey::boolean("delete.topic.enable", "true").doc("Whether topics may be deleted."),
    ConfigKey::int("fetch.max.bytes", "57671680").at_least(1024).doc("The most bytes that one fetch is answered with."),
    ConfigKey::int("max.connection.creation.rate", "2147483647")
        .at_least(0)
        .only(&["2147483647"], "connections are bounded in number (max.connections, max.connections.per.ip), not in rate")
        .doc("How many connections are accepted per second."),
    ConfigKey::int("max.connections", "10000")
        .at_least(0)
        .doc("How many connections are open at once. Kafka's default is no limit."),
    ConfigKey::int("max.connections.per.ip", "2147483647")
        .at_least(0)
        .doc("How many connections are open at once from one address."),
    ConfigKey::int("max.incremental.fetch.session.cache.slots", "1000")
        .at_least(0)
        .doc("How many incremental fetch sessions are kept (KIP-227)."),
    ConfigKey::int("max.request.partition.size.limit", "2000")
        .at_least(1)
        .doc("The most partitions that one DescribeTopicPartitions is answered with."),
    ConfigKey::int("node.id", "1").at_least(0).doc("The id of this broker."),
    ConfigKey::int("num.io.threads", "8").at_least(1).stored(OWN_THREADS).doc("Threads for requests."),
    ConfigKey::int("num.network.threads", "3").at_least(1).stored(OWN_THREADS).doc("Threads for the network."),
    ConfigKey::int("num.partitions", "1")
        .rule(Rule::Between(1, 200_000))
        .doc("Partitions of topics that are created without saying how many."),
    ConfigKey::int("num.recovery.threads.per.data.dir", "2")
        .at_least(1)
        .stored(OWN_THREADS)
        .doc("Threads for recovery at start."),
    ConfigKey::int("queued.max.requests", "500")
        .at_least(1)
        .stored("Requests wait in their connections, bounded by bytes.")
        .doc("How many requests may wait."),
    ConfigKey::int("request.timeout.ms", "30000")
        .at_least(1)
        .stored("Requests between brokers have no use on one node; clients bring their own time-outs.")
        .doc("How long the broker waits for another one."),
    ConfigKey::int("socket.listen.backlog.size", "50").at_least(1).doc("How many connections may wait to be accepted."),
    ConfigKey::int("socket.receive.buffer.bytes", "102400")
        .at_least(-1)
        .doc("Receive buffer of a connection; -1 is the system's choice."),
    ConfigKey::int("socket.request.max.bytes", "104857600").at_least(1).doc("The largest request."),
    ConfigKey::int("socket.send.buffer.bytes", "102400")
        .at_least(-1)
        .doc("Send buffer of a connection; -1 is the system's choice."),
];
