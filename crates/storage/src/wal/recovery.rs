//! Opens the log: reads it past the page cache, tells a torn tail from damage, cuts the one and refuses the other, and
//! builds the index. It changes nothing on disk before it has decided.
//!
//! A bad group with something newer behind it that calls it synced is damage: it was acknowledged, or may have been.
//! Where nothing newer calls it synced it is an unsynced tail: it is cut, and the headers behind it are zeroed, so
//! that they cannot be taken for damage the next time.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use tallymq_model::{LogIndex, RaftGroup, Term};

use crate::disk::{Disk, File, OpenMode};

use super::{
    committer::Committer,
    error::WalOpenError,
    files::{FileName, Files, LiveFile, SpareFile, file_path, parse_name},
    format::{FORMAT_VERSION, GROUP_HEADER_BYTES, GroupHeader, PAGE_BYTES},
    group::MetaRecord,
    handle::Wal,
    index::{Index, Place},
    options::WalOptions,
    prepare::Preparer,
    shared::{Queue, Shared},
    stats::WalStats,
    walk::{Bad, ChainEnd, Event, WalkError, WalkFile, walk},
    writer::{Tail, Writer},
};

/// What a damaged log's operator can do.
pub(super) const REPAIR: &str = "Acknowledged messages may be in the damaged part, so nothing was changed. Restore the \
    data directory of this node from a backup, or empty it and let the node catch up from a replica";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Each Raft group that the log knows.
    pub groups: BTreeMap<RaftGroup, RecoveredGroup>,
    /// What was cut.
    pub cut: Option<TornTail>,
}

/// One Raft group's part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredGroup {
    /// Its latest vote.
    pub vote: Option<Bytes>,
    /// A checkpoint covers the entries through here.
    pub purged_through: LogIndex,
    /// The first entry, if there is one: the one behind `purged_through`.
    pub first: LogIndex,
    /// The last entry above `purged_through`.
    pub last: Option<(LogIndex, Term)>,
}

/// The unsynced end of the log, cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file, relative to the data directory.
    pub file: String,
    /// Where it was cut.
    pub position: u64,
    /// Bytes from there to the end of what was found.
    pub bytes: u64,
    /// What is wrong with the first group cut.
    pub reason: String,
}

impl Wal {
    /// Opens the log in `options.directory`, creating it if it is not there.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: WalOptions,
    ) -> Result<(Wal, Committer, Recovered), WalOpenError> {
        let space = disk.space().map_err(io_error("the file system's size"))?;
        let options = options.fitted_to(space);
        prepare_directory(&*disk, &options.directory).map_err(io_error(&options.directory))?;
        let found = Found::list(&*disk, &options.directory, OpenMode::Write)?;
        let mut replay = Replay::default();
        let mut files = found.files;
        let end = walk(&files, &mut |event| replay.take(event)).map_err(walk_error)?;
        replay.decide(&files, &end, found.missing_before.as_ref())?;
        let cut =
            tidy_up(&*disk, &options, &mut files, &end, &replay).map_err(io_error("the end of the log"))?;
        let spares = Found::spares(&*disk, &options, &found.others).map_err(io_error("spare files"))?;
        let tail = tail(&files, &end, replay.cut.as_ref());
        let (wal, committer) = start(disk, options, files, spares, (replay.index, tail))
            .map_err(io_error("the first group of this process"))?;
        let groups = wal.groups();
        Ok((wal, committer, Recovered { groups, cut }))
    }
}

fn io_error(what: &str) -> impl FnOnce(io::Error) -> WalOpenError {
    let what = what.to_owned();
    move |error| WalOpenError::Io { what, error }
}

pub(super) fn walk_error(error: WalkError) -> WalOpenError {
    match error {
        WalkError::UnknownVersion { path, version } => {
            WalOpenError::UnknownVersion { file: path, version, known: FORMAT_VERSION }
        }
        WalkError::Io { path, error } => WalOpenError::Io { what: path, error },
    }
}

fn prepare_directory(disk: &dyn Disk, directory: &str) -> io::Result<()> {
    disk.create_dir(directory)?;
    let parent = directory.rsplit_once('/').map_or("", |(parent, _)| parent);
    disk.sync_dir(parent)?;
    // A file that is seen now must not be gone after the next power cut.
    disk.sync_dir(directory)
}

/// What is in the directory.
pub(super) struct Found {
    /// The newest files without a gap between them, read past the cache.
    pub(super) files: Vec<WalkFile>,
    /// The number in front of the first of them, if older files are there but not this one.
    pub(super) missing_before: Option<String>,
    /// Names of spares and leftovers.
    others: Vec<(FileName, String)>,
}

impl Found {
    /// Lists the directory and opens the files of the chain.
    pub(super) fn list(disk: &dyn Disk, directory: &str, mode: OpenMode) -> Result<Found, WalOpenError> {
        let entries = disk.list(directory).map_err(io_error(directory))?;
        let mut sequences = Vec::new();
        let mut others = Vec::new();
        for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
            let path = format!("{directory}/{}", entry.name);
            match parse_name(&entry.name) {
                FileName::Live(sequence) => sequences.push(sequence),
                FileName::Unknown => {}
                name => others.push((name, path)),
            }
        }
        sequences.sort_unstable();
        let unbroken = sequences.windows(2).rev().take_while(|pair| pair[0] + 1 == pair[1]).count();
        let older = sequences.len().saturating_sub(unbroken + 1);
        let chain = sequences.split_off(older);
        let missing_before = match chain.first() {
            Some(first) if older > 0 => Some(file_path(directory, first - 1)),
            _ => None,
        };
        others.extend(sequences.into_iter().map(|old| (FileName::Leftover, file_path(directory, old))));
        let mut files = Vec::new();
        for sequence in chain {
            let path = file_path(directory, sequence);
            let (file, size_bytes) = open_past_cache(disk, &path, mode).map_err(io_error(&path))?;
            files.push(WalkFile { sequence, path, file, size_bytes });
        }
        Ok(Found { files, missing_before, others })
    }

    /// Takes over the spare files that fit, and removes the others.
    fn spares(disk: &dyn Disk, options: &WalOptions, others: &[(FileName, String)]) -> io::Result<Files> {
        let mut files = Files::default();
        for (name, path) in others {
            if let FileName::Spare(number) = name {
                files.next_number = files.next_number.max(*number);
                let file = disk.open(path, OpenMode::Write)?;
                if file.size_bytes()? == options.file_bytes {
                    files.spares.push_back(SpareFile { path: path.clone(), file });
                    continue;
                }
            }
            disk.remove_file(path)?;
        }
        Ok(files)
    }
}

fn open_past_cache(disk: &dyn Disk, path: &str, mode: OpenMode) -> io::Result<(Arc<dyn File>, u64)> {
    let file = disk.open(path, mode)?;
    if !tallymq_model::planted("recovery-trusts-page-cache") {
        file.drop_cache()?;
    }
    let size_bytes = file.size_bytes()?;
    Ok((file, size_bytes))
}

/// Replays what the walk meets, up to the first bad place.
#[derive(Default)]
struct Replay {
    index: Index,
    /// The first bad place.
    cut: Option<Bad>,
    /// The newest group that anything behind `cut` calls synced.
    synced: u64,
    /// Groups behind `cut`, in its file: position and end.
    behind: Vec<(u64, u64)>,
    /// The first bad place that no interrupted write leaves.
    certain: Option<Bad>,
}

impl Replay {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::File(header) => self.synced = self.synced.max(header.first_group.saturating_sub(1)),
            Event::Bad(bad) => {
                if bad.certain {
                    self.certain.get_or_insert_with(|| bad.clone());
                }
                self.cut.get_or_insert(bad);
            }
            Event::Newer(header) => {
                self.synced = self.synced.max(header.synced);
                self.behind.push((header.position, header.position + header.size_bytes()));
            }
            Event::Group { file, header, records } => {
                self.synced = self.synced.max(header.synced);
                if self.cut.is_some() {
                    self.behind.push((header.position, header.position + header.size_bytes()));
                } else if let Err(reason) = replay(&mut self.index, header, records) {
                    let position = header.position;
                    let bad = Bad { file, position, reason, expected: header.sequence, certain: true };
                    self.certain = Some(bad.clone());
                    self.cut = Some(bad);
                }
            }
        }
    }

    /// Refuses damage.
    fn decide(
        &self,
        files: &[WalkFile],
        end: &ChainEnd,
        missing_before: Option<&String>,
    ) -> Result<(), WalOpenError> {
        let damaged = |file: String, position, reason| {
            Err(WalOpenError::Damaged { file, position, reason, repair: REPAIR })
        };
        if tallymq_model::planted("damaged-tail-cut") {
            return Ok(());
        }
        let synced = self.cut.as_ref().filter(|cut| cut.expected <= self.synced);
        if let Some(bad) = self.certain.as_ref().or(synced) {
            let path = files.get(bad.file).map_or_else(String::new, |file| file.path.clone());
            return damaged(path, bad.position, bad.reason.clone());
        }
        match missing_entries(&self.index, files, end, missing_before) {
            Some((file, position, reason)) => damaged(file, position, reason),
            None => Ok(()),
        }
    }
}

/// Entries that are neither purged nor there: the file and position to look at, and what is wrong.
pub(super) fn missing_entries(
    index: &Index,
    files: &[WalkFile],
    end: &ChainEnd,
    missing_before: Option<&String>,
) -> Option<(String, u64, String)> {
    let (group, (from, through)) =
        index.groups().find_map(|(group, state)| Some((group, state.missing()?)))?;
    let what = format!("entries {from} to {through} of group {group}");
    if let Some(file) = missing_before {
        return Some((file.clone(), 0, format!("the file is missing; {what} are in it or in an older one")));
    }
    let file = end.file.and_then(|last| files.get(last)).map_or_else(String::new, |file| file.path.clone());
    Some((file, end.position, format!("{what} are in no file, and no purge of them is here")))
}

/// Applies a group's records; says what cannot be.
pub(super) fn replay(
    index: &mut Index,
    header: &GroupHeader,
    records: &[MetaRecord<'_>],
) -> Result<(), String> {
    let mut position = header.position + GROUP_HEADER_BYTES as u64 + u64::from(header.meta_bytes);
    for record in records {
        match record {
            MetaRecord::Entry { group, index: at, term, length, crc } => {
                let file = header.file_sequence;
                let place = Place { file, position, term: *term, length: *length, crc: *crc };
                index
                    .append(*group, *at, place)
                    .map_err(|error| format!("entry {at} of group {group} does not follow {}", error.last))?;
                position += u64::from(*length);
            }
            MetaRecord::Vote { group, vote } => index.vote(*group, Bytes::copy_from_slice(vote)),
            MetaRecord::Truncate { group, from } => index.truncate(*group, *from),
            MetaRecord::Purge { group, through } => index.purge(*group, *through),
            MetaRecord::Snapshot { group, state } => index.restore(*group, state.clone()),
        }
    }
    Ok(())
}

/// Removes a last file that was named and never begun, and zeroes what is left of an unsynced tail.
fn tidy_up(
    disk: &dyn Disk,
    options: &WalOptions,
    files: &mut Vec<WalkFile>,
    end: &ChainEnd,
    replay: &Replay,
) -> io::Result<Option<TornTail>> {
    let last_file = replay.cut.as_ref().map(|cut| cut.file).or(end.file);
    let begun = last_file.map_or(0, |last| last + 1);
    if files.len() > begun {
        for file in files.drain(begun..).rev() {
            disk.remove_file(&file.path)?;
        }
        disk.sync_dir(&options.directory)?;
    }
    let (position, reason, end_position) = match (&replay.cut, &end.torn) {
        (Some(cut), _) => {
            let end = replay.behind.iter().map(|(_, end)| *end).max();
            (cut.position, cut.reason.clone(), end.unwrap_or(cut.position + PAGE_BYTES))
        }
        (None, Some((bytes, reason))) => (end.position, reason.clone(), end.position.saturating_add(*bytes)),
        (None, None) => return Ok(None),
    };
    let Some(file) = files.last() else { return Ok(None) };
    let zeros = [0; PAGE_BYTES as usize];
    let behind = replay.behind.iter().map(|(position, _)| *position);
    // Back to front, so that what is left after an interruption is still nothing but a tail.
    for at in behind
        .chain([position])
        .filter(|at| at + PAGE_BYTES <= file.size_bytes)
        .collect::<Vec<_>>()
        .iter()
        .rev()
    {
        file.file.write_at(&[&zeros], *at)?;
    }
    file.file.sync_data()?;
    let bytes = end_position.min(file.size_bytes).saturating_sub(position);
    Ok(Some(TornTail { file: file.path.clone(), position, bytes, reason }))
}

/// Where writing goes on.
fn tail(files: &[WalkFile], end: &ChainEnd, cut: Option<&Bad>) -> Tail {
    let last = files.last();
    let epoch = end.epoch + 1;
    let (position, next_group) = match cut {
        Some(cut) => (cut.position, cut.expected),
        None => (end.position, end.expected.max(1)),
    };
    Tail {
        file_sequence: last.map_or(0, |file| file.sequence),
        size_bytes: last.map_or(0, |file| file.size_bytes),
        position,
        group: next_group - 1,
        epoch,
    }
}

/// Builds the log around what was recovered, and begins the epoch of this process.
fn start(
    disk: Arc<dyn Disk>,
    options: WalOptions,
    files: Vec<WalkFile>,
    mut known: Files,
    (index, tail): (Index, Tail),
) -> io::Result<(Wal, Committer)> {
    known.live = files
        .into_iter()
        .map(|file| LiveFile { sequence: file.sequence, size_bytes: file.size_bytes, file: file.file })
        .collect();
    let first_of_all = known.live.is_empty() && known.spares.is_empty();
    let shared = Arc::new(Shared {
        disk,
        options,
        queue: Mutex::new(Queue::default()),
        queued: Condvar::new(),
        index: RwLock::new(index),
        files: Mutex::new(known),
        spare_wanted: Condvar::new(),
        stats: Mutex::new(WalStats::default()),
    });
    if first_of_all {
        let mut preparer = Preparer::new(Arc::clone(&shared));
        while shared.files.lock().spares.is_empty() && preparer.step() {}
    }
    let synced = tail.group;
    let writer = Writer::new(Arc::clone(&shared), tail, synced);
    let mut committer = Committer::new(Arc::clone(&shared), writer);
    committer.open_epoch()?;
    Ok((Wal { shared }, committer))
}
