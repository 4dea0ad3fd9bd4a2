//! Open segment files: a bounded number, the least recently used ones are closed. Who uses one keeps it open.

use std::{collections::HashMap, io, sync::Arc};

use parking_lot::Mutex;
use tallymq_model::Offset;

use super::index::SegmentIndex;
use crate::disk::File;

/// An open segment file, and the index that readers made of it (the active segment's index lives with the partition).
pub(super) struct OpenSegment {
    pub file: Arc<dyn File>,
    pub index: Arc<SegmentIndex>,
}

/// Which file: the partition's number in this process, and the segment.
pub(super) type FileKey = (u64, Offset);

pub(super) struct OpenFiles {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    clock: u64,
    open: HashMap<FileKey, (u64, Arc<OpenSegment>)>,
}

impl OpenFiles {
    pub(super) fn new(limit: usize) -> OpenFiles {
        OpenFiles { limit: limit.max(1), inner: Mutex::default() }
    }

    /// The open file, or what `open` opens. `open` runs without the lock; of two that open at once one wins.
    pub(super) fn get(
        &self,
        key: FileKey,
        open: impl FnOnce() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<Arc<OpenSegment>> {
        if let Some(found) = self.inner.lock().touch(key) {
            return Ok(found);
        }
        let fresh = Arc::new(OpenSegment { file: open()?, index: Arc::default() });
        let mut inner = self.inner.lock();
        if let Some(found) = inner.touch(key) {
            return Ok(found);
        }
        let closed = if inner.open.len() >= self.limit { inner.evict(self.limit) } else { Vec::new() };
        let now = inner.clock;
        inner.open.insert(key, (now, Arc::clone(&fresh)));
        drop(inner);
        drop(closed);
        Ok(fresh)
    }

    /// Closes one.
    pub(super) fn close(&self, key: FileKey) {
        let closed = self.inner.lock().open.remove(&key);
        drop(closed);
    }

    /// Closes all of a partition.
    pub(super) fn close_partition(&self, serial: u64) {
        let closed: Vec<_> = self.inner.lock().open.extract_if(|key, _| key.0 == serial).collect();
        drop(closed);
    }

    pub(super) fn count(&self) -> usize {
        self.inner.lock().open.len()
    }

    /// Bytes of all indexes in memory, about.
    pub(super) fn index_bytes(&self) -> usize {
        self.inner.lock().open.values().map(|(_, segment)| segment.index.memory_bytes()).sum()
    }
}

impl Inner {
    fn touch(&mut self, key: FileKey) -> Option<Arc<OpenSegment>> {
        self.clock += 1;
        let (used, segment) = self.open.get_mut(&key)?;
        *used = self.clock;
        Some(Arc::clone(segment))
    }

    /// Takes the oldest eighth out, so that the search for it is rare.
    fn evict(&mut self, limit: usize) -> Vec<Arc<OpenSegment>> {
        let mut ages: Vec<u64> = self.open.values().map(|(used, _)| *used).collect();
        let count = (limit / 8).max(1).min(ages.len());
        let (_, newest_evicted, _) = ages.select_nth_unstable(count - 1);
        let bound = *newest_evicted;
        self.open.extract_if(|_, (used, _)| *used <= bound).map(|(_, (_, segment))| segment).collect()
    }
}
