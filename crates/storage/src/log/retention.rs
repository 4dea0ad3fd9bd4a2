//! Which records are too old or too many. Pure: the clock comes in, the answer is an offset that the caller makes
//! the new log start, by a command.

use tallymq_model::{Offset, Timestamp};

use super::segment::SegmentView;

/// The offset before which everything may go, or nothing if all may stay. Only whole segments go, oldest first, as in
/// Kafka's `UnifiedLog.deleteOldSegments`: a segment goes by age once its largest timestamp is more than `retention_ms`
/// in the past, and by size while what remains is still at least `retention_bytes`. A segment without any
/// timestamp never goes by age. `segments` are in order; the last one, still written to, may go as well.
pub fn decide(
    segments: &[SegmentView],
    now: Timestamp,
    retention_ms: Option<u64>,
    retention_bytes: Option<u64>,
    log_start: Offset,
) -> Option<Offset> {
    let live = segments.iter().filter(|segment| segment.end > log_start);
    let mut remaining_bytes: u64 = live.clone().map(|segment| segment.bytes).sum();
    let mut new_start = log_start;
    for segment in live {
        let age_ms = now.0.saturating_sub(segment.max_timestamp.0).max(0) as u64;
        let too_old = segment.max_timestamp.0 >= 0 && retention_ms.is_some_and(|limit| age_ms > limit);
        let too_many = retention_bytes.is_some_and(|limit| remaining_bytes - segment.bytes >= limit);
        if !too_old && !too_many {
            break;
        }
        remaining_bytes -= segment.bytes;
        new_start = segment.end;
    }
    (new_start > log_start).then_some(new_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments() -> Vec<SegmentView> {
        let segment = |base: i64, max_timestamp, sealed| SegmentView {
            base: Offset(base),
            end: Offset(base + 10),
            max_timestamp: Timestamp(max_timestamp),
            bytes: 100,
            sealed,
        };
        vec![
            segment(0, 1_000, true),
            segment(10, 3_000, true),
            segment(20, 2_000, true),
            segment(30, 9_000, false),
        ]
    }

    #[test]
    fn age_removes_from_the_front_until_the_first_young_segment() {
        let decide = |now, ms| decide(&segments(), Timestamp(now), Some(ms), None, Offset(0));
        assert_eq!(decide(2_000, 1_000), None);
        assert_eq!(decide(2_001, 1_000), Some(Offset(10)));
        assert_eq!(decide(3_500, 1_000), Some(Offset(10)), "a young segment protects older ones behind it");
        assert_eq!(decide(4_001, 1_000), Some(Offset(30)));
        assert_eq!(decide(20_000, 1_000), Some(Offset(40)), "also the last one");
        assert_eq!(decide(-5, 0), None, "a clock before the records");
    }

    #[test]
    fn size_keeps_at_least_the_limit() {
        let decide = |bytes, start| decide(&segments(), Timestamp(0), None, Some(bytes), Offset(start));
        assert_eq!(decide(400, 0), None);
        assert_eq!(decide(301, 0), None);
        assert_eq!(decide(300, 0), Some(Offset(10)));
        assert_eq!(decide(150, 0), Some(Offset(20)));
        assert_eq!(decide(300, 10), None, "what is hidden does not count");
        assert_eq!(decide(0, 0), Some(Offset(40)));
    }

    #[test]
    fn records_without_a_timestamp_do_not_age() {
        let mut segments = segments();
        segments[0].max_timestamp = Timestamp(-1);
        assert_eq!(decide(&segments, Timestamp(i64::MAX), Some(1), None, Offset(0)), None);
        assert_eq!(decide(&segments, Timestamp(i64::MAX), None, None, Offset(0)), None);
    }
}
