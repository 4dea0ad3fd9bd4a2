//! The bugs that are planted on purpose, as data: a proof that has not caught them proves nothing. Holds no bug itself;
//! the switches stand where the bug would be, as `tallymq_model::planted("name")`, and are constant false in release builds.
//!
//! `scripts/planted` names the tests that must catch each and demands that they do.
//!
//! A harness runs the debug build with `TALLYMQ_PLANTED=name` for each bug of its own and fails if its run comes out
//! clean, which it also does for a name that has no switch. Every switch in the sources is listed here; a test holds that.

use crate::history::Class;

/// Who must catch a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Harness {
    /// Simulated power cuts on storage alone: what was acknowledged must be there after recovery.
    StorageCuts,
    /// Flipped, cut, zeroed and swapped blocks in every kind of file: found by name, or repaired, never cut silently.
    Damage,
    /// Restarts and power cuts of a whole node under load, its clients' history checked.
    NodeRestarts,
    /// Random commands against a naive model of the broker, with restarts from log and checkpoint in between.
    BrokerModel,
    /// The account's balance and its recomputation from the files alone.
    Account,
    /// The SDK against a real broker, with kills of either.
    Sdk,
}

/// One bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlantedBug {
    /// The string given to `tallymq_model::planted`.
    pub name: &'static str,
    /// What the build does wrong with it.
    pub what: &'static str,
    /// Who must catch it.
    pub caught_by: Harness,
    /// As what the history checker reports it, where a history shows it; any one of them counts.
    pub shows_as: &'static [Class],
}

const fn bug(
    name: &'static str,
    caught_by: Harness,
    shows_as: &'static [Class],
    what: &'static str,
) -> PlantedBug {
    PlantedBug { name, what, caught_by, shows_as }
}

const LOST: &[Class] = &[Class::LostWrite, Class::Unseen];
const DOUBLED: &[Class] = &[Class::InconsistentOffsets];

/// Every planted bug.
pub const PLANTED: [PlantedBug; 33] = [
    bug(
        "ack-before-fsync",
        Harness::StorageCuts,
        LOST,
        "A group is acknowledged when it is written, before it is synced.",
    ),
    bug(
        "fsync-retried",
        Harness::StorageCuts,
        LOST,
        "A failed sync is tried again, and the second answer is believed.",
    ),
    bug(
        "dir-not-synced",
        Harness::StorageCuts,
        LOST,
        "The directory is not synced after a file is created or renamed in it.",
    ),
    bug(
        "vote-not-saved",
        Harness::StorageCuts,
        &[],
        "A Raft vote is answered without being saved (Raft §5.2).",
    ),
    bug(
        "recovery-trusts-page-cache",
        Harness::StorageCuts,
        LOST,
        "Recovery reads the WAL through the page cache, which shows what a failed sync never wrote.",
    ),
    bug(
        "stale-group-replayed",
        Harness::StorageCuts,
        DOUBLED,
        "A group left over in a recycled WAL file is replayed as new.",
    ),
    bug(
        "checkpoint-before-segments",
        Harness::StorageCuts,
        LOST,
        "A checkpoint becomes valid before the segments whose positions it names are synced.",
    ),
    bug(
        "wal-recycled-too-early",
        Harness::StorageCuts,
        LOST,
        "A WAL file is recycled before every group's checkpoint is past it.",
    ),
    bug(
        "segment-not-cut",
        Harness::StorageCuts,
        LOST,
        "Segments are not cut to their checkpoint at a restart; what the WAL brings again goes behind what is there.",
    ),
    bug(
        "damaged-tail-cut",
        Harness::Damage,
        LOST,
        "A damaged group with something newer behind it is cut off like a torn write.",
    ),
    bug(
        "record-removed-from-segment",
        Harness::Damage,
        LOST,
        "The end of the last record is left out when its batch is written to the segment.",
    ),
    bug(
        "read-before-durable",
        Harness::NodeRestarts,
        &[Class::PrecommittedRead],
        "A fetch is served records that are written but not yet synced and committed.",
    ),
    bug(
        "offset-committed-before-processing",
        Harness::NodeRestarts,
        &[Class::CommitSkip],
        "The workload's consumer commits the end of the log before it was given the records below.",
    ),
    bug(
        "commit-not-durable",
        Harness::NodeRestarts,
        &[Class::CommitLost],
        "Committed positions are left out when a checkpoint is restored.",
    ),
    bug(
        "generation-not-durable",
        Harness::NodeRestarts,
        &[Class::CommitLost],
        "A group's generation starts again at a restart, so that a member of an older one may commit.",
    ),
    bug(
        "dedup-window-lost",
        Harness::BrokerModel,
        DOUBLED,
        "The producers' windows are empty after a restart, so a retry is stored twice.",
    ),
    bug(
        "dedup-window-of-one",
        Harness::BrokerModel,
        DOUBLED,
        "Only a producer's last batch is remembered, not its last five (KIP-98).",
    ),
    bug(
        "producer-epoch-unchecked",
        Harness::BrokerModel,
        DOUBLED,
        "A producer with an epoch that is fenced may still write.",
    ),
    bug(
        "log-end-not-restored",
        Harness::BrokerModel,
        DOUBLED,
        "After a restart a partition gives out offsets again from its log start, not from its log end.",
    ),
    bug(
        "delivery-event-dropped",
        Harness::Account,
        &[],
        "A delivery to a member is not entered in the account.",
    ),
    bug(
        "account-not-in-commit-group",
        Harness::Account,
        &[],
        "A position is committed without the deliveries below it, which enter the account some time later.",
    ),
    bug(
        "deletion-without-wait",
        Harness::Account,
        &[],
        "A deletion does not wait for answers that are leaving, so that what they deliver counts as purged.",
    ),
    bug(
        "interval-lost-in-merge",
        Harness::Account,
        &[],
        "Two intervals of one class are merged and the gap-closing one is forgotten.",
    ),
    bug(
        "ack-before-handler",
        Harness::Sdk,
        LOST,
        "The consumer acknowledges a record before its handler returned.",
    ),
    bug(
        "receipts-behind-commit",
        Harness::Account,
        &[],
        "What handlers say of records enters the log behind the commit that passes them.",
    ),
    bug(
        "receipt-before-handler",
        Harness::Sdk,
        &[],
        "The consumer says that a record was handled before its handler returned.",
    ),
    bug(
        "spool-not-synced",
        Harness::Sdk,
        LOST,
        "The producer's spool answers before its records are on the disk.",
    ),
    bug(
        "outbox-marked-before-sent",
        Harness::Sdk,
        LOST,
        "The outbox's relay marks a message as sent before the broker acknowledged it.",
    ),
    bug(
        "inbox-outside-transaction",
        Harness::Sdk,
        &[Class::Duplicate],
        "The inbox keeps a message's id outside of the transaction that does its work.",
    ),
    bug(
        "redis-key-without-owner",
        Harness::Sdk,
        &[Class::Duplicate],
        "Whoever finishes may take a Redis inbox's key from another who works on the message by now.",
    ),
    bug(
        "key-block-unchecked",
        Harness::Damage,
        &[],
        "A block of an index of keys is believed although its checksum does not match.",
    ),
    bug(
        "key-posting-dropped",
        Harness::Damage,
        &[],
        "Some keys are left out of an index, so that a lookup does not find them.",
    ),
    bug(
        "hole-ends-at-any-batch",
        Harness::Damage,
        &[],
        "Behind damage whatever looks like two batches in a row is read, also inside of a record.",
    ),
];

/// The bug of that name.
pub fn find(name: &str) -> Option<&'static PlantedBug> {
    PLANTED.iter().find(|bug| bug.name == name)
}
