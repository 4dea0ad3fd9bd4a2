//! Prepares spare files: writes zeros through them once, because a sync of blocks written before costs half of one that
//! grows the file. In slices that have each gone to the device before the next, so that it never fills the page cache in
//! front of a commit, and with one sync in the end: each would make commits wait for the file system's journal. A failure
//! here is not the log's: it goes on without spares.

use std::{io, sync::Arc};

use crate::disk::{File, OpenMode};

use super::{
    files::{Files, SpareFile},
    shared::Shared,
};

/// Bytes on their way at a time.
const SLICE_BYTES: usize = 1 << 20;

/// Makes spare files while fewer than [`super::WalOptions::spare_files`] are there and the limit allows.
pub struct Preparer {
    shared: Arc<Shared>,
    current: Option<Preparing>,
    zeros: Vec<u8>,
    /// A failure ends the preparing.
    failed: bool,
}

struct Preparing {
    number: u64,
    path: String,
    file: Arc<dyn File>,
    written: u64,
}

impl Preparer {
    pub(super) fn new(shared: Arc<Shared>) -> Preparer {
        Preparer { shared, current: None, zeros: Vec::new(), failed: false }
    }

    /// Whether a failure ended the preparing.
    pub(super) fn is_over(&self) -> bool {
        self.failed
    }

    /// Whether a step has something to do.
    pub(super) fn wanted_with(&self, files: &Files) -> bool {
        let options = &self.shared.options;
        let spare_bytes = (files.spares.len() as u64 + 1) * options.file_bytes;
        !self.failed
            && (self.current.is_some()
                || (files.spares.len() < options.spare_files
                    && files.live_bytes() + spare_bytes <= options.bytes_max))
    }

    /// Writes one slice. Whether there was something to do.
    pub(super) fn step(&mut self) -> bool {
        if !self.wanted_with(&self.shared.files.lock()) {
            return false;
        }
        if let Err(error) = self.slice() {
            tracing::warn!(%error, "no more files of the write-ahead log are prepared in advance");
            self.failed = true;
            if let Some(leftover) = self.current.take() {
                let _ = self.shared.disk.remove_file(&leftover.path);
            }
        }
        true
    }

    fn slice(&mut self) -> io::Result<()> {
        let file_bytes = self.shared.options.file_bytes;
        if self.zeros.is_empty() {
            self.zeros = vec![0; SLICE_BYTES.min(file_bytes as usize)];
        }
        let mut preparing = match self.current.take() {
            Some(preparing) => preparing,
            None => self.begin()?,
        };
        let length = (file_bytes - preparing.written).min(self.zeros.len() as u64);
        let at = preparing.written;
        preparing.written += length;
        let complete = preparing.written == file_bytes;
        let preparing = self.current.insert(preparing);
        preparing.file.write_at(&[&self.zeros[..length as usize]], at)?;
        preparing.file.finish_writeback(at, length)?;
        if complete {
            preparing.file.sync_data()?;
            let path = format!("{}/spare-{}", self.shared.options.directory, preparing.number);
            self.shared.disk.rename(&preparing.path, &path)?;
            let file = Arc::clone(&preparing.file);
            self.current = None;
            self.zeros = Vec::new();
            self.shared.files.lock().spares.push_back(SpareFile { path, file });
        }
        Ok(())
    }

    fn begin(&self) -> io::Result<Preparing> {
        let number = self.shared.files.lock().number();
        let path = format!("{}/prepare-{number}", self.shared.options.directory);
        let file = self.shared.disk.open(&path, OpenMode::Create)?;
        Ok(Preparing { number, path, file, written: 0 })
    }
}
