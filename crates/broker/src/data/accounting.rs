//! The accounts of a data group among its partitions and positions: every command that an account cares about moves it in the
//! same apply. The rules of accounts are in `account`; here they are only given what they need.

use tallymq_model::{Offset, Term, Timestamp, TopicPartition};

use super::DataGroup;
use super::command::MoveLogStart;
use super::outcome::LogStartMoved;
use super::partition::Partition;
use crate::account::journal::JournalAppend;
use crate::account::{
    AccountCommand, AccountOutcome, AccountView, Accounts, CloseReason, Ledger, Notes, OpenFrom, Receipt, Who,
};
use crate::group::{GroupCommand, GroupId};

impl DataGroup {
    /// The accounts of all groups for the partitions that are here.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// What accounts have to know of a partition.
    pub fn ledger(&self, tp: TopicPartition) -> Option<Ledger> {
        self.partitions.get(&tp).map(Partition::ledger)
    }

    /// The accounts that `wanted` wants, with everything that there is to see, by partition and group.
    pub fn account_views<'a>(
        &'a self,
        wanted: impl Fn(TopicPartition, &GroupId) -> bool + 'a,
    ) -> impl Iterator<Item = (TopicPartition, &'a GroupId, AccountView)> {
        self.accounts.views(|tp| self.ledger(tp), wanted)
    }

    /// The journal's bounds: its first offset that is kept, and the one behind its last event.
    pub fn journal_bounds(&self) -> (Offset, Offset) {
        self.journal.as_ref().map_or_else(Default::default, |log| (log.log_start(), log.log_end()))
    }

    pub(super) fn apply_account(&mut self, command: &AccountCommand, notes: &mut Notes) -> AccountOutcome {
        let partitions = &self.partitions;
        let ledger = |tp: TopicPartition| partitions.get(&tp).map(Partition::ledger);
        let positions = self.groups.positions();
        let position = |group: &GroupId, tp| positions.position(group, tp).map(|position| position.offset);
        let accounts = &mut self.accounts;
        if !accounts.is_on() && needs_accounts(command) {
            return AccountOutcome::SwitchedOff;
        }
        let mut about = 0;
        match command {
            AccountCommand::Deliver { readers, deliveries } => {
                for delivery in deliveries {
                    let Some(reader) = readers.get(delivery.reader as usize) else { continue };
                    let Some(ledger) = ledger(delivery.tp) else { continue };
                    let position = position(&reader.group, &delivery.tp);
                    about += u64::from(accounts.delivered(ledger, reader, delivery, position, notes));
                }
            }
            AccountCommand::MarksMayBeMissing { at } => {
                about = accounts.marks_may_be_missing(ledger, *at, notes)
            }
            AccountCommand::MarksComplete { at } => accounts.marks_are_complete(*at),
            AccountCommand::ReadsInDoubt { below, at } => {
                about = accounts.reads_in_doubt(below, *at, ledger, notes);
            }
            AccountCommand::StateAccounts { accounts: which, at } => {
                about = accounts.stated(which, *at, ledger, notes);
            }
            AccountCommand::OpenAccount { group, partitions, from, by, at } => {
                for tp in partitions {
                    let Some(ledger) = ledger(*tp) else { continue };
                    let from = (*from, position(group, tp));
                    about += u64::from(accounts.open_asked((*tp, group), ledger, from, (by, *at), notes));
                }
                return AccountOutcome::Opened { accounts: about };
            }
            AccountCommand::AcknowledgeAlarms { ids, by, at } => {
                let alarms = accounts.acknowledged(ids.as_deref(), (by, *at), notes);
                return AccountOutcome::Acknowledged { alarms };
            }
            AccountCommand::Receipts { receipts, by, at } => {
                let known = |receipt: &Receipt| ledger(receipt.tp);
                for (receipt, ledger) in receipts.iter().filter_map(|one| Some((one, known(one)?))) {
                    about += u64::from(accounts.receipt(ledger, receipt, (by, *at), notes));
                }
            }
            AccountCommand::Stored { stored, .. } => {
                for one in stored {
                    if let Some(ledger) = ledger(one.tp) {
                        one.note(ledger.log_end, notes);
                    }
                }
            }
            AccountCommand::Lost { tp, from, to, why, at } => {
                if let Some(ledger) = ledger(*tp).filter(|_| from.0 >= 0 && from < to) {
                    about = accounts.lost(*tp, ledger, (*from, *to), (why, *at), notes);
                }
            }
            AccountCommand::Refused { group, positions, by, at } => {
                for (tp, to) in positions {
                    about += u64::from(accounts.refused((*tp, group), (*to, *at), by, notes));
                }
            }
            AccountCommand::Switch { on, at } => about = accounts.switch((*on, *at), ledger, notes),
            AccountCommand::TrimJournal { to, at } => return self.trim_journal(*to, *at, notes),
        }
        AccountOutcome::Noted { accounts: about }
    }

    fn trim_journal(&mut self, to: Offset, at: Timestamp, notes: &mut Notes) -> AccountOutcome {
        let partitions = &self.partitions;
        let ledger = |tp: TopicPartition| partitions.get(&tp).map(Partition::ledger);
        let to = to.min(notes.next());
        let Some(journal) = self.journal.as_mut().filter(|journal| to > journal.log_start()) else {
            let (log_start, _) = self.journal_bounds();
            return AccountOutcome::JournalTrimmed { log_start };
        };
        self.accounts.journal_trimmed((to, at), ledger, notes);
        let moved = journal.move_log_start(to);
        debug_assert!(moved.is_ok(), "bounded by its end");
        AccountOutcome::JournalTrimmed { log_start: to }
    }

    /// Partitions were added that these groups account for from their beginning.
    pub(super) fn account_added(
        &mut self,
        opened: &[TopicPartition],
        groups: &[GroupId],
        at: Timestamp,
        notes: &mut Notes,
    ) {
        let from = (OpenFrom::Offset(Offset::ZERO), None);
        for tp in opened {
            let Some(ledger) = self.ledger(*tp) else { continue };
            for group in groups {
                self.accounts.open_asked((*tp, group), ledger, from, (&Who::default(), at), notes);
            }
        }
    }

    /// What a group's command means for its accounts, after it was applied; `refused` are the partitions whose commit was not.
    pub(super) fn account_group(
        &mut self,
        command: &GroupCommand,
        fenced: &[TopicPartition],
        notes: &mut Notes,
    ) {
        let partitions = &self.partitions;
        let ledger = |tp: TopicPartition| partitions.get(&tp).map(Partition::ledger);
        let accounts = &mut self.accounts;
        match command {
            GroupCommand::CommitPositions { group, positions, by, .. } => {
                for commit in positions {
                    let tp = commit.partition;
                    let Some(ledger) = ledger(tp) else { continue };
                    let (account, commit) = ((tp, group), (commit.offset, commit.committed_at));
                    if fenced.contains(&tp) {
                        accounts.refused(account, commit, by, notes);
                    } else {
                        accounts.committed(account, ledger, commit, by, notes);
                    }
                }
            }
            GroupCommand::DeletePositions { group, partitions } => {
                let why = match partitions {
                    Some(_) => CloseReason::PositionDeleted,
                    None => CloseReason::GroupDeleted,
                };
                accounts.group_ended(group, partitions.as_deref(), why, ledger, notes);
            }
            GroupCommand::Deleted { group } if self.groups.group(group).is_none() => {
                accounts.group_ended(group, None, CloseReason::GroupDeleted, ledger, notes);
            }
            _ => {}
        }
    }

    pub(super) fn account_log_start(
        &mut self,
        asked: &MoveLogStart,
        moved: LogStartMoved,
        notes: &mut Notes,
    ) {
        if moved.log_start > moved.from
            && let Some(ledger) = self.ledger(asked.tp)
        {
            let to = (moved.log_start, asked.now);
            self.accounts.log_start_moved(asked.tp, ledger, to, &asked.why, notes);
        }
    }

    /// The events get their place in the journal.
    pub(super) fn close_notes(&mut self, notes: Notes, term: Term) -> Option<JournalAppend> {
        let events = notes.into_events();
        if events.is_empty() {
            return None;
        }
        let journal = self.journal.get_or_insert_with(|| Partition::open(Default::default(), term));
        let (base_offset, leader_epoch) = journal.assign(events.len() as i64, term);
        Some(JournalAppend { base_offset, leader_epoch, events })
    }
}

/// Whether a command does nothing while no accounts are kept.
fn needs_accounts(command: &AccountCommand) -> bool {
    !matches!(
        command,
        AccountCommand::AcknowledgeAlarms { .. }
            | AccountCommand::Switch { .. }
            | AccountCommand::TrimJournal { .. }
            | AccountCommand::MarksMayBeMissing { .. }
            | AccountCommand::MarksComplete { .. }
            | AccountCommand::ReadsInDoubt { .. }
            | AccountCommand::StateAccounts { .. }
    )
}
