//! Marks by offset, as runs of equal ones. Knows no class's meaning and counts nothing: it says what it changed.
//!
//! ```text
//!  from                                tail
//!   | Skipped | Processed | InFlight |  Pending, without an end: appends cost nothing
//! ```

use super::mark::Mark;
use crate::codec::{DecodeError, Parts, Reader};

/// Where a run begins; it ends where the next one begins, the last one at the tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: i64,
    mark: Mark,
}

/// Offsets `start..end` with their mark before and after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) old: Mark,
    pub(super) new: Mark,
}

impl Piece {
    pub(super) fn records(&self) -> u64 {
        self.end.saturating_sub(self.start).max(0) as u64
    }
}

/// The runs. Invariants: the first begins at `from`; starts rise strictly, all below `tail`; neighbours differ, and the
/// last one is not Pending, since from `tail` on all is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runs {
    from: i64,
    tail: i64,
    runs: Vec<Run>,
}

impl Runs {
    /// All Pending from `from` on.
    pub(super) fn new(from: i64) -> Runs {
        Runs { from, tail: from, runs: Vec::new() }
    }

    /// What is below has no runs.
    pub(super) fn from(&self) -> i64 {
        self.from
    }

    /// What is at or above is Pending.
    pub(super) fn tail(&self) -> i64 {
        self.tail
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Start, end and mark of each run; without the tail.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, i64, Mark)> + '_ {
        (0..self.runs.len()).map(|at| self.get(at))
    }

    pub(super) fn get(&self, at: usize) -> (i64, i64, Mark) {
        let run = self.runs[at];
        (run.start, self.end_of(at), run.mark)
    }

    fn end_of(&self, at: usize) -> i64 {
        self.runs.get(at + 1).map_or(self.tail, |next| next.start)
    }

    /// The part of `start..end` from the first to the last offset whose mark `rule` changes; None if it changes none. So that
    /// an event that changes little costs little, however many runs there are.
    pub(super) fn changed_span(
        &self,
        start: i64,
        end: i64,
        rule: impl Fn(Mark) -> Mark,
    ) -> Option<(i64, i64)> {
        let start = start.max(self.from);
        let is_changed = |mark: Mark| rule(mark) != mark;
        let mut span =
            (end > start.max(self.tail) && is_changed(Mark::Pending)).then_some((start.max(self.tail), end));
        let first = self.runs.partition_point(|run| run.start <= start).saturating_sub(1);
        let behind = self.runs.partition_point(|run| run.start < end);
        let mut inside = (first..behind).filter(|at| is_changed(self.runs[*at].mark));
        if let Some(lowest) = inside.next() {
            let highest = inside.next_back().unwrap_or(lowest);
            let upper = span.map_or(self.end_of(highest).min(end), |(_, upper)| upper);
            span = Some((self.runs[lowest].start.max(start), upper));
        }
        span.filter(|(lower, upper)| lower < upper)
    }

    /// Gives every offset of `start..end` the mark that `rule` makes of its old one, and tells of each piece, changed or not.
    /// What is below `from` is left out.
    pub(super) fn rewrite(
        &mut self,
        start: i64,
        end: i64,
        rule: impl Fn(Mark) -> Mark,
        mut tell: impl FnMut(Piece),
    ) {
        let start = start.max(self.from);
        if start >= end {
            return;
        }
        if end > self.tail {
            self.runs.push(Run { start: self.tail, mark: Mark::Pending });
            self.tail = end;
        }
        let first = self.runs.partition_point(|run| run.start <= start) - 1;
        let mut fresh: Vec<Run> = Vec::with_capacity(4);
        let mut behind = first;
        while behind < self.runs.len() && self.runs[behind].start < end {
            let (run_start, run_end, old) = self.get(behind);
            let new = rule(old);
            let piece = Piece { start: run_start.max(start), end: run_end.min(end), old, new };
            if run_start < start {
                put(&mut fresh, run_start, old);
            }
            tell(piece);
            put(&mut fresh, piece.start, new);
            if run_end > end {
                put(&mut fresh, end, old);
            }
            behind += 1;
        }
        self.replace(first, behind, fresh);
        debug_assert!(self.is_sound());
    }

    /// Puts `fresh` in the place of `runs[first..behind]`, joined with its neighbours where the marks are equal.
    fn replace(&mut self, first: usize, mut behind: usize, mut fresh: Vec<Run>) {
        let joins_next =
            self.runs.get(behind).is_some_and(|next| fresh.last().is_some_and(|last| last.mark == next.mark));
        let joins_before =
            first > 0 && fresh.first().is_some_and(|run| run.mark == self.runs[first - 1].mark);
        if joins_before && joins_next && fresh.len() == 1 && tallymq_model::planted("interval-lost-in-merge")
        {
            return;
        }
        if joins_next {
            behind += 1;
        }
        if joins_before {
            fresh.remove(0);
        }
        self.runs.splice(first..behind, fresh);
        if let Some(last) = self.runs.pop_if(|last| last.mark == Mark::Pending) {
            self.tail = last.start;
        }
    }

    /// Takes the first run away, and gives it back.
    pub(super) fn take_first(&mut self) -> Option<(i64, i64, Mark)> {
        if self.runs.is_empty() {
            return None;
        }
        let first = self.get(0);
        self.runs.remove(0);
        self.from = first.1;
        Some(first)
    }

    fn is_sound(&self) -> bool {
        self.runs.first().map_or(self.from == self.tail, |first| first.start == self.from)
            && self.runs.is_sorted_by(|a, b| a.start < b.start && a.mark != b.mark)
            && self.runs.last().is_none_or(|last| last.start < self.tail && last.mark != Mark::Pending)
    }

    /// `from`, then the length and mark of each run.
    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_i64(self.from);
        out.put_length(self.runs.len());
        for (start, end, mark) in self.iter() {
            out.put_u64((end - start) as u64);
            out.put_u8(mark as u8);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Runs, DecodeError> {
        let from = reader.i64("an account's settle point")?;
        if from < 0 {
            return Err(DecodeError::Range("an account's settle point"));
        }
        let count = reader.count("an account's runs", 2)?;
        let mut runs = Runs { from, tail: from, runs: Vec::with_capacity(count) };
        for _ in 0..count {
            let length = i64::try_from(reader.u64("a run's length")?).ok().filter(|length| *length > 0);
            let mark = Mark::from_number(reader.u8("a run's mark")?)?;
            runs.runs.push(Run { start: runs.tail, mark });
            let end = length.and_then(|length| runs.tail.checked_add(length));
            runs.tail = end.ok_or(DecodeError::Range("a run's length"))?;
        }
        if runs.is_sound() { Ok(runs) } else { Err(DecodeError::Range("an account's runs")) }
    }
}

fn put(runs: &mut Vec<Run>, start: i64, mark: Mark) {
    if runs.last().is_none_or(|last| last.mark != mark) {
        runs.push(Run { start, mark });
    }
}
