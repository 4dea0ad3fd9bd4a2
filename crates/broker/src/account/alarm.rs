//! Losses that were noticed, until a person acknowledges them. Bounded: further ones of a kind are merged into the last,
//! and what was merged is said. Raises nothing by itself.

use std::collections::{BTreeMap, BTreeSet};

use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::class::Class;
use super::who::Who;
use crate::codec::{DecodeError, Parts, Reader};
use crate::group::names::{GroupId, Text};

/// Alarms of one class, group and partition; further ones are merged into the last.
pub const ALARMS_PER_KEY_MAX: usize = 16;
/// Combinations of class, group and partition in one data group; alarms beyond are only counted.
pub const ALARM_KEYS_MAX: usize = 10_000;

/// What made the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmCause {
    /// A position passed the records.
    Commit {
        /// The position.
        to: Offset,
    },
    /// Retention by age moved the log start.
    RetentionTime,
    /// Retention by size moved the log start.
    RetentionSize,
    /// The records cannot be read.
    Unreadable {
        /// What is known of the damage.
        why: Text,
    },
}

/// One loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Rises with every alarm of the data group.
    pub id: u64,
    /// Whose records.
    pub tp: TopicPartition,
    /// The group that never got them.
    pub group: GroupId,
    /// A class that is a loss.
    pub class: Class,
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// How many records; fewer than the offsets span where alarms were merged.
    pub records: u64,
    /// How many further alarms this one stands for.
    pub merged: u64,
    /// Why; that of the newest where alarms were merged.
    pub cause: AlarmCause,
    /// Who committed, as far as known.
    pub who: Who,
    /// When; the newest.
    pub at: Timestamp,
    /// A crash may have taken marks of deliveries here.
    pub in_crash_window: bool,
}

/// Alarms that there was no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlarmOverflow {
    /// How many.
    pub alarms: u64,
    /// Their records.
    pub records: u64,
}

type Key = (GroupId, TopicPartition, Class);

/// The alarms of one data group that nobody acknowledged yet. Invariants: no list is empty; at most [`ALARM_KEYS_MAX`] lists
/// of at most [`ALARMS_PER_KEY_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarms {
    last_id: u64,
    by_key: BTreeMap<Key, Vec<Alarm>>,
    overflow: AlarmOverflow,
}

impl Alarms {
    /// All, by group, partition and class, each in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = &Alarm> {
        self.by_key.values().flatten()
    }

    /// The newest alarm's id; 0 if there never was one. Whoever tells of alarms asks for those above the last one told.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Those with a higher id. One that others are merged into gets their id.
    pub fn since(&self, id: u64) -> impl Iterator<Item = &Alarm> {
        self.iter().filter(move |alarm| alarm.id > id)
    }

    /// What there was no room for.
    pub fn overflow(&self) -> AlarmOverflow {
        self.overflow
    }

    /// Adds one; its id is given here.
    pub(super) fn raise(&mut self, mut alarm: Alarm) {
        self.last_id += 1;
        alarm.id = self.last_id;
        let key = (alarm.group.clone(), alarm.tp, alarm.class);
        let is_full = self.by_key.len() >= ALARM_KEYS_MAX;
        match self.by_key.get_mut(&key) {
            Some(list) if list.len() >= ALARMS_PER_KEY_MAX => {
                if let Some(last) = list.last_mut() {
                    alarm.from = alarm.from.min(last.from);
                    alarm.to = alarm.to.max(last.to);
                    alarm.records = alarm.records.saturating_add(last.records);
                    alarm.merged = last.merged + 1;
                    alarm.in_crash_window |= last.in_crash_window;
                    *last = alarm;
                }
            }
            Some(list) => list.push(alarm),
            None if is_full => {
                self.overflow.alarms += 1;
                self.overflow.records = self.overflow.records.saturating_add(alarm.records);
            }
            None => drop(self.by_key.insert(key, vec![alarm])),
        }
    }

    /// A person has seen those that `ids` names; all, and what overflowed, with None. Gives back how many there were.
    pub(super) fn acknowledge(&mut self, ids: Option<&[u64]>) -> u64 {
        let before = self.iter().count();
        match ids {
            None => {
                self.by_key.clear();
                self.overflow = AlarmOverflow::default();
            }
            Some(ids) => {
                let ids: BTreeSet<u64> = ids.iter().copied().collect();
                for list in self.by_key.values_mut() {
                    list.retain(|alarm| !ids.contains(&alarm.id));
                }
                self.by_key.retain(|_, list| !list.is_empty());
            }
        }
        (before - self.iter().count()) as u64
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_u64(self.last_id);
        out.put_u64(self.overflow.alarms);
        out.put_u64(self.overflow.records);
        out.put_length(self.iter().count());
        self.iter().for_each(|alarm| alarm.encode(out));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Alarms, DecodeError> {
        let last_id = reader.u64("the alarms")?;
        let (alarms, records) = (reader.u64("the alarms")?, reader.u64("the alarms")?);
        let mut by_key: BTreeMap<Key, Vec<Alarm>> = BTreeMap::new();
        for _ in 0..reader.count("the alarms", 28)? {
            let alarm = Alarm::decode(reader)?;
            by_key.entry((alarm.group.clone(), alarm.tp, alarm.class)).or_default().push(alarm);
        }
        let is_bounded = by_key.len() <= ALARM_KEYS_MAX
            && by_key.values().all(|list| list.len() <= ALARMS_PER_KEY_MAX)
            && by_key.values().flatten().all(|alarm| alarm.id <= last_id);
        if !is_bounded {
            return Err(DecodeError::Range("the alarms"));
        }
        Ok(Alarms { last_id, by_key, overflow: AlarmOverflow { alarms, records } })
    }
}

impl Alarm {
    fn encode(&self, out: &mut Parts) {
        out.put_u64(self.id);
        out.put_topic_partition(self.tp);
        out.put_text(self.group.as_str());
        out.put_u8(self.class as u8);
        out.put_i64(self.from.0);
        out.put_i64(self.to.0);
        out.put_u64(self.records);
        out.put_u64(self.merged);
        match &self.cause {
            AlarmCause::Commit { to } => {
                out.put_u8(0);
                out.put_i64(to.0);
            }
            AlarmCause::RetentionTime => out.put_u8(1),
            AlarmCause::RetentionSize => out.put_u8(2),
            AlarmCause::Unreadable { why } => {
                out.put_u8(3);
                out.put_text(why);
            }
        }
        self.who.encode(out);
        out.put_i64(self.at.0);
        out.put_bool(self.in_crash_window);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Alarm, DecodeError> {
        Ok(Alarm {
            id: reader.u64("an alarm's id")?,
            tp: reader.topic_partition("an alarm's partition")?,
            group: reader.text("an alarm's group")?.into(),
            class: Class::from_number(reader.u8("an alarm's class")?)?,
            from: Offset(reader.i64("an alarm's offset")?),
            to: Offset(reader.i64("an alarm's offset")?),
            records: reader.u64("an alarm's records")?,
            merged: reader.u64("an alarm's records")?,
            cause: match reader.u8("an alarm's cause")? {
                0 => AlarmCause::Commit { to: Offset(reader.i64("an alarm's position")?) },
                1 => AlarmCause::RetentionTime,
                2 => AlarmCause::RetentionSize,
                3 => AlarmCause::Unreadable { why: reader.text("an alarm's cause")?.into() },
                found => return Err(DecodeError::Variant { what: "an alarm's cause", found }),
            },
            who: Who::decode(reader)?,
            at: Timestamp(reader.i64("an alarm's time")?),
            in_crash_window: reader.bool("an alarm")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    fn alarm(partition: i32, from: i64) -> Alarm {
        Alarm {
            id: 0,
            tp: TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) },
            group: "g".into(),
            class: Class::Skipped,
            from: Offset(from),
            to: Offset(from + 2),
            records: 2,
            merged: 0,
            cause: AlarmCause::Commit { to: Offset(from + 2) },
            who: Who::new("m", "c", "a"),
            at: Timestamp(7),
            in_crash_window: false,
        }
    }

    #[test]
    fn what_is_merged_is_said_and_no_record_is_missing() {
        let mut alarms = Alarms::default();
        (0..100).for_each(|at| alarms.raise(alarm(0, at * 10)));
        assert_eq!(alarms.iter().count(), ALARMS_PER_KEY_MAX);
        assert_eq!(alarms.iter().map(|alarm| alarm.records).sum::<u64>(), 200);
        assert_eq!(alarms.iter().map(|alarm| 1 + alarm.merged).sum::<u64>(), 100);
        let last = alarms.iter().last().unwrap();
        assert_eq!((last.id, last.from, last.to), (100, Offset(150), Offset(992)));
        assert_eq!(alarms.since(99).count(), 1, "the merged one is news again");
    }

    #[test]
    fn too_many_partitions_are_counted_and_stay_until_acknowledged() {
        let mut alarms = Alarms::default();
        (0..ALARM_KEYS_MAX as i32 + 5).for_each(|partition| alarms.raise(alarm(partition, 0)));
        assert_eq!(alarms.overflow(), AlarmOverflow { alarms: 5, records: 10 });
        assert_eq!(alarms.acknowledge(Some(&[3, 4, 4_000_000])), 2);
        assert_eq!(alarms.overflow().alarms, 5);
        assert_eq!(alarms.acknowledge(None), ALARM_KEYS_MAX as u64 - 2);
        assert_eq!(alarms, Alarms { last_id: alarms.last_id(), ..Alarms::default() });
    }
}
