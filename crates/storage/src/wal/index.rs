//! Where each entry is: per Raft group its vote, what is purged, and the place of every entry above. In memory only;
//! recovery builds it again. The committer changes it after the write (and sync) and before the completions.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tallymq_model::{LogIndex, RaftGroup, Term};

use super::group::GroupSnapshot;

/// Where an entry's payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u64,
    pub(super) position: u64,
    pub(super) term: Term,
    pub(super) length: u32,
    pub(super) crc: u32,
}

/// One Raft group's part of the log.
#[derive(Default)]
pub(super) struct GroupIndex {
    pub(super) vote: Option<Bytes>,
    pub(super) purged: LogIndex,
    /// From `first` on, without a gap.
    places: VecDeque<Place>,
    /// Index of the first of `places`; `purged + 1`, or above it while recovery has not seen what is missing.
    first: LogIndex,
    /// The last entry, when it lies in a file older than what was read; its places are unknown.
    unseen: Option<(LogIndex, Term)>,
}

impl GroupIndex {
    /// The last entry above what is purged.
    pub(super) fn last(&self) -> Option<(LogIndex, Term)> {
        match self.places.back() {
            Some(place) => Some((LogIndex(self.end().0 - 1), place.term)),
            None => self.unseen,
        }
    }

    /// The index of the next entry.
    pub(super) fn end(&self) -> LogIndex {
        LogIndex(self.first.0 + self.places.len() as u64)
    }

    /// The place of an entry.
    pub(super) fn place(&self, index: LogIndex) -> Option<&Place> {
        self.places.get(usize::try_from(index.0.checked_sub(self.first.0)?).ok()?)
    }

    /// Entries that are neither purged nor found.
    pub(super) fn missing(&self) -> Option<(LogIndex, LogIndex)> {
        (self.first > self.purged.next()).then(|| (self.purged.next(), LogIndex(self.first.0 - 1)))
    }
}

/// Every group's part, and how many entries each file still holds.
#[derive(Default)]
pub(super) struct Index {
    groups: BTreeMap<RaftGroup, GroupIndex>,
    /// Entries per file that are neither purged nor truncated; a file without any is not in here.
    live: BTreeMap<u64, u64>,
}

/// An entry that does not follow its group's last.
#[derive(Debug)]
pub(super) struct OutOfOrder {
    pub(super) last: LogIndex,
}

impl Index {
    pub(super) fn group(&self, group: RaftGroup) -> Option<&GroupIndex> {
        self.groups.get(&group)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = (RaftGroup, &GroupIndex)> {
        self.groups.iter().map(|(group, state)| (*group, state))
    }

    fn group_mut(&mut self, group: RaftGroup) -> &mut GroupIndex {
        self.groups.entry(group).or_insert_with(|| GroupIndex { first: LogIndex(1), ..GroupIndex::default() })
    }

    /// The oldest file that still holds an entry.
    pub(super) fn oldest_live_file(&self) -> Option<u64> {
        self.live.keys().next().copied()
    }

    pub(super) fn append(
        &mut self,
        group: RaftGroup,
        index: LogIndex,
        place: Place,
    ) -> Result<(), OutOfOrder> {
        let state = self.group_mut(group);
        if index != state.end() {
            return Err(OutOfOrder { last: LogIndex(state.end().0 - 1) });
        }
        state.places.push_back(place);
        *self.live.entry(place.file).or_default() += 1;
        Ok(())
    }

    pub(super) fn vote(&mut self, group: RaftGroup, vote: Bytes) {
        self.group_mut(group).vote = Some(vote);
    }

    /// Removes entries from `from` on; what is purged stays purged.
    pub(super) fn truncate(&mut self, group: RaftGroup, from: LogIndex) {
        let state = self.group_mut(group);
        let from = from.max(state.purged.next());
        if from < state.first {
            state.first = from;
            state.unseen = None;
        }
        let kept = (from.0 - state.first.0).min(state.places.len() as u64) as usize;
        let removed: Vec<u64> = state.places.drain(kept..).map(|place| place.file).collect();
        removed.into_iter().for_each(|file| self.entry_gone(file));
    }

    /// Removes entries through `through`, and makes the next one follow it if there is none left.
    pub(super) fn purge(&mut self, group: RaftGroup, through: LogIndex) {
        let state = self.group_mut(group);
        if through <= state.purged {
            return;
        }
        state.purged = through;
        let gone = through.next().0.saturating_sub(state.first.0).min(state.places.len() as u64);
        let removed: Vec<u64> = state.places.drain(..gone as usize).map(|place| place.file).collect();
        state.first = LogIndex(state.first.0 + gone);
        if state.first <= through {
            state.first = through.next();
        }
        if state.unseen.is_some_and(|(last, _)| last <= through) {
            state.unseen = None;
        }
        removed.into_iter().for_each(|file| self.entry_gone(file));
    }

    /// Takes over the state that a file begins with. Only the first file that is read has anything new to say.
    pub(super) fn restore(&mut self, group: RaftGroup, snapshot: GroupSnapshot) {
        if self.groups.contains_key(&group) {
            return;
        }
        let state = self.group_mut(group);
        state.vote = snapshot.vote;
        state.purged = snapshot.purged;
        state.first = snapshot.last.map_or(snapshot.purged, |(last, _)| last).next();
        state.unseen = snapshot.last;
    }

    /// What a new file must begin with.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = (RaftGroup, GroupSnapshot)> {
        self.groups().map(|(group, state)| {
            let snapshot =
                GroupSnapshot { vote: state.vote.clone(), purged: state.purged, last: state.last() };
            (group, snapshot)
        })
    }

    fn entry_gone(&mut self, file: u64) {
        if let Some(count) = self.live.get_mut(&file) {
            *count -= 1;
            if *count == 0 {
                self.live.remove(&file);
            }
        }
    }
}
