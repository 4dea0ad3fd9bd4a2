//! All partition logs of a node: opening, deleting, and the checkpoint marks that make positions durable.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed},
        },
    },
};

use parking_lot::{Mutex, RwLock};
use tallymq_model::{LogIndex, RaftGroup, TopicPartition};

use super::{
    error::{Damage, FlushError, WriteFailed},
    options::{LogOptions, PartitionOptions},
    partition::PartitionLog,
    position::LogPosition,
    shared::{GroupMarks, Item, Shared, WrittenHook},
    state::State,
    writer::SegmentWriter,
};
use crate::disk::Disk;

/// The logs of all partitions of a node.
pub struct LogStore {
    shared: Arc<Shared>,
    partitions: RwLock<HashMap<TopicPartition, Arc<PartitionLog>>>,
    groups: Mutex<HashMap<RaftGroup, Arc<GroupMarks>>>,
    /// Deleted, but a kept checkpoint still speaks of them.
    deleted: Mutex<Vec<Deleted>>,
    swept: Mutex<Swept>,
    serial: AtomicU64,
    syncing: Mutex<()>,
}

/// Names what was never open among the open files, of which it has none.
const SERIAL_OF_UNOPENED: u64 = u64::MAX;

/// Partitions that nobody knew, and the groups' durable checkpoints then.
#[derive(Default)]
struct Swept {
    unknown: Vec<TopicPartition>,
    groups: Vec<(Arc<GroupMarks>, u64)>,
}

struct Deleted {
    partition: Arc<PartitionLog>,
    generation: u64,
    checkpoints_left: u8,
}

/// A place in the writer's queue: all that a group appended before it, and nothing after it.
#[derive(Debug)]
#[must_use = "a mark is finished, or superseded by the next one"]
pub struct CheckpointMark {
    group: RaftGroup,
    marks: Arc<GroupMarks>,
    generation: u64,
}

/// Counters for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Bytes written to segments since start.
    pub written_bytes: u64,
    /// Writes to segments since start.
    pub writes: u64,
    /// Bytes of batches in memory, unwritten ones included.
    pub tail_cache_bytes: u64,
    /// Bytes of batches that are not written yet.
    pub unwritten_bytes: u64,
    /// Open segment files.
    pub open_files: usize,
    /// Bytes of indexes of open files in memory, about.
    pub index_bytes: usize,
    /// Reads that memory answered.
    pub cache_hits: u64,
    /// Reads that went to a file.
    pub cache_misses: u64,
}

impl LogStore {
    /// A store without partitions, and the writer that someone has to drive: [`spawn`](super::spawn), or a test.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(disk: Arc<dyn Disk>, options: LogOptions) -> (Arc<LogStore>, SegmentWriter) {
        let shared = Arc::new(Shared::new(disk, options));
        let store = LogStore {
            shared: Arc::clone(&shared),
            partitions: RwLock::default(),
            groups: Mutex::default(),
            deleted: Mutex::default(),
            swept: Mutex::default(),
            serial: AtomicU64::new(0),
            syncing: Mutex::new(()),
        };
        (Arc::new(store), SegmentWriter::new(shared))
    }

    /// The log of a partition of `group`, as a checkpoint left it, or from nothing with a default position. No file is
    /// touched before the log is used. If the log is open already, that one is returned.
    pub fn open(
        &self,
        tp: TopicPartition,
        group: RaftGroup,
        options: PartitionOptions,
        position: LogPosition,
    ) -> Arc<PartitionLog> {
        let marks = self.marks(group);
        let mut partitions = self.partitions.write();
        let open = partitions.entry(tp).or_insert_with(|| {
            let state = State::new(options, position, marks.begun.load(Relaxed));
            let serial = self.serial.fetch_add(1, Relaxed);
            Arc::new(PartitionLog::new(tp, serial, marks, Arc::clone(&self.shared), state))
        });
        Arc::clone(open)
    }

    /// An open log.
    pub fn partition(&self, tp: TopicPartition) -> Option<Arc<PartitionLog>> {
        self.partitions.read().get(&tp).cloned()
    }

    /// Deletes a partition: nobody can open it again, its files go once no kept checkpoint needs them.
    pub fn delete(&self, tp: TopicPartition) {
        let mut partitions = self.partitions.write();
        let Some(partition) = partitions.remove(&tp) else {
            return;
        };
        let generation = partition.marks.begun.load(Relaxed);
        {
            let mut state = partition.state.lock();
            state.enter(generation);
            state.deleted = true;
        }
        let checkpoints_left = self.shared.options.checkpoints_kept.max(1);
        self.deleted.lock().push(Deleted { partition, generation, checkpoints_left });
    }

    /// Marks a point between two commands of a group; called where its commands are applied.
    pub fn begin_checkpoint(&self, group: RaftGroup) -> CheckpointMark {
        let marks = self.marks(group);
        let generation = marks.begun.fetch_add(1, Relaxed) + 1;
        self.shared.enqueue(Item::Mark(Arc::clone(&marks), generation));
        CheckpointMark { group, marks, generation }
    }

    /// Waits until the writer is past the mark, makes all durable and returns the group's positions as of the mark.
    /// Blocks; not for the thread that applies, nor for the one that drives the writer unless
    /// [`LogStore::is_passed`] says so.
    pub fn finish_checkpoint(
        &self,
        mark: &CheckpointMark,
    ) -> Result<BTreeMap<TopicPartition, LogPosition>, FlushError> {
        self.shared.wait_passed(&mark.marks, mark.generation)?;
        let mut positions = BTreeMap::new();
        for partition in self.of_group(mark, true) {
            if mark.marks.begun.load(Relaxed) != mark.generation {
                return Err(FlushError::Superseded);
            }
            if let Some(position) = partition.state.lock().position_at(mark.generation)? {
                positions.insert(partition.topic_partition(), position);
            }
        }
        self.shared.sync(&self.syncing, &self.of_group(mark, false))?;
        Ok(positions)
    }

    /// Whether the writer is past the mark, so that [`LogStore::finish_checkpoint`] need not wait for it.
    pub fn is_passed(&self, mark: &CheckpointMark) -> bool {
        mark.marks.passed.load(Relaxed) >= mark.generation
    }

    /// The checkpoint with the positions of this mark, as of entry `applied`, is durable: the writer removes what no kept
    /// checkpoint needs. One of the same index replaces the one before and pushes no older one out.
    pub fn checkpoint_durable(&self, mark: CheckpointMark, applied: LogIndex) {
        {
            let mut durable = mark.marks.durable.lock();
            if durable.1 > 0 && durable.0 == applied {
                return;
            }
            *durable = (applied, durable.1 + 1);
        }
        let mut over = Vec::new();
        self.deleted.lock().retain_mut(|deleted| {
            if Arc::ptr_eq(&deleted.partition.marks, &mark.marks) && deleted.generation < mark.generation {
                deleted.checkpoints_left -= 1;
            }
            if deleted.checkpoints_left == 0 {
                over.push((deleted.partition.topic_partition(), deleted.partition.serial));
            }
            deleted.checkpoints_left > 0
        });
        self.shared.enqueue(Item::Durable(self.of_group(&mark, false), mark.generation));
        for (tp, serial) in over {
            self.shared.enqueue(Item::Remove(tp, serial));
        }
        self.remove_unknown();
    }

    /// Looks for files that a crash left behind: those of partitions that are not open and that `is_known` does not know
    /// go once no kept checkpoint of any of the data `groups` can need them; partitions that were not used yet are looked
    /// at. To be called once, in the background, when all groups are as new as they were before the crash. Returns how
    /// many partitions are unknown.
    pub fn sweep(
        &self,
        groups: &[RaftGroup],
        is_known: impl Fn(TopicPartition) -> bool,
    ) -> std::io::Result<usize> {
        let mut unknown = Vec::new();
        for tp in super::scan::partitions(&*self.shared.disk)? {
            if let Some(partition) = self.partition(tp) {
                if !partition.prepared.load(Acquire) {
                    partition.queue_unless_queued();
                }
            } else if !is_known(tp) && !self.is_deleted(tp) {
                unknown.push(tp);
            }
        }
        let count = unknown.len();
        let groups = groups.iter().map(|group| self.marks(*group)).map(|marks| {
            let durable = marks.durable.lock().1;
            (marks, durable)
        });
        let groups = groups.collect();
        *self.swept.lock() = Swept { unknown, groups };
        Ok(count)
    }

    /// Bytes that were appended and are not written.
    pub fn unwritten_bytes(&self) -> u64 {
        self.shared.unwritten()
    }

    /// Runs `hook` once: as soon as at most `bytes` are unwritten (perhaps at once, on this thread; else on the
    /// writer's), or when the store fails.
    pub fn when_unwritten_at_most(&self, bytes: u64, hook: WrittenHook) {
        self.shared.when_unwritten_at_most(bytes, hook);
    }

    /// The failure after which the process must end.
    pub fn failure(&self) -> Option<WriteFailed> {
        self.shared.failure().cloned()
    }

    /// Damage that was found where nobody waited for an answer: a segment shorter than its position, or missing.
    /// Readers of the missing offsets get it as [`ReadError::Corrupt`](super::ReadError::Corrupt).
    pub fn damages(&self) -> Vec<Damage> {
        self.shared.damages()
    }

    /// Counters.
    pub fn stats(&self) -> LogStats {
        let shared = &self.shared;
        LogStats {
            written_bytes: shared.written.load(Relaxed),
            writes: shared.writes.load(Relaxed),
            tail_cache_bytes: shared.cached.load(Relaxed),
            unwritten_bytes: shared.unwritten(),
            open_files: shared.files.count(),
            index_bytes: shared.files.index_bytes(),
            cache_hits: shared.hits.load(Relaxed),
            cache_misses: shared.misses.load(Relaxed),
        }
    }

    /// Lets the writer's thread write what is queued and end.
    pub fn close(&self) {
        self.shared.close();
    }

    fn marks(&self, group: RaftGroup) -> Arc<GroupMarks> {
        Arc::clone(self.groups.lock().entry(group).or_default())
    }

    /// What a sweep found, once every group has replaced all checkpoints that were kept then.
    fn unknown_over(&self) -> Vec<TopicPartition> {
        let mut swept = self.swept.lock();
        let kept = u64::from(self.shared.options.checkpoints_kept.max(1));
        if swept.groups.iter().any(|(marks, then)| marks.durable.lock().1 < then + kept) {
            return Vec::new();
        }
        std::mem::take(&mut swept.unknown)
    }

    /// Lets the files go that nobody knew then and nobody has taken up since.
    fn remove_unknown(&self) {
        let over = self.unknown_over();
        // Held until they are queued: whoever opens one later writes behind its removal.
        let partitions = self.partitions.read();
        for tp in over.into_iter().filter(|tp| !partitions.contains_key(tp) && !self.is_deleted(*tp)) {
            self.shared.enqueue(Item::Remove(tp, SERIAL_OF_UNOPENED));
        }
    }

    fn is_deleted(&self, tp: TopicPartition) -> bool {
        self.deleted.lock().iter().any(|deleted| deleted.partition.topic_partition() == tp)
    }

    /// The partitions of a mark's group; with the ones that were deleted after the mark.
    fn of_group(&self, mark: &CheckpointMark, with_deleted: bool) -> Vec<Arc<PartitionLog>> {
        let ours = |partition: &&Arc<PartitionLog>| Arc::ptr_eq(&partition.marks, &mark.marks);
        // Held until the deleted ones are read: a deletion moves a partition from here to there.
        let partitions = self.partitions.read();
        let open: Vec<_> = partitions.values().filter(ours).cloned().collect();
        if !with_deleted {
            return open;
        }
        let deleted = self.deleted.lock();
        let after = deleted.iter().filter(|deleted| deleted.generation >= mark.generation);
        open.into_iter().chain(after.map(|deleted| &deleted.partition).filter(ours).cloned()).collect()
    }
}

impl CheckpointMark {
    /// Whose checkpoint.
    pub fn group(&self) -> RaftGroup {
        self.group
    }
}
