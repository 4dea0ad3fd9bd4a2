//! The classes of the equation, and a count per class. No class is computed as the rest of the others.

use crate::codec::{DecodeError, Parts, Reader};

/// What became of a record, for one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Not yet delivered to the group.
    Pending = 0,
    /// Delivered to a member, not yet acknowledged. Includes what was possibly delivered, see [`super::AccountView::possible`].
    InFlight = 1,
    /// Delivered, then acknowledged.
    Processed = 2,
    /// Given up after too many deliveries; the payload is kept.
    DeadLettered = 3,
    /// Compacted away before delivery.
    Superseded = 4,
    /// A control record, or one of an aborted transaction.
    Withdrawn = 5,
    /// A person deleted it before it was delivered.
    Purged = 6,
    /// Retention removed it before it was delivered: a loss.
    ExpiredUnread = 7,
    /// The position passed it although it was never delivered: a loss.
    Skipped = 8,
    /// The position passed it, and nobody can tell whether it was delivered.
    Unwitnessed = 9,
    /// Stored, and cannot be read any more: the loss that must never happen.
    Lost = 10,
}

const CLASSES: usize = 11;

impl Class {
    /// All of them, in the order of the equation.
    pub const ALL: [Class; CLASSES] = [
        Class::Pending,
        Class::InFlight,
        Class::Processed,
        Class::DeadLettered,
        Class::Superseded,
        Class::Withdrawn,
        Class::Purged,
        Class::ExpiredUnread,
        Class::Skipped,
        Class::Unwitnessed,
        Class::Lost,
    ];

    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Pending => "pending",
            Class::InFlight => "in flight",
            Class::Processed => "processed",
            Class::DeadLettered => "dead-lettered",
            Class::Superseded => "superseded",
            Class::Withdrawn => "withdrawn",
            Class::Purged => "purged",
            Class::ExpiredUnread => "expired unread",
            Class::Skipped => "skipped",
            Class::Unwitnessed => "unwitnessed",
            Class::Lost => "lost",
        }
    }

    /// Whether records of this class were lost to the group, which raises an alarm.
    pub fn is_loss(self) -> bool {
        matches!(self, Class::ExpiredUnread | Class::Skipped | Class::Lost)
    }

    /// Whether a person wants to see the offsets: everything that is neither the usual way nor expected to be passed.
    pub fn is_exceptional(self) -> bool {
        !matches!(self, Class::Pending | Class::InFlight | Class::Processed | Class::Withdrawn)
    }

    /// The class with this number.
    pub(super) fn from_number(number: u8) -> Result<Class, DecodeError> {
        let unknown = DecodeError::Variant { what: "a class", found: number };
        Class::ALL.get(usize::from(number)).copied().ok_or(unknown)
    }
}

/// Records per class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; CLASSES]);

impl Counts {
    /// How many records are in a class.
    pub fn of(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// All classes together.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Every class with its count, in the order of the equation.
    pub fn iter(&self) -> impl Iterator<Item = (Class, u64)> + '_ {
        Class::ALL.into_iter().map(|class| (class, self.of(class)))
    }

    /// Adds another account's counts to these.
    pub fn merge(&mut self, other: &Counts) {
        other.iter().for_each(|(class, count)| self.add(class, count));
    }

    pub(super) fn add(&mut self, class: Class, count: u64) {
        let own = &mut self.0[class as usize];
        *own = own.saturating_add(count);
    }

    /// Takes records out of a class. One that runs out stays at zero: the sum does not come out then, and the check says so.
    pub(super) fn remove(&mut self, class: Class, count: u64) {
        let own = &mut self.0[class as usize];
        *own = own.saturating_sub(count);
    }

    /// `bits` of the classes that are not empty, then their counts.
    pub(super) fn encode(&self, out: &mut Parts) {
        let bits = Class::ALL.iter().filter(|class| self.of(**class) > 0);
        out.put_u32(bits.fold(0, |bits, class| bits | 1 << (*class as u8)));
        self.iter().filter(|(_, count)| *count > 0).for_each(|(_, count)| out.put_u64(count));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Counts, DecodeError> {
        let bits = reader.u32("the classes of an account")?;
        if bits >> CLASSES != 0 {
            return Err(DecodeError::Range("the classes of an account"));
        }
        let mut counts = Counts::default();
        for class in Class::ALL.into_iter().filter(|class| bits & 1 << (*class as u8) != 0) {
            counts.0[class as usize] = reader.u64("a class's count")?;
        }
        Ok(counts)
    }
}
