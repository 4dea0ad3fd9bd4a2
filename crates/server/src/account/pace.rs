//! When marks go into the log that no commit asks for. Pure.
//!
//! A mark is one interval, but a sync costs the same for one as for thousands: so marks ride with the next command of their
//! data group, whatever it is, and have an entry of their own only where none comes. What a crash takes of them is what was
//! delivered meanwhile, and matters only to a client that survives it and commits without reading again.

use std::time::Duration;

/// How often marks are looked at, when there are any.
const LOOK_INTERVAL_MS: u64 = 25;
/// Marks that are worth a ride after one look; more wait for more looks, so that the journal stays small where there are
/// thousands of partitions.
const READY_PER_LOOK: usize = 25;
/// Records that a crash may take along: while there are more, marks that wait for no more looks go alone after fewer.
const RECORDS_AT_RISK_MAX: u64 = 256;
/// At least so many, and when the number of the look divides by it: 50 to 75 ms, and all data groups at the same moment. So
/// where somebody catches up there are at most forty syncs a second for it in the shared log, however many data groups there are: one
/// that the first entry begins, and one for all that came meanwhile.
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

/// The first look that comes later than so long after the beginning: its number, and when it is. The looks of all data groups
/// are at the same moments.
pub fn next_look(since: Duration) -> (u64, Duration) {
    let number = since.as_millis() as u64 / LOOK_INTERVAL_MS + 1;
    (number, Duration::from_millis(number * LOOK_INTERVAL_MS))
}

/// Looks since there was nothing to flush.
#[derive(Debug, Default)]
pub struct Pace {
    looks: usize,
}

impl Pace {
    /// The look of this number, the one after the one before or after the first marks came, with this many ready, about so many
    /// records.
    pub fn look(&mut self, number: u64, ready: usize, records: u64) -> Due {
        self.looks += 1;
        let is_worth_it = self.looks * READY_PER_LOOK >= ready;
        let is_everybodys = number.is_multiple_of(LOOKS_AT_RISK as u64);
        let is_urgent = records > RECORDS_AT_RISK_MAX && self.looks >= LOOKS_AT_RISK && is_everybodys;
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
            (0..LOOKS_MAX as u64).map(|number| pace.look(number, ready, ready as u64)).collect()
        };
        assert_eq!(looks(1), [vec![Due::Ride; 9], vec![Due::Alone]].concat());
        assert_eq!(looks(100), [vec![Due::Later; 3], vec![Due::Ride; 6], vec![Due::Alone]].concat());
        assert_eq!(looks(10_000), [vec![Due::Later; 9], vec![Due::Alone]].concat());
    }

    #[test]
    fn looks_are_at_multiples_of_their_interval() {
        let ms = Duration::from_millis;
        assert_eq!(next_look(ms(0)), (1, ms(25)));
        assert_eq!(next_look(ms(24)), (1, ms(25)));
        assert_eq!(next_look(ms(25)), (2, ms(50)), "one that is now is over");
    }

    #[test]
    fn what_has_ridden_leaves_nothing_and_the_next_begins_anew() {
        let mut pace = Pace::default();
        (0..5).for_each(|number| assert_eq!(pace.look(number, 3, 9), Due::Ride));
        assert_eq!(pace.look(5, 0, 0), Due::Nothing);
        (6..15).for_each(|number| assert_eq!(pace.look(number, 3, 9), Due::Ride));
        assert_eq!(pace.look(15, 3, 9), Due::Alone);
    }

    #[test]
    fn many_records_of_few_marks_go_at_every_second_look_in_all_groups() {
        for begin in [7, 8] {
            let mut pace = Pace::default();
            let due: Vec<Due> =
                (begin..15).map(|number| pace.look(number, 4, RECORDS_AT_RISK_MAX + 1)).collect();
            let gone: Vec<u64> =
                (begin..15).zip(due).filter(|(_, due)| *due == Due::Alone).map(|each| each.0).collect();
            let first = [8, 10][begin as usize - 7];
            assert_eq!(gone, (first..15).step_by(2).collect::<Vec<u64>>());
        }
        let mut pace = Pace::default();
        let mut marks: Vec<Due> =
            (0..LOOKS_MAX as u64).map(|number| pace.look(number, 10_000, 10_000)).collect();
        assert_eq!(marks.pop(), Some(Due::Alone));
        assert!(marks.iter().all(|due| *due == Due::Later), "of thousands of partitions each has its mark");
    }
}
