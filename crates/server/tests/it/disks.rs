//! A disk whose syncs can be held back, and that has as little room as a test wants.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Condvar, Mutex};
use tallymq_storage::disk::{DirEntry, Disk, File, MemoryDisk, OpenMode, Space};

const ROOMY: u64 = 1 << 40;

/// A disk in memory, held by its test; clones are the same one.
#[derive(Clone)]
pub struct TestDisk {
    memory: Arc<MemoryDisk>,
    state: Arc<State>,
}

struct State {
    gate: Mutex<Gate>,
    changed: Condvar,
    total_bytes: AtomicU64,
    available_bytes: AtomicU64,
}

#[derive(Default)]
struct Gate {
    is_shut: bool,
    waiting: usize,
}

struct HeldFile {
    inner: Arc<dyn File>,
    state: Arc<State>,
}

impl TestDisk {
    pub fn new() -> TestDisk {
        TestDisk::over(MemoryDisk::new())
    }

    pub fn over(memory: MemoryDisk) -> TestDisk {
        let state = State {
            gate: Mutex::default(),
            changed: Condvar::new(),
            total_bytes: AtomicU64::new(ROOMY),
            available_bytes: AtomicU64::new(ROOMY),
        };
        TestDisk { memory: Arc::new(memory), state: Arc::new(state) }
    }

    /// What a power cut at this moment leaves.
    pub fn power_cut(&self, seed: u64) -> TestDisk {
        TestDisk::over(self.memory.power_cut(seed))
    }

    /// Syncs of files wait from now on.
    pub fn hold_syncs(&self) {
        self.state.gate.lock().is_shut = true;
    }

    /// Returns when a sync waits.
    pub fn wait_for_sync(&self) {
        let mut gate = self.state.gate.lock();
        while gate.waiting == 0 {
            self.state.changed.wait(&mut gate);
        }
    }

    /// Syncs go on.
    pub fn release_syncs(&self) {
        self.state.gate.lock().is_shut = false;
        self.state.changed.notify_all();
    }

    pub fn set_total(&self, bytes: u64) {
        self.state.total_bytes.store(bytes, Ordering::Relaxed);
    }

    pub fn set_available(&self, bytes: u64) {
        self.state.available_bytes.store(bytes, Ordering::Relaxed);
    }
}

impl Disk for TestDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = self.memory.open(path, mode)?;
        Ok(Arc::new(HeldFile { inner, state: self.state.clone() }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.memory.create_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.memory.list(path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        self.memory.remove_file(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.memory.remove_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.memory.sync_dir(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.memory.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        let available_bytes = self.state.available_bytes.load(Ordering::Relaxed);
        Ok(Space { total_bytes: self.state.total_bytes.load(Ordering::Relaxed), available_bytes })
    }
}

impl File for HeldFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, position)
    }

    fn write_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        self.inner.write_at(parts, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut gate = self.state.gate.lock();
        gate.waiting += 1;
        self.state.changed.notify_all();
        while gate.is_shut {
            self.state.changed.wait(&mut gate);
        }
        gate.waiting -= 1;
        drop(gate);
        self.inner.sync_data()
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.inner.size_bytes()
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        self.inner.set_size(size_bytes)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.inner.drop_cache()
    }
}
