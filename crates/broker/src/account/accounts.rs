//! All accounts of one data group, by partition and group, and their alarms. What opens and closes accounts is here, and how
//! they are found; what events do to them is in `apply`.

use std::collections::BTreeMap;

use tallymq_model::{Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};

use super::alarm::Alarms;
use super::balance::Account;
use super::event::{CloseReason, Happening, JournalEvent, Notes};
use super::view::AccountView;
use super::who::Who;
use crate::group::names::GroupId;

/// Accounts of one data group. Beyond, none opens, and that is counted.
pub const ACCOUNTS_MAX: usize = 262_144;

/// What accounts have to know of their partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The first offset that is kept.
    pub log_start: Offset,
    /// The offset behind the last record.
    pub log_end: Offset,
    /// Records ever appended, counted by the appends.
    pub appended: u64,
}

/// Boxed, since a tree's nodes have room for twice as many as they hold.
type Book = BTreeMap<GroupId, Box<Account>>;

/// The accounts of one data group. Invariants: `count` is the number of accounts, at most [`ACCOUNTS_MAX`]; no book is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    pub(super) is_off: bool,
    /// Every delivery up to now has its mark: the last leader stopped in good order, and none has begun since.
    pub(super) marks_complete: bool,
    /// The newest time that a command about accounts brought, for events that bring none.
    pub(super) clock: Timestamp,
    /// Accounts that there was no room for.
    pub(super) unopened: u64,
    pub(super) count: usize,
    pub(super) books: BTreeMap<TopicPartition, Book>,
    pub(super) alarms: Alarms,
}

impl Accounts {
    /// A group's account of a partition.
    pub fn account(&self, tp: TopicPartition, group: &GroupId) -> Option<&Account> {
        self.books.get(&tp)?.get(group).map(Box::as_ref)
    }

    /// All accounts of a partition, by group.
    pub fn of_partition(&self, tp: TopicPartition) -> impl Iterator<Item = (&GroupId, &Account)> {
        self.books.get(&tp).into_iter().flatten().map(|(group, account)| (group, account.as_ref()))
    }

    /// All accounts of a group, by partition.
    pub fn of_group(&self, group: &GroupId) -> impl Iterator<Item = (TopicPartition, &Account)> {
        self.books.iter().filter_map(move |(tp, book)| Some((*tp, book.get(group)?.as_ref())))
    }

    /// All accounts, by partition and group.
    pub fn iter(&self) -> impl Iterator<Item = (TopicPartition, &GroupId, &Account)> {
        self.books
            .iter()
            .flat_map(|(tp, book)| book.iter().map(|(group, account)| (*tp, group, account.as_ref())))
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no account.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Accounts that did not open because there are too many.
    pub fn unopened(&self) -> u64 {
        self.unopened
    }

    /// Whether accounts are kept.
    pub fn is_on(&self) -> bool {
        !self.is_off
    }

    /// Losses that nobody acknowledged yet.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// What readers see of all accounts whose partition `ledger` knows and that `wanted` wants.
    pub fn views<'a>(
        &'a self,
        ledger: impl Fn(TopicPartition) -> Option<Ledger> + 'a,
        wanted: impl Fn(TopicPartition, &GroupId) -> bool + 'a,
    ) -> impl Iterator<Item = (TopicPartition, &'a GroupId, AccountView)> {
        let wanted = self.iter().filter(move |(tp, group, _)| wanted(*tp, group));
        wanted.filter_map(move |(tp, group, account)| Some((tp, group, account.view(ledger(tp)?))))
    }

    pub(super) fn tick(&mut self, at: Timestamp) {
        self.clock = self.clock.max(at);
    }

    pub(super) fn contains(&self, tp: TopicPartition, group: &GroupId) -> bool {
        self.account(tp, group).is_some()
    }

    /// Opens an account, unless there is one or no room; says whether it is new.
    pub(super) fn open(
        &mut self,
        (tp, group): (TopicPartition, &GroupId),
        ledger: Ledger,
        (at, passed_to): (Offset, Option<Offset>),
        who: &Who,
        notes: &mut Notes,
    ) -> bool {
        if self.contains(tp, group) {
            return false;
        }
        if self.count >= ACCOUNTS_MAX {
            self.unopened += 1;
            return false;
        }
        let passed_to = passed_to.map(|passed| passed.min(ledger.log_end));
        let mut account = Account::open(ledger, at, self.clock, passed_to);
        account.stated_at = notes.next();
        let what = Happening::Opened { offset: account.opened_at, passed_to, who: who.clone() };
        notes.push(JournalEvent { at: self.clock, tp: Some(tp), group: Some(group.clone()), what });
        self.books.entry(tp).or_default().insert(group.clone(), Box::new(account));
        self.count += 1;
        true
    }

    /// The groups that have an account in any partition of a topic that is here.
    pub(super) fn groups_of_topic(&self, topic: TopicId) -> Vec<GroupId> {
        let partition = |number| TopicPartition { topic, partition: PartitionIndex(number) };
        let books = self.books.range(partition(i32::MIN)..=partition(i32::MAX));
        let mut groups: Vec<GroupId> = books.flat_map(|(_, book)| book.keys().cloned()).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// Ends an account with a last statement.
    pub(super) fn close(
        &mut self,
        tp: TopicPartition,
        group: &GroupId,
        why: CloseReason,
        ledger: Ledger,
        notes: &mut Notes,
    ) {
        let Some(book) = self.books.get_mut(&tp) else { return };
        let Some(mut account) = book.remove(group) else { return };
        if book.is_empty() {
            self.books.remove(&tp);
        }
        self.count -= 1;
        account.catch_up(ledger);
        account.stated_at = notes.next();
        let what = Happening::Closed { why, statement: account };
        notes.push(JournalEvent { at: self.clock, tp: Some(tp), group: Some(group.clone()), what });
    }
}
