//! The account: for every partition and consumer group, what became of each record. An equation whose terms are each
//! counted from their own events; none is the rest of the others. Pure: events come in as commands, in log order.
//!
//! ```text
//!  command ─► Accounts ─► Account   the balance: a class per record above the settle point as runs, a count per class below
//!                 │   └─► Alarms    losses, until a person acknowledges them
//!                 └─────► Notes     the journal: who and when, appended by the replica to a log of its own (journal)
//!  recompute: journal ─► the same equation by other code, to be compared with the balance
//! ```
//! Who may have been delivered what is decided by the leader's shells, before it becomes a command.

mod accounts;
mod alarm;
mod apply;
mod balance;
mod class;
mod command;
mod command_encoding;
mod encoding;
mod event;
mod event_encoding;
mod handled;
pub mod journal;
mod mark;
mod receipt_text;
pub mod recompute;
mod recomputed_receipts;
mod runs;
mod stored;
mod upkeep;
mod view;
mod who;

pub use accounts::{ACCOUNTS_MAX, Accounts, Ledger};
pub use alarm::{ALARM_KEYS_MAX, ALARMS_PER_KEY_MAX, Alarm, AlarmCause, AlarmOverflow, Alarms};
pub use balance::{Account, Change, Changes, CrashWindow, RUNS_MAX, Tallies};
pub use class::{Class, Counts};
pub use command::{AccountCommand, AccountOutcome, Delivery, OpenFrom, Receipt, ReceiptOutcome};
pub use event::{CloseReason, Happening, JournalEvent, MergedInto, Notes};
pub use mark::{Mark, Removal, Witness};
pub use receipt_text::{ReceiptTextError, TOLD_RANGES_MAX, Told, receipts_in};
pub use stored::{StoredBy, StoredRun};
pub use view::{AccountView, Imbalance, Interval};
pub use who::{Committer, CommitterKind, Reader, Who};
