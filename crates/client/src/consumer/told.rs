//! What became of records, for the broker's account: kept per partition until a commit that carries it was taken, and
//! written into the metadata of that commit. Pure. A cluster without an account keeps the text and hands it back.
//!
//! ```text
//! tally1;handled=1000+25,3+100;dead=1025,2     first offset + how many (one, if not said);
//!                                              then so many records later + how many
//! ```

use std::fmt::Write as _;

use crate::{receipt::Outcome, sequence::Ranges};

const PREFIX: &str = "tally1;";
/// Kafka allows 4,096 (`offset.metadata.max.bytes`).
const TEXT_BYTES_MAX: usize = 3500;
/// The broker's account keeps 1,024 intervals apart. What it is told at once has to be well below that, or it would have to
/// blur what lies between.
const RANGES_MAX: usize = 500;
/// What a field takes beside its ranges, and what one more range may take.
const ROOM_BYTES: usize = 64;

/// Outcomes that the broker may not know yet.
#[derive(Debug, Default)]
pub(super) struct Told {
    handled: Ranges,
    dead: Ranges,
}

/// A commit's metadata.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) text: String,
    /// Everything below is told. Below the position that was asked for only if the text would have become too long.
    pub(super) below: i64,
}

impl Told {
    /// A record is done with.
    pub(super) fn note(&mut self, offset: i64, outcome: Outcome) {
        let Ok(offset) = u64::try_from(offset) else { return };
        match outcome {
            Outcome::Handled => self.handled.insert(offset..=offset),
            Outcome::DeadLettered => self.dead.insert(offset..=offset),
        }
    }

    /// What is to be told with a commit of that position. What is at or above it is told later: it may come again.
    pub(super) fn telling(&self, position: i64) -> Telling {
        let position = u64::try_from(position).unwrap_or(0);
        let (mut handled, mut dead) = (Field::new("handled"), Field::new("dead"));
        let mut below = position;
        let all = merged(&self.handled, &self.dead);
        for (told, (first, last, outcome)) in all.take_while(|(first, ..)| *first < position).enumerate() {
            let bytes = PREFIX.len() + handled.text.len() + dead.text.len() + ROOM_BYTES;
            if told == RANGES_MAX || bytes > TEXT_BYTES_MAX {
                below = first;
                break;
            }
            let field = if outcome == Outcome::Handled { &mut handled } else { &mut dead };
            field.add(first, last.min(position - 1) + 1);
        }
        let fields = [handled.text, dead.text];
        let fields: Vec<String> = fields.into_iter().filter(|field| !field.is_empty()).collect();
        let text = if fields.is_empty() { String::new() } else { format!("{PREFIX}{}", fields.join(";")) };
        Telling { text, below: i64::try_from(below).unwrap_or(i64::MAX) }
    }

    /// What was read from that offset on is not in the log any more: nothing is said of it.
    pub(super) fn cut(&mut self, offset: i64) {
        let offset = u64::try_from(offset).unwrap_or(0);
        self.handled.cut(offset);
        self.dead.cut(offset);
    }

    /// A commit of that position was taken, with all that was below.
    pub(super) fn taken(&mut self, position: i64) {
        let Ok(position) = u64::try_from(position) else { return };
        for ranges in [&mut self.handled, &mut self.dead] {
            while ranges.iter().next().is_some_and(|first| *first.start() < position) {
                let Some((_, last)) = ranges.pop_first().map(std::ops::RangeInclusive::into_inner) else {
                    break;
                };
                if last >= position {
                    ranges.insert(position..=last);
                }
            }
        }
    }
}

/// Both in the order of their offsets.
fn merged<'a>(handled: &'a Ranges, dead: &'a Ranges) -> impl Iterator<Item = (u64, u64, Outcome)> + 'a {
    let mut handled = handled.iter().peekable();
    let mut dead = dead.iter().peekable();
    std::iter::from_fn(move || {
        let is_handled = match (handled.peek(), dead.peek()) {
            (Some(one), Some(other)) => one.start() <= other.start(),
            (one, _) => one.is_some(),
        };
        let (range, outcome) = match is_handled {
            true => (handled.next()?, Outcome::Handled),
            false => (dead.next()?, Outcome::DeadLettered),
        };
        Some((*range.start(), *range.end(), outcome))
    })
}

/// `handled=1000+25,3+100`
struct Field {
    name: &'static str,
    text: String,
    end: u64, // behind the last range
}

impl Field {
    fn new(name: &'static str) -> Field {
        Field { name, text: String::new(), end: 0 }
    }

    fn add(&mut self, first: u64, end: u64) {
        // Writing into a String cannot fail.
        let _ = match self.text.is_empty() {
            true => write!(self.text, "{}={first}", self.name),
            false => write!(self.text, ",{}", first - self.end),
        };
        if end - first > 1 {
            let _ = write!(self.text, "+{}", end - first);
        }
        self.end = end;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, btree_map::Entry};

    use proptest::prelude::*;

    use super::*;

    fn told(outcomes: &[(std::ops::Range<i64>, Outcome)]) -> Told {
        let mut told = Told::default();
        for (range, outcome) in outcomes {
            range.clone().for_each(|offset| told.note(offset, *outcome));
        }
        told
    }

    /// What a broker reads: offsets with their outcome.
    fn read(text: &str) -> Vec<(i64, Outcome)> {
        let mut all = Vec::new();
        for field in
            text.strip_prefix(PREFIX).unwrap_or_default().split(';').filter(|field| !field.is_empty())
        {
            let (name, ranges) = field.split_once('=').unwrap();
            let outcome = if name == "handled" { Outcome::Handled } else { Outcome::DeadLettered };
            let mut end = 0;
            for range in ranges.split(',') {
                let (start, records) = range.split_once('+').unwrap_or((range, "1"));
                let start = end + start.parse::<i64>().unwrap();
                end = start + records.parse::<i64>().unwrap();
                all.extend((start..end).map(|offset| (offset, outcome)));
            }
        }
        all.sort_by_key(|(offset, _)| *offset);
        all
    }

    #[test]
    fn the_text_is_the_one_that_the_broker_reads() {
        let all = [
            (1000..1025, Outcome::Handled),
            (1025..1026, Outcome::DeadLettered),
            (1028..1128, Outcome::Handled),
            (1128..1129, Outcome::DeadLettered),
            (1129..1200, Outcome::Handled),
        ];
        let telling = told(&all).telling(1129);
        assert_eq!(telling.text, "tally1;handled=1000+25,3+100;dead=1025,102");
        assert_eq!(telling.below, 1129);
        assert_eq!(Told::default().telling(7), Telling { text: String::new(), below: 7 });
        assert_eq!(told(&[(5..6, Outcome::Handled)]).telling(5).text, "", "what is above may come again");
    }

    #[test]
    fn what_does_not_fit_waits_and_nothing_is_forgotten() {
        let mut told = Told::default();
        let outcome = |offset: i64| if offset % 2 == 0 { Outcome::Handled } else { Outcome::DeadLettered };
        let offsets = || (0..5_000).map(|number| i64::MAX / 2 + number * 3);
        offsets().for_each(|offset| told.note(offset, outcome(offset)));
        let mut heard = Vec::new();
        let mut commits = 0;
        loop {
            let telling = told.telling(i64::MAX);
            assert!(telling.text.len() <= TEXT_BYTES_MAX, "{} bytes", telling.text.len());
            assert!(telling.text.matches([',', '=']).count() <= RANGES_MAX, "{}", telling.text);
            heard.extend(read(&telling.text));
            told.taken(telling.below);
            commits += 1;
            if telling.below == i64::MAX {
                break;
            }
        }
        assert!(commits > 1);
        assert_eq!(heard, offsets().map(|offset| (offset, outcome(offset))).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn everything_below_the_position_is_told_once_taken_or_not(
            steps in prop::collection::vec((0i64..80, any::<bool>(), 0i64..80, any::<bool>()), 1..60)
        ) {
            let (mut told, mut expected) = (Told::default(), BTreeMap::new());
            for (offset, is_handled, position, is_taken) in steps {
                if let Entry::Vacant(vacant) = expected.entry(offset) {
                    let outcome = if is_handled { Outcome::Handled } else { Outcome::DeadLettered };
                    vacant.insert(outcome);
                    told.note(offset, outcome);
                }
                let telling = told.telling(position);
                let below: Vec<_> = expected.range(..position).map(|(offset, outcome)| (*offset, *outcome)).collect();
                prop_assert_eq!(read(&telling.text), below);
                if is_taken {
                    told.taken(telling.below);
                    expected = expected.split_off(&position);
                }
            }
        }
    }
}
