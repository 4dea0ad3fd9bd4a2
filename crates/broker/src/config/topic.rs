//! The topic keys of Kafka 4.3, each with the broker keys it falls back to (`ServerTopicConfigSynonyms`).

use super::check::Rule;
use super::key::{ConfigKey, Synonym, Unit};

const fn same(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Same }
}

const fn hours(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Hours }
}

const fn minutes(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Minutes }
}

pub(super) const RETENTION: &[Synonym] =
    &[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")];
pub(super) const ROLL: &[Synonym] = &[same("log.roll.ms"), hours("log.roll.hours")];
pub(super) const ROLL_JITTER: &[Synonym] = &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")];
pub(super) const FLUSH: &[Synonym] =
    &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")];

pub(super) const NO_COMPACTION: &str = "log compaction is not available in this version, only 'delete' works";
pub(super) const NO_TIERING: &str = "tiered storage is not available in this version, only 'false' works";
pub(super) const NO_TIERS: &str =
    "it concerns tiered storage, which is not available yet, so only the default works";
pub(super) const AS_SENT: &str =
    "batches are stored as the producer compressed them and never compressed again, so only 'producer' works";
/// Tools set such keys for every topic that they make, and refusing them would refuse the topic.
const COMPACTION_ONLY: &str = "It concerns log compaction; with cleanup.policy=delete, the only one that works, it means nothing in Kafka either.";
const LEVEL_ONLY: &str = "The broker never compresses, so no level is ever used.";
const ONE_VOTER: &str =
    "It concerns replication between nodes; on one node there is nothing to throttle or to choose.";
pub(super) const SYNCED: &str = "Under flush=sync every acknowledged record is already synced, which is stronger than any value; under flush=async it promises nothing.";

/// All topic keys, by name.
pub static TOPIC_KEYS: &[ConfigKey] = &[
    ConfigKey::list("cleanup.policy", "delete")
        .anytime()
        .rule(Rule::ListOf(&["compact", "delete"]))
        .only(&["delete"], NO_COMPACTION)
        .synonyms(&[same("log.cleanup.policy")])
        .doc("What happens to old records: 'delete' removes them by time and size."),
    ConfigKey::int("compression.gzip.level", "-1")
        .anytime()
        .rule(Rule::Between(-1, 9))
        .stored(LEVEL_ONLY)
        .synonyms(&[same("compression.gzip.level")])
        .doc("Level of gzip compression."),
    ConfigKey::int("compression.lz4.level", "9")
        .anytime()
        .rule(Rule::Between(1, 17))
        .stored(LEVEL_ONLY)
        .synonyms(&[same("compression.lz4.level")])
        .doc("Level of lz4 compression."),
    ConfigKey::string("compression.type", "producer")
        .anytime()
        .rule(Rule::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .only(&["producer"], AS_SENT)
        .synonyms(&[same("compression.type")])
        .doc("Compression of what is stored: 'producer' keeps what the producer chose."),
    ConfigKey::int("compression.zstd.level", "3")
        .anytime()
        .rule(Rule::Between(-131_072, 22))
        .stored(LEVEL_ONLY)
        .synonyms(&[same("compression.zstd.level")])
        .doc("Level of zstd compression."),
    ConfigKey::long("delete.retention.ms", "86400000")
        .anytime()
        .at_least(0)
        .stored(COMPACTION_ONLY)
        .synonyms(&[same("log.cleaner.delete.retention.ms")])
        .doc("How long tombstones of compacted topics are kept."),
    ConfigKey::long("file.delete.delay.ms", "60000")
        .anytime()
        .at_least(0)
        .stored("Files go when no reader and no checkpoint needs them, whatever this says.")
        .synonyms(&[same("log.segment.delete.delay.ms")])
        .doc("How long a deleted segment stays on disk."),
    ConfigKey::long("flush.messages", "9223372036854775807")
        .anytime()
        .at_least(1)
        .stored(SYNCED)
        .synonyms(&[same("log.flush.interval.messages")])
        .doc("After how many records the log is synced."),
    ConfigKey::long("flush.ms", "9223372036854775807")
        .anytime()
        .at_least(0)
        .stored(SYNCED)
        .synonyms(FLUSH)
        .doc("After which time the log is synced."),
    ConfigKey::list("follower.replication.throttled.replicas", "")
        .anytime()
        .rule(Rule::ThrottledReplicas)
        .stored(ONE_VOTER)
        .doc("Replicas whose replication is throttled on the follower's side."),
    ConfigKey::int("index.interval.bytes", "4096")
        .anytime()
        .at_least(0)
        .stored("The index is built as the storage needs it; its density changes no answer.")
        .synonyms(&[same("log.index.interval.bytes")])
        .doc("How many bytes lie between two index entries."),
    ConfigKey::list("leader.replication.throttled.replicas", "")
        .anytime()
        .rule(Rule::ThrottledReplicas)
        .stored(ONE_VOTER)
        .doc("Replicas whose replication is throttled on the leader's side."),
    ConfigKey::long("local.retention.bytes", "-2")
        .anytime()
        .at_least(-2)
        .only(&["-2"], NO_TIERS)
        .synonyms(&[same("log.local.retention.bytes")])
        .doc("How much of a tiered partition is kept on the local disk."),
    ConfigKey::long("local.retention.ms", "-2")
        .anytime()
        .at_least(-2)
        .only(&["-2"], NO_TIERS)
        .synonyms(&[same("log.local.retention.ms")])
        .doc("How long records of a tiered partition are kept on the local disk."),
    ConfigKey::long("max.compaction.lag.ms", "9223372036854775807")
        .anytime()
        .at_least(1)
        .stored(COMPACTION_ONLY)
        .synonyms(&[same("log.cleaner.max.compaction.lag.ms")])
        .doc("How long a record may stay uncompacted."),
    ConfigKey::int("max.message.bytes", "1048588")
        .anytime()
        .at_least(0)
        .synonyms(&[same("message.max.bytes")])
        .doc("The largest record batch that is accepted, as it is compressed."),
    ConfigKey::long("message.timestamp.after.max.ms", "3600000")
        .anytime()
        .at_least(0)
        .synonyms(&[same("log.message.timestamp.after.max.ms")])
        .doc("How far in the future a CreateTime timestamp may lie."),
    ConfigKey::long("message.timestamp.before.max.ms", "9223372036854775807")
        .anytime()
        .at_least(0)
        .synonyms(&[same("log.message.timestamp.before.max.ms")])
        .doc("How far in the past a CreateTime timestamp may lie."),
    ConfigKey::string("message.timestamp.type", "CreateTime")
        .anytime()
        .rule(Rule::OneOf(&["CreateTime", "LogAppendTime"]))
        .synonyms(&[same("log.message.timestamp.type")])
        .doc("Whose clock a record's timestamp is from: the producer's or the broker's."),
    ConfigKey::double("min.cleanable.dirty.ratio", "0.5")
        .anytime()
        .rule(Rule::Fraction)
        .stored(COMPACTION_ONLY)
        .synonyms(&[same("log.cleaner.min.cleanable.ratio")])
        .doc("How much of a log must be uncompacted before it is compacted."),
    ConfigKey::long("min.compaction.lag.ms", "0")
        .anytime()
        .at_least(0)
        .stored(COMPACTION_ONLY)
        .synonyms(&[same("log.cleaner.min.compaction.lag.ms")])
        .doc("How long a record stays uncompacted at least."),
    ConfigKey::int("min.insync.replicas", "1")
        .anytime()
        .at_least(1)
        .stored("A record is acknowledged once a majority of its group has it on disk, whatever this says.")
        .synonyms(&[same("min.insync.replicas")])
        .doc("How many replicas must have a record before acks=all is answered."),
    ConfigKey::boolean("preallocate", "false")
        .anytime()
        .stored("The shared log is always written in advance; segments need not be.")
        .synonyms(&[same("log.preallocate")])
        .doc("Whether segment files are allocated in advance."),
    ConfigKey::boolean("remote.log.copy.disable", "false")
        .anytime()
        .only(&["false"], NO_TIERING)
        .doc("Whether a tiered topic stops copying to remote storage."),
    ConfigKey::boolean("remote.log.delete.on.disable", "false")
        .anytime()
        .only(&["false"], NO_TIERING)
        .doc("Whether remote data is deleted when tiering is switched off."),
    ConfigKey::boolean("remote.storage.enable", "false")
        .anytime()
        .only(&["false"], NO_TIERING)
        .doc("Whether old segments move to remote storage."),
    ConfigKey::long("retention.bytes", "-1")
        .anytime()
        .synonyms(&[same("log.retention.bytes")])
        .doc("How many bytes of a partition are kept; negative is unlimited."),
    ConfigKey::long("retention.ms", "604800000")
        .anytime()
        .at_least(-1)
        .synonyms(RETENTION)
        .doc("How long records are kept; -1 is forever."),
    ConfigKey::int("segment.bytes", "1073741824")
        .anytime()
        .at_least(1_048_576)
        .synonyms(&[same("log.segment.bytes")])
        .doc("The largest segment file. Retention removes whole segments."),
    ConfigKey::int("segment.index.bytes", "10485760")
        .anytime()
        .at_least(4)
        .stored("The index is as large as it needs to be.")
        .synonyms(&[same("log.index.size.max.bytes")])
        .doc("The largest index of a segment."),
    ConfigKey::long("segment.jitter.ms", "0")
        .anytime()
        .at_least(0)
        .stored("Rolling a segment costs no sync here, so rolls need not be spread.")
        .synonyms(ROLL_JITTER)
        .doc("By how much the rolls of segments are spread in time."),
    ConfigKey::long("segment.ms", "604800000")
        .anytime()
        .at_least(1)
        .synonyms(ROLL)
        .doc("After which time a segment is closed even if it is not full."),
    ConfigKey::boolean("unclean.leader.election.enable", "false")
        .anytime()
        .stored("A leader always has every acknowledged record; another one is never elected.")
        .synonyms(&[same("unclean.leader.election.enable")])
        .doc("Whether a replica that lacks records may become leader."),
];
