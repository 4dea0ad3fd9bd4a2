//! What readers see of an account: the equation's terms, the offsets of everything exceptional, and whether it comes out.
//! Changes nothing; a mismatch is said, never repaired.

use tallymq_model::{Offset, Timestamp};
use thiserror::Error;

use super::accounts::Ledger;
use super::balance::{Account, CrashWindow, Tallies};
use super::class::{Class, Counts};
use super::mark::Mark;

/// Offsets of one mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// What they are.
    pub mark: Mark,
}

/// One account at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// The first offset that is accounted for.
    pub opened_at: Offset,
    /// When the account opened, in milliseconds.
    pub opened_time: Timestamp,
    /// The position that was committed last since then.
    pub position: Option<Offset>,
    /// The left side of the equation, counted by appends.
    pub stored: u64,
    /// The right side, each class counted by its own events.
    pub classes: Counts,
    /// Of those in flight: delivered, but perhaps to another group.
    pub possible: u64,
    /// Records with a receipt of their handler; a lower bound if receipts came widely scattered.
    pub handled: u64,
    /// What is counted beside the equation.
    pub tallies: Tallies,
    /// Below here nothing is known per offset any more, only per class.
    pub settled_to: Offset,
    /// The offsets of what is exceptional, and not only counted; in order.
    pub exceptional: Vec<Interval>,
    /// Deliveries below this may have lost their mark in a crash.
    pub window: Option<CrashWindow>,
    /// Why the equation does not come out; empty if it does.
    pub imbalances: Vec<Imbalance>,
}

/// An equation that does not come out.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Imbalance {
    /// The classes' sum is not what was stored.
    #[error("{stored} records were stored, and the classes add up to {classes}")]
    Sum {
        /// Counted by appends.
        stored: u64,
        /// All classes.
        classes: u64,
    },
    /// What was stored is not what the offsets say.
    #[error("{stored} records were stored, and there are {offsets} offsets")]
    Offsets {
        /// Counted by appends.
        stored: u64,
        /// From the opening to the log end.
        offsets: u64,
    },
    /// A class's events and its intervals differ.
    #[error("by its events {counted} records are {}, by the intervals {intervals}", .class.name())]
    Class {
        /// Which.
        class: Class,
        /// By events.
        counted: u64,
        /// By intervals.
        intervals: u64,
    },
}

impl Account {
    /// The first offset that is accounted for.
    pub fn opened_at(&self) -> Offset {
        self.opened_at
    }

    /// The position that was committed last.
    pub fn position(&self) -> Option<Offset> {
        self.position
    }

    /// The classes, each by its own events, with what was appended by now.
    pub fn classes(&self, ledger: Ledger) -> Counts {
        let mut counts = self.counts;
        counts.add(Class::Pending, ledger.appended.saturating_sub(self.appended_seen));
        counts
    }

    /// Records since the account opened, counted by appends.
    pub fn stored(&self, ledger: Ledger) -> u64 {
        self.stored.saturating_add(ledger.appended.saturating_sub(self.appended_seen))
    }

    /// Records with a receipt of their handler; a lower bound if receipts came widely scattered.
    pub fn handled(&self) -> u64 {
        self.handled.count()
    }

    /// Marks by offset, from the settle point up to the log end.
    pub fn intervals(&self, ledger: Ledger) -> impl Iterator<Item = Interval> + '_ {
        let tail = self.runs.tail();
        let pending = (tail < ledger.log_end.0).then_some((tail, ledger.log_end.0, Mark::Pending));
        let interval = |(from, to, mark)| Interval { from: Offset(from), to: Offset(to), mark };
        self.runs.iter().chain(pending).map(interval)
    }

    /// Compares events, intervals and appends.
    pub fn check(&self, ledger: Ledger) -> Vec<Imbalance> {
        let (stored, counted) = (self.stored(ledger), self.classes(ledger));
        let mut intervals = self.folded;
        for interval in self.intervals(ledger) {
            if let Some(class) = interval.mark.class() {
                intervals.add(class, interval.to.0.saturating_sub(interval.from.0).max(0) as u64);
            }
        }
        let mut found = Vec::new();
        if counted.total() != stored {
            found.push(Imbalance::Sum { stored, classes: counted.total() });
        }
        let offsets = ledger.log_end.0.saturating_sub(self.opened_at.0).max(0) as u64;
        if offsets != stored {
            found.push(Imbalance::Offsets { stored, offsets });
        }
        found.extend(
            counted
                .iter()
                .filter(|(class, counted)| intervals.of(*class) != *counted)
                .map(|(class, counted)| Imbalance::Class { class, counted, intervals: intervals.of(class) }),
        );
        found
    }

    /// All of an account that has ended, as its last statement has it: that was brought up to date then.
    pub fn last_view(&self) -> AccountView {
        let stored = i64::try_from(self.stored).unwrap_or(i64::MAX);
        let log_end = Offset(self.opened_at.0.saturating_add(stored));
        self.view(Ledger { log_start: self.opened_at, log_end, appended: self.appended_seen })
    }

    /// All of it.
    pub fn view(&self, ledger: Ledger) -> AccountView {
        let is_exceptional =
            |interval: &Interval| interval.mark.class().is_some_and(|class| class.is_exceptional());
        let possible = self.intervals(ledger).filter(|interval| interval.mark == Mark::Possible);
        AccountView {
            opened_at: self.opened_at,
            opened_time: self.opened_time,
            position: self.position,
            stored: self.stored(ledger),
            classes: self.classes(ledger),
            possible: possible.map(|interval| (interval.to.0 - interval.from.0) as u64).sum(),
            handled: self.handled.count(),
            tallies: self.tallies,
            settled_to: Offset(self.runs.from()),
            exceptional: self.intervals(ledger).filter(is_exceptional).collect(),
            window: self.window,
            imbalances: self.check(ledger),
        }
    }
}
