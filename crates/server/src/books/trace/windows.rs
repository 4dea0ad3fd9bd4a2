//! In which pieces a log is read from its end towards its beginning. Pure.

use tallymq_model::Offset;
use tallymq_storage::log::SegmentView;

/// About so many bytes are looked at before the next look at the clock.
const WINDOW_BYTES: u64 = 4 << 20;

/// What is left of a log to look at: everything below an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The first offset that readers see.
    pub log_start: Offset,
    /// Looked at from here on.
    pub below: Offset,
}

/// A piece of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// Which of the ranges that have an index of keys it is in, so that it need not be read.
    pub indexed: Option<usize>,
}

impl Rest {
    /// The next window, of about [`WINDOW_BYTES`] if records are about the same size, or all of what is left of one of the ranges
    /// `indexed`; None if nothing is left. Segments whose records are all from before `since` are left out. `segments`, the written
    /// ones, and `indexed` are in order.
    pub fn next(
        &self,
        segments: &[SegmentView],
        indexed: &[(Offset, Offset)],
        since: Option<i64>,
    ) -> Option<Window> {
        let mut to = self.below;
        for segment in segments.iter().rev() {
            if to <= self.log_start {
                return None;
            }
            if segment.end < to {
                // Not written yet, so it is still in memory and not much.
                return Some(Window { from: segment.end.max(self.log_start), to, indexed: None });
            }
            if segment.base >= to {
                continue;
            }
            if since.is_some_and(|since| segment.max_timestamp.0 < since) {
                to = segment.base;
                continue;
            }
            let mut floor = segment.base.max(self.log_start);
            if let Some(at) = indexed.iter().rposition(|(from, _)| *from < to) {
                let (from, end) = indexed[at];
                if end >= to {
                    return Some(Window { from: from.max(self.log_start), to, indexed: Some(at) });
                }
                floor = floor.max(end);
            }
            let offsets = u64::try_from(segment.end.0 - segment.base.0).unwrap_or(1).max(1);
            let per_window =
                u128::from(offsets) * u128::from(WINDOW_BYTES) / u128::from(segment.bytes.max(1));
            let per_window = i64::try_from(per_window).unwrap_or(i64::MAX).max(1);
            let from = Offset(to.0.saturating_sub(per_window)).max(floor);
            return Some(Window { from, to, indexed: None });
        }
        (to > self.log_start).then_some(Window { from: self.log_start, to, indexed: None })
    }

    /// About how many bytes are left to read.
    pub fn left_bytes(
        &self,
        segments: &[SegmentView],
        indexed: &[(Offset, Offset)],
        since: Option<i64>,
    ) -> u64 {
        let overlap = |one: (Offset, Offset), other: (Offset, Offset)| {
            u64::try_from(one.1.min(other.1).0 - one.0.max(other.0).0).unwrap_or(0)
        };
        let rest = (self.log_start, self.below);
        let wanted =
            segments.iter().filter(|segment| since.is_none_or(|since| segment.max_timestamp.0 >= since));
        let left = wanted.map(|segment| {
            let range = (segment.base.max(rest.0), segment.end.min(rest.1));
            let passed: u64 = indexed.iter().map(|part| overlap(range, *part)).sum();
            let offsets = u128::from(overlap(range, range).saturating_sub(passed));
            let all = u128::from(overlap((segment.base, segment.end), (segment.base, segment.end)).max(1));
            u64::try_from(u128::from(segment.bytes) * offsets / all).unwrap_or(u64::MAX)
        });
        left.sum()
    }
}

#[cfg(test)]
mod tests {
    use tallymq_model::Timestamp;

    use super::*;

    fn segment(base: i64, end: i64, max_timestamp: i64, bytes: u64) -> SegmentView {
        let (base, end) = (Offset(base), Offset(end));
        SegmentView { base, end, max_timestamp: Timestamp(max_timestamp), bytes, sealed: true }
    }

    fn all(segments: &[SegmentView], log_start: i64, log_end: i64, since: Option<i64>) -> Vec<(i64, i64)> {
        let mut rest = Rest { log_start: Offset(log_start), below: Offset(log_end) };
        let mut windows = Vec::new();
        while let Some(window) = rest.next(segments, &[], since) {
            assert!(window.from < window.to, "{window:?}");
            windows.push((window.from.0, window.to.0));
            rest.below = window.from;
        }
        windows
    }

    #[test]
    fn windows_go_from_the_end_to_the_start_without_holes() {
        let segments = [segment(0, 100, 10, 2 * WINDOW_BYTES), segment(100, 150, 20, 100)];
        assert_eq!(all(&segments, 0, 160, None), [(150, 160), (100, 150), (50, 100), (0, 50)]);
        assert_eq!(all(&segments, 70, 160, None), [(150, 160), (100, 150), (70, 100)]);
        assert_eq!(all(&[], 5, 9, None), [(5, 9)], "nothing is written yet");
        assert_eq!(all(&[], 9, 9, None), []);
    }

    #[test]
    fn what_has_an_index_is_one_window_and_not_left_to_read() {
        let segments = [segment(0, 100, 10, 2 * WINDOW_BYTES), segment(100, 150, 20, 100)];
        let offsets = |ranges: &[(i64, i64)]| -> Vec<(Offset, Offset)> {
            ranges.iter().map(|(from, to)| (Offset(*from), Offset(*to))).collect()
        };
        let all = |ranges: &[(i64, i64)], log_start: i64| {
            let mut rest = Rest { log_start: Offset(log_start), below: Offset(160) };
            let mut windows = Vec::new();
            while let Some(window) = rest.next(&segments, &offsets(ranges), None) {
                windows.push((window.from.0, window.to.0, window.indexed));
                rest.below = window.from;
            }
            windows
        };
        let rest = [(150, 160, None), (100, 150, None)];
        assert_eq!(all(&[(0, 100)], 0), [rest[0], rest[1], (0, 100, Some(0))]);
        assert_eq!(all(&[(0, 100)], 30), [rest[0], rest[1], (30, 100, Some(0))]);
        let parts = [(10, 60), (60, 90), (100, 140)];
        let expected = [
            rest[0],
            (140, 150, None),
            (100, 140, Some(2)),
            (90, 100, None),
            (60, 90, Some(1)),
            (10, 60, Some(0)),
            (0, 10, None),
        ];
        assert_eq!(all(&parts, 0), expected);
        let rest = Rest { log_start: Offset(0), below: Offset(160) };
        assert_eq!(rest.left_bytes(&segments, &[], None), 2 * WINDOW_BYTES + 100);
        assert_eq!(rest.left_bytes(&segments, &offsets(&[(0, 50)]), None), WINDOW_BYTES + 100);
        assert_eq!(rest.left_bytes(&segments, &offsets(&[(0, 50), (100, 150)]), Some(15)), 0);
        let half = Rest { below: Offset(50), ..rest };
        assert_eq!(half.left_bytes(&segments, &[], None), WINDOW_BYTES);
    }

    #[test]
    fn old_segments_are_left_out() {
        let segments = [segment(0, 50, 30, 100), segment(50, 100, 10, 100), segment(100, 150, 20, 100)];
        assert_eq!(all(&segments, 0, 150, Some(15)), [(100, 150), (0, 50)], "times need not rise");
        assert_eq!(all(&segments, 0, 150, Some(31)), []);
    }

    #[test]
    fn a_huge_record_still_gives_a_window() {
        assert_eq!(all(&[segment(0, 2, 1, 100 * WINDOW_BYTES)], 0, 2, None), [(1, 2), (0, 1)]);
    }
}
