//! How far damage reaches: which offsets around one that cannot be read cannot be read either. Asks with reads, and so agrees with
//! what readers get.

use tallymq_model::Offset;

use super::{
    error::{Damage, ReadError},
    partition::PartitionLog,
};

/// Damaged places that are joined on either side of the one that was found.
const NEIGHBOURS_MAX: usize = 64;
/// Reads that measuring one damage may take.
const PROBES_MAX: usize = 256;

/// Offsets that damage took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamageExtent {
    /// The first one.
    pub from: Offset,
    /// The one behind the last.
    pub to: Offset,
    /// What was found.
    pub damage: Damage,
}

/// See [`PartitionLog::unreadable_around`].
pub(super) fn around(log: &PartitionLog, at: Offset) -> Option<DamageExtent> {
    let (log_start, log_end) = log.bounds();
    let damage = |offset: i64| match log.read(Offset(offset), 1, true) {
        Err(ReadError::Corrupt(damage)) => Some(damage),
        _ => None,
    };
    let found = damage(at.0)?;
    let place = |offset: i64| damage(offset).map(|damage| (damage.file, damage.position));
    let (from, to) = unreadable(at.0, (log_start.0, log_end.0), place);
    Some(DamageExtent { from: Offset(from), to: Offset(to), damage: found })
}

/// The stretch around `at` where every offset has a damaged place. Offsets that one place hides follow each other: a read comes to
/// a damaged batch from the indexed place before it, and from no offset behind the next indexed one. So each place is measured by
/// itself, and those that touch are joined; what is between two that do not can be read.
fn unreadable<P: PartialEq>(at: i64, bounds: (i64, i64), place: impl Fn(i64) -> Option<P>) -> (i64, i64) {
    let measure = |at: i64| {
        let here = place(at)?;
        Some(span(at, bounds, |offset| place(offset).as_ref() == Some(&here)))
    };
    let (mut first, mut last) = measure(at).unwrap_or((at, at));
    for _ in 0..NEIGHBOURS_MAX {
        let Some((_, further)) = measure(last).filter(|_| last < bounds.1) else { break };
        last = further;
    }
    for _ in 0..NEIGHBOURS_MAX {
        let Some((further, _)) = measure(first - 1).filter(|_| first > bounds.0) else { break };
        first = further;
    }
    (first, last)
}

/// The stretch around `at` inside `bounds` where `is_bad` holds, if it holds without gaps; a few questions suffice. Where they do
/// not, only what was found to be bad counts.
fn span(at: i64, (start, end): (i64, i64), is_bad: impl Fn(i64) -> bool) -> (i64, i64) {
    let mut probes = 0;
    let mut search = |sign: i64, limit: i64| {
        let (mut bad, mut step) = (at, 1);
        let mut good = loop {
            let next = at + sign * step;
            let is_outside = if sign > 0 { next >= limit } else { next < limit };
            if is_outside || probes >= PROBES_MAX {
                break if sign > 0 { limit } else { limit - 1 };
            }
            probes += 1;
            if !is_bad(next) {
                break next;
            }
            (bad, step) = (next, step * 2);
        };
        while (good - bad).abs() > 1 && probes < PROBES_MAX {
            let middle = bad + (good - bad) / 2;
            probes += 1;
            if is_bad(middle) {
                bad = middle;
            } else {
                good = middle;
            }
        }
        bad
    };
    let last = search(1, end);
    let first = search(-1, start);
    (first, last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_stretch_is_measured_with_few_reads() {
        let asked = std::cell::Cell::new(0);
        let is_bad = |offset: i64| {
            asked.set(asked.get() + 1);
            (1_000..51_000).contains(&offset)
        };
        for at in [1_000, 1_001, 30_000, 50_999] {
            assert_eq!(span(at, (0, 1_000_000), is_bad), (1_000, 51_000));
        }
        assert!(asked.get() < 4 * 80, "{}", asked.get());
        assert_eq!(span(7, (7, 8), |_| true), (7, 8));
        assert_eq!(span(5, (0, 10), |_| true), (0, 10));
    }

    #[test]
    fn what_is_good_between_two_damages_is_not_lost() {
        // Doubling steps from 1 find 2, 3 and 5 damaged, and never ask for 4.
        let place = |offset: i64| match offset {
            1..=3 => Some("one"),
            5..=8 => Some("another"),
            _ => None,
        };
        assert_eq!(unreadable(1, (0, 20), place), (1, 4));
        assert_eq!(unreadable(8, (0, 20), place), (5, 9));
    }

    #[test]
    fn damages_that_touch_are_one_loss() {
        let place = |offset: i64| (3..17).contains(&offset).then_some(offset / 5);
        for at in 3..17 {
            assert_eq!(unreadable(at, (0, 40), place), (3, 17));
            assert_eq!(unreadable(at, (3, 17), place), (3, 17));
        }
    }
}
