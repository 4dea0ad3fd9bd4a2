//! What each event does to the accounts: the balance moves, the journal is told, a loss raises an alarm. The same events in
//! the same order give the same accounts, journal and alarms on every node.

use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::accounts::{Accounts, Ledger};
use super::alarm::{Alarm, AlarmCause};
use super::balance::{Account, Changes};
use super::command::{Delivery, OpenFrom, Receipt};
use super::event::{CloseReason, Happening, JournalEvent, Notes};
use super::mark::Removal;
use super::who::{Committer, CommitterKind, Reader, Who, cut};
use crate::data::LogStartReason;
use crate::group::names::GroupId;

/// What a loss is blamed on.
pub(super) struct Blame {
    cause: AlarmCause,
    who: Who,
    at: Timestamp,
}

impl Accounts {
    /// One delivery. `position` is what the group has committed in the partition; it counts if this opens the account.
    pub(crate) fn delivered(
        &mut self,
        ledger: Ledger,
        reader: &Reader,
        delivery: &Delivery,
        position: Option<Offset>,
        notes: &mut Notes,
    ) -> bool {
        let Delivery { tp, from, to, witness, at, .. } = *delivery;
        if self.is_off || from.0 < 0 || from > to {
            return false;
        }
        self.tick(at);
        self.marks_complete = false;
        self.open((tp, &reader.group), ledger, (from, position), &reader.who, notes);
        let to = to.min(ledger.log_end);
        let Some(account) = self.of_mut(tp, &reader.group).filter(|_| from < to) else {
            return self.contains(tp, &reader.group);
        };
        let mut changes = Changes::default();
        account.delivered(ledger, (from, to), witness, &mut changes);
        let (who, connection) = (reader.who.clone(), reader.connection);
        let what = Happening::Delivered { from, to, witness, who, connection };
        notes.push(JournalEvent { at, tp: Some(tp), group: Some(reader.group.clone()), what });
        self.write_down(tp, &reader.group, changes, None, notes);
        true
    }

    /// One position was committed. Whoever committed before accounts were kept moves none.
    pub(crate) fn committed(
        &mut self,
        (tp, group): (TopicPartition, &GroupId),
        ledger: Ledger,
        (to, at): (Offset, Timestamp),
        by: &Committer,
        notes: &mut Notes,
    ) {
        if self.is_off || by.kind == CommitterKind::Unrecorded {
            return;
        }
        let to = to.max(Offset::ZERO);
        self.tick(at);
        self.open((tp, group), ledger, (to, None), &by.who, notes);
        let Some(account) = self.of_mut(tp, group) else { return };
        let mut changes = Changes::default();
        let is_elsewhere = account.committed(ledger, to, &mut changes);
        // Clients commit the same position again and again; the journal need not say so.
        if !is_elsewhere && changes.moved == 0 {
            return;
        }
        let what = Happening::Committed { to, passed: to.min(ledger.log_end), by: by.clone() };
        notes.push(JournalEvent { at, tp: Some(tp), group: Some(group.clone()), what });
        let blame = Blame { cause: AlarmCause::Commit { to }, who: by.who.clone(), at };
        self.write_down(tp, group, changes, Some(&blame), notes);
    }

    /// A commit of a fenced member was refused. Opens nothing.
    pub(crate) fn refused(
        &mut self,
        (tp, group): (TopicPartition, &GroupId),
        (to, at): (Offset, Timestamp),
        by: &Committer,
        notes: &mut Notes,
    ) -> bool {
        if by.kind == CommitterKind::Unrecorded {
            return false;
        }
        let Some(account) = self.of_mut(tp, group) else { return false };
        account.refused();
        self.tick(at);
        let what = Happening::Refused { to, by: by.clone() };
        notes.push(JournalEvent { at, tp: Some(tp), group: Some(group.clone()), what });
        true
    }

    /// The log start moved to `to`; `ledger` is the partition after that.
    pub(crate) fn log_start_moved(
        &mut self,
        tp: TopicPartition,
        ledger: Ledger,
        (to, at): (Offset, Timestamp),
        why: &LogStartReason,
        notes: &mut Notes,
    ) {
        let (removal, cause) = match why {
            LogStartReason::RetentionTime => (Removal::Expired, AlarmCause::RetentionTime),
            LogStartReason::RetentionSize => (Removal::Expired, AlarmCause::RetentionSize),
            // Nothing purged is a loss, so the cause is never read.
            LogStartReason::DeleteRecords { .. } => (Removal::Purged, AlarmCause::RetentionSize),
        };
        let blame = Blame { cause, who: Who::default(), at };
        let what = Happening::LogStart { to, why: why.clone() };
        self.for_partition(tp, Some(&blame), what, notes, |account, changes| {
            account.removed(ledger, to, removal, changes);
        });
    }

    /// Records that are not for consumers were appended, or turned out to be none.
    pub(crate) fn withdrawn(
        &mut self,
        tp: TopicPartition,
        ledger: Ledger,
        (from, to): (Offset, Offset),
        notes: &mut Notes,
    ) {
        let what = Happening::Withdrawn { from, to };
        self.for_partition(tp, None, what, notes, |account, changes| {
            account.withdrawn(ledger, from, to, changes);
        });
    }

    /// Records cannot be read any more. Gives back how many accounts have them.
    pub(crate) fn lost(
        &mut self,
        tp: TopicPartition,
        ledger: Ledger,
        (from, to): (Offset, Offset),
        (why, at): (&str, Timestamp),
        notes: &mut Notes,
    ) -> u64 {
        let blame = Blame { cause: AlarmCause::Unreadable { why: cut(why) }, who: Who::default(), at };
        let to = to.min(ledger.log_end);
        let what = Happening::Lost { from, to, why: cut(why) };
        self.for_partition(tp, Some(&blame), what, notes, |account, changes| {
            account.lost(ledger, from, to, changes);
        })
    }

    /// A leader begins.
    pub(crate) fn marks_may_be_missing(
        &mut self,
        ledger: impl Fn(TopicPartition) -> Option<Ledger>,
        at: Timestamp,
        notes: &mut Notes,
    ) -> u64 {
        self.tick(at);
        if std::mem::take(&mut self.marks_complete) {
            return 0;
        }
        let known: Vec<_> = self.books.keys().filter_map(|tp| Some((*tp, ledger(*tp)?))).collect();
        let mut accounts = 0;
        for (tp, ledger) in known {
            let what = Happening::MarksMissing { below: ledger.log_end };
            accounts += self.for_partition(tp, None, what, notes, |account, _| {
                account.marks_may_be_missing(ledger, at);
            });
        }
        accounts
    }

    /// A leader stopped in good order.
    pub(crate) fn marks_are_complete(&mut self, at: Timestamp) {
        self.tick(at);
        self.marks_complete = true;
    }

    /// A person wants an account.
    pub(crate) fn open_asked(
        &mut self,
        (tp, group): (TopicPartition, &GroupId),
        ledger: Ledger,
        (from, position): (OpenFrom, Option<Offset>),
        (by, at): (&Who, Timestamp),
        notes: &mut Notes,
    ) -> bool {
        let from = match from {
            OpenFrom::Earliest => ledger.log_start,
            OpenFrom::Offset(offset) => offset,
        };
        self.tick(at);
        !self.is_off && self.open((tp, group), ledger, (from, position), by, notes)
    }

    /// Partitions were added: groups that keep accounts of their topic account for them from the beginning.
    pub(crate) fn partition_added(&mut self, tp: TopicPartition, ledger: Ledger, notes: &mut Notes) {
        for group in self.groups_of_topic(tp.topic) {
            self.open((tp, &group), ledger, (Offset::ZERO, None), &Who::default(), notes);
        }
    }

    /// A handler's word.
    pub(crate) fn receipt(
        &mut self,
        ledger: Ledger,
        receipt: &Receipt,
        (by, at): (&Who, Timestamp),
        notes: &mut Notes,
    ) -> bool {
        let Receipt { tp, ref group, from, to, outcome } = *receipt;
        if from.0 < 0 || from >= to {
            return false;
        }
        let Some(account) = self.of_mut(tp, group) else { return false };
        let mut changes = Changes::default();
        let is_news = account.receipt(ledger, (from, to), outcome, &mut changes);
        self.tick(at);
        // A client says again what it does not know to have arrived; the journal need not.
        if !is_news {
            return true;
        }
        let to = to.min(ledger.log_end);
        let what = Happening::Receipt { from, to, outcome, who: by.clone() };
        notes.push(JournalEvent { at, tp: Some(tp), group: Some(group.clone()), what });
        self.write_down(tp, group, changes, None, notes);
        true
    }

    /// A group is gone, or its positions in some partitions; None for all of them.
    pub(crate) fn group_ended(
        &mut self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        why: CloseReason,
        ledger: impl Fn(TopicPartition) -> Option<Ledger>,
        notes: &mut Notes,
    ) {
        let tps: Vec<TopicPartition> = match partitions {
            Some(partitions) => partitions.to_vec(),
            None => self.of_group(group).map(|(tp, _)| tp).collect(),
        };
        for tp in tps {
            if let Some(ledger) = ledger(tp) {
                self.close(tp, group, why, ledger, notes);
            }
        }
    }

    /// A partition is gone: what nobody was given is purged, then the accounts end.
    pub(crate) fn partition_ended(&mut self, tp: TopicPartition, ledger: Ledger, notes: &mut Notes) {
        let groups: Vec<GroupId> = self.of_partition(tp).map(|(group, _)| group.clone()).collect();
        for group in groups {
            let mut changes = Changes::default();
            if let Some(account) = self.of_mut(tp, &group) {
                account.removed(ledger, ledger.log_end, Removal::Purged, &mut changes);
            }
            self.write_down(tp, &group, changes, None, notes);
            self.close(tp, &group, CloseReason::TopicDeleted, ledger, notes);
        }
    }

    /// Accounts are kept from now on, or all of them end.
    pub(crate) fn switch(
        &mut self,
        (on, at): (bool, Timestamp),
        ledger: impl Fn(TopicPartition) -> Option<Ledger>,
        notes: &mut Notes,
    ) -> u64 {
        self.tick(at);
        if self.is_off != on {
            return 0;
        }
        self.is_off = !on;
        let all: Vec<_> = self.iter().map(|(tp, group, _)| (tp, group.clone())).collect();
        for (tp, group) in &all {
            if let Some(ledger) = ledger(*tp) {
                self.close(*tp, group, CloseReason::SwitchedOff, ledger, notes);
            }
        }
        notes.push(JournalEvent { at, tp: None, group: None, what: Happening::Switched { on } });
        all.len() as u64
    }

    /// A person has seen alarms.
    pub(crate) fn acknowledged(
        &mut self,
        ids: Option<&[u64]>,
        (by, at): (&Who, Timestamp),
        notes: &mut Notes,
    ) -> u64 {
        self.tick(at);
        let alarms = self.alarms.acknowledge(ids);
        let what = Happening::Acknowledged { alarms, who: by.clone() };
        notes.push(JournalEvent { at, tp: None, group: None, what });
        alarms
    }

    /// The journal before `to` goes: accounts that were opened or stated before are stated anew behind it.
    pub(crate) fn journal_trimmed(
        &mut self,
        (to, at): (Offset, Timestamp),
        ledger: impl Fn(TopicPartition) -> Option<Ledger>,
        notes: &mut Notes,
    ) {
        self.tick(at);
        for (tp, book) in &mut self.books {
            let Some(ledger) = ledger(*tp) else { continue };
            for (group, account) in book.iter_mut().filter(|(_, account)| account.stated_at < to) {
                account.catch_up(ledger);
                account.stated_at = notes.next();
                let what = Happening::Statement(account.clone());
                notes.push(JournalEvent { at, tp: Some(*tp), group: Some(group.clone()), what });
            }
        }
        notes.push(JournalEvent { at, tp: None, group: None, what: Happening::Trimmed { to } });
    }

    pub(super) fn of_mut(&mut self, tp: TopicPartition, group: &GroupId) -> Option<&mut Account> {
        self.books.get_mut(&tp)?.get_mut(group).map(Box::as_mut)
    }

    /// One event for all accounts of a partition; nothing is said if there are none. Gives back how many there are.
    pub(super) fn for_partition(
        &mut self,
        tp: TopicPartition,
        blame: Option<&Blame>,
        what: Happening,
        notes: &mut Notes,
        change: impl Fn(&mut Account, &mut Changes),
    ) -> u64 {
        let Some(book) = self.books.get_mut(&tp) else { return 0 };
        let at = blame.map_or(self.clock, |blame| blame.at);
        self.clock = self.clock.max(at);
        notes.push(JournalEvent { at, tp: Some(tp), group: None, what });
        let accounts = book.len() as u64;
        let mut all = Vec::new();
        for (group, account) in book {
            let mut changes = Changes::default();
            change(account, &mut changes);
            if !changes.settled.is_empty() || !changes.merged.is_empty() {
                all.push((group.clone(), changes));
            }
        }
        for (group, changes) in all {
            self.write_down(tp, &group, changes, blame, notes);
        }
        accounts
    }

    /// Journal and alarms for what an event did to an account.
    fn write_down(
        &mut self,
        tp: TopicPartition,
        group: &GroupId,
        changes: Changes,
        blame: Option<&Blame>,
        notes: &mut Notes,
    ) {
        let at = blame.map_or(self.clock, |blame| blame.at);
        let window = self.account(tp, group).and_then(|account| account.window);
        let mut push = |what| {
            notes.push(JournalEvent { at, tp: Some(tp), group: Some(group.clone()), what });
        };
        for change in changes.settled {
            push(Happening::Settled { from: change.from, to: change.to, class: change.class });
            let Some(blame) = blame.filter(|_| change.class.is_loss()) else { continue };
            self.alarms.raise(Alarm {
                id: 0,
                tp,
                group: group.clone(),
                class: change.class,
                from: change.from,
                to: change.to,
                records: (change.to.0 - change.from.0) as u64,
                merged: 0,
                cause: blame.cause.clone(),
                who: blame.who.clone(),
                at,
                in_crash_window: window.is_some_and(|window| change.from < window.below),
            });
        }
        for (from, to, into) in changes.merged {
            push(Happening::Merged { from, to, into });
        }
    }
}
