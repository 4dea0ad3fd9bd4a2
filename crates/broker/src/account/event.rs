//! What the journal says: who, when, and what happened to which records. One event is one record of the journal's log.

use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::balance::Account;
use super::class::Class;
use super::command::ReceiptOutcome;
use super::mark::Witness;
use super::stored::StoredRun;
use super::who::{Committer, Who};
use crate::data::LogStartReason;
use crate::group::names::{GroupId, Text};

/// What records became that an account could not keep apart any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergedInto {
    /// Possibly delivered.
    Possible,
    /// Unwitnessed.
    Unwitnessed,
    /// Settled before, and from now on only counted: their offsets are forgotten.
    Counts,
}

/// Why an account ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The group is gone.
    GroupDeleted,
    /// The group's position in the partition was deleted.
    PositionDeleted,
    /// The topic is gone.
    TopicDeleted,
    /// Accounts were switched off.
    SwitchedOff,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEvent {
    /// When, in milliseconds by the leader's clock; of what has no time of its own, the last one known.
    pub at: Timestamp,
    /// The partition, if it is about one.
    pub tp: Option<TopicPartition>,
    /// The group, if it is about one; without, it is about every account of the partition.
    pub group: Option<GroupId>,
    /// What.
    pub what: Happening,
}

/// What happened. Offsets are inside the log as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The account opened.
    Opened {
        /// At this offset.
        offset: Offset,
        /// What a position had passed then: unwitnessed.
        passed_to: Option<Offset>,
        /// Who took the position or asked for the account; empty if a partition was added.
        who: Who,
    },
    /// Records were written to a reader's socket.
    Delivered {
        /// The first offset.
        from: Offset,
        /// The offset behind the last.
        to: Offset,
        /// How sure it is that it was this group's fetch.
        witness: Witness,
        /// To whom.
        who: Who,
        /// The broker's number of the connection.
        connection: u64,
    },
    /// The position is another one. By somebody who is no member, it was a reset.
    Committed {
        /// The position.
        to: Offset,
        /// How far it passed records: at most the log end of then.
        passed: Offset,
        /// By whom.
        by: Committer,
    },
    /// A fenced member's commit was refused.
    Refused {
        /// The position that it wanted.
        to: Offset,
        /// Who.
        by: Committer,
    },
    /// Something exceptional became of records, by the event before that is of another kind.
    Settled {
        /// The first offset.
        from: Offset,
        /// The offset behind the last.
        to: Offset,
        /// What.
        class: Class,
    },
    /// The records below an offset left the log. For every account of the partition.
    LogStart {
        /// The log start.
        to: Offset,
        /// Why, and who wanted it.
        why: LogStartReason,
    },
    /// A leader began, and marks of deliveries may be missing below an offset. For every account of the partition.
    MarksMissing {
        /// The log end of then.
        below: Offset,
    },
    /// Records were stored by a client. Says nothing of other records.
    Stored {
        /// Who; no member.
        who: Who,
        /// The broker's number of the connection.
        connection: u64,
        /// Which, and when.
        runs: Vec<StoredRun>,
    },
    /// Records are not for consumers. For every account of the partition.
    Withdrawn {
        /// The first offset.
        from: Offset,
        /// The offset behind the last.
        to: Offset,
    },
    /// Records cannot be read any more. For every account of the partition.
    Lost {
        /// The first offset.
        from: Offset,
        /// The offset behind the last.
        to: Offset,
        /// What is known of the damage.
        why: Text,
    },
    /// A handler's word.
    Receipt {
        /// The first offset.
        from: Offset,
        /// The offset behind the last.
        to: Offset,
        /// What it says.
        outcome: ReceiptOutcome,
        /// Who says so.
        who: Who,
    },
    /// The account could not keep records apart any more.
    Merged {
        /// The first offset.
        from: Offset,
        /// The offset behind the last.
        to: Offset,
        /// What they are now.
        into: MergedInto,
    },
    /// The whole account, so that what is before may be trimmed.
    Statement(Box<Account>),
    /// The account ended, like this.
    Closed {
        /// Why.
        why: CloseReason,
        /// Its last state.
        statement: Box<Account>,
    },
    /// A person acknowledged alarms.
    Acknowledged {
        /// How many.
        alarms: u64,
        /// Who.
        who: Who,
    },
    /// Accounts are kept from now on, or not any more.
    Switched {
        /// Which of both.
        on: bool,
    },
    /// The journal before an offset is gone, and every account was stated anew.
    Trimmed {
        /// Its log start.
        to: Offset,
    },
}

/// The events of one command, in order, and where in the journal they go.
#[derive(Debug)]
pub struct Notes {
    end: Offset,
    events: Vec<JournalEvent>,
}

impl Notes {
    /// None yet, behind the journal's end. Allocates nothing before the first.
    pub fn new(end: Offset) -> Notes {
        Notes { end, events: Vec::new() }
    }

    /// The journal offset that the next event gets.
    pub fn next(&self) -> Offset {
        self.end.plus(self.events.len() as i64)
    }

    /// Writes one down.
    pub fn push(&mut self, event: JournalEvent) {
        self.events.push(event);
    }

    /// All, in order.
    pub fn into_events(self) -> Vec<JournalEvent> {
        self.events
    }
}
