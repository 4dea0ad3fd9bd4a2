//! The commands about accounts, and their answers. Facts that the leader's shells found out, stamped with their clock.

use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::mark::Witness;
use super::stored::StoredBy;
use super::who::{Committer, Reader, Who};
use crate::group::names::{GroupId, Text};

/// Records that were written to a reader's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The partition.
    pub tp: TopicPartition,
    /// Whose fetch, as an index into the command's readers.
    pub reader: u32,
    /// The first offset that the reader asked for.
    pub from: Offset,
    /// The offset behind the last that it got; equal to `from` if nothing, which is still a position that the group took.
    pub to: Offset,
    /// How sure it is that the fetch was this group's.
    pub witness: Witness,
    /// When, in milliseconds.
    pub at: Timestamp,
}

/// Where an account opens that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFrom {
    /// At the log start.
    Earliest,
    /// At an offset; inside the log, or at its nearer end.
    Offset(Offset),
}

/// What a handler says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// It returned well.
    Handled,
    /// It gave up, and the payload is kept elsewhere.
    DeadLettered,
}

/// A handler's word about some records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The partition.
    pub tp: TopicPartition,
    /// The group.
    pub group: GroupId,
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// What it says.
    pub outcome: ReceiptOutcome,
}

/// One command about accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountCommand {
    /// Records were delivered. Opens accounts that a group has not yet.
    Deliver {
        /// Who read.
        readers: Vec<Reader>,
        /// What, in the order in which it happened.
        deliveries: Vec<Delivery>,
    },
    /// A leader begins. To be applied before it delivers anything. Unless [`AccountCommand::MarksComplete`] was the last word of
    /// the one before, marks may be missing below the log ends of now.
    MarksMayBeMissing {
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// A leader stops, and every mark of its deliveries was applied.
    MarksComplete {
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// A leader stops, and these partitions were read by clients that no mark tells of, since nobody knows yet for whom: below
    /// these offsets a commit that comes later may be about such reads.
    ReadsInDoubt {
        /// Up to where each partition was read.
        below: Vec<(TopicPartition, Offset)>,
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// A person asks for accounts, or partitions were added to a topic that a group has accounts in. Where there is an account
    /// already nothing happens.
    OpenAccount {
        /// The group.
        group: GroupId,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Where they open.
        from: OpenFrom,
        /// Who asks.
        by: Who,
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// A person has seen alarms.
    AcknowledgeAlarms {
        /// Which ones; None for all.
        ids: Option<Vec<u64>>,
        /// Who.
        by: Who,
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// Handlers returned.
    Receipts {
        /// Their words.
        receipts: Vec<Receipt>,
        /// Who says so.
        by: Who,
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// Clients stored records. Moves no account.
    Stored {
        /// Who, and which.
        stored: Vec<StoredBy>,
        /// When it was written down, in milliseconds.
        at: Timestamp,
    },
    /// Stored records cannot be read any more.
    Lost {
        /// The partition.
        tp: TopicPartition,
        /// The first offset.
        from: Offset,
        /// The offset behind the last.
        to: Offset,
        /// What is known of the damage.
        why: Text,
        /// When it was found, in milliseconds.
        at: Timestamp,
    },
    /// The coordinator refused a commit of a fenced member before it became a command. (One that is refused where it is
    /// applied counts by itself.)
    Refused {
        /// The group.
        group: GroupId,
        /// The positions.
        positions: Vec<(TopicPartition, Offset)>,
        /// Who.
        by: Committer,
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// Accounts are kept from now on, or not any more: then all of them close. It is a command because what is applied
    /// may not depend on a node's configuration; the leader proposes it where state and `account.enabled` differ.
    Switch {
        /// Whether accounts are kept.
        on: bool,
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// Accounts are stated anew in the journal, so that what is before may go. With none of them it brings the time, for a command
    /// behind it that has none.
    StateAccounts {
        /// Which; those that do not exist any more are left out.
        accounts: Vec<(TopicPartition, GroupId)>,
        /// When, in milliseconds.
        at: Timestamp,
    },
    /// The oldest part of the journal goes (`account.journal.bytes`). Accounts that were opened or stated before it, and not
    /// since, are stated now; for many of them [`AccountCommand::StateAccounts`] does so before, in small steps.
    TrimJournal {
        /// The first offset of the journal that is kept; at most its end.
        to: Offset,
        /// When, in milliseconds.
        at: Timestamp,
    },
}

/// The answer to an [`AccountCommand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountOutcome {
    /// It was noted. How many accounts it was about; 0 for commands that are about none.
    Noted {
        /// Accounts.
        accounts: u64,
    },
    /// To `OpenAccount`: how many accounts are new.
    Opened {
        /// Accounts.
        accounts: u64,
    },
    /// To `AcknowledgeAlarms`: how many there were.
    Acknowledged {
        /// Alarms.
        alarms: u64,
    },
    /// To `TrimJournal`: where the journal begins now.
    JournalTrimmed {
        /// Its log start.
        log_start: Offset,
    },
    /// Accounts are switched off.
    SwitchedOff,
}
