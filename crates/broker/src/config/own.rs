//! The keys that only TallyMQ has: storage, durability, listeners, limits.

use super::check::Rule;
use super::key::ConfigKey;

/// Our own keys, by name. All are set at start.
pub static OWN_KEYS: &[ConfigKey] = &[
    ConfigKey::boolean("account.enabled", "true")
        .doc("Whether the broker accounts for what became of every record, per partition and consumer group; switched off, all accounts end."),
    ConfigKey::long("account.journal.bytes", "268435456")
        .at_least(16_777_216)
        .doc("How much of the accounts' journal (who got and acknowledged what, and when) each data group keeps."),
    ConfigKey::long("catchup.read.bytes.per.second", "0")
        .at_least(0)
        .doc("How fast records that left memory are read from disk, over all readers, so that reading cannot slow writing; 0 is no limit."),
    ConfigKey::long("checkpoint.interval.ms", "300000")
        .at_least(1000)
        .doc("How often a group that changed is checkpointed even if the shared log has room."),
    ConfigKey::string("data.dir", "./data").rule(Rule::NotEmpty).doc("Where everything is stored."),
    ConfigKey::int("data.groups", "4")
        .rule(Rule::Between(2, 1024))
        .doc("How many data groups a new data directory gets; fixed afterwards."),
    ConfigKey::long("disk.reserve.bytes", "1073741824")
        .at_least(0)
        .doc("Free disk space below which produce is refused; commits, deletes and checkpoints go on from it."),
    ConfigKey::long("fetch.buffer.bytes", "268435456")
        .at_least(16_777_216)
        .doc("Memory for old records on their way from disk to consumers; while it is used up, consumers get little at a time."),
    ConfigKey::string("flush", "sync")
        .rule(Rule::OneOf(&["sync", "async"]))
        .doc("When produced records are acknowledged: 'sync' after they are synced to disk; 'async' before, so that a power cut may lose them."),
    ConfigKey::long("flush.bytes", "16777216")
        .at_least(4096)
        .doc("Under flush=async: after how many bytes the log is synced."),
    ConfigKey::long("flush.interval.ms", "1000")
        .at_least(1)
        .doc("Under flush=async: after which time the log is synced."),
    ConfigKey::int("group.max.count", "100000")
        .at_least(1)
        .doc("How many consumer groups there may be; another one is refused until some are deleted."),
    ConfigKey::string("http.listen", "127.0.0.1:9644").doc("Where health, metrics and the account are served; empty is nowhere."),
    ConfigKey::boolean("insecure_listeners", "false")
        .doc("Allows listeners that are not loopback although there is no TLS and no authentication."),
    ConfigKey::string("key.index", "background")
        .rule(Rule::OneOf(&["background", "lookup", "off"]))
        .doc("When the indexes that lookups by key use are built: beside everything else, only where a lookup has read, or never."),
    ConfigKey::long("key.index.bytes.per.second", "33554432")
        .at_least(0)
        .doc("How fast the log is read to index its keys in the background; what a lookup waits for is not slowed; 0 is no limit."),
    ConfigKey::list("listen", "localhost:9092")
        .rule(Rule::NotEmpty)
        .doc("Where clients connect; localhost is 127.0.0.1 and, where the machine has it, ::1."),
    ConfigKey::int("open.files.max", "4096")
        .at_least(64)
        .doc("How many segment files are open at once."),
    ConfigKey::long("produce.inflight.bytes", "268435456")
        .at_least(1_048_576)
        .doc("Bytes of produced batches that may wait for the disk; producers wait beyond it."),
    ConfigKey::long("request.buffer.bytes", "268435456")
        .at_least(16_777_216)
        .doc("Memory for requests that are larger than 1 MiB, over all connections; they wait while it is used up."),
    ConfigKey::long("tail.cache.bytes", "268435456")
        .at_least(1_048_576)
        .doc("Memory for the newest records, from which consumers at the tail read."),
    ConfigKey::string("tracing.filter", "info").doc("Which log lines are written, as in RUST_LOG."),
    ConfigKey::string("tracing.format", "text").rule(Rule::OneOf(&["text", "json"])).doc("How log lines look."),
    ConfigKey::long("wal.bytes", "1073741824")
        .at_least(16_777_216)
        .doc("Disk space of the shared log; at most a tenth of the file system."),
    ConfigKey::long("wal.sync.delay.ms", "0")
        .rule(Rule::Between(0, 1000))
        .doc("Added to each sync of the shared log, to measure how the broker would do on a slower disk; 0 in production."),
];
