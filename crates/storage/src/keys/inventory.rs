//! Which parts of which logs have an index, and looking a key up in one. An index that turns out damaged is forgotten and removed:
//! the log is read instead, and whoever builds makes it again.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tallymq_model::{Offset, TopicId, TopicPartition};

use super::{
    error::KeysError,
    file::{self, KeyFile},
    format::Facts,
    names::{self, FileKind},
    posting::KeyHash,
};
use crate::{
    disk::Disk,
    log::{Damage, names as log_names},
};

/// A part of a log that has an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Base offset of its first batch.
    pub from: Offset,
    /// The offset behind its last batch.
    pub to: Offset,
    /// Bytes of the index.
    pub file_bytes: u64,
    /// Tells an index from one that was built for the same part later.
    serial: u64,
}

/// Where a key may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Base offsets of batches, the newest first.
    pub batches: Vec<Offset>,
    /// There may be more before the last of them.
    pub more: bool,
}

/// Counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyStats {
    /// Indexes.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Indexes that turned out damaged, since start.
    pub damaged: u64,
}

/// All indexes of a node.
pub struct KeyIndexes {
    disk: Arc<dyn Disk>,
    /// By partition and first offset.
    parts: Mutex<HashMap<TopicPartition, BTreeMap<Offset, Part>>>,
    serial: AtomicU64,
    damaged: AtomicU64,
}

impl KeyIndexes {
    /// None known yet.
    pub fn new(disk: Arc<dyn Disk>) -> KeyIndexes {
        KeyIndexes { disk, parts: Mutex::default(), serial: AtomicU64::new(0), damaged: AtomicU64::new(0) }
    }

    /// Takes up what an earlier process built, and removes what it did not finish. To be called before anything is built.
    pub fn load(&self) -> io::Result<()> {
        for (topic, partitions) in directories(&*self.disk)? {
            for tp in partitions {
                // Also where no index is any more: a sweep removes directories by what is known here.
                self.parts.lock().entry(tp).or_default();
                for entry in list(&*self.disk, &names::partition_dir(tp))? {
                    match names::parse_file(&entry) {
                        Some(FileKind::Index(from)) => self.take_up(tp, from),
                        Some(FileKind::Unfinished) => {
                            self.remove(&format!("{}/{entry}", names::partition_dir(tp)));
                        }
                        None => tracing::warn!(%topic, entry, "not a file of ours among the indexes of keys"),
                    }
                }
            }
        }
        Ok(())
    }

    fn take_up(&self, tp: TopicPartition, from: Offset) {
        match file::read_facts(&*self.disk, tp, from) {
            Ok(facts) => self.add(&facts),
            Err(error) => self.refuse(&names::index(tp, from), &error),
        }
    }

    fn refuse(&self, path: &str, error: &KeysError) {
        tracing::warn!(%error, "an index of keys is refused; it is built again");
        self.damaged.fetch_add(1, Relaxed);
        self.remove(path);
    }

    fn remove(&self, path: &str) {
        match self.disk.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path, "an index of keys could not be removed");
            }
            _ => {}
        }
    }

    /// Notes an index that was built.
    pub fn add(&self, facts: &Facts) {
        let serial = self.serial.fetch_add(1, Relaxed);
        let part = Part { from: facts.from, to: facts.to, file_bytes: facts.file_bytes(), serial };
        self.parts.lock().entry(facts.tp).or_default().insert(facts.from, part);
    }

    /// The parts of a partition's log that have an index, oldest first.
    pub fn parts(&self, tp: TopicPartition) -> Vec<Part> {
        self.parts.lock().get(&tp).map(|parts| parts.values().copied().collect()).unwrap_or_default()
    }

    /// Batches of a part, below `below`, that may hold a key of this hash: at most `batches_max`, the newest first. Whatever is not
    /// among them does not hold it. After an error the part has no index any more.
    pub fn find(
        &self,
        tp: TopicPartition,
        part: &Part,
        hash: KeyHash,
        (below, batches_max): (Offset, usize),
    ) -> Result<Found, KeysError> {
        let below = (below.min(part.to).0 - part.from.0).clamp(0, i64::from(u32::MAX)) as u32;
        let found = KeyFile::open(&*self.disk, tp, part.from).and_then(|file| {
            let is_same = file.facts.to == part.to;
            if is_same { file.find(hash, below, batches_max) } else { Ok(Vec::new()) }
                .map(|found| (found, is_same))
        });
        match found {
            Ok((found, true)) => {
                let more = found.len() >= batches_max;
                let offset = |relative: u32| part.from.plus(i64::from(relative));
                Ok(Found { batches: found.into_iter().map(offset).collect(), more })
            }
            Ok((_, false)) => {
                self.forget(tp, part);
                let reason = "another index took its place".to_owned();
                let file = names::index(tp, part.from);
                Err(Damage { file, position: 0, reason }.into())
            }
            Err(error) => {
                if self.forget(tp, part) {
                    self.refuse(&names::index(tp, part.from), &error);
                }
                Err(error)
            }
        }
    }

    /// An index points at a batch that does not begin there, so it is not of this log: the part has none any more.
    pub fn distrust(&self, tp: TopicPartition, part: &Part, at: Offset) {
        if self.forget(tp, part) {
            let file = names::index(tp, part.from);
            let reason = format!("it points at offset {at}, where no batch begins");
            self.refuse(&file.clone(), &Damage { file, position: 0, reason }.into());
        }
    }

    /// True if it was known.
    fn forget(&self, tp: TopicPartition, part: &Part) -> bool {
        let mut parts = self.parts.lock();
        let Some(of_partition) = parts.get_mut(&tp) else { return false };
        let is_known = of_partition.get(&part.from).is_some_and(|known| known.serial == part.serial);
        is_known && of_partition.remove(&part.from).is_some()
    }

    /// Removes the indexes of what is not in a log any more: `log_start` gives the first offset of a partition, or None if there is no
    /// such partition. Not while something is built.
    pub fn sweep(&self, log_start: impl Fn(TopicPartition) -> Option<Offset>) {
        let mut over = Vec::new();
        let mut gone = Vec::new();
        self.parts.lock().retain(|tp, parts| {
            let Some(log_start) = log_start(*tp) else {
                gone.push(*tp);
                return false;
            };
            let hidden = parts.extract_if(.., |_, part| part.to <= log_start);
            over.extend(hidden.map(|(from, _)| names::index(*tp, from)));
            true
        });
        over.iter().for_each(|path| self.remove(path));
        gone.into_iter().for_each(|tp| self.remove_partition(tp));
    }

    fn remove_partition(&self, tp: TopicPartition) {
        if let Err(error) = self.disk.remove_dir(&names::partition_dir(tp))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, partition = %tp, "the indexes of a deleted partition could not be removed");
        }
        let topic = names::topic_dir(tp.topic);
        if list(&*self.disk, &topic).is_ok_and(|entries| entries.is_empty()) {
            drop(self.disk.remove_dir(&topic));
        }
    }

    /// Counters.
    pub fn stats(&self) -> KeyStats {
        let parts = self.parts.lock();
        let all = parts.values().flat_map(BTreeMap::values);
        let (files, bytes) = all.fold((0, 0), |(files, bytes), part| (files + 1, bytes + part.file_bytes));
        KeyStats { files, bytes, damaged: self.damaged.load(Relaxed) }
    }
}

/// Topics and partitions that have a directory.
pub(super) fn directories(disk: &dyn Disk) -> io::Result<Vec<(TopicId, Vec<TopicPartition>)>> {
    let mut found = Vec::new();
    for topic in list(disk, names::KEYS)?.iter().filter_map(|name| log_names::parse_topic(name)) {
        let partitions = list(disk, &names::topic_dir(topic))?;
        let partitions = partitions.iter().filter_map(|name| log_names::parse_partition(name));
        found.push((topic, partitions.map(|partition| TopicPartition { topic, partition }).collect()));
    }
    Ok(found)
}

pub(super) fn list(disk: &dyn Disk, path: &str) -> io::Result<Vec<String>> {
    match disk.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => Ok(listed?.into_iter().map(|entry| entry.name).collect()),
    }
}
