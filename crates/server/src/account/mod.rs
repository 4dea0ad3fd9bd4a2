//! The account's eyes: what the broker sees of deliveries, and whose they are. The balance and its rules are the broker's; here
//! its facts are found, and brought into each data group's log before the commit that relies on them.
//!
//! ```text
//!  fetch taken in ─► Accepted: who holds what then
//!  fetch answered ─► owners, connections ─► attribution ─► Marks (unwritten) ─ socket took it ─► Marks (ready), Reads
//!                                                                │ dropped: withdrawn    doubt ──────┤
//!  OffsetCommit ─── what its group was given, and what nobody owned but its peer read ──────────────┤
//!     └─ receipts in its metadata ──────────────────────────────────────────────────────────────────┼─► Receipts
//!  with other commands from 25 ms on, alone after 250 ms ───────────────────────────────────────────┴─► Deliver
//! ```
//! All of it is soft: after a crash the account says which records it cannot tell about. *Absent: any class of a record.*

mod accounting;
pub mod alarms;
mod attribution;
mod connections;
pub mod damage;
mod deletion;
mod doubt;
mod ending;
mod flush;
mod forgotten;
mod former;
mod handed;
pub mod journal;
mod leader;
mod marks;
mod owners;
mod pace;
mod reads;
mod ready;
mod receipts;
mod refused;
mod rivals;
pub mod stored;
mod undecided;

pub use accounting::{Accepted, Accounting, DataMarks};
pub use flush::CommitBy;
pub use handed::{FetchedRange, HandedOver};
pub use owners::Owners;
pub use reads::Peer;
pub use stored::{Stored, Writer};
