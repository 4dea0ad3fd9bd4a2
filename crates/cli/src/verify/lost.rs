//! Which records no reader gets any more, who still wanted them, and whether a copy is left. Which they are is storage's to say.

use std::collections::BTreeSet;
use std::fmt;

use tallymq_broker::{account::Account, data::DataGroup};
use tallymq_model::{Offset, TopicPartition};

use super::segments::Partition;
use crate::count_text::counted;

/// Offsets that nothing holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The partition.
    pub tp: TopicPartition,
    /// The topic's name, if the metadata has it.
    pub topic: Option<String>,
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// The write-ahead log still has all of them, though no broker reads them there.
    pub has_copy: bool,
    /// The groups that have accounts and did not acknowledge all of them.
    pub groups: Vec<String>,
}

/// Whether the write-ahead log has a copy of all of them.
fn has_copy(partition: &Partition, from: Offset, to: Offset) -> bool {
    let copies = partition
        .expected
        .iter()
        .map(|(base, expected)| (*base, base.plus(i64::from(expected.header.last_offset_delta) + 1)));
    gaps(&copies.collect(), from, to).is_empty()
}

impl Lost {
    /// Offsets of a partition, with who still wanted them.
    pub fn new(
        tp: TopicPartition,
        (from, to): (Offset, Offset),
        partition: &Partition,
        topic: Option<String>,
        state: Option<&DataGroup>,
    ) -> Lost {
        let wants = |account: &Account, ledger| {
            account.intervals(ledger).any(|one| one.mark.is_open() && one.from < to && one.to > from)
        };
        let groups = state.zip(state.and_then(|state| state.ledger(tp))).map(|(state, ledger)| {
            let accounts = state.accounts().of_partition(tp);
            accounts
                .filter(|(_, account)| wants(account, ledger))
                .map(|(group, _)| group.to_string())
                .collect()
        });
        Lost {
            tp,
            topic,
            from,
            to,
            has_copy: has_copy(partition, from, to),
            groups: groups.unwrap_or_default(),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = self.topic.clone().unwrap_or_else(|| self.tp.topic.to_string());
        let (records, last) = (self.to.0 - self.from.0, self.to.0 - 1);
        write!(
            f,
            "{} of {topic}-{} {} lost: offsets {} to {last}",
            counted(records as u64, "record"),
            self.tp.partition,
            if records == 1 { "is" } else { "are" },
            self.from
        )?;
        if !self.groups.is_empty() {
            write!(f, "; not acknowledged by {}", self.groups.join(", "))?;
        }
        if self.has_copy {
            f.write_str("; the write-ahead log still has a copy")?;
        }
        Ok(())
    }
}

/// What of `from..to` none of the ranges has.
fn gaps(held: &BTreeSet<(Offset, Offset)>, from: Offset, to: Offset) -> Vec<(Offset, Offset)> {
    let mut found = Vec::new();
    let mut next = from;
    for (base, behind) in held {
        if *base > next {
            found.push((next, (*base).min(to)));
        }
        next = next.max(*behind);
        if next >= to {
            break;
        }
    }
    if next < to {
        found.push((next, to));
    }
    found.retain(|(from, to)| from < to);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ranges: &[(i64, i64)]) -> BTreeSet<(Offset, Offset)> {
        ranges.iter().map(|(from, to)| (Offset(*from), Offset(*to))).collect()
    }

    #[test]
    fn gaps_are_what_nothing_has() {
        let held = ranges(&[(0, 5), (7, 9), (8, 12), (20, 30)]);
        let found = |from, to| -> Vec<(i64, i64)> {
            gaps(&held, Offset(from), Offset(to)).iter().map(|(from, to)| (from.0, to.0)).collect()
        };
        assert_eq!(found(0, 30), [(5, 7), (12, 20)]);
        assert_eq!(found(3, 15), [(5, 7), (12, 15)]);
        assert_eq!(found(6, 6), []);
        assert_eq!(found(29, 33), [(30, 33)]);
        assert_eq!(found(40, 41), [(40, 41)]);
    }
}
