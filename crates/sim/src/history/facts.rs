//! What the index knows: values, places, sends, reads, logs. Plain facts; no search and no judgement.

use super::Kind;

/// A value, numbered in order of first mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u32);

/// A topic's partition, numbered in order of first mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u32);

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition.
    pub partition: PartitionId,
    /// The offset in it.
    pub offset: i64,
}

/// What became of a send, its transaction included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered `ok`, and its transaction, if any, is committed.
    Acknowledged,
    /// It or its transaction certainly failed.
    Failed,
    /// Nobody can say.
    Unknown,
}

/// One value's send.
#[derive(Clone, Debug)]
pub struct Send<'h> {
    /// What was sent.
    pub value: ValueId,
    /// The client.
    pub process: i64,
    /// The idempotent producer instance.
    pub producer: Option<i64>,
    /// The topic it was sent to.
    pub topic: &'h str,
    /// The partition, where the client chose or learned it.
    pub partition: Option<PartitionId>,
    /// The offset it was answered with; only when the send itself was `ok`.
    pub offset: Option<i64>,
    /// Index of its first event.
    pub invoked: usize,
    /// Index of its completion.
    pub completed: Option<usize>,
    /// What became of it.
    pub fate: Fate,
    /// Index of the first event that could make it visible: its invocation, or that of its transaction's commit.
    pub visible_from: Option<usize>,
    pub(super) outcome: Kind,
    pub(super) txn: Option<&'h str>,
}

impl Send<'_> {
    /// Where it was acknowledged to stand.
    pub fn place(&self) -> Option<Place> {
        Some(Place { partition: self.partition?, offset: self.offset? })
    }
}

/// One record that reached a client.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Index of the event that delivered it.
    pub event: usize,
    /// What was read.
    pub value: ValueId,
    /// Where it stood, if the protocol says.
    pub place: Option<Place>,
    /// A poll (not a lease or an inventory).
    pub polled: bool,
}

/// A partition as far as the history shows it.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Every offset with its value, from acknowledgements and reads, ascending; an offset with two values is there twice.
    pub entries: Vec<(i64, ValueId)>,
    /// Offsets below this were deleted on purpose.
    pub trimmed_to: i64,
    /// The highest offset that the judged reads reached (those of the final phase, if there is one), or -1.
    pub read_to: i64,
}

impl Log {
    /// The entries with `from <= offset < to`.
    pub fn between(&self, from: i64, to: i64) -> &[(i64, ValueId)] {
        let start = self.entries.partition_point(|&(offset, _)| offset < from);
        let end = self.entries.partition_point(|&(offset, _)| offset < to);
        self.entries.get(start..end).unwrap_or(&[])
    }
}
