//! The balance of one partition for one group: a mark for each record as runs, and a count per class that is moved by the
//! events themselves, so that the two can be compared. Knows no group, no member and no alarm.

use tallymq_model::{Offset, Timestamp};

use super::accounts::Ledger;
use super::class::{Class, Counts};
use super::command::ReceiptOutcome;
use super::event::MergedInto;
use super::handled::Handled;
use super::mark::{Mark, Removal, Witness};
use super::runs::{Piece, Runs};

/// Runs of one account. Beyond, the oldest settled ones become mere counts, and then neighbours are merged, which is counted.
pub const RUNS_MAX: usize = 1024;

/// Runs that are weighed against each other when two must become one: the oldest, so that what is new stays exact.
const RUNS_WEIGHED: usize = 128;

/// Deliveries below an offset may have lost their mark in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashWindow {
    /// The log end when the next leader began.
    pub below: Offset,
    /// When that was.
    pub at: Timestamp,
}

/// What an account counts beside the equation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Records delivered again after they had been delivered, settled or removed.
    pub redelivered: u64,
    /// Skipped or unwitnessed records that were delivered after all, and then acknowledged or dead-lettered.
    pub recovered: u64,
    /// Commits of fenced members.
    pub refused: u64,
    /// Records whose class became *possible* or *unwitnessed* only to bound the account.
    pub merged_records: u64,
    /// Runs with something exceptional whose offsets were forgotten to bound the account; their records still count.
    pub runs_folded: u64,
}

/// Offsets `from..to` that changed their class to one that people want to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// Where they count now.
    pub class: Class,
}

/// What one event did to an account, beyond the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the order of their offsets.
    pub settled: Vec<Change>,
    /// What was merged or folded to stay bounded, in order.
    pub merged: Vec<(Offset, Offset, MergedInto)>,
    /// Records whose mark changed, whatever it is now.
    pub moved: u64,
}

/// One account. Invariants, see [`Account::check`](super::Account::check): `counts` are `folded` plus what the runs say;
/// their sum is `stored`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub(super) opened_at: Offset,
    pub(super) opened_time: Timestamp,
    pub(super) position: Option<Offset>,
    /// Counted by appends since the account opened, and what was in the log from `opened_at` on then.
    pub(super) stored: u64,
    /// The partition's count of appended records when `stored` was last brought up to date, so that an append costs nothing
    /// per account.
    pub(super) appended_seen: u64,
    /// Moved by events.
    pub(super) counts: Counts,
    /// What the runs do not say: below their beginning, and in folded ones.
    pub(super) folded: Counts,
    pub(super) runs: Runs,
    pub(super) window: Option<CrashWindow>,
    pub(super) tallies: Tallies,
    pub(super) handled: Handled,
    /// Where in the journal this account's newest full statement is, or its opening.
    pub(super) stated_at: Offset,
}

impl Account {
    /// Opens at an offset inside the log. What a position has passed already is unwitnessed: nobody kept books then.
    pub(super) fn open(ledger: Ledger, at: Offset, time: Timestamp, passed_to: Option<Offset>) -> Account {
        let at = at.clamp(ledger.log_start, ledger.log_end);
        let stored = (ledger.log_end.0 - at.0) as u64;
        let mut counts = Counts::default();
        counts.add(Class::Pending, stored);
        let mut account = Account {
            opened_at: at,
            opened_time: time,
            position: passed_to,
            stored,
            appended_seen: ledger.appended,
            counts,
            folded: Counts::default(),
            runs: Runs::new(at.0),
            window: None,
            tallies: Tallies::default(),
            handled: Handled::default(),
            stated_at: Offset::ZERO,
        };
        if let Some(passed) = passed_to {
            let mut ignored = Changes::default();
            account.rewrite(at, passed.min(ledger.log_end), |mark| mark.passed(true), &mut ignored);
        }
        debug_assert!(account.runs.len() <= 1);
        account
    }

    /// Counts what was appended since the last look.
    pub(super) fn catch_up(&mut self, ledger: Ledger) {
        let appended = ledger.appended.saturating_sub(self.appended_seen);
        self.appended_seen = ledger.appended;
        self.stored = self.stored.saturating_add(appended);
        self.counts.add(Class::Pending, appended);
    }

    /// `from..to` was delivered.
    pub(super) fn delivered(
        &mut self,
        ledger: Ledger,
        (from, to): (Offset, Offset),
        witness: Witness,
        changes: &mut Changes,
    ) {
        self.catch_up(ledger);
        if tallymq_model::planted("delivery-event-dropped") {
            return;
        }
        let (from, to) = (from.max(self.opened_at), to.min(ledger.log_end));
        if witness == Witness::Exact {
            let below = to.0.min(self.runs.from()) - from.0;
            self.tallies.redelivered += below.max(0) as u64;
        }
        let (counts, tallies) = (&mut self.counts, &mut self.tallies);
        self.runs.rewrite(
            from.0,
            to.0,
            |mark| mark.delivered(witness),
            |piece| {
                if witness == Witness::Exact && piece.old.is_redelivery() {
                    tallies.redelivered += piece.records();
                }
                note(counts, tallies, &piece, changes);
            },
        );
        self.settle(changes);
    }

    /// The position is `to` now; gives back whether it was elsewhere. One that goes back moves nothing but itself.
    pub(super) fn committed(&mut self, ledger: Ledger, to: Offset, changes: &mut Changes) -> bool {
        self.catch_up(ledger);
        let passed = to.min(ledger.log_end);
        let window = self.window.map_or(Offset::ZERO, |window| window.below).min(passed);
        self.rewrite(self.opened_at, window, |mark| mark.passed(true), changes);
        self.rewrite(window.max(self.opened_at), passed, |mark| mark.passed(false), changes);
        self.settle(changes);
        self.position.replace(to) != Some(to)
    }

    /// Everything below `to` left the log.
    pub(super) fn removed(&mut self, ledger: Ledger, to: Offset, why: Removal, changes: &mut Changes) {
        self.catch_up(ledger);
        self.rewrite(self.opened_at, to.min(ledger.log_end), |mark| mark.removed(why), changes);
        self.settle(changes);
    }

    /// `from..to` cannot be read any more.
    pub(super) fn lost(&mut self, ledger: Ledger, from: Offset, to: Offset, changes: &mut Changes) {
        self.catch_up(ledger);
        self.rewrite(from, to.min(ledger.log_end), Mark::lost, changes);
        self.settle(changes);
    }

    /// Whether some of `from..to` would be lost if it turned out to be unreadable.
    pub fn would_lose(&self, from: Offset, to: Offset) -> bool {
        self.runs.changed_span(from.0, to.0, Mark::lost).is_some()
    }

    /// `from..to` is not for consumers.
    pub(super) fn withdrawn(&mut self, ledger: Ledger, from: Offset, to: Offset, changes: &mut Changes) {
        self.catch_up(ledger);
        self.rewrite(from, to.min(ledger.log_end), Mark::withdrawn, changes);
        self.settle(changes);
    }

    /// A handler's word about `from..to`. One that comes after the records became mere counts changes no class. Gives back
    /// whether it was news.
    pub(super) fn receipt(
        &mut self,
        ledger: Ledger,
        (from, to): (Offset, Offset),
        outcome: ReceiptOutcome,
        changes: &mut Changes,
    ) -> bool {
        self.catch_up(ledger);
        let (from, to) = (from.max(self.opened_at), to.min(ledger.log_end));
        let is_news = match outcome {
            ReceiptOutcome::Handled => self.handled.insert(from.0, to.0) > 0,
            ReceiptOutcome::DeadLettered => {
                self.rewrite(from, to, Mark::dead_lettered, changes);
                changes.moved > 0
            }
        };
        self.settle(changes);
        is_news
    }

    /// A fenced member tried to commit.
    pub(super) fn refused(&mut self) {
        self.tallies.refused += 1;
    }

    /// A new leader begins, and nobody knows whether the last one's marks are all here.
    pub(super) fn marks_may_be_missing(&mut self, ledger: Ledger, at: Timestamp) {
        self.window = Some(CrashWindow { below: ledger.log_end, at });
    }

    /// Changes marks and moves the counts with them.
    fn rewrite(&mut self, from: Offset, to: Offset, rule: impl Fn(Mark) -> Mark, changes: &mut Changes) {
        let Some((from, to)) = self.runs.changed_span(from.0, to.0, &rule) else { return };
        let (counts, tallies) = (&mut self.counts, &mut self.tallies);
        self.runs.rewrite(from, to, rule, |piece| note(counts, tallies, &piece, changes));
    }

    /// At the end of each event: what came to its usual end at the front becomes a count, and the account stays bounded.
    fn settle(&mut self, changes: &mut Changes) {
        loop {
            while self.runs.len() > 0 && self.runs.get(0).2.is_plain() {
                self.fold_first();
            }
            if self.runs.len() <= RUNS_MAX {
                return;
            }
            self.shrink(changes);
        }
    }

    /// The first run becomes a count.
    fn fold_first(&mut self) -> Option<(i64, i64, Mark)> {
        let (start, end, mark) = self.runs.take_first()?;
        if let Some(class) = mark.class() {
            self.folded.add(class, (end - start) as u64);
        }
        Some((start, end, mark))
    }

    /// One run less, among the oldest and at the smallest price: first what costs only offsets, then the fewest records that
    /// become *possible*, then the fewest that become *unwitnessed*.
    fn shrink(&mut self, changes: &mut Changes) {
        if !self.runs.get(0).2.is_open() {
            if let Some((start, end, _)) = self.fold_first() {
                self.tallies.runs_folded += 1;
                changes.merged.push((Offset(start), Offset(end), MergedInto::Counts));
            }
            return;
        }
        let pairs = self.runs.iter().zip(self.runs.iter().skip(1)).take(RUNS_WEIGHED);
        let cheapest = pairs.map(|(one, two)| (price(one, two), one, two)).min_by_key(|(price, ..)| *price);
        let Some((_, one, two)) = cheapest else { return };
        if one.2.is_open() && two.2.is_open() {
            return self.merge((one.0, two.1), Mark::Possible, MergedInto::Possible, changes);
        }
        for (start, end, mark) in [one, two] {
            if mark.is_open() {
                self.merge((start, end), Mark::Unwitnessed, MergedInto::Unwitnessed, changes);
            }
        }
        self.fold_inside(one.0, two.1, changes);
    }

    fn merge(&mut self, (start, end): (i64, i64), mark: Mark, into: MergedInto, changes: &mut Changes) {
        let (counts, tallies) = (&mut self.counts, &mut self.tallies);
        self.runs.rewrite(
            start,
            end,
            |_| mark,
            |piece| {
                tallies.merged_records += piece.records();
                shift(counts, &piece);
            },
        );
        changes.merged.push((Offset(start), Offset(end), into));
    }

    /// Settled runs in the middle become one that is a mere count.
    fn fold_inside(&mut self, start: i64, end: i64, changes: &mut Changes) {
        let (folded, tallies) = (&mut self.folded, &mut self.tallies);
        self.runs.rewrite(
            start,
            end,
            |_| Mark::Folded,
            |piece| {
                if let Some(class) = piece.old.class() {
                    folded.add(class, piece.records());
                }
                if !piece.old.is_plain() {
                    tallies.runs_folded += 1;
                }
            },
        );
        changes.merged.push((Offset(start), Offset(end), MergedInto::Counts));
    }
}

type RunView = (i64, i64, Mark);

/// What it costs to make one run of two, as (kind of loss, records concerned).
fn price(one: RunView, two: RunView) -> (u8, i64) {
    let length = |run: RunView| run.1 - run.0;
    match (one.2.is_open(), two.2.is_open()) {
        (false, false) => (0, 0),
        (true, true) => (1, length(one) + length(two)),
        (true, false) => (2, length(one)),
        (false, true) => (2, length(two)),
    }
}

fn shift(counts: &mut Counts, piece: &Piece) {
    let (old, new) = (piece.old.class(), piece.new.class());
    if old == new {
        return;
    }
    if let Some(old) = old {
        counts.remove(old, piece.records());
    }
    if let Some(new) = new {
        counts.add(new, piece.records());
    }
}

fn note(counts: &mut Counts, tallies: &mut Tallies, piece: &Piece, changes: &mut Changes) {
    if piece.old == piece.new {
        return;
    }
    changes.moved += piece.records();
    shift(counts, piece);
    let is_made_good = matches!(piece.old, Mark::SkippedInFlight | Mark::UnwitnessedInFlight)
        && matches!(piece.new, Mark::Processed | Mark::DeadLettered);
    if is_made_good {
        tallies.recovered += piece.records();
    }
    let class = piece.new.class().filter(|class| class.is_exceptional() && piece.old.class() != Some(*class));
    if let Some(class) = class {
        let (from, to) = (Offset(piece.start), Offset(piece.end));
        match changes.settled.last_mut() {
            Some(last) if last.class == class && last.to == from => last.to = to,
            _ => changes.settled.push(Change { from, to, class }),
        }
    }
}
