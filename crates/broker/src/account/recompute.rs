//! The equation once more, from the journal and the logs' bounds alone: other code than the balance, so that a mistake in
//! keeping intervals shows. Only the rules of single records (`mark`) are shared. Unbounded; for tools, not for a broker.

use std::collections::BTreeMap;
use std::fmt;

use tallymq_model::{Offset, TopicPartition};
use thiserror::Error;

use super::accounts::{Accounts, Ledger};
use super::balance::Account;
use super::class::{Class, Counts};
use super::command::ReceiptOutcome;
use super::event::{CloseReason, Happening, JournalEvent, MergedInto};
use super::mark::{Mark, Removal};
use super::recomputed_receipts::RecomputedReceipts;
use crate::data::LogStartReason;
use crate::group::names::GroupId;

/// An account's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountId {
    /// The partition.
    pub tp: TopicPartition,
    /// The group.
    pub group: GroupId,
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {} in partition {}", self.group, self.tp)
    }
}

/// What the journal says and the balance does not.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Difference {
    /// Events are missing between two.
    #[error("the journal goes from offset {expected} to offset {found}")]
    Gap {
        /// What was due.
        expected: Offset,
        /// What came.
        found: Offset,
    },
    /// The journal speaks of an account that it has not opened.
    #[error(
        "the journal has an event of {account} at offset {offset}, and no opening or statement before it"
    )]
    NotOpened {
        /// Which.
        account: AccountId,
        /// Where.
        offset: Offset,
    },
    /// The balance has an account that the journal has not.
    #[error("the balance has an account of {account}, the journal has none")]
    NotInJournal {
        /// Which.
        account: AccountId,
    },
    /// The journal has an account that the balance has not.
    #[error("the journal has an open account of {account}, the balance has none")]
    NotInBalance {
        /// Which.
        account: AccountId,
    },
    /// They open at different offsets.
    #[error("the account of {account} opened at {balance} by the balance, at {journal} by the journal")]
    Opening {
        /// Which.
        account: AccountId,
        /// By the balance.
        balance: Offset,
        /// By the journal.
        journal: Offset,
    },
    /// They stand at different positions.
    #[error("{account} stands at {balance:?} by the balance, at {journal:?} by the journal")]
    Position {
        /// Which.
        account: AccountId,
        /// By the balance.
        balance: Option<Offset>,
        /// By the journal.
        journal: Option<Offset>,
    },
    /// They count differently.
    #[error("of {account} the balance counts {balance} records as {}, the journal {journal}", .class.name())]
    Class {
        /// Which account.
        account: AccountId,
        /// Which class.
        class: Class,
        /// By the balance.
        balance: u64,
        /// By the journal.
        journal: u64,
    },
    /// They count receipts differently.
    #[error("of {account} the balance has {balance} records with a receipt, the journal {journal}")]
    Handled {
        /// Which account.
        account: AccountId,
        /// By the balance.
        balance: u64,
        /// By the journal.
        journal: u64,
    },
    /// They say different things of an offset.
    #[error("of {account} offset {offset} is {balance:?} by the balance, {journal:?} by the journal")]
    Mark {
        /// Which account.
        account: AccountId,
        /// The first offset that differs.
        offset: Offset,
        /// By the balance.
        balance: Mark,
        /// By the journal.
        journal: Mark,
    },
    /// A statement in the journal is not what the events before it give.
    #[error("the statement at journal offset {offset} is not what the events before it give: {difference}")]
    Statement {
        /// Where the statement is.
        offset: Offset,
        /// What differs.
        difference: Box<Difference>,
    },
}

/// One account as its events paint it: offset to mark, each up to the next; the last without an end.
#[derive(Clone, Debug)]
struct Painting {
    opened_at: Offset,
    position: Option<Offset>,
    window: Offset,
    /// Below the first mark, and under `Folded` ones.
    folded: Counts,
    marks: BTreeMap<i64, Mark>,
    handled: RecomputedReceipts,
}

/// The accounts as a journal gives them. Events go in in order; a trimmed journal begins anywhere, since what it still needs
/// is stated behind the trim.
#[derive(Clone, Debug, Default)]
pub struct Recomputation {
    next: Option<Offset>,
    accounts: BTreeMap<TopicPartition, BTreeMap<GroupId, Painting>>,
    /// Events of accounts that a trimmed journal has not stated yet; an error once it turns out that it never does.
    unstated: BTreeMap<AccountId, Offset>,
    differences: Vec<Difference>,
}

impl Recomputation {
    /// Nothing yet.
    pub fn new() -> Recomputation {
        Recomputation::default()
    }

    /// The next event.
    pub fn feed(&mut self, offset: Offset, event: &JournalEvent) {
        if let Some(expected) = self.next.filter(|expected| *expected != offset) {
            self.differences.push(Difference::Gap { expected, found: offset });
        }
        self.next = Some(offset.plus(1));
        match (event.tp, &event.group) {
            (Some(tp), Some(group)) => self.one(offset, AccountId { tp, group: group.clone() }, &event.what),
            (Some(tp), None) => {
                for painting in self.accounts.entry(tp).or_default().values_mut() {
                    painting.partition_event(&event.what);
                }
            }
            _ => {}
        }
    }

    /// Compares with the balance. Empty if nothing differs.
    pub fn compare(
        mut self,
        accounts: &Accounts,
        ledger: impl Fn(TopicPartition) -> Option<Ledger>,
    ) -> Vec<Difference> {
        let mut differences = std::mem::take(&mut self.differences);
        let not_opened = |(account, offset)| Difference::NotOpened { account, offset };
        differences.extend(std::mem::take(&mut self.unstated).into_iter().map(not_opened));
        for (tp, group, account) in accounts.iter() {
            let id = AccountId { tp, group: group.clone() };
            let painted = self.accounts.get_mut(&tp).and_then(|book| book.remove(group));
            match (painted, ledger(tp)) {
                (Some(painted), Some(ledger)) => painted.compare(&id, account, ledger, &mut differences),
                _ => differences.push(Difference::NotInJournal { account: id }),
            }
        }
        for (tp, book) in self.accounts {
            let only_here = |group| Difference::NotInBalance { account: AccountId { tp, group } };
            differences.extend(book.into_keys().map(only_here));
        }
        differences
    }

    fn one(&mut self, offset: Offset, id: AccountId, what: &Happening) {
        let book = self.accounts.entry(id.tp).or_default();
        match what {
            Happening::Opened { offset: at, passed_to, .. } => {
                book.insert(id.group.clone(), Painting::open(*at, *passed_to));
                self.unstated.remove(&id);
            }
            Happening::Statement(statement) => {
                if let Some(painting) = book.insert(id.group.clone(), Painting::stated(statement)) {
                    painting.compare_stated(offset, &id, statement, &mut self.differences);
                }
                self.unstated.remove(&id);
            }
            Happening::Closed { why, statement } => {
                if let Some(mut painting) = book.remove(&id.group) {
                    if *why == CloseReason::TopicDeleted {
                        let end = stored_end(statement);
                        painting.paint(painting.opened_at, end, |mark| mark.removed(Removal::Purged));
                    }
                    painting.compare_stated(offset, &id, statement, &mut self.differences);
                }
                self.unstated.remove(&id);
            }
            what => match book.get_mut(&id.group) {
                Some(painting) => painting.event(what),
                None => drop(self.unstated.entry(id).or_insert(offset)),
            },
        }
    }
}

/// Where the log ended when a statement was made.
fn stored_end(statement: &Account) -> Offset {
    Offset(statement.opened_at.0.saturating_add_unsigned(statement.stored))
}

impl Painting {
    fn open(at: Offset, passed_to: Option<Offset>) -> Painting {
        let mut painting = Painting {
            opened_at: at,
            position: passed_to,
            window: Offset::ZERO,
            folded: Counts::default(),
            marks: BTreeMap::from([(at.0, Mark::Pending)]),
            handled: RecomputedReceipts::default(),
        };
        if let Some(passed) = passed_to {
            painting.paint(at, passed, |mark| mark.passed(true));
        }
        painting
    }

    fn stated(statement: &Account) -> Painting {
        let mut marks: BTreeMap<i64, Mark> =
            statement.runs.iter().map(|(start, _, mark)| (start, mark)).collect();
        marks.insert(statement.runs.tail(), Mark::Pending);
        let (below, intervals) = statement.handled.parts();
        Painting {
            opened_at: statement.opened_at,
            position: statement.position,
            window: statement.window.map_or(Offset::ZERO, |window| window.below),
            folded: statement.folded,
            marks,
            handled: RecomputedReceipts::stated(statement.handled.count(), below, intervals),
        }
    }

    fn event(&mut self, what: &Happening) {
        match what {
            Happening::Delivered { from, to, witness, .. } => {
                self.paint(*from, *to, |mark| mark.delivered(*witness));
            }
            Happening::Committed { to, passed, .. } => {
                let window = self.window.min(*passed);
                self.paint(self.opened_at, window, |mark| mark.passed(true));
                self.paint(window, *passed, |mark| mark.passed(false));
                self.position = Some(*to);
            }
            Happening::Receipt { from, to, outcome, .. } => match outcome {
                ReceiptOutcome::Handled => self.handled.add(from.0.max(self.opened_at.0), to.0),
                ReceiptOutcome::DeadLettered => self.paint(*from, *to, Mark::dead_lettered),
            },
            Happening::Merged { from, to, into } => self.merged(*from, *to, *into),
            _ => {}
        }
    }

    fn partition_event(&mut self, what: &Happening) {
        match what {
            Happening::LogStart { to, why } => {
                let removal = match why {
                    LogStartReason::DeleteRecords { .. } => Removal::Purged,
                    LogStartReason::RetentionTime | LogStartReason::RetentionSize => Removal::Expired,
                };
                self.paint(self.opened_at, *to, |mark| mark.removed(removal));
            }
            Happening::MarksMissing { below } => self.window = self.window.max(*below),
            Happening::Withdrawn { from, to } => self.paint(*from, *to, Mark::withdrawn),
            Happening::Lost { from, to, .. } => self.paint(*from, *to, Mark::lost),
            _ => {}
        }
    }

    fn merged(&mut self, from: Offset, to: Offset, into: MergedInto) {
        match into {
            MergedInto::Possible => self.paint(from, to, |_| Mark::Possible),
            MergedInto::Unwitnessed => self.paint(from, to, |_| Mark::Unwitnessed),
            MergedInto::Counts => {
                for (start, end, mark) in self.pieces(from.0, to.0) {
                    if let Some(class) = mark.class() {
                        self.folded.add(class, (end - start) as u64);
                    }
                }
                self.paint(from, to, |_| Mark::Folded);
            }
        }
    }

    /// Start, end and mark of what `from..to` consists of.
    fn pieces(&self, from: i64, to: i64) -> Vec<(i64, i64, Mark)> {
        let begins_inside = self.marks.range(..=from).next_back().map(|(_, mark)| (from, *mark));
        let inside = self.marks.range(from.saturating_add(1)..).take_while(|(start, _)| **start < to);
        let starts: Vec<(i64, Mark)> =
            begins_inside.into_iter().chain(inside.map(|(start, mark)| (*start, *mark))).collect();
        let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([to]);
        let pieces = starts.iter().zip(ends).filter(|((start, _), end)| start < end);
        pieces.map(|((start, mark), end)| (*start, end, *mark)).collect()
    }

    fn paint(&mut self, from: Offset, to: Offset, rule: impl Fn(Mark) -> Mark) {
        let lowest = self.marks.keys().next().copied().unwrap_or(i64::MAX);
        let (from, to) = (from.0.max(lowest), to.0);
        if from >= to {
            return;
        }
        let behind = self.marks.range(..=to).next_back().map_or(Mark::Pending, |(_, mark)| *mark);
        for (start, _, mark) in self.pieces(from, to) {
            self.marks.insert(start, rule(mark));
        }
        self.marks.insert(to, behind);
        self.join(from, to);
        self.fold_front();
    }

    /// Equal neighbours become one.
    fn join(&mut self, from: i64, to: i64) {
        let mut before = self.marks.range(..from).next_back().map(|(_, mark)| *mark);
        let starts: Vec<i64> = self.marks.range(from..=to).map(|(start, _)| *start).collect();
        for start in starts {
            let mark = self.marks[&start];
            if before == Some(mark) {
                self.marks.remove(&start);
            }
            before = Some(mark);
        }
    }

    /// What came to its usual end at the front is only counted, as in the balance.
    fn fold_front(&mut self) {
        loop {
            let mut first = self.marks.iter().take(2);
            let (Some((&start, &mark)), Some((&end, _))) = (first.next(), first.next()) else { return };
            if !mark.is_plain() {
                return;
            }
            if let Some(class) = mark.class() {
                self.folded.add(class, (end - start) as u64);
            }
            self.marks.remove(&start);
        }
    }

    fn compare_stated(
        &self,
        offset: Offset,
        id: &AccountId,
        statement: &Account,
        differences: &mut Vec<Difference>,
    ) {
        let end = stored_end(statement);
        let ledger = Ledger { log_start: Offset::ZERO, log_end: end, appended: statement.appended_seen };
        let mut found = Vec::new();
        self.compare(id, statement, ledger, &mut found);
        let wrap = |difference| Difference::Statement { offset, difference: Box::new(difference) };
        differences.extend(found.into_iter().map(wrap));
    }

    fn compare(&self, id: &AccountId, account: &Account, ledger: Ledger, found: &mut Vec<Difference>) {
        let id = || id.clone();
        let (balance, journal) = (account.opened_at(), self.opened_at);
        if balance != journal {
            found.push(Difference::Opening { account: id(), balance, journal });
        }
        let (balance, journal) = (account.position(), self.position);
        if balance != journal {
            found.push(Difference::Position { account: id(), balance, journal });
        }
        let painted = self.counts(ledger.log_end.0);
        for (class, balance) in account.classes(ledger).iter() {
            let journal = painted.of(class);
            if balance != journal {
                found.push(Difference::Class { account: id(), class, balance, journal });
            }
        }
        let (balance, journal) = (account.handled.count(), self.handled.records());
        if balance != journal {
            found.push(Difference::Handled { account: id(), balance, journal });
        }
        found.extend(self.first_mark_that_differs(id(), account, ledger));
    }

    fn counts(&self, log_end: i64) -> Counts {
        let mut counts = self.folded;
        let lowest = self.marks.keys().next().copied().unwrap_or(log_end);
        for (start, end, mark) in self.pieces(lowest, log_end) {
            if let Some(class) = mark.class() {
                counts.add(class, (end - start) as u64);
            }
        }
        counts
    }

    fn first_mark_that_differs(
        &self,
        id: AccountId,
        account: &Account,
        ledger: Ledger,
    ) -> Option<Difference> {
        let lowest = self.marks.keys().next().copied().unwrap_or(i64::MAX);
        for interval in account.intervals(ledger) {
            for (start, _, journal) in self.pieces(interval.from.0.max(lowest), interval.to.0) {
                if journal != interval.mark {
                    let (offset, balance) = (Offset(start), interval.mark);
                    return Some(Difference::Mark { account: id, offset, balance, journal });
                }
            }
        }
        None
    }
}

/// Everything in one call: the events of a whole journal, against the accounts that were applied with them.
pub fn compare<'a>(
    events: impl IntoIterator<Item = &'a (Offset, JournalEvent)>,
    accounts: &Accounts,
    ledger: impl Fn(TopicPartition) -> Option<Ledger>,
) -> Vec<Difference> {
    let mut recomputation = Recomputation::new();
    for (offset, event) in events {
        recomputation.feed(*offset, event);
    }
    recomputation.compare(accounts, ledger)
}
