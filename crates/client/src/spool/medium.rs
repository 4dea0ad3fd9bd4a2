//! What the spool needs of a directory, and the real one. It knows numbered files and no frame.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// A directory of numbered files.
pub(super) trait Medium: Send + 'static {
    /// The numbers of the files that exist, in order.
    fn list(&self) -> io::Result<Vec<u64>>;
    /// A whole file.
    fn read(&self, file: u64) -> io::Result<Vec<u8>>;
    /// A part of a file.
    fn read_at(&self, file: u64, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Makes an empty file whose name survives a power cut, and appends to it from now on.
    fn create(&mut self, file: u64) -> io::Result<()>;
    /// Appends to the file created last; until the next flush or sync, it may be in this process only.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all that was appended can be read and survives the end of the process.
    fn flush(&mut self) -> io::Result<()>;
    /// Returns when all that was appended survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts a file, if it is longer, and returns when what is left survives a power cut.
    fn cut(&mut self, file: u64, length: u64) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, file: u64) -> io::Result<()>;
}

/// The real directory, locked as long as this lives.
pub(super) struct Directory {
    path: PathBuf,
    current: Option<File>,
    appended: Vec<u8>, // not yet in `current`
    lock: File,
}

impl Directory {
    /// Makes the directory if it is missing, and locks it. `WouldBlock` if another process has it.
    pub(super) fn open(path: &Path) -> io::Result<Directory> {
        fs::create_dir_all(path)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::from(io::ErrorKind::WouldBlock),
            fs::TryLockError::Error(error) => error,
        })?;
        // The directory itself may be new: its name has to survive too.
        if let Some(parent) = path.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(Directory { path: path.to_owned(), current: None, appended: Vec::new(), lock })
    }

    fn name(&self, file: u64) -> PathBuf {
        self.path.join(format!("{file:020}.spool"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing would do, but for a child process that is just being started and shares the open file until its exec.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the spool's lock is not given up");
        }
    }
}

impl Medium for Directory {
    fn list(&self) -> io::Result<Vec<u64>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number: Option<u64> =
                name.to_str().and_then(|name| name.strip_suffix(".spool")?.parse().ok());
            files.extend(number);
        }
        files.sort_unstable();
        Ok(files)
    }

    fn read(&self, file: u64) -> io::Result<Vec<u8>> {
        fs::read(self.name(file))
    }

    fn read_at(&self, file: u64, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.name(file))?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn create(&mut self, file: u64) -> io::Result<()> {
        self.current = Some(OpenOptions::new().create_new(true).append(true).open(self.name(file))?);
        File::open(&self.path)?.sync_all()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.appended.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let appended = std::mem::take(&mut self.appended);
        self.current.as_mut().expect("created before").write_all(&appended)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.current.as_mut().expect("created before").sync_data()
    }

    fn cut(&mut self, file: u64, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.name(file))?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn remove(&mut self, file: u64) -> io::Result<()> {
        fs::remove_file(self.name(file))
    }
}
