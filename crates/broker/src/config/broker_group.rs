//! Kafka's broker keys about groups, positions, producers and transactions.

use super::check::Rule;
use super::key::ConfigKey;

const NO_TOPIC: &str = "Groups and positions are state of the data groups, not records of a topic.";
const NO_TRANSACTIONS: &str = "it concerns transactions, which are not served yet, so only the default works";

/// Broker keys about groups, positions, producers and transactions, by name.
pub static COORDINATION_KEYS: &[ConfigKey] = &[
    ConfigKey::list("group.consumer.assignors", "uniform,range")
        .rule(Rule::ListOf(&["uniform", "range"]))
        .doc("The server-side assignors that members of consumer groups may name; the first is used when they name none."),
    ConfigKey::int("group.consumer.heartbeat.interval.ms", "5000")
        .at_least(1)
        .doc("The heartbeat interval given to the members of consumer groups."),
    ConfigKey::int("group.consumer.max.heartbeat.interval.ms", "15000")
        .at_least(1)
        .doc("The longest heartbeat interval that a group may set for itself."),
    ConfigKey::int("group.consumer.max.session.timeout.ms", "60000")
        .at_least(1)
        .doc("The longest session timeout that a group may set for itself."),
    ConfigKey::int("group.consumer.max.size", "2147483647")
        .at_least(1)
        .doc("How many members a consumer group may have."),
    ConfigKey::string("group.consumer.migration.policy", "bidirectional")
        .rule(Rule::OneOf(&["disabled", "upgrade", "downgrade", "bidirectional"]))
        .doc(
            "Which way a group may move between the classic and the consumer protocol while it has members.",
        ),
    ConfigKey::int("group.consumer.min.heartbeat.interval.ms", "5000")
        .at_least(1)
        .doc("The shortest heartbeat interval that a group may set for itself."),
    ConfigKey::int("group.consumer.min.session.timeout.ms", "45000")
        .at_least(1)
        .doc("The shortest session timeout that a group may set for itself."),
    ConfigKey::int("group.consumer.regex.refresh.interval.ms", "600000")
        .at_least(10_000)
        .stored("A subscription by pattern is looked at whenever the topics change, so it is never stale.")
        .doc("How often the topics that match a pattern are looked up again."),
    ConfigKey::int("group.consumer.session.timeout.ms", "45000")
        .at_least(1)
        .doc("After which silence a member of a consumer group counts as gone."),
    ConfigKey::list("group.coordinator.rebalance.protocols", "classic,consumer")
        .rule(Rule::ListWith(&["classic", "consumer", "share", "streams"], "classic"))
        .only(&["classic", "consumer"], "only the protocols 'classic' and 'consumer' are served yet")
        .doc("Which group protocols are served; without 'consumer', its requests answer UNSUPPORTED_VERSION."),
    ConfigKey::int("group.initial.rebalance.delay.ms", "3000")
        .at_least(0)
        .doc("How long an empty classic group waits for more members before its first rebalance."),
    ConfigKey::int("group.max.session.timeout.ms", "1800000")
        .at_least(1)
        .doc("The longest session timeout that a classic member may ask for."),
    ConfigKey::int("group.max.size", "2147483647")
        .at_least(1)
        .doc("How many members a classic group may have."),
    ConfigKey::int("group.min.session.timeout.ms", "6000")
        .at_least(1)
        .doc("The shortest session timeout that a classic member may ask for."),
    ConfigKey::int("offset.metadata.max.bytes", "4096")
        .at_least(0)
        .doc("The longest metadata text of a commit."),
    ConfigKey::int("offsets.commit.timeout.ms", "5000")
        .at_least(1)
        .stored("A commit is answered as soon as it is durable, and nothing else delays it.")
        .doc("How long a commit may take."),
    ConfigKey::int("offsets.load.buffer.size", "5242880")
        .at_least(1)
        .stored(NO_TOPIC)
        .doc("Read size while loading groups."),
    ConfigKey::long("offsets.retention.check.interval.ms", "600000")
        .at_least(1)
        .doc("How often groups without members and without positions are looked for, and forgotten."),
    ConfigKey::int("offsets.retention.minutes", "10080")
        .at_least(1)
        .stored("Committed positions stay until the group or the topic is deleted.")
        .doc("How long the positions of an empty group are kept."),
    ConfigKey::int("offsets.topic.compression.codec", "0")
        .stored(NO_TOPIC)
        .doc("Compression of the offsets topic."),
    ConfigKey::int("offsets.topic.num.partitions", "50")
        .at_least(1)
        .stored(NO_TOPIC)
        .doc("Partitions of the offsets topic."),
    ConfigKey::short("offsets.topic.replication.factor", "3")
        .at_least(1)
        .stored(NO_TOPIC)
        .doc("Replicas of the offsets topic."),
    ConfigKey::int("offsets.topic.segment.bytes", "104857600")
        .at_least(1)
        .stored(NO_TOPIC)
        .doc("Segments of the offsets topic."),
    ConfigKey::int("producer.id.expiration.check.interval.ms", "600000")
        .at_least(1)
        .doc("How often producers that are idle for too long are looked for."),
    ConfigKey::int("producer.id.expiration.ms", "86400000")
        .at_least(1)
        .anytime()
        .doc("For how long the sequences of an idle idempotent producer are remembered."),
    ConfigKey::int("transaction.max.timeout.ms", "900000")
        .at_least(1)
        .only(&["900000"], NO_TRANSACTIONS)
        .doc("The longest transaction timeout that a producer may ask for."),
    ConfigKey::int("transaction.state.log.min.isr", "2")
        .at_least(1)
        .stored(NO_TOPIC)
        .doc("Replicas needed by the transaction topic."),
    ConfigKey::int("transaction.state.log.num.partitions", "50")
        .at_least(1)
        .stored(NO_TOPIC)
        .doc("Partitions of the transaction topic."),
    ConfigKey::short("transaction.state.log.replication.factor", "3")
        .at_least(1)
        .stored(NO_TOPIC)
        .doc("Replicas of the transaction topic."),
    ConfigKey::int("transactional.id.expiration.ms", "604800000")
        .at_least(1)
        .only(&["604800000"], NO_TRANSACTIONS)
        .doc("For how long an idle transactional id is remembered."),
];
