//! The entries that are appended but not yet applied, in memory. It covers every entry that is not yet durable, because
//! nothing is applied before it is; what is older is read from the write-ahead log.

use std::collections::VecDeque;

use super::{EngineLogId, Entry};

/// A run of entries without holes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: VecDeque<Entry>, // indexes rise by one
}

impl Cache {
    /// The first index in it.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert!(
            self.entries.back().is_none_or(|last| last.log_id.index + 1 == entry.log_id.index),
            "no holes"
        );
        self.entries.push_back(entry);
    }

    pub(super) fn at(&self, index: u64) -> Option<&Entry> {
        let position = index.checked_sub(self.first()?)?;
        self.entries.get(usize::try_from(position).ok()?)
    }

    /// Forgets entries through `applied`.
    pub(super) fn applied(&mut self, applied: &EngineLogId) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= applied.index) {
            self.entries.pop_front();
        }
    }

    /// Removes entries from `from` on.
    pub(super) fn truncate(&mut self, from: u64) {
        while self.entries.back().is_some_and(|entry| entry.log_id.index >= from) {
            self.entries.pop_back();
        }
    }

    /// Removes all.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.drain(..)
    }
}
