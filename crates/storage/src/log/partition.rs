//! One partition's log: appended to at apply, read by fetches, written by the segment writer. Small, because a node
//! has thousands of them, and without a file until it is used.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tallymq_model::{BatchHeader, LeaderEpoch, Offset, Timestamp, TopicPartition};

use super::{
    error::{AppendError, ReadError},
    extent::DamageExtent,
    options::PartitionOptions,
    position::LogPosition,
    range::BatchRange,
    segment::SegmentView,
    shared::{GroupMarks, Item, Shared},
    state::State,
    timestamp::Searched,
};

/// The log of one partition.
pub struct PartitionLog {
    tp: TopicPartition,
    /// Names the partition among the open files.
    pub(super) serial: u64,
    pub(super) marks: Arc<GroupMarks>,
    pub(super) shared: Arc<Shared>,
    /// The files agree with the position that the log was opened at.
    pub(super) prepared: AtomicBool,
    pub(super) preparing: Mutex<()>,
    pub(super) state: Mutex<State>,
}

/// Whole batches, one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchedBatches {
    /// The bytes to send, piece by piece; a piece need not be a whole batch. Empty if there is nothing to read.
    pub pieces: Vec<Bytes>,
    /// Bytes of all pieces.
    pub bytes: usize,
    /// Base offset of the first batch, at or before the offset asked for; that offset if there is none.
    pub base: Offset,
    /// The offset behind the last batch.
    pub next: Offset,
}

/// One batch that a search by timestamp found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBatch {
    /// Its header, base offset and leader epoch as stored.
    pub header: BatchHeader,
    /// All its bytes, header included.
    pub bytes: Bytes,
}

impl PartitionLog {
    pub(super) fn new(
        tp: TopicPartition,
        serial: u64,
        marks: Arc<GroupMarks>,
        shared: Arc<Shared>,
        state: State,
    ) -> PartitionLog {
        PartitionLog {
            tp,
            serial,
            marks,
            shared,
            prepared: AtomicBool::new(false),
            preparing: Mutex::new(()),
            state: Mutex::new(state),
        }
    }

    /// Which partition.
    pub fn topic_partition(&self) -> TopicPartition {
        self.tp
    }

    /// Adds a batch at the log end. Memory only. Called at apply, by one thread per Raft group, with what is committed;
    /// `base` and `epoch` are what readers get in place of what the producer sent.
    pub fn append(
        self: &Arc<Self>,
        header: &BatchHeader,
        batch: Bytes,
        base: Offset,
        epoch: LeaderEpoch,
    ) -> Result<(), AppendError> {
        let bytes = batch.len() as u64;
        let queue = {
            let mut state = self.state.lock();
            state.enter(self.marks.begun.load(Relaxed));
            state.append(header, batch, base, epoch)?;
            self.shared.count_append(bytes);
            !std::mem::replace(&mut state.queued, true)
        };
        if queue {
            self.shared.enqueue(Item::Write(Arc::clone(self)));
        }
        Ok(())
    }

    /// Has the writer look at the partition.
    pub(super) fn queue_unless_queued(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.queued, true) {
            // Under the lock: an append that sees the partition queued relies on it, and the next mark has to come behind.
            self.shared.enqueue(Item::Write(Arc::clone(self)));
        }
    }

    /// Whole batches from the one that contains `from` on, at most `bytes_max` bytes in all, but at least one batch if
    /// `at_least_one` (KIP-74). Empty at the log end. Near the end they come from memory, else from files and checked.
    pub fn read(
        &self,
        from: Offset,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<FetchedBatches, ReadError> {
        super::read::read(self, from, bytes_max, at_least_one)
    }

    /// The offsets around `at` that damage took, each of which a read answers with [`ReadError::Corrupt`]; None if `at` can be read.
    /// Costs some hundred reads at most: for whoever came upon damage, and not for each who fetches there.
    pub fn unreadable_around(&self, at: Offset) -> Option<DamageExtent> {
        super::extent::around(self, at)
    }

    /// Whether a read from `from` is answered without a file.
    pub fn is_in_memory(&self, from: Offset) -> bool {
        let state = self.state.lock();
        from >= state.log_end || state.tail.first().is_some_and(|tail| tail <= from)
    }

    /// The first batch with a record at or behind `from` (at least the log start) whose max timestamp is at least `at`.
    /// Which record of it is the caller's to find, see [`record_at`](super::timestamp::record_at); in rare batches whose
    /// records with that timestamp are all before `from`, the search goes on from the next batch. Refused where damage may have
    /// taken an earlier one.
    pub fn find_timestamp(&self, at: Timestamp, from: Offset) -> Result<Option<FoundBatch>, ReadError> {
        super::timestamp::find(self, at, from)
    }

    /// The same also behind damage: the first batch of those that are whole, and what damage was met.
    pub fn search_timestamp(&self, at: Timestamp, from: Offset) -> Result<Searched, ReadError> {
        super::timestamp::search(self, at, from)
    }

    /// The first batch with the largest max timestamp of the log.
    pub fn max_timestamp(&self) -> Result<Option<FoundBatch>, ReadError> {
        super::timestamp::find_max(self)
    }

    /// The first offset that readers see.
    pub fn log_start(&self) -> Offset {
        self.state.lock().log_start
    }

    /// The offset behind the last record; the high watermark, since only what is committed is appended.
    pub fn log_end(&self) -> Offset {
        self.state.lock().log_end
    }

    /// Log start and log end of one moment.
    pub fn bounds(&self) -> (Offset, Offset) {
        let state = self.state.lock();
        (state.log_start, state.log_end)
    }

    /// Bytes of the segments that hold visible records, and of what is to be written to them.
    pub fn size_bytes(&self) -> u64 {
        let state = self.state.lock();
        state.views().iter().map(|view| view.bytes).sum::<u64>() + state.unwritten_bytes
    }

    /// The segments that hold visible records, oldest first, as far as they are written. Opens no file.
    pub fn segments(&self) -> Vec<SegmentView> {
        self.state.lock().views()
    }

    /// The offset below which a durable checkpoint has everything: what is there stays as it is, whatever crashes.
    pub fn durable_end(&self) -> Offset {
        self.state.lock().durable_end
    }

    /// The written batches from the one that contains `from` up to `to`, which must be in one segment; to be read at
    /// leisure, without the log's locks. Each batch is checked.
    pub fn range(&self, from: Offset, to: Offset) -> Result<BatchRange, ReadError> {
        super::range::open(self, from, to)
    }

    /// Hides what is before `offset`. Files go once no kept checkpoint needs them.
    pub fn set_log_start(&self, offset: Offset) {
        let mut state = self.state.lock();
        state.enter(self.marks.begun.load(Relaxed));
        state.set_log_start(offset);
    }

    /// What the next write goes by.
    pub fn options(&self) -> PartitionOptions {
        self.state.lock().options
    }

    /// Changes the options from the next write on.
    pub fn set_options(&self, options: PartitionOptions) {
        self.state.lock().options = options;
    }

    /// The position as of now if all is written; for tests and tools, a checkpoint takes it through a mark.
    pub fn written_position(&self) -> LogPosition {
        self.state.lock().written_position()
    }
}
