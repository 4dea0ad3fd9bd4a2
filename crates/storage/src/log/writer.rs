//! Writes what was appended to the segment files, behind the WAL. One `step` after the other, driven by a thread or by
//! a simulation. It alone creates, writes and removes the files of open partitions; nothing it writes is durable
//! before a checkpoint, so it never syncs.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{
    error::WriteFailed,
    index, names,
    partition::PartitionLog,
    removal,
    shared::{Item, Shared},
    state::{IndexFlush, WritePlan},
    writeback,
};
use crate::disk::OpenMode;

/// Partitions that one step writes to, at most.
const ITEMS_PER_STEP: usize = 256;

/// The one writer of a [`LogStore`](super::LogStore).
pub struct SegmentWriter {
    shared: Arc<Shared>,
    /// What was taken from the queue, in order.
    work: VecDeque<Item>,
    /// Written batches in memory, in the order in which they are dropped.
    evictable: VecDeque<(Arc<PartitionLog>, usize)>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// Something was done; there may be more.
    Worked {
        /// Bytes written to segments.
        bytes: u64,
    },
}

impl SegmentWriter {
    pub(super) fn new(shared: Arc<Shared>) -> SegmentWriter {
        SegmentWriter { shared, work: VecDeque::new(), evictable: VecDeque::new() }
    }

    /// Does a bounded part of what is queued: per partition at most one write of `write_bytes_max` bytes.
    /// After an error the store is of no use any more, and every step answers it.
    pub fn step(&mut self) -> Result<Step, WriteFailed> {
        self.shared.check()?;
        self.work.extend(self.shared.take_queue());
        if self.work.is_empty() {
            self.evict();
            return Ok(Step::Idle);
        }
        let mut bytes = 0;
        let mut unfinished = VecDeque::new();
        for _ in 0..ITEMS_PER_STEP {
            match self.work.pop_front() {
                None => break,
                Some(Item::Write(partition)) => {
                    let (wrote, more) = self.write(&partition)?;
                    bytes += wrote;
                    if more {
                        unfinished.push_back(Item::Write(partition));
                    }
                }
                // What was queued before the mark comes first.
                Some(mark @ Item::Mark(..)) if !unfinished.is_empty() => {
                    self.work.push_front(mark);
                    break;
                }
                Some(Item::Mark(marks, generation)) => self.shared.pass(&marks, generation),
                Some(Item::Durable(partitions, generation)) => {
                    for partition in partitions {
                        removal::remove_unneeded(&self.shared, &partition, generation)?;
                    }
                }
                Some(Item::Remove(tp, serial)) => removal::remove_partition(&self.shared, tp, serial)?,
            }
        }
        while let Some(item) = unfinished.pop_back() {
            self.work.push_front(item);
        }
        self.evict();
        Ok(Step::Worked { bytes })
    }

    /// Waits until there is something to do. False once the store is closed and everything is done.
    pub(super) fn wait(&self) -> bool {
        !self.work.is_empty() || self.shared.wait_for_work()
    }

    /// A step did not come to its end.
    pub(super) fn panicked(&self) -> WriteFailed {
        self.shared.fail("writing segments", "", io::Error::other("the segment writer panicked"))
    }

    /// One write to one partition. Returns the bytes and whether there is more.
    fn write(&mut self, partition: &Arc<PartitionLog>) -> Result<(u64, bool), WriteFailed> {
        if let Err(failed) = partition.prepare() {
            return Err(self.shared.fail("preparing", &failed.path, failed.source));
        }
        let plan = {
            let mut state = partition.state.lock();
            match state.plan(self.shared.options.write_bytes_max) {
                Some(plan) => plan,
                None => {
                    state.queued = false;
                    return Ok((0, false));
                }
            }
        };
        self.write_segment(partition, &plan)?;
        let (flushes, more) = {
            let mut state = partition.state.lock();
            let flushes = state.wrote(&plan);
            let more = state.tail.unwritten().next().is_some();
            state.queued = more;
            (flushes, more)
        };
        for flush in flushes {
            self.write_index(partition, flush)?;
        }
        self.evictable.push_back((Arc::clone(partition), plan.batches.len()));
        self.shared.count_written(plan.bytes);
        Ok((plan.bytes, more))
    }

    fn write_segment(&self, partition: &PartitionLog, plan: &WritePlan) -> Result<(), WriteFailed> {
        let tp = partition.topic_partition();
        let path = names::segment(tp, plan.segment.base);
        let shared = &self.shared;
        if plan.begins {
            let dir = names::partition_dir(tp);
            shared.disk.create_dir(&dir).map_err(|source| shared.fail("creating directory", &dir, source))?;
            if plan.first {
                shared.dir_changed(String::new());
                shared.dir_changed(names::TOPICS.to_owned());
                shared.dir_changed(names::topic_dir(tp.topic));
            }
        }
        let mode = if plan.begins { OpenMode::Create } else { OpenMode::Write };
        let open = || match shared.disk.open(&path, mode) {
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && tallymq_model::planted("segment-not-cut") =>
            {
                shared.disk.open(&path, OpenMode::Write)
            }
            opened => opened,
        };
        let open = shared.files.get((partition.serial, plan.segment.base), open);
        let open = open.map_err(|source| shared.fail("opening", &path, source))?;
        if plan.begins {
            shared.dir_changed(names::partition_dir(tp));
        }
        let prefixes: Vec<_> = plan.batches.iter().map(|batch| batch.prefix()).collect();
        let mut parts: Vec<&[u8]> = Vec::with_capacity(prefixes.len() * 2);
        for (prefix, batch) in prefixes.iter().zip(&plan.batches) {
            parts.push(prefix);
            parts.push(batch.rest());
        }
        if tallymq_model::planted("record-removed-from-segment")
            && let Some(last) = parts.last_mut()
        {
            // the end of the newest batch's last record
            *last = &last[..last.len() - 1];
        }
        open.file.write_at(&parts, plan.at).map_err(|source| shared.fail("writing", &path, source))?;
        writeback::start(&*open.file, plan.at, plan.bytes);
        Ok(())
    }

    fn write_index(&self, partition: &PartitionLog, flush: IndexFlush) -> Result<(), WriteFailed> {
        let tp = partition.topic_partition();
        let path = names::index(tp, flush.base);
        let (mut bytes, mode) = match flush.at {
            0 => (index::header().to_vec(), OpenMode::Create),
            _ => (Vec::new(), OpenMode::Write),
        };
        index::encode(flush.base, &flush.entries, &mut bytes);
        let written = self.shared.disk.open(&path, mode).and_then(|file| file.write_at(&[&bytes], flush.at));
        written.map_err(|source| self.shared.fail("writing", &path, source))?;
        if flush.at == 0 {
            self.shared.dir_changed(names::partition_dir(tp));
        }
        Ok(())
    }

    /// Drops written batches from memory, oldest write first, until the budget holds.
    fn evict(&mut self) {
        while self.shared.cached.load(Relaxed) > self.shared.options.tail_cache_bytes_max {
            let Some((partition, count)) = self.evictable.pop_front() else {
                break;
            };
            let bytes = partition.state.lock().tail.evict(count);
            self.shared.cached.fetch_sub(bytes, Relaxed);
        }
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.shared.writer_ended();
    }
}
