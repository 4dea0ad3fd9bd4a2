//! The history checker: what clients saw of a queue, and which promises that breaks. Every harness (simulated cluster,
//! power cuts, kills, other people's clients) records a [`History`] and ends with [`check`].
//!
//! ```text
//!   JSON lines ──file──▶ History ──index──▶ Index ──classes/*──▶ Anomaly … ──report──▶ Report
//! ```
//!
//! Pure but for `file`, which reads and writes the streams it is given. Looks at nothing but the history: no broker, no
//! data directory, no clock. The classes follow Jepsen's Kafka workload (`jepsen.tests.kafka`) and add leases, accounts
//! and committed positions; each file in [`classes`] says what it finds and what it cannot see.
//!
//! ## What no history can show
//! - A write that nobody acknowledged and nobody read leaves no trace: it may be stored or not.
//! - Two records with the same value are one to the checker; a value must be sent once. Bytes that the harness does not
//!   put into `value` (headers, keys, timestamps) are not compared.
//! - Without a `final` event a tail that was read once and then cut off again passes: only a read from the beginning
//!   after the last fault proves that it is still there.
//! - Order is the order of the events. Histories of several machines are only as good as their clocks; the classes that
//!   need real time (`precommitted-read`, the leases) say so.

mod check;
pub mod classes;
mod event;
mod facts;
mod file;
mod index;
mod report;

pub use check::{Allowances, check};
pub use event::{Event, History, Item, Kind, Op, Record};
pub use facts::{Fate, Log, PartitionId, Place, Read, Send, ValueId};
pub use file::{ReadError, Writer, merge, read};
pub use index::{Index, IndexError};
pub use report::{Anomaly, Class, Counts, Report};
