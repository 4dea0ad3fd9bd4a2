//! A disk that loses with its process what was not synced: written bytes wait in the memory of the process, and go to the
//! disk below only with a sync. So `kill -9` is to it what a power cut is to a real one, and no root is needed to show
//! what a sync is for. Names (creations, removals, renames, sizes) go down at once: a power cut may take those, too,
//! this does not.

use std::{collections::BTreeMap, io, sync::Arc};

use parking_lot::Mutex;

use super::{DirEntry, Disk, File, OpenMode, Space};

/// Writes behind each other are kept in pieces of about this size.
const PIECE_BYTES: usize = 1 << 20;

/// Another disk, with what was not synced in memory.
pub struct VolatileDisk {
    below: Arc<dyn Disk>,
    /// By path: every file that is open or has something unsynced.
    files: Mutex<BTreeMap<String, Arc<Unsynced>>>,
}

/// What was written to a file and not synced; all its handles share it.
#[derive(Default)]
struct Unsynced {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Position and bytes, in the order of the writes.
    writes: Vec<(u64, Vec<u8>)>,
    /// A handle that may write. Invariant: there is one if there are writes.
    writer: Option<Arc<dyn File>>,
}

impl State {
    fn write(&mut self, parts: &[&[u8]], position: u64) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length == 0 {
            return;
        }
        let behind = |(at, bytes): &&mut (u64, Vec<u8>)| {
            at.saturating_add(bytes.len() as u64) == position && bytes.len() < PIECE_BYTES
        };
        match self.writes.last_mut().filter(behind) {
            Some((_, bytes)) => parts.iter().for_each(|part| bytes.extend_from_slice(part)),
            None => self.writes.push((position, parts.concat())),
        }
    }

    /// The first position behind all of them.
    fn end(&self) -> u64 {
        self.writes.iter().map(|(at, bytes)| at.saturating_add(bytes.len() as u64)).max().unwrap_or(0)
    }

    /// Puts what is unsynced over what was read from below.
    fn overlay(&self, buffer: &mut [u8], position: u64) {
        let end = position.saturating_add(buffer.len() as u64);
        for (at, bytes) in &self.writes {
            let (from, to) = ((*at).max(position), (at + bytes.len() as u64).min(end));
            if from < to {
                let written = &bytes[(from - at) as usize..(to - at) as usize];
                buffer[(from - position) as usize..(to - position) as usize].copy_from_slice(written);
            }
        }
    }

    fn cut(&mut self, size_bytes: u64) {
        for (at, bytes) in &mut self.writes {
            bytes.truncate(size_bytes.saturating_sub(*at).min(bytes.len() as u64) as usize);
        }
        self.writes.retain(|(_, bytes)| !bytes.is_empty());
    }

    /// Everything to the disk below; it is not synced there.
    fn write_down(&mut self) -> io::Result<()> {
        if let Some(writer) = &self.writer {
            for (at, bytes) in &self.writes {
                writer.write_at(&[bytes], *at)?;
            }
        }
        self.writes.clear();
        Ok(())
    }
}

impl VolatileDisk {
    /// Over that disk.
    pub fn new(below: Arc<dyn Disk>) -> VolatileDisk {
        VolatileDisk { below, files: Mutex::default() }
    }
}

impl Disk for VolatileDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut files = self.files.lock();
        files.retain(|_, unsynced| {
            Arc::strong_count(unsynced) > 1 || !unsynced.state.lock().writes.is_empty()
        });
        let below = self.below.open(path, mode)?;
        let unsynced = files.entry(path.to_owned()).or_default().clone();
        if mode != OpenMode::Read {
            unsynced.state.lock().writer = Some(below.clone());
        }
        Ok(Arc::new(VolatileFile { below, unsynced, writable: mode != OpenMode::Read }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.below.create_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.below.list(path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        self.below.remove_file(path)?;
        files.remove(path);
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        self.below.remove_dir(path)?;
        files.retain(|file, _| !file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        self.below.rename(from, to)?;
        files.remove(to);
        if let Some(unsynced) = files.remove(from) {
            files.insert(to.to_owned(), unsynced);
        }
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.below.sync_dir(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        let files: Vec<_> = self.files.lock().values().cloned().collect();
        for unsynced in files {
            unsynced.state.lock().write_down()?;
        }
        self.below.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        self.below.space()
    }
}

struct VolatileFile {
    below: Arc<dyn File>,
    unsynced: Arc<Unsynced>,
    writable: bool,
}

impl File for VolatileFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let state = self.unsynced.state.lock();
        let mut read = self.below.read_at(buffer, position)?;
        let unsynced = state.end().saturating_sub(position).min(buffer.len() as u64) as usize;
        if unsynced > read {
            // A hole is zeros.
            buffer[read..unsynced].fill(0);
            read = unsynced;
        }
        state.overlay(&mut buffer[..read], position);
        Ok(read)
    }

    fn write_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        if !self.writable {
            // It refuses.
            return self.below.write_at(parts, position);
        }
        self.unsynced.state.lock().write(parts, position);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.unsynced.state.lock();
        state.write_down()?;
        self.below.sync_data()
    }

    fn size_bytes(&self) -> io::Result<u64> {
        let state = self.unsynced.state.lock();
        Ok(self.below.size_bytes()?.max(state.end()))
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        let mut state = self.unsynced.state.lock();
        self.below.set_size(size_bytes)?;
        state.cut(size_bytes);
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        let mut state = self.unsynced.state.lock();
        state.write_down()?;
        self.below.drop_cache()
    }
}
