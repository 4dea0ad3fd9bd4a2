//! When marks go into the log that no commit asks for. Pure.
//!
//! A mark is one interval, but a sync costs the same for one as for thousands: so marks ride with the next command of their
//! data group, whatever it is, and have an entry of their own only where none comes. What a crash takes of them is what was
//! delivered meanwhile, and matters only to a client that survives it and commits without reading again.

use std::time::Duration;

/// How often marks are looked at, when there are any.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// Marks that are worth a ride after one look; more wait for more looks, so that the journal stays small where there are
/// thousands of partitions.
const READY_PER_LOOK: usize = 25;
/// Records that a crash may take along: while there are more, marks that wait for no more looks go alone after fewer.
const RECORDS_AT_RISK_MAX: u64 = 256;
/// So many: 50 ms, so at most twenty syncs a second in a data group where somebody catches up and nothing else happens.
const LOOKS_AT_RISK: usize = 2;
/// Looks after which they ride in any case, and after which they go alone: 250 ms, so at most four syncs a second in a data
/// group where records are read and nothing else happens.
const LOOKS_MAX: usize = 10;

/// What is to be done with marks that are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// There are none.
    Nothing,
    /// They wait.
    Later,
    /// The next command takes them along.
    Ride,
    /// They go by themselves.
    Alone,
}

/// Looks since there was nothing to flush.
#[derive(Debug, Default)]
pub struct Pace {
    looks: usize,
}

impl Pace {
    /// A look, [`LOOK_INTERVAL`] after the one before or after the first marks came, with this many ready, about so many records.
    pub fn look(&mut self, ready: usize, records: u64) -> Due {
        self.looks += 1;
        let is_worth_it = self.looks * READY_PER_LOOK >= ready;
        let is_urgent = records > RECORDS_AT_RISK_MAX && self.looks >= LOOKS_AT_RISK;
        let due = match ready {
            0 => Due::Nothing,
            _ if self.looks >= LOOKS_MAX || (is_worth_it && is_urgent) => Due::Alone,
            _ if is_worth_it => Due::Ride,
            _ => Due::Later,
        };
        if matches!(due, Due::Nothing | Due::Alone) {
            self.looks = 0;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_marks_ride_at_once_and_many_later_and_none_waits_for_ever() {
        let looks = |ready: usize| -> Vec<Due> {
            let mut pace = Pace::default();
            (0..LOOKS_MAX).map(|_| pace.look(ready, ready as u64)).collect()
        };
        assert_eq!(looks(1), [vec![Due::Ride; 9], vec![Due::Alone]].concat());
        assert_eq!(looks(100), [vec![Due::Later; 3], vec![Due::Ride; 6], vec![Due::Alone]].concat());
        assert_eq!(looks(10_000), [vec![Due::Later; 9], vec![Due::Alone]].concat());
    }

    #[test]
    fn what_has_ridden_leaves_nothing_and_the_next_begins_anew() {
        let mut pace = Pace::default();
        (0..5).for_each(|_| assert_eq!(pace.look(3, 9), Due::Ride));
        assert_eq!(pace.look(0, 0), Due::Nothing);
        (0..9).for_each(|_| assert_eq!(pace.look(3, 9), Due::Ride));
        assert_eq!(pace.look(3, 9), Due::Alone);
    }

    #[test]
    fn many_records_of_few_marks_wait_for_no_more_than_one_ride() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            assert_eq!(pace.look(4, RECORDS_AT_RISK_MAX + 1), Due::Ride);
            assert_eq!(pace.look(4, RECORDS_AT_RISK_MAX + 1), Due::Alone);
        }
        let mut marks: Vec<Due> = (0..LOOKS_MAX).map(|_| pace.look(10_000, 10_000)).collect();
        assert_eq!(marks.pop(), Some(Due::Alone));
        assert!(marks.iter().all(|due| *due == Due::Later), "of thousands of partitions each has its mark");
    }
}
