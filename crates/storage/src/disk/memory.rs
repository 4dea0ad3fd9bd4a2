//! A disk in memory that loses power: it keeps what was synced, and of the rest whatever a seed chooses (nothing, all,
//! a prefix, or pages and sectors in any order). The same seed gives the same disk. A failed sync leaves the bytes
//! readable, marked clean and not on disk, as Linux does.

use std::{collections::BTreeMap, io, sync::Arc};

use parking_lot::Mutex;

use super::{
    DirEntry, Disk, File, OpenMode, Space,
    platter::{Change, Content, Names, Pending, parent, write_into},
    random::Random,
};

const PAGE_BYTES: usize = 4096;

/// A disk in memory; clones share it.
#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    /// By number; a file without a name lives on while it is open.
    files: Vec<Content>,
    now: Names,
    durable: Names,
    /// Changes of names that are not durable yet, in order.
    changes: Vec<Change>,
    total_bytes: u64,
    /// The next syncs that fail.
    failing_syncs: u32,
}

impl State {
    fn content(&self, path: &str) -> io::Result<usize> {
        self.now.files.get(path).copied().ok_or_else(|| not_found(path))
    }

    fn change(&mut self, change: Change) {
        self.now.apply(&change);
        self.changes.push(change);
    }

    fn sync_fails(&mut self) -> bool {
        let fails = self.failing_syncs > 0;
        self.failing_syncs = self.failing_syncs.saturating_sub(1);
        fails
    }
}

fn not_found(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} is not there"))
}

impl Default for MemoryDisk {
    fn default() -> MemoryDisk {
        MemoryDisk::new()
    }
}

impl MemoryDisk {
    /// An empty disk of 64 GiB.
    pub fn new() -> MemoryDisk {
        MemoryDisk::with_size(64 << 30)
    }

    /// An empty disk that says it has `total_bytes`.
    pub fn with_size(total_bytes: u64) -> MemoryDisk {
        MemoryDisk::of(State {
            files: Vec::new(),
            now: Names::default(),
            durable: Names::default(),
            changes: Vec::new(),
            total_bytes,
            failing_syncs: 0,
        })
    }

    fn of(state: State) -> MemoryDisk {
        MemoryDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// The disk after a power cut now. Files still open on this one no longer matter.
    pub fn power_cut(&self, seed: u64) -> MemoryDisk {
        let state = self.state.lock();
        let mut random = Random::new(seed);
        let mut names = state.durable.clone();
        // Of each directory a prefix of what was done to it.
        let mut left: BTreeMap<&str, u64> = BTreeMap::new();
        for change in &state.changes {
            *left.entry(change.dir()).or_default() += 1;
        }
        for count in left.values_mut() {
            *count = random.below(*count + 1);
        }
        for change in &state.changes {
            let left = left.entry(change.dir()).or_default();
            if *left > 0 {
                *left -= 1;
                names.apply(change);
            }
        }
        let mut names = names.without_orphans();
        let mut files = Vec::with_capacity(names.files.len());
        for number in names.files.values_mut() {
            let bytes = state.files[*number].after_power_cut(&mut random);
            *number = files.len();
            files.push(Content { cache: bytes.clone(), durable: bytes, pending: Vec::new() });
        }
        MemoryDisk::of(State {
            files,
            durable: names.clone(),
            now: names,
            changes: Vec::new(),
            total_bytes: state.total_bytes,
            failing_syncs: 0,
        })
    }

    /// A disk of its own with the same content, synced or not.
    pub fn duplicate(&self) -> MemoryDisk {
        let state = self.state.lock();
        MemoryDisk::of(State {
            files: state.files.clone(),
            now: state.now.clone(),
            durable: state.durable.clone(),
            changes: state.changes.clone(),
            total_bytes: state.total_bytes,
            failing_syncs: 0,
        })
    }

    /// Lets the next `count` syncs of files fail: their bytes stay readable, are marked clean, and are not on disk.
    pub fn fail_next_syncs(&self, count: u32) {
        self.state.lock().failing_syncs = count;
    }

    /// All files, by path.
    pub fn paths(&self) -> Vec<String> {
        self.state.lock().now.files.keys().cloned().collect()
    }

    /// Changes a file's bytes behind everyone's back, on the platter and in the cache.
    pub fn damage(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state.lock();
        let number = state.content(path)?;
        let content = &mut state.files[number];
        content.sync();
        change(&mut content.durable);
        content.cache = content.durable.clone();
        Ok(())
    }

    /// A file's bytes, as a read gives them.
    pub fn bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        let state = self.state.lock();
        Ok(state.files[state.content(path)?].cache.clone())
    }

    /// Flips one bit.
    pub fn flip_bit(&self, path: &str, bit: u64) -> io::Result<()> {
        self.damage(path, |bytes| {
            if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
                *byte ^= 1 << (bit % 8);
            }
        })
    }

    /// Zeroes a 4 KiB block.
    pub fn zero_block(&self, path: &str, block: usize) -> io::Result<()> {
        self.put_block(path, block, &[0; PAGE_BYTES])
    }

    /// Exchanges two 4 KiB blocks.
    pub fn swap_blocks(&self, path: &str, one: usize, other: usize) -> io::Result<()> {
        let (first, second) = (self.block(path, one)?, self.block(path, other)?);
        self.put_block(path, one, &second)?;
        self.put_block(path, other, &first)
    }

    /// A 4 KiB block, to be put back later.
    pub fn block(&self, path: &str, block: usize) -> io::Result<Vec<u8>> {
        let bytes = self.bytes(path)?;
        let from = (block * PAGE_BYTES).min(bytes.len());
        Ok(bytes[from..(from + PAGE_BYTES).min(bytes.len())].to_vec())
    }

    /// Puts a 4 KiB block somewhere: rolls it back to what it once was.
    pub fn put_block(&self, path: &str, block: usize, content: &[u8]) -> io::Result<()> {
        self.damage(path, |bytes| {
            let from = (block * PAGE_BYTES).min(bytes.len());
            let length = content.len().min(bytes.len() - from);
            bytes[from..from + length].copy_from_slice(&content[..length]);
        })
    }

    /// Cuts a file to a length.
    pub fn cut(&self, path: &str, size_bytes: usize) -> io::Result<()> {
        self.damage(path, |bytes| bytes.truncate(size_bytes))
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        let number = match (mode, state.now.files.get(path)) {
            (OpenMode::Create, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::Create, None) if !state.now.has_dir(parent(path)) => {
                return Err(not_found(parent(path)));
            }
            (OpenMode::Create, None) => {
                let number = state.files.len();
                state.files.push(Content::default());
                state.change(Change::AddFile(path.to_owned(), number));
                number
            }
            (_, Some(number)) => *number,
            (_, None) => return Err(not_found(path)),
        };
        Ok(Arc::new(MemoryFile { state: Arc::clone(&self.state), number, writable: mode != OpenMode::Read }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.filter(|end| *end > 0) {
            if !state.now.has_dir(&path[..end]) {
                state.change(Change::AddDir(path[..end].to_owned()));
            }
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let state = self.state.lock();
        if !state.now.has_dir(path) {
            return Err(not_found(path));
        }
        let name = |full: &String| full.rsplit('/').next().unwrap_or_default().to_owned();
        let files = state.now.files.keys().filter(|file| parent(file) == path);
        let dirs = state.now.dirs.iter().filter(|dir| parent(dir) == path);
        let mut entries: Vec<DirEntry> = files
            .map(|file| DirEntry { name: name(file), is_dir: false })
            .chain(dirs.map(|dir| DirEntry { name: name(dir), is_dir: true }))
            .collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.content(path)?;
        state.change(Change::RemoveFile(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.now.dirs.contains(path) {
            return Err(not_found(path));
        }
        state.change(Change::RemoveDir(path.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.content(from)?;
        if !state.now.has_dir(parent(to)) {
            return Err(not_found(parent(to)));
        }
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.now.has_dir(path) {
            return Err(not_found(path));
        }
        let (done, left) =
            std::mem::take(&mut state.changes).into_iter().partition(|change| change.dir() == path);
        state.changes = left;
        let done: Vec<Change> = done;
        done.iter().for_each(|change| state.durable.apply(change));
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.sync_fails() {
            state.files.iter_mut().for_each(|file| file.pending.clear());
            return Err(failed_sync());
        }
        state.files.iter_mut().for_each(Content::sync);
        state.durable = state.now.clone();
        state.changes.clear();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.state.lock();
        let used: usize = state.now.files.values().map(|number| state.files[*number].cache.len()).sum();
        let total_bytes = state.total_bytes;
        Ok(Space { total_bytes, available_bytes: total_bytes.saturating_sub(used as u64) })
    }
}

fn failed_sync() -> io::Error {
    io::Error::other("the sync failed, as it was told to")
}

struct MemoryFile {
    state: Arc<Mutex<State>>,
    number: usize,
    writable: bool,
}

impl MemoryFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let state = self.state.lock();
        let cache = &state.files[self.number].cache;
        let from = usize::try_from(position).map_or(cache.len(), |position| position.min(cache.len()));
        let length = buffer.len().min(cache.len() - from);
        buffer[..length].copy_from_slice(&cache[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        self.check_writable()?;
        let position = usize::try_from(position).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut state = self.state.lock();
        let content = &mut state.files[self.number];
        let bytes = parts.concat();
        write_into(&mut content.cache, position, &bytes);
        content.pending.push(Pending::Write { position, bytes });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.sync_fails() {
            state.files[self.number].pending.clear();
            return Err(failed_sync());
        }
        state.files[self.number].sync();
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.state.lock().files[self.number].cache.len() as u64)
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        let size = usize::try_from(size_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut state = self.state.lock();
        let content = &mut state.files[self.number];
        content.cache.resize(size, 0);
        content.pending.push(Pending::Size(size));
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.sync_data()?;
        let mut state = self.state.lock();
        let content = &mut state.files[self.number];
        content.cache = content.durable.clone();
        Ok(())
    }
}
