//! Receipts: the application's word that a record was handled, given after its handler returned. Counting them here and
//! handing them on is all this room does; how a broker takes them is the sink's business.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sequence::SequenceId;

/// What the handler made of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler returned well.
    Handled,
    /// It was given up and is in the dead-letter topic.
    DeadLettered,
}

/// One record's receipt. A retried record has one receipt, at its end, under its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The consumer group.
    pub group: String,
    /// The topic where the record was first stored.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its sender's number, if it has one.
    pub sequence: Option<SequenceId>,
    /// How often handlers tried it.
    pub attempts: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Takes receipts.
///
/// ```
/// use tallymq_client::{Receipt, ReceiptSink};
///
/// struct Audit(std::sync::mpsc::Sender<Receipt>);
/// impl ReceiptSink for Audit {
///     fn handled(&self, receipt: Receipt) {
///         drop(self.0.send(receipt)); // whoever writes them down waits elsewhere
///     }
/// }
/// ```
///
/// Called after the handler returned and before the position is committed; it must not block.
pub trait ReceiptSink: Send + Sync + 'static {
    /// One receipt.
    fn handled(&self, receipt: Receipt);
}

/// The sink of a consumer that was given none: it counts.
#[derive(Debug, Default)]
pub struct CountingReceipts {
    handled: AtomicU64,
    dead_lettered: AtomicU64,
}

impl CountingReceipts {
    /// How many records were handled.
    pub fn handled_count(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    /// How many went to the dead letters.
    pub fn dead_lettered_count(&self) -> u64 {
        self.dead_lettered.load(Relaxed)
    }
}

impl ReceiptSink for CountingReceipts {
    fn handled(&self, receipt: Receipt) {
        match receipt.outcome {
            Outcome::Handled => self.handled.fetch_add(1, Relaxed),
            Outcome::DeadLettered => self.dead_lettered.fetch_add(1, Relaxed),
        };
    }
}
