//! The files of the log: which hold something, which are spare, and how one becomes the other. It knows names and
//! sizes, no records.
//!
//! ```text
//!  prepare-N ──zeros, synced──► spare-N ──rename, sync_dir──► <sequence>.wal ──all purged──► spare-M, or removed
//! ```

use std::{collections::VecDeque, io, sync::Arc};

use crate::disk::{Disk, File, OpenMode};

/// A file that holds something.
pub(super) struct LiveFile {
    pub(super) sequence: u64,
    pub(super) size_bytes: u64,
    pub(super) file: Arc<dyn File>,
}

/// A file of the usual size, written through once, that holds nothing needed.
pub(super) struct SpareFile {
    pub(super) path: String,
    pub(super) file: Arc<dyn File>,
}

/// All of them. The last live file is the one being written.
#[derive(Default)]
pub(super) struct Files {
    /// By sequence, without a gap.
    pub(super) live: VecDeque<LiveFile>,
    pub(super) spares: VecDeque<SpareFile>,
    /// The number of the next spare or prepared file.
    pub(super) next_number: u64,
}

impl Files {
    pub(super) fn file(&self, sequence: u64) -> Option<Arc<dyn File>> {
        let first = self.live.front()?.sequence;
        let file = self.live.get(usize::try_from(sequence.checked_sub(first)?).ok()?)?;
        debug_assert_eq!(file.sequence, sequence, "live files are without a gap");
        Some(Arc::clone(&file.file))
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live.iter().map(|file| file.size_bytes).sum()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

/// Where the file `sequence` is.
pub(super) fn file_path(directory: &str, sequence: u64) -> String {
    format!("{directory}/{sequence:016x}.wal")
}

/// What a name in the log's directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileName {
    Live(u64),
    Spare(u64),
    /// Something that was not finished.
    Leftover,
    Unknown,
}

/// Reads a file's name.
pub(super) fn parse_name(name: &str) -> FileName {
    if let Some(number) = name.strip_suffix(".wal") {
        return match u64::from_str_radix(number, 16) {
            Ok(sequence) if number.len() == 16 => FileName::Live(sequence),
            _ => FileName::Unknown,
        };
    }
    match name.split_once('-') {
        Some(("spare", number)) => number.parse().map_or(FileName::Unknown, FileName::Spare),
        Some(("prepare", _)) => FileName::Leftover,
        _ => FileName::Unknown,
    }
}

/// Creates a file of some size whose blocks are not written yet: slower to commit to, and never waited for.
pub(super) fn create_unprepared(disk: &dyn Disk, path: &str, size_bytes: u64) -> io::Result<Arc<dyn File>> {
    let file = disk.open(path, OpenMode::Create)?;
    file.set_size(size_bytes)?;
    file.sync_data()?;
    Ok(file)
}
