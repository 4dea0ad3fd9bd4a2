//! The disk of a running broker: a directory of the file system, locked against a second process. It hides no error
//! and repeats no failed sync.
#![allow(clippy::disallowed_methods, reason = "this is the disk that the others must go through")]

use std::{
    fmt, fs,
    io::{self, IoSlice, Read, Seek, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    buffer::spare_capacity,
    fs::{Advice, FlockOperation, fadvise, fdatasync, flock, fstatvfs, fsync, syncfs},
    io::{Errno, pread, pwritev},
};
use thiserror::Error;

use super::{DirEntry, Disk, File, OpenMode, Space, writeback};

/// The file that holds the lock, and the process id of who has it.
const LOCK_FILE: &str = "lock";
/// `IOV_MAX` on Linux.
const PARTS_PER_WRITE: usize = 1024;

/// Why a data directory cannot be opened.
#[derive(Debug, Error)]
pub enum OpenDiskError {
    /// Another process works on it.
    #[error("the data directory {path} is in use by {holder}")]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// Who has it, as far as it said so.
        holder: String,
    },
    /// The file system refuses.
    #[error("the data directory {path} cannot be opened: {error}")]
    Io {
        /// The data directory.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
}

/// A directory of the file system.
pub struct RealDisk {
    root: PathBuf,
    directory: fs::File,
    /// Locked for as long as it is open. None where it could not be, see [`RealDisk::open_read_only`].
    lock: Option<fs::File>,
}

impl fmt::Debug for RealDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealDisk").field("root", &self.root).finish_non_exhaustive()
    }
}

impl RealDisk {
    /// Opens a data directory, creating it if it is not there, and locks it until the value is dropped or the process
    /// ends.
    pub fn open(path: impl AsRef<Path>) -> Result<RealDisk, OpenDiskError> {
        let root = path.as_ref().to_path_buf();
        if root.exists() && !root.is_dir() {
            // Making it would say that it exists.
            let error = io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory");
            return Err(OpenDiskError::Io { path: root, error });
        }
        let failed = |error| OpenDiskError::Io { path: root.clone(), error };
        fs::create_dir_all(&root).map_err(failed)?;
        let directory = fs::File::open(&root).map_err(failed)?;
        let lock = open_lock(&root).map_err(failed)?;
        let mut lock = locked(&root, lock, FlockOperation::NonBlockingLockExclusive)?;
        lock.set_len(0).map_err(failed)?;
        lock.rewind().map_err(failed)?;
        writeln!(lock, "process {}", std::process::id()).map_err(failed)?;
        Ok(RealDisk { root, directory, lock: Some(lock) })
    }

    /// Opens a data directory that is there, to read it, and locks it as [`open`](RealDisk::open) does. Where this process
    /// may not write (a backup, or somebody else's directory), it shares the lock file that is there with others who
    /// read: nobody who writes has the directory, and nobody gets it. Without a lock file nothing keeps them out, and
    /// [`is_locked`](RealDisk::is_locked) says so.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<RealDisk, OpenDiskError> {
        let root = path.as_ref().to_path_buf();
        let failed = |error| OpenDiskError::Io { path: root.clone(), error };
        let directory = fs::File::open(&root).map_err(failed)?;
        match open_lock(&root) {
            Ok(_) => return RealDisk::open(root),
            Err(error) if may_not_write(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        let lock = match fs::File::open(root.join(LOCK_FILE)) {
            // NFS gives an exclusive lock only to who may write.
            Ok(lock) => Some(locked(&root, lock, FlockOperation::NonBlockingLockShared)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // Who has it cannot be told.
            Err(error) => return Err(failed(error)),
        };
        Ok(RealDisk { root, directory, lock })
    }

    /// Whether others are kept out.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

/// The lock file, to be locked by who writes.
fn open_lock(root: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(root.join(LOCK_FILE))
}

fn may_not_write(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn locked(root: &Path, mut lock: fs::File, how: FlockOperation) -> Result<fs::File, OpenDiskError> {
    match flock(&lock, how) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => {
            Err(OpenDiskError::Locked { path: root.to_path_buf(), holder: holder(&mut lock) })
        }
        Err(error) => Err(OpenDiskError::Io { path: root.to_path_buf(), error: error.into() }),
    }
}

fn holder(lock: &mut fs::File) -> String {
    let mut text = String::new();
    match lock.take(64).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read).create_new(mode == OpenMode::Create);
        Ok(Arc::new(RealFile { file: options.open(self.at(path))? }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.at(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.at(path))? {
            let entry = entry?;
            // What has a name that is no UTF-8 is not ours.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if path.is_empty() && name == LOCK_FILE {
                continue;
            }
            entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        fs::remove_dir_all(self.at(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        Ok(fsync(&fs::File::open(self.at(path))?)?)
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(syncfs(&self.directory)?)
    }

    fn space(&self) -> io::Result<Space> {
        let sizes = fstatvfs(&self.directory)?;
        Ok(Space {
            total_bytes: sizes.f_blocks.saturating_mul(sizes.f_frsize),
            available_bytes: sizes.f_bavail.saturating_mul(sizes.f_frsize),
        })
    }
}

struct RealFile {
    file: fs::File,
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], position + read as u64) {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn read_new(&self, bytes: usize, position: u64) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(bytes);
        while buffer.len() < bytes {
            let at = position + buffer.len() as u64;
            match pread(&self.file, spare_capacity(&mut buffer), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        buffer.truncate(bytes); // the allocator may have given more
        Ok(buffer)
    }

    fn write_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        if let [part] = parts {
            return self.file.write_all_at(part, position);
        }
        let mut position = position;
        let mut slices: Vec<IoSlice<'_>> =
            parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let count = rest.len().min(PARTS_PER_WRITE);
            match pwritev(&self.file, &rest[..count], position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(fdatasync(&self.file)?)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        self.file.set_len(size_bytes)
    }

    fn start_writeback(&self, position: u64, length: u64) {
        writeback::start(&self.file, position, length);
    }

    fn finish_writeback(&self, position: u64, length: u64) -> io::Result<()> {
        writeback::finish(&self.file, position, length)
    }

    fn drop_cache(&self) -> io::Result<()> {
        fdatasync(&self.file)?;
        Ok(fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }
}
