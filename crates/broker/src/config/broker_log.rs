//! Kafka's broker keys about logs: most are the defaults of topic keys.

use super::check::Rule;
use super::key::{ConfigKey, ConfigType};
use super::topic::{AS_SENT, FLUSH, NO_COMPACTION, NO_TIERS, RETENTION, ROLL, ROLL_JITTER, SYNCED};

const LEVEL_ONLY: &str = "The broker never compresses, so no level is ever used.";
const NO_COMPACTION_YET: &str =
    "it concerns log compaction, which is not available yet, so only the default works";
const DEFAULT_FOR: &str = "The default of the topic key of the same meaning.";

/// Broker keys about logs, by name.
pub static LOG_KEYS: &[ConfigKey] = &[
    ConfigKey::int("compression.gzip.level", "-1")
        .rule(Rule::Between(-1, 9))
        .anytime()
        .stored(LEVEL_ONLY)
        .doc(DEFAULT_FOR),
    ConfigKey::int("compression.lz4.level", "9")
        .rule(Rule::Between(1, 17))
        .anytime()
        .stored(LEVEL_ONLY)
        .doc(DEFAULT_FOR),
    ConfigKey::string("compression.type", "producer")
        .rule(Rule::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .anytime()
        .only(&["producer"], AS_SENT)
        .doc(DEFAULT_FOR),
    ConfigKey::int("compression.zstd.level", "3")
        .rule(Rule::Between(-131_072, 22))
        .anytime()
        .stored(LEVEL_ONLY)
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.cleaner.delete.retention.ms", "86400000")
        .at_least(0)
        .anytime()
        .only(&["86400000"], NO_COMPACTION_YET)
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.cleaner.max.compaction.lag.ms", "9223372036854775807")
        .at_least(1)
        .anytime()
        .only(&["9223372036854775807"], NO_COMPACTION_YET)
        .doc(DEFAULT_FOR),
    ConfigKey::double("log.cleaner.min.cleanable.ratio", "0.5")
        .rule(Rule::Fraction)
        .anytime()
        .only(&["0.5"], NO_COMPACTION_YET)
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.cleaner.min.compaction.lag.ms", "0")
        .at_least(0)
        .anytime()
        .only(&["0"], NO_COMPACTION_YET)
        .doc(DEFAULT_FOR),
    ConfigKey::list("log.cleanup.policy", "delete")
        .rule(Rule::ListOf(&["compact", "delete"]))
        .anytime()
        .only(&["delete"], NO_COMPACTION)
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.flush.interval.messages", "9223372036854775807")
        .at_least(1)
        .anytime()
        .stored(SYNCED)
        .doc(DEFAULT_FOR),
    ConfigKey::unset("log.flush.interval.ms", ConfigType::Long)
        .anytime()
        .stored(SYNCED)
        .synonyms(FLUSH)
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.flush.scheduler.interval.ms", "9223372036854775807")
        .stored(SYNCED)
        .doc("How often it is checked whether a log must be synced."),
    ConfigKey::int("log.index.interval.bytes", "4096")
        .at_least(0)
        .anytime()
        .stored("The index is built as the storage needs it; its density changes no answer.")
        .doc(DEFAULT_FOR),
    ConfigKey::int("log.index.size.max.bytes", "10485760")
        .at_least(4)
        .anytime()
        .stored("The index is as large as it needs to be.")
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.local.retention.bytes", "-2")
        .at_least(-2)
        .anytime()
        .only(&["-2"], NO_TIERS)
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.local.retention.ms", "-2")
        .at_least(-2)
        .anytime()
        .only(&["-2"], NO_TIERS)
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.message.timestamp.after.max.ms", "3600000").at_least(0).anytime().doc(DEFAULT_FOR),
    ConfigKey::long("log.message.timestamp.before.max.ms", "9223372036854775807")
        .at_least(0)
        .anytime()
        .doc(DEFAULT_FOR),
    ConfigKey::string("log.message.timestamp.type", "CreateTime")
        .rule(Rule::OneOf(&["CreateTime", "LogAppendTime"]))
        .anytime()
        .doc(DEFAULT_FOR),
    ConfigKey::boolean("log.preallocate", "false")
        .anytime()
        .stored("The shared log is always written in advance; segments need not be.")
        .doc(DEFAULT_FOR),
    ConfigKey::long("log.retention.bytes", "-1").anytime().doc(DEFAULT_FOR),
    ConfigKey::long("log.retention.check.interval.ms", "300000")
        .at_least(1)
        .doc("How often the broker looks for records that retention removes."),
    ConfigKey::int("log.retention.hours", "168")
        .doc("How long records are kept, in hours; weaker than minutes."),
    ConfigKey::unset("log.retention.minutes", ConfigType::Int)
        .doc("How long records are kept, in minutes; weaker than log.retention.ms."),
    ConfigKey::unset("log.retention.ms", ConfigType::Long)
        .at_least(-1)
        .anytime()
        .synonyms(RETENTION)
        .doc(DEFAULT_FOR),
    ConfigKey::int("log.roll.hours", "168")
        .at_least(1)
        .doc("When a segment is closed, in hours; weaker than log.roll.ms."),
    ConfigKey::int("log.roll.jitter.hours", "0")
        .at_least(0)
        .stored("Rolling a segment costs no sync here, so rolls need not be spread.")
        .doc("By how much rolls are spread, in hours."),
    ConfigKey::unset("log.roll.jitter.ms", ConfigType::Long)
        .at_least(0)
        .anytime()
        .stored("Rolling a segment costs no sync here, so rolls need not be spread.")
        .synonyms(ROLL_JITTER)
        .doc(DEFAULT_FOR),
    ConfigKey::unset("log.roll.ms", ConfigType::Long).at_least(1).anytime().synonyms(ROLL).doc(DEFAULT_FOR),
    ConfigKey::int("log.segment.bytes", "1073741824").at_least(1_048_576).anytime().doc(DEFAULT_FOR),
    ConfigKey::long("log.segment.delete.delay.ms", "60000")
        .at_least(0)
        .anytime()
        .stored("Files go when no reader and no checkpoint needs them, whatever this says.")
        .doc(DEFAULT_FOR),
    ConfigKey::int("message.max.bytes", "1048588").at_least(0).anytime().doc(DEFAULT_FOR),
    ConfigKey::int("min.insync.replicas", "1")
        .at_least(1)
        .anytime()
        .stored("A record is acknowledged once a majority of its group has it on disk, whatever this says.")
        .doc(DEFAULT_FOR),
    ConfigKey::boolean("unclean.leader.election.enable", "false")
        .anytime()
        .stored("A leader always has every acknowledged record; another one is never elected.")
        .doc(DEFAULT_FOR),
];
