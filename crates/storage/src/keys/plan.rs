//! Which part of a log is to have an index next. Pure.

use tallymq_model::Offset;

use crate::log::SegmentView;

/// A part of a segment that still grows is not worth an index before it has about so many bytes.
pub const PART_BYTES_MIN: u64 = 8 << 20;

/// The newest part without an index: what none of the ranges `covered` (rising) has, in one segment, from `log_start` on and below
/// `durable_end`.
/// A rest at the end of a segment has an index however small it is, once nothing is added to it.
pub fn next(
    segments: &[SegmentView],
    covered: &[(Offset, Offset)],
    log_start: Offset,
    durable_end: Offset,
) -> Option<(Offset, Offset)> {
    for segment in segments.iter().rev() {
        let from = segment.base.max(log_start);
        let mut to = segment.end.min(durable_end);
        let may_grow = !segment.sealed || to < segment.end;
        let mut is_last = true;
        for (begin, end) in covered.iter().rev() {
            if *begin >= to || from >= to {
                continue;
            }
            if *end < to && is_worth(segment, (*end).max(from), to, may_grow && is_last) {
                return Some(((*end).max(from), to));
            }
            (to, is_last) = (*begin, false);
        }
        if from < to && is_worth(segment, from, to, may_grow && is_last) {
            return Some((from, to));
        }
    }
    None
}

fn is_worth(segment: &SegmentView, from: Offset, to: Offset, may_grow: bool) -> bool {
    let share = |offsets: i64| u128::try_from(offsets).unwrap_or(0);
    let all = share(segment.end.0 - segment.base.0).max(1);
    let bytes = u128::from(segment.bytes) * share(to.0 - from.0) / all;
    !may_grow || bytes >= u128::from(PART_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use tallymq_model::Timestamp;

    use super::*;

    fn segment(base: i64, end: i64, sealed: bool) -> SegmentView {
        let (base, end) = (Offset(base), Offset(end));
        SegmentView { base, end, max_timestamp: Timestamp(0), bytes: 100 << 20, sealed }
    }

    fn part(from: i64, to: i64) -> (Offset, Offset) {
        (Offset(from), Offset(to))
    }

    fn next(parts: &[(Offset, Offset)], log_start: i64, durable_end: i64) -> Option<(i64, i64)> {
        let segments = [segment(0, 100, true), segment(100, 200, false)];
        let next = super::next(&segments, parts, Offset(log_start), Offset(durable_end));
        next.map(|(from, to)| (from.0, to.0))
    }

    #[test]
    fn the_newest_part_comes_first_and_none_crosses_a_segment() {
        assert_eq!(next(&[], 0, 200), Some((100, 200)));
        assert_eq!(next(&[part(100, 200)], 0, 200), Some((0, 100)));
        assert_eq!(next(&[part(0, 100), part(100, 200)], 0, 200), None);
        assert_eq!(next(&[], 0, 150), Some((100, 150)), "not what a crash may change");
        assert_eq!(next(&[part(100, 200)], 40, 200), Some((40, 100)));
        assert_eq!(next(&[], 200, 200), None);
    }

    #[test]
    fn what_grows_waits_until_it_is_worth_it_and_holes_are_filled() {
        assert_eq!(next(&[part(100, 195)], 0, 200), Some((0, 100)), "5 MiB of the active segment wait");
        assert_eq!(next(&[part(100, 190)], 0, 200), Some((190, 200)));
        assert_eq!(next(&[part(0, 95), part(100, 200)], 0, 200), Some((95, 100)), "a sealed rest does not");
        assert_eq!(next(&[part(0, 30), part(31, 100), part(100, 200)], 0, 200), Some((30, 31)));
        assert_eq!(next(&[part(31, 100), part(100, 200)], 10, 200), Some((10, 31)));
        assert_eq!(next(&[], 0, 105), Some((0, 100)));
    }
}
