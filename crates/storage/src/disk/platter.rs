//! What the disk in memory is made of: names and bytes, each as they are now and as they are durable, and what lies
//! between. What a power cut leaves of the latter is chosen here.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;

const SECTOR_BYTES: usize = 512;
const PAGE_BYTES: usize = 4096;

/// Paths of files (with their number) and of directories.
#[derive(Clone, Default)]
pub(super) struct Names {
    pub(super) files: BTreeMap<String, usize>,
    pub(super) dirs: BTreeSet<String>,
}

#[derive(Clone, Default)]
pub(super) struct Content {
    /// What a read gives.
    pub(super) cache: Vec<u8>,
    /// What is on the platter.
    pub(super) durable: Vec<u8>,
    /// What was written since the last sync, in order.
    pub(super) pending: Vec<Pending>,
}

#[derive(Clone)]
pub(super) enum Pending {
    Write { position: usize, bytes: Vec<u8> },
    Size(usize),
}

#[derive(Clone)]
pub(super) enum Change {
    AddFile(String, usize),
    AddDir(String),
    RemoveFile(String),
    RemoveDir(String),
    Rename(String, String),
}

impl Change {
    /// The directory whose sync makes it durable.
    pub(super) fn dir(&self) -> &str {
        match self {
            Change::AddFile(path, _) | Change::AddDir(path) | Change::RemoveFile(path) => parent(path),
            Change::RemoveDir(path) | Change::Rename(_, path) => parent(path),
        }
    }
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

pub(super) fn is_inside(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

impl Names {
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::AddFile(path, file) => {
                self.files.insert(path.clone(), *file);
            }
            Change::AddDir(path) => {
                self.dirs.insert(path.clone());
            }
            Change::RemoveFile(path) => {
                self.files.remove(path);
            }
            Change::RemoveDir(path) => {
                self.files.retain(|file, _| !is_inside(file, path));
                self.dirs.retain(|dir| dir != path && !is_inside(dir, path));
            }
            Change::Rename(from, to) => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to.clone(), file);
                }
            }
        }
    }

    pub(super) fn has_dir(&self, path: &str) -> bool {
        path.is_empty() || self.dirs.contains(path)
    }

    /// Drops what is in a directory that is not there.
    pub(super) fn without_orphans(mut self) -> Names {
        let dirs = std::mem::take(&mut self.dirs);
        for dir in dirs {
            // Parents sort in front of what is in them.
            if self.has_dir(parent(&dir)) {
                self.dirs.insert(dir);
            }
        }
        let files = std::mem::take(&mut self.files);
        self.files = files.into_iter().filter(|(path, _)| self.has_dir(parent(path))).collect();
        self
    }
}

impl Pending {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Pending::Size(size) => bytes.resize(*size, 0),
            Pending::Write { position, bytes: written } => write_into(bytes, *position, written),
        }
    }

    /// Applies whole blocks of it, those that `keep` says.
    pub(super) fn apply_blocks(
        &self,
        bytes: &mut Vec<u8>,
        block_bytes: usize,
        mut keep: impl FnMut() -> bool,
    ) {
        let Pending::Write { position, bytes: written } = self else {
            if keep() {
                self.apply(bytes);
            }
            return;
        };
        let mut from = 0;
        while from < written.len() {
            let in_block = block_bytes - (position + from) % block_bytes;
            let to = (from + in_block).min(written.len());
            if keep() {
                write_into(bytes, position + from, &written[from..to]);
            }
            from = to;
        }
    }
}

pub(super) fn write_into(bytes: &mut Vec<u8>, position: usize, written: &[u8]) {
    if bytes.len() < position + written.len() {
        bytes.resize(position + written.len(), 0);
    }
    bytes[position..position + written.len()].copy_from_slice(written);
}

impl Content {
    pub(super) fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            pending.apply(&mut self.durable);
        }
    }

    /// What is left after a power cut.
    pub(super) fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let count = self.pending.len();
        match random.below(6) {
            0 => {}
            1 => self.pending.iter().for_each(|pending| pending.apply(&mut bytes)),
            2 => {
                // A prefix, its last write torn.
                let whole = random.below(count as u64 + 1) as usize;
                self.pending[..whole].iter().for_each(|pending| pending.apply(&mut bytes));
                if let Some(torn) = self.pending.get(whole) {
                    let mut left = random.below(64);
                    torn.apply_blocks(&mut bytes, SECTOR_BYTES, || {
                        left = left.saturating_sub(1);
                        left > 0
                    });
                }
            }
            mode => {
                let block_bytes = if mode == 3 { SECTOR_BYTES } else { PAGE_BYTES };
                let odds = 1 + random.below(8);
                for pending in &self.pending {
                    pending.apply_blocks(&mut bytes, block_bytes, || random.below(8) < odds);
                }
            }
        }
        bytes
    }
}
