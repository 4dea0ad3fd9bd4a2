//! Wraps a disk and lets chosen operations fail: the N-th write, sync or rename, everything from the N-th operation on,
//! short or damaged reads. It invents no failure that was not asked for.

use std::{io, sync::Arc};

use parking_lot::Mutex;

use super::{DirEntry, Disk, File, MemoryDisk, OpenMode, Space};

/// The operations that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Disk::open`] with [`OpenMode::Create`].
    Create,
    /// [`Disk::open`] of what is there.
    Open,
    /// [`File::read_at`].
    Read,
    /// [`File::write_at`].
    Write,
    /// [`File::sync_data`].
    Sync,
    /// [`Disk::sync_all`].
    SyncAll,
    /// [`Disk::sync_dir`].
    SyncDir,
    /// [`Disk::rename`].
    Rename,
    /// [`Disk::remove_file`] and [`Disk::remove_dir`].
    Remove,
    /// [`File::set_size`].
    SetSize,
    /// [`File::drop_cache`].
    DropCache,
}

const OPERATIONS: usize = Operation::DropCache as usize + 1;

impl Operation {
    /// Whether it changes what a power cut leaves.
    pub fn changes(self) -> bool {
        !matches!(self, Operation::Open | Operation::Read)
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `EIO`. A failed sync loses what was not synced, and the cache does not show it.
    Eio,
    /// `ENOSPC`.
    Enospc,
    /// A read gives half of what is there.
    ShortRead,
    /// A read gives one bit wrong.
    FlippedBit,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Fault::Enospc => io::Error::from_raw_os_error(28),
            _ => io::Error::from_raw_os_error(5),
        }
    }
}

/// A disk that fails as it is told to; clones share the plan.
#[derive(Clone)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    counts: Mutex<Counts>,
    /// To lose what a failed sync did not write.
    memory: Option<MemoryDisk>,
}

#[derive(Default)]
struct Counts {
    /// How often each operation was begun.
    by_operation: [u64; OPERATIONS],
    /// How often any operation that changes something was begun.
    changes: u64,
    faults: Vec<(Operation, u64, Fault)>,
    /// From this change on everything fails.
    off_from: Option<u64>,
    is_off: bool,
}

impl FaultyDisk {
    /// Wraps any disk. A failing sync then does not reach it.
    pub fn new(inner: Arc<dyn Disk>) -> FaultyDisk {
        FaultyDisk { inner, plan: Arc::new(Plan::default()) }
    }

    /// Wraps a disk in memory. A failing sync then leaves its bytes readable, clean and not on disk.
    pub fn over_memory(memory: MemoryDisk) -> FaultyDisk {
        let plan = Plan { memory: Some(memory.clone()), ..Plan::default() };
        FaultyDisk { inner: Arc::new(memory), plan: Arc::new(plan) }
    }

    /// Lets the `nth` operation of a kind from now on fail, counted from 1.
    pub fn fail(&self, operation: Operation, nth: u64, fault: Fault) {
        let mut counts = self.plan.counts.lock();
        let at = counts.by_operation[operation as usize] + nth;
        counts.faults.push((operation, at, fault));
    }

    /// Lets everything fail from the `nth` change from now on, counted from 1: the power is off.
    pub fn power_off_at(&self, nth: u64) {
        let mut counts = self.plan.counts.lock();
        counts.off_from = Some(counts.changes + nth);
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.plan.counts.lock().is_off
    }

    /// How often an operation was begun.
    pub fn count(&self, operation: Operation) -> u64 {
        self.plan.counts.lock().by_operation[operation as usize]
    }

    /// How many operations that change something were begun.
    pub fn changes(&self) -> u64 {
        self.plan.counts.lock().changes
    }
}

impl Plan {
    /// Counts an operation; `Err` if it fails, `Ok(Some)` if it does something wrong.
    fn begin(&self, operation: Operation) -> io::Result<Option<Fault>> {
        let fault = self.due(operation)?;
        match fault {
            Some(fault @ (Fault::Eio | Fault::Enospc)) => Err(fault.error()),
            fault => Ok(fault),
        }
    }

    fn due(&self, operation: Operation) -> io::Result<Option<Fault>> {
        let mut counts = self.counts.lock();
        counts.by_operation[operation as usize] += 1;
        if operation.changes() {
            counts.changes += 1;
            if counts.off_from.is_some_and(|from| counts.changes >= from) {
                counts.is_off = true;
            }
        }
        if counts.is_off {
            return Err(Fault::Eio.error());
        }
        let now = counts.by_operation[operation as usize];
        let due = counts.faults.iter().position(|(kind, at, _)| *kind == operation && *at == now);
        Ok(due.map(|at| counts.faults.swap_remove(at).2))
    }

    /// Runs a sync, or fails it with its consequences.
    fn sync(&self, operation: Operation, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match (self.due(operation)?, &self.memory) {
            (Some(fault), Some(memory)) => {
                memory.fail_next_syncs(1);
                let _ = sync();
                Err(fault.error())
            }
            (Some(fault), None) => Err(fault.error()),
            (None, _) => sync(),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.plan.begin(if mode == OpenMode::Create { Operation::Create } else { Operation::Open })?;
        let inner = self.inner.open(path, mode)?;
        Ok(Arc::new(FaultyFile { inner, plan: Arc::clone(&self.plan) }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.plan.begin(Operation::Create)?;
        self.inner.create_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.plan.begin(Operation::Open)?;
        self.inner.list(path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        self.plan.begin(Operation::Remove)?;
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.plan.begin(Operation::Remove)?;
        self.inner.remove_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.begin(Operation::Rename)?;
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.plan.begin(Operation::SyncDir)?;
        self.inner.sync_dir(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.plan.sync(Operation::SyncAll, || self.inner.sync_all())
    }

    fn space(&self) -> io::Result<Space> {
        self.inner.space()
    }
}

struct FaultyFile {
    inner: Arc<dyn File>,
    plan: Arc<Plan>,
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let fault = self.plan.begin(Operation::Read)?;
        let read = self.inner.read_at(buffer, position)?;
        Ok(match fault {
            Some(Fault::ShortRead) => read / 2,
            Some(Fault::FlippedBit) => {
                if let Some(byte) = buffer[..read].get_mut(read / 2) {
                    *byte ^= 0x10;
                }
                read
            }
            _ => read,
        })
    }

    fn write_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        self.plan.begin(Operation::Write)?;
        self.inner.write_at(parts, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.plan.sync(Operation::Sync, || self.inner.sync_data())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.inner.size_bytes()
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        self.plan.begin(Operation::SetSize)?;
        self.inner.set_size(size_bytes)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.plan.begin(Operation::DropCache)?;
        self.inner.drop_cache()
    }
}
