//! What all partitions of a node share: the writer's queue, the counters, the open files, and the failure after
//! which nothing goes on.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tallymq_model::{LogIndex, TopicPartition};

use super::{
    error::{Damage, FlushError, WriteFailed},
    files::OpenFiles,
    options::LogOptions,
    partition::PartitionLog,
};
use crate::disk::Disk;

/// Called once, when the store has failed or enough is written.
pub type WrittenHook = Box<dyn FnOnce(Result<(), WriteFailed>) + Send>;

/// What waits for the writer, in order.
pub(super) enum Item {
    /// The partition has unwritten batches. At most once in the queue.
    Write(Arc<PartitionLog>),
    /// All before it is to be written first.
    Mark(Arc<GroupMarks>, u64),
    /// A checkpoint of these partitions' group is durable.
    Durable(Vec<Arc<PartitionLog>>, u64),
    /// No checkpoint needs this deleted partition.
    Remove(TopicPartition, u64),
}

/// A Raft group's checkpoints as the log sees them.
#[derive(Debug, Default)]
pub(super) struct GroupMarks {
    /// The newest mark that was begun.
    pub begun: AtomicU64,
    /// The newest mark that the writer is past.
    pub passed: AtomicU64,
    /// The applied index of the newest durable checkpoint of this run, and how many of different indexes there were.
    pub durable: Mutex<(LogIndex, u64)>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    closed: bool,
    /// A checkpoint waits: do not linger.
    urgent: bool,
}

pub(super) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub options: LogOptions,
    pub files: OpenFiles,
    queue: Mutex<Queue>,
    /// Something is queued.
    arrived: Condvar,
    /// The linger is over.
    hurry: Condvar,
    /// A mark was passed, or the store has failed or closed.
    passed: Condvar,
    failed: OnceLock<WriteFailed>,
    unsynced_dirs: Mutex<BTreeSet<String>>,
    /// Held while pieces are sent on to the device.
    pub sending: Mutex<()>,
    hooks: Mutex<Vec<(u64, WrittenHook)>>,
    damages: Mutex<Vec<Damage>>,
    unwritten: AtomicU64,
    pub cached: AtomicU64,
    pub written: AtomicU64,
    pub writes: AtomicU64,
    pub hits: AtomicU64,
    pub misses: AtomicU64,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, options: LogOptions) -> Shared {
        Shared {
            disk,
            files: OpenFiles::new(options.open_files_max),
            options,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            hurry: Condvar::new(),
            passed: Condvar::new(),
            failed: OnceLock::new(),
            unsynced_dirs: Mutex::default(),
            sending: Mutex::default(),
            hooks: Mutex::default(),
            damages: Mutex::default(),
            unwritten: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            written: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Puts something behind what is queued. Nothing is queued any more once the writer has ended.
    pub(super) fn enqueue(&self, item: Item) {
        let urgent = matches!(item, Item::Mark(..)) || self.unwritten() >= self.options.linger_bytes_max;
        let mut queue = self.queue.lock();
        if queue.closed {
            return;
        }
        queue.items.push_back(item);
        queue.urgent |= urgent;
        drop(queue);
        self.arrived.notify_one();
        if urgent {
            self.hurry.notify_one();
        }
    }

    /// Takes all that is queued.
    pub(super) fn take_queue(&self) -> VecDeque<Item> {
        let mut queue = self.queue.lock();
        queue.urgent = false;
        std::mem::take(&mut queue.items)
    }

    /// Waits until something is queued, then lets more gather. False once the store is closed and the queue empty.
    pub(super) fn wait_for_work(&self) -> bool {
        let mut queue = self.queue.lock();
        while queue.items.is_empty() && !queue.closed {
            self.arrived.wait(&mut queue);
        }
        if !queue.urgent && !queue.closed {
            self.hurry.wait_for(&mut queue, Duration::from_millis(self.options.linger_ms));
        }
        !queue.closed || !queue.items.is_empty()
    }

    /// Ends the writer after what is queued.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.arrived.notify_all();
        self.hurry.notify_all();
    }

    /// The writer is gone; nobody need wait for it.
    pub(super) fn writer_ended(&self) {
        let dropped = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.items)
        };
        drop(dropped);
        self.passed.notify_all();
    }

    /// Waits until the writer is past a mark.
    pub(super) fn wait_passed(&self, marks: &GroupMarks, generation: u64) -> Result<(), FlushError> {
        let mut queue = self.queue.lock();
        loop {
            self.check()?;
            if marks.passed.load(Relaxed) >= generation {
                return Ok(());
            }
            if queue.closed && queue.items.is_empty() {
                return Err(FlushError::Closed);
            }
            self.passed.wait(&mut queue);
        }
    }

    /// The writer is past a mark.
    pub(super) fn pass(&self, marks: &GroupMarks, generation: u64) {
        let _queue = self.queue.lock();
        marks.passed.fetch_max(generation, Relaxed);
        self.passed.notify_all();
    }

    /// The failure that ended the store, if any.
    pub(super) fn failure(&self) -> Option<&WriteFailed> {
        self.failed.get()
    }

    pub(super) fn check(&self) -> Result<(), WriteFailed> {
        self.failed.get().map_or(Ok(()), |failed| Err(failed.clone()))
    }

    /// Ends all: whoever waits is told, and nothing is written any more.
    pub(super) fn fail(&self, operation: &'static str, path: &str, source: io::Error) -> WriteFailed {
        let failed = WriteFailed { operation, path: path.to_owned(), source: Arc::new(source) };
        let failed = self.failed.get_or_init(|| failed).clone();
        {
            let _queue = self.queue.lock();
            self.passed.notify_all();
        }
        let hooks = std::mem::take(&mut *self.hooks.lock());
        hooks.into_iter().for_each(|(_, hook)| hook(Err(failed.clone())));
        failed
    }

    /// Bytes that were appended and are not written.
    pub(super) fn unwritten(&self) -> u64 {
        self.unwritten.load(Relaxed)
    }

    /// Counts an append; under the partition's lock, so that it comes before [`Shared::count_written`].
    pub(super) fn count_append(&self, bytes: u64) {
        self.cached.fetch_add(bytes, Relaxed);
        let before = self.unwritten.fetch_add(bytes, Relaxed);
        let limit = self.options.linger_bytes_max;
        if before < limit && before + bytes >= limit {
            self.queue.lock().urgent = true;
            self.hurry.notify_one();
        }
    }

    /// Counts a write and runs the hooks that waited for it.
    pub(super) fn count_written(&self, bytes: u64) {
        self.written.fetch_add(bytes, Relaxed);
        self.writes.fetch_add(1, Relaxed);
        let left = self.unwritten.fetch_sub(bytes, Relaxed) - bytes;
        let mut hooks = self.hooks.lock();
        if hooks.is_empty() {
            return;
        }
        let due: Vec<_> = hooks.extract_if(.., |(limit, _)| left <= *limit).collect();
        drop(hooks);
        due.into_iter().for_each(|(_, hook)| hook(Ok(())));
    }

    /// Runs `hook` as soon as at most `bytes` are unwritten.
    pub(super) fn when_unwritten_at_most(&self, bytes: u64, hook: WrittenHook) {
        let mut hooks = self.hooks.lock();
        let answer = match self.check() {
            Err(failed) => Err(failed),
            Ok(()) if self.unwritten() <= bytes => Ok(()),
            Ok(()) => {
                hooks.push((bytes, hook));
                return;
            }
        };
        drop(hooks);
        hook(answer);
    }

    /// Notes that entries of a directory changed and the next checkpoint has to sync it. To be called when they have: a checkpoint
    /// of another group that comes in between would take the note and sync what was before.
    pub(super) fn dir_changed(&self, path: String) {
        self.unsynced_dirs.lock().insert(path);
    }

    /// Makes everything that was written durable, then the directories that changed: `syncing` is held for that, so that no
    /// second checkpoint takes an unsynced directory for a synced one.
    pub(super) fn sync(
        &self,
        syncing: &Mutex<()>,
        partitions: &[Arc<PartitionLog>],
    ) -> Result<(), WriteFailed> {
        self.check()?;
        super::writeback::finish(self, partitions)?;
        let _syncing = syncing.lock();
        self.check()?;
        if tallymq_model::planted("checkpoint-before-segments") {
            return Ok(());
        }
        let dirs = std::mem::take(&mut *self.unsynced_dirs.lock());
        self.disk.sync_all().map_err(|source| self.fail("syncing", "all files", source))?;
        if tallymq_model::planted("dir-not-synced") {
            return Ok(());
        }
        for dir in &dirs {
            match self.disk.sync_dir(dir) {
                // Removed since; the directory above it has changed as well.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.fail("syncing directory", dir, error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Notes damage that was found where nobody waits for an answer.
    pub(super) fn report(&self, damage: Damage) {
        tracing::error!(file = %damage.file, position = damage.position, reason = %damage.reason, "segment damaged");
        self.damages.lock().push(damage);
    }

    pub(super) fn damages(&self) -> Vec<Damage> {
        self.damages.lock().clone()
    }
}
