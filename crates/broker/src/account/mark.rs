//! What one record's entry in the balance says, and how each event changes it. The only place where the classes' rules
//! stand: the balance and the recomputation both ask here, and differ in how they keep intervals.

use super::class::Class;
use crate::codec::DecodeError;

/// How sure it is that a delivery went to this group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The fetch belongs to a member of this group and to nobody else.
    Exact,
    /// Several groups fit the fetch.
    Possible,
}

/// Why records that nobody was given are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Retention.
    Expired,
    /// A person deleted the records or their topic.
    Purged,
}

/// One record's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mark {
    /// Not delivered.
    Pending = 0,
    /// Delivered, but perhaps to another group.
    Possible = 1,
    /// Delivered.
    InFlight = 2,
    /// Delivered and acknowledged.
    Processed = 3,
    /// Retention removed it undelivered.
    Expired = 4,
    /// A person removed it undelivered.
    Purged = 5,
    /// The position passed it undelivered.
    Skipped = 6,
    /// The position passed it, delivered or not.
    Unwitnessed = 7,
    /// Not for consumers.
    Withdrawn = 8,
    /// Given up, payload kept.
    DeadLettered = 9,
    /// Compacted away.
    Superseded = 10,
    /// Unreadable.
    Lost = 11,
    /// Skipped, then delivered: a loss until a commit passes it.
    SkippedInFlight = 12,
    /// Unwitnessed, then delivered.
    UnwitnessedInFlight = 13,
    /// Settled; its class is in the counts, and no longer known per offset.
    Folded = 14,
}

const ALL: [Mark; 15] = [
    Mark::Pending,
    Mark::Possible,
    Mark::InFlight,
    Mark::Processed,
    Mark::Expired,
    Mark::Purged,
    Mark::Skipped,
    Mark::Unwitnessed,
    Mark::Withdrawn,
    Mark::DeadLettered,
    Mark::Superseded,
    Mark::Lost,
    Mark::SkippedInFlight,
    Mark::UnwitnessedInFlight,
    Mark::Folded,
];

impl Mark {
    /// Where the record counts; None if it was counted when it was folded.
    pub fn class(self) -> Option<Class> {
        Some(match self {
            Mark::Pending => Class::Pending,
            Mark::Possible | Mark::InFlight => Class::InFlight,
            Mark::Processed => Class::Processed,
            Mark::Expired => Class::ExpiredUnread,
            Mark::Purged => Class::Purged,
            Mark::Skipped | Mark::SkippedInFlight => Class::Skipped,
            Mark::Unwitnessed | Mark::UnwitnessedInFlight => Class::Unwitnessed,
            Mark::Withdrawn => Class::Withdrawn,
            Mark::DeadLettered => Class::DeadLettered,
            Mark::Superseded => Class::Superseded,
            Mark::Lost => Class::Lost,
            Mark::Folded => return None,
        })
    }

    /// Whether no position has passed it and nothing else ended it.
    pub fn is_open(self) -> bool {
        matches!(self, Mark::Pending | Mark::Possible | Mark::InFlight)
    }

    /// Whether nothing of interest is forgotten when it becomes a mere count.
    pub(super) fn is_plain(self) -> bool {
        matches!(self, Mark::Processed | Mark::Withdrawn | Mark::Folded)
    }

    /// Whether a delivery of it is one more than the group needed.
    pub(super) fn is_redelivery(self) -> bool {
        !matches!(self, Mark::Pending | Mark::Possible | Mark::Skipped | Mark::Unwitnessed)
    }

    /// The record was delivered. What expired, was purged or lost stays that: it is a mark that came late.
    pub(super) fn delivered(self, witness: Witness) -> Mark {
        match (self, witness) {
            (Mark::Pending | Mark::Possible, Witness::Exact) => Mark::InFlight,
            (Mark::Pending, Witness::Possible) => Mark::Possible,
            (Mark::Skipped, Witness::Exact) => Mark::SkippedInFlight,
            (Mark::Unwitnessed, Witness::Exact) => Mark::UnwitnessedInFlight,
            (other, _) => other,
        }
    }

    /// The position passed the record; `in_window` if a mark of its delivery may have been lost in a crash.
    pub(super) fn passed(self, in_window: bool) -> Mark {
        match self {
            Mark::InFlight | Mark::SkippedInFlight | Mark::UnwitnessedInFlight => Mark::Processed,
            Mark::Pending if in_window => Mark::Unwitnessed,
            Mark::Pending => Mark::Skipped,
            Mark::Possible => Mark::Unwitnessed,
            other => other,
        }
    }

    /// The record is gone from the log. A member that has it keeps it; where nobody can tell who has it, it is unwitnessed,
    /// since neither a loss nor a delivery may be guessed.
    pub(super) fn removed(self, why: Removal) -> Mark {
        match (self, why) {
            (Mark::Pending, Removal::Expired) => Mark::Expired,
            (Mark::Pending, Removal::Purged) => Mark::Purged,
            (Mark::Possible, _) => Mark::Unwitnessed,
            (other, _) => other,
        }
    }

    /// The record cannot be read any more.
    pub(super) fn lost(self) -> Mark {
        match self {
            Mark::Pending | Mark::Possible => Mark::Lost,
            other => other,
        }
    }

    /// The record turned out not to be for consumers.
    pub(super) fn withdrawn(self) -> Mark {
        if self.is_open() { Mark::Withdrawn } else { self }
    }

    /// The group gave the record up and kept its payload.
    pub(super) fn dead_lettered(self) -> Mark {
        match self {
            Mark::Possible
            | Mark::InFlight
            | Mark::Processed
            | Mark::SkippedInFlight
            | Mark::UnwitnessedInFlight => Mark::DeadLettered,
            other => other,
        }
    }

    pub(super) fn from_number(number: u8) -> Result<Mark, DecodeError> {
        let unknown = DecodeError::Variant { what: "a mark", found: number };
        ALL.get(usize::from(number)).copied().ok_or(unknown)
    }
}
