//! What was read of a partition lately: tells a record that comes again from another one under its offset. Offsets are given to
//! other records when a log loses its end (a power cut under `flush = async`, an unclean election, a restored backup), or the topic
//! is made anew. Pure.

use std::collections::VecDeque;

/// Records that are remembered per partition. One that is older counts as another: to handle a record twice is allowed, to pass
/// one over is not.
const RECORDS_MAX: usize = 4096;

/// Offsets with what tells their records apart.
#[derive(Debug, Default)]
pub(super) struct Seen {
    records: VecDeque<(i64, u64)>, // offsets rise
    next: Option<i64>,             // above every offset that was read
}

/// What a record is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// The next one.
    New,
    /// One that was read before.
    Again,
    /// Another one than was read at its offset: from it up to `next`, exclusive, what was read is not in the log any more.
    Other { next: i64 },
}

impl Seen {
    /// Notes a record.
    pub(super) fn note(&mut self, offset: i64, fingerprint: u64) -> Sight {
        let sight = match self.next {
            Some(next) if offset < next => {
                let at = self.records.partition_point(|(known, _)| *known < offset);
                if self.records.get(at) == Some(&(offset, fingerprint)) {
                    return Sight::Again;
                }
                self.records.truncate(at);
                Sight::Other { next }
            }
            _ => Sight::New,
        };
        if self.records.len() == RECORDS_MAX {
            self.records.pop_front();
        }
        self.records.push_back((offset, fingerprint));
        self.next = Some(offset + 1);
        sight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_comes_again_is_told_from_another_at_its_offset() {
        let mut seen = Seen::default();
        for offset in [5, 6, 9] {
            assert_eq!(seen.note(offset, offset as u64), Sight::New);
        }
        assert_eq!((seen.note(6, 6), seen.note(9, 9)), (Sight::Again, Sight::Again));
        assert_eq!(seen.note(7, 7), Sight::Other { next: 10 }, "there was none at that offset");
        assert_eq!(
            (seen.note(6, 6), seen.note(9, 9)),
            (Sight::Again, Sight::New),
            "the log goes on behind 7"
        );
        assert_eq!(seen.note(5, 50), Sight::Other { next: 10 });
        assert_eq!(seen.note(6, 6), Sight::New);
    }

    #[test]
    fn what_is_not_remembered_is_not_passed_over() {
        let mut seen = Seen::default();
        let records = RECORDS_MAX as i64 + 10;
        assert!((100..100 + records).all(|offset| seen.note(offset, 1) == Sight::New));
        assert_eq!(seen.records.len(), RECORDS_MAX);
        assert_eq!(seen.note(110, 1), Sight::Again);
        assert_eq!(seen.note(109, 1), Sight::Other { next: 100 + records });
        assert_eq!(seen.note(3, 1), Sight::Other { next: 110 }, "before the first one");
    }
}
