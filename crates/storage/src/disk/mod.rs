//! The disk as the rest of the storage sees it: a data directory of files, and the few operations whose order decides
//! what survives a power cut. No format is known here.
//!
//! What holds for every implementation (`contract` in the tests runs on each):
//! - bytes written and then synced by `sync_data` survive a power cut; bytes not synced may survive in part, in any
//!   order, torn anywhere;
//! - a file's creation, removal or new name survives only after `sync_dir` of its directory;
//! - after a failed sync nothing may be assumed of the bytes since the last good one: the caller ends the process.

mod faulty;
mod memory;
mod platter;
mod random;
mod real;
mod scheduling;
mod volatile;
mod writeback;

pub use faulty::{Fault, FaultyDisk, Operation};
pub use memory::MemoryDisk;
pub use random::Random;
pub use real::{OpenDiskError, RealDisk};
pub use scheduling::{schedule_behind_others, schedule_promptly};
pub use volatile::VolatileDisk;

use std::{io, sync::Arc};

/// A data directory. Paths are relative to it, parts separated by `/`, without `.` or `..`.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file. [`OpenMode::Create`] truncates nothing: it fails if the file is there.
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Creates a directory and its parents; fine if it is there.
    fn create_dir(&self, path: &str) -> io::Result<()>;
    /// Names and kinds in a directory, sorted by name; `NotFound` if it is not there.
    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>>;
    /// Removes a file.
    fn remove_file(&self, path: &str) -> io::Result<()>;
    /// Removes a directory with all that is in it.
    fn remove_dir(&self, path: &str) -> io::Result<()>;
    /// Renames a file, replacing what has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes creations, removals and renames in a directory durable; `""` is the data directory itself.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Makes all that was written to any file of this disk durable (`syncfs`).
    fn sync_all(&self) -> io::Result<()>;
    /// Size and free bytes of the file system.
    fn space(&self) -> io::Result<Space>;
}

/// One open file. Positions and lengths are bytes.
pub trait File: Send + Sync + 'static {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Reads up to `bytes` bytes into memory of their own, which a file of the system need not clear first; fewer only at the
    /// end of the file.
    fn read_new(&self, bytes: usize, position: u64) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        let read = self.read_at(&mut buffer, position)?;
        buffer.truncate(read);
        Ok(buffer)
    }
    /// Writes the parts one behind the other, all of them or an error.
    fn write_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()>;
    /// Makes all that was written to this file durable (`fdatasync`), its length included.
    fn sync_data(&self) -> io::Result<()>;
    /// Length in bytes.
    fn size_bytes(&self) -> io::Result<u64>;
    /// Cuts or extends (with zeros) the file.
    fn set_size(&self, size_bytes: u64) -> io::Result<()>;
    /// Makes later reads come from the device and not from a cache that may hold what never reached it
    /// (sync, then `FADV_DONTNEED`).
    fn drop_cache(&self) -> io::Result<()>;
    /// A hint: what was written in this range will be synced later, so its way to the device may begin now. Makes
    /// nothing durable and reports nothing; an error comes out of the sync.
    fn start_writeback(&self, _position: u64, _length: u64) {}
    /// As [`File::start_writeback`], and waits until the range has gone to the device. Still makes nothing durable: it
    /// keeps a later sync, which others may have to wait behind, short. An error is that of a failed sync, and is not
    /// reported again.
    fn finish_writeback(&self, _position: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; must be there.
    Read,
    /// For reading and writing; must be there.
    Write,
    /// New, for reading and writing; must not be there.
    Create,
}

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without its directory.
    pub name: String,
    /// A directory, or a file.
    pub is_dir: bool,
}

/// Room on the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total_bytes: u64,
    /// What is left for us.
    pub available_bytes: u64,
}
