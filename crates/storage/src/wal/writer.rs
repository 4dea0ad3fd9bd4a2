//! Puts commit groups into the file being written, and begins the next file when one is full. It knows no queue and no
//! time. Any error leaves it unusable.

use std::{io, sync::Arc};

use crate::disk::File;

use super::{
    files::{LiveFile, SpareFile, create_unprepared, file_path},
    format::{FLAG_SNAPSHOT, FileHeader, GROUP_HEADER_BYTES, GroupHeader, PAGE_BYTES, padded},
    group::GroupBuffer,
    record::WalRecord,
    shared::Shared,
};

static ZEROS: [u8; PAGE_BYTES as usize] = [0; PAGE_BYTES as usize];

/// Where the next group goes.
pub(super) struct Tail {
    /// The file being written; 0 before the first.
    pub(super) file_sequence: u64,
    pub(super) size_bytes: u64,
    pub(super) position: u64,
    /// The last group written.
    pub(super) group: u64,
    pub(super) epoch: u64,
}

/// The writer.
pub(super) struct Writer {
    shared: Arc<Shared>,
    file: Option<Arc<dyn File>>,
    tail: Tail,
    /// The last group synced; at most `tail.group`.
    synced: u64,
    unsynced_bytes: u64,
    /// The last group acknowledges nothing.
    last_is_bare: bool,
    buffer: GroupBuffer,
}

/// Where a batch was written.
pub(super) struct BatchPlace {
    /// The file.
    pub(super) file: u64,
    /// Where the first payload begins.
    pub(super) payloads: u64,
    /// Padding included.
    pub(super) size_bytes: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, tail: Tail, synced: u64) -> Writer {
        let file = shared.files.lock().file(tail.file_sequence);
        Writer {
            shared,
            file,
            tail,
            synced,
            unsynced_bytes: 0,
            last_is_bare: false,
            buffer: GroupBuffer::default(),
        }
    }

    pub(super) fn begin_batch(&mut self) {
        self.buffer.clear();
    }

    pub(super) fn push(&mut self, record: &WalRecord) {
        if tallymq_model::planted("vote-not-saved") && matches!(record, WalRecord::Vote { .. }) {
            return;
        }
        self.buffer.push(record);
    }

    pub(super) fn records(&self) -> usize {
        self.buffer.records()
    }

    pub(super) fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes
    }

    /// Whether the last group acknowledges nothing, so that it needs no successor.
    pub(super) fn last_is_bare(&self) -> bool {
        self.last_is_bare
    }

    pub(super) fn crcs(&self) -> &[u32] {
        self.buffer.crcs()
    }

    /// Writes what was pushed as one group; `records` are the same again, for their payloads.
    pub(super) fn write_batch<'a>(
        &mut self,
        records: impl Iterator<Item = &'a WalRecord>,
    ) -> io::Result<BatchPlace> {
        self.make_room(self.buffer.size_bytes())?;
        let (file, position) = (self.tail.file_sequence, self.tail.position);
        let payloads = records
            .filter_map(|record| match record {
                WalRecord::Entry { payload, .. } => Some(payload),
                _ => None,
            })
            .flatten()
            .map(|part| &part[..]);
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = self.write(0, &mut buffer, payloads);
        self.buffer = buffer;
        self.last_is_bare = false;
        Ok(BatchPlace { file, payloads: position + self.buffer.meta_end(), size_bytes: written? })
    }

    /// Writes a group without records.
    pub(super) fn write_bare(&mut self, flags: u32) -> io::Result<u64> {
        let mut buffer = GroupBuffer::default();
        buffer.clear();
        let written = self.write(flags, &mut buffer, std::iter::empty())?;
        self.last_is_bare = true;
        Ok(written)
    }

    fn write<'a>(
        &mut self,
        flags: u32,
        buffer: &mut GroupBuffer,
        payloads: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<u64> {
        let size_bytes = buffer.size_bytes();
        let padding = (padded(size_bytes) - size_bytes) as usize;
        let header = GroupHeader {
            flags,
            file_sequence: self.tail.file_sequence,
            position: self.tail.position,
            epoch: self.tail.epoch,
            sequence: self.tail.group + 1,
            synced: self.synced,
            ..GroupHeader::default()
        };
        let mut parts = vec![buffer.seal(header)];
        for part in payloads.filter(|part| !part.is_empty()) {
            parts.push(part);
        }
        parts.push(&ZEROS[..padding]);
        debug_assert!(self.tail.position + padded(size_bytes) <= self.tail.size_bytes, "room was made");
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.write_at(&parts, self.tail.position)?;
        self.tail.position += padded(size_bytes);
        self.tail.group += 1;
        self.unsynced_bytes += padded(size_bytes);
        Ok(padded(size_bytes))
    }

    /// Makes every group written so far durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.sync_file()?;
        self.synced = self.tail.group;
        self.unsynced_bytes = 0;
        Ok(())
    }

    fn sync_file(&self) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let delay = self.shared.options.sync_delay;
        if !delay.is_zero() {
            #[allow(clippy::disallowed_methods, reason = "the injected delay stands for a slow sync")]
            std::thread::sleep(delay);
        }
        self.shared.stats.lock().syncs += 1;
        match file.sync_data() {
            Err(_) if tallymq_model::planted("fsync-retried") => file.sync_data(),
            outcome => outcome,
        }
    }

    /// Sees to it that a group of `size_bytes` fits into the file, by beginning the next one if it does not.
    pub(super) fn make_room(&mut self, size_bytes: u64) -> io::Result<()> {
        let needed = padded(size_bytes.max(GROUP_HEADER_BYTES as u64));
        if self.file.is_some() && self.tail.position + needed <= self.tail.size_bytes {
            return Ok(());
        }
        if self.synced < self.tail.group {
            // A file ends synced, so that an unsynced tail never spans two.
            self.sync()?;
        }
        let mut snapshot = GroupBuffer::default();
        snapshot.clear();
        for (group, state) in self.shared.index.read().snapshots() {
            snapshot.push_snapshot(group, &state);
        }
        self.begin_file(PAGE_BYTES + padded(snapshot.size_bytes()) + needed)?;
        self.write(FLAG_SNAPSHOT, &mut snapshot, std::iter::empty())?;
        self.last_is_bare = true;
        self.sync()
    }

    /// Begins the next file, of the usual size or one large enough for `needed` bytes.
    fn begin_file(&mut self, needed: u64) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let size_bytes = shared.options.file_bytes.max(needed);
        let sequence = self.tail.file_sequence + 1;
        let spare = if size_bytes == shared.options.file_bytes {
            shared.files.lock().spares.pop_front()
        } else {
            None
        };
        shared.spare_wanted.notify_all();
        let unprepared = spare.is_none();
        let spare = spare.map_or_else(|| self.create_spare(size_bytes), Ok)?;
        shared.disk.rename(&spare.path, &file_path(&shared.options.directory, sequence))?;
        if !tallymq_model::planted("dir-not-synced") {
            shared.disk.sync_dir(&shared.options.directory)?;
        }
        let header =
            FileHeader { sequence, size_bytes, epoch: self.tail.epoch, first_group: self.tail.group + 1 };
        spare.file.write_at(&[&header.encode()], 0)?;
        self.file = Some(Arc::clone(&spare.file));
        self.sync_file()?;
        shared.files.lock().live.push_back(LiveFile { sequence, size_bytes, file: spare.file });
        self.tail.file_sequence = sequence;
        self.tail.size_bytes = size_bytes;
        self.tail.position = PAGE_BYTES;
        let mut stats = shared.stats.lock();
        stats.files_begun += 1;
        stats.files_unprepared += u64::from(unprepared);
        Ok(())
    }

    fn create_spare(&self, size_bytes: u64) -> io::Result<SpareFile> {
        let number = self.shared.files.lock().number();
        let path = format!("{}/prepare-{number}", self.shared.options.directory);
        let file = create_unprepared(&*self.shared.disk, &path, size_bytes)?;
        Ok(SpareFile { path, file })
    }

    /// The first file that must stay: the oldest that holds an entry, or the one being written.
    fn first_needed(&self) -> u64 {
        if tallymq_model::planted("wal-recycled-too-early") {
            return self.tail.file_sequence;
        }
        let oldest = self.shared.index.read().oldest_live_file();
        oldest.map_or(self.tail.file_sequence, |oldest| oldest.min(self.tail.file_sequence))
    }

    /// Whether files hold nothing any more. What says so must be synced before [`Writer::release`].
    pub(super) fn can_release(&self) -> bool {
        let first_needed = self.first_needed();
        self.shared.files.lock().live.front().is_some_and(|file| file.sequence < first_needed)
    }

    /// Recycles files that hold nothing any more, oldest first; removes what the limit has no room for.
    pub(super) fn release(&mut self) -> io::Result<()> {
        let first_needed = self.first_needed();
        let (disk, options) = (&self.shared.disk, &self.shared.options);
        loop {
            let (released, number, keep) = {
                let mut files = self.shared.files.lock();
                if files.live.front().is_none_or(|file| file.sequence >= first_needed) {
                    return Ok(());
                }
                let Some(released) = files.live.pop_front() else {
                    return Ok(());
                };
                let total_bytes = files.live_bytes() + (files.spares.len() as u64 + 1) * options.file_bytes;
                let keep = released.size_bytes == options.file_bytes && total_bytes <= options.bytes_max;
                (released, files.number(), keep)
            };
            let old = file_path(&options.directory, released.sequence);
            if keep {
                let path = format!("{}/spare-{number}", options.directory);
                disk.rename(&old, &path)?;
                self.shared.files.lock().spares.push_back(SpareFile { path, file: released.file });
            } else {
                disk.remove_file(&old)?;
            }
            self.shared.stats.lock().files_released += 1;
            self.shared.spare_wanted.notify_all();
        }
    }
}
