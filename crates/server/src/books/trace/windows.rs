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
}

impl Rest {
    /// The next window, of about [`WINDOW_BYTES`] if records are about the same size; None if nothing is left. Segments whose
    /// records are all from before `since` are left out: `segments` are the written ones, oldest first.
    pub fn next(&self, segments: &[SegmentView], since: Option<i64>) -> Option<Window> {
        let mut to = self.below;
        for segment in segments.iter().rev() {
            if to <= self.log_start {
                return None;
            }
            if segment.end < to {
                // Not written yet, so it is still in memory and not much.
                return Some(Window { from: segment.end.max(self.log_start), to });
            }
            if segment.base >= to {
                continue;
            }
            if since.is_some_and(|since| segment.max_timestamp.0 < since) {
                to = segment.base;
                continue;
            }
            let offsets = u64::try_from(segment.end.0 - segment.base.0).unwrap_or(1).max(1);
            let per_window =
                u128::from(offsets) * u128::from(WINDOW_BYTES) / u128::from(segment.bytes.max(1));
            let per_window = i64::try_from(per_window).unwrap_or(i64::MAX).max(1);
            let from = Offset(to.0.saturating_sub(per_window)).max(segment.base).max(self.log_start);
            return Some(Window { from, to });
        }
        (to > self.log_start).then_some(Window { from: self.log_start, to })
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
        while let Some(window) = rest.next(segments, since) {
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
