//! What a check found, in the order it was found.

use super::lost::Lost;

/// One place, and what is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or directory, relative to the data directory.
    pub file: String,
    /// Where in it, in bytes.
    pub position: u64,
    /// What.
    pub reason: String,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Checkpoint files.
    pub checkpoints: u64,
    /// Commit groups of the write-ahead log.
    pub wal_groups: u64,
    /// Entries that were replayed.
    pub wal_entries: u64,
    /// Partitions.
    pub partitions: u64,
    /// Segment files.
    pub segments: u64,
    /// Batches in them, up to the checkpoints.
    pub batches: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Batches compared between segments and write-ahead log.
    pub compared: u64,
    /// Accounts.
    pub accounts: u64,
    /// Events of their journals.
    pub journal_events: u64,
    /// Alarms that nobody acknowledged.
    pub alarms: u64,
    /// Bytes that could not be looked at, because what is in front of them is damaged.
    pub unchecked_bytes: u64,
}

/// All that was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What must not be.
    pub damages: Vec<Finding>,
    /// The records that cannot be read any more; each is a damage, too.
    pub lost: Vec<Lost>,
    /// What is worth knowing and harmless.
    pub notes: Vec<Finding>,
    /// How much was looked at.
    pub counts: Counts,
}

impl Report {
    /// Something that must not be.
    pub fn damage(&mut self, file: &str, position: u64, reason: impl Into<String>) {
        let found = Finding { file: file.to_owned(), position, reason: reason.into() };
        if !self.damages.contains(&found) {
            self.damages.push(found);
        }
    }

    /// Something harmless.
    pub fn note(&mut self, file: &str, position: u64, reason: impl Into<String>) {
        self.notes.push(Finding { file: file.to_owned(), position, reason: reason.into() });
    }
}
