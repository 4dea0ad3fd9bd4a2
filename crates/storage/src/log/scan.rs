//! Looks at the segment files of a stopped data directory: every batch, checksum and header, offsets without gaps.
//! Reads only; changes nothing. What the batches mean (producers, sequences) is the caller's to check.

use std::io;

use tallymq_model::{BatchHeader, Offset, TopicPartition};

use super::{
    batches::{Span, Walk},
    epochs::Epochs,
    error::{Damage, ReadError},
    holes,
    index::{self, IndexEntry, SegmentIndex},
    names::{self, FileKind},
    position::LogPosition,
};
use crate::disk::{Disk, OpenMode};

/// What a scan meets, in the order of the log.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A whole batch.
    Batch {
        /// Path of its file.
        file: &'a str,
        /// Where in it, in bytes.
        position: u64,
        /// Its header.
        header: &'a BatchHeader,
        /// All its bytes.
        bytes: &'a [u8],
        /// It is behind the checkpoint: only a copy of what the WAL holds, cut off at the next start.
        behind_checkpoint: bool,
    },
    /// Synced bytes are not what was written.
    Damage(Damage),
    /// An index is damaged: harmless, it is left out and made again.
    IndexDamage(Damage),
    /// Behind the checkpoint there is something other than whole batches: a torn write, cut off at the next start.
    TornTail(Damage),
    /// A file that no log needs; removed in time.
    Leftover {
        /// Its path.
        file: String,
    },
}

/// What a scan saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// Segment files.
    pub segments: u64,
    /// Whole batches up to the checkpoint.
    pub batches: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Damaged places.
    pub damages: u64,
    /// Bytes up to the checkpoint that could not be looked at, because what is in front of them is damaged.
    pub unchecked_bytes: u64,
}

/// The partitions that have a directory.
pub fn partitions(disk: &dyn Disk) -> io::Result<Vec<TopicPartition>> {
    let mut found = Vec::new();
    for topic in list(disk, names::TOPICS)? {
        let Some(id) = names::parse_topic(&topic) else {
            continue;
        };
        let indexes = list(disk, &names::topic_dir(id))?;
        let indexes = indexes.iter().filter_map(|name| names::parse_partition(name));
        found.extend(indexes.map(|partition| TopicPartition { topic: id, partition }));
    }
    Ok(found)
}

/// Scans one partition. With the `position` of the newest checkpoint, synced bytes must be there and whole; without,
/// every file counts whole and the last one may end anywhere between two batches.
pub fn partition(
    disk: &dyn Disk,
    tp: TopicPartition,
    position: Option<&LogPosition>,
    sink: &mut dyn FnMut(Finding<'_>),
) -> io::Result<ScanSummary> {
    let mut scan = Scan { disk, tp, sink, summary: ScanSummary::default() };
    let names = list(disk, &names::partition_dir(tp))?;
    let files: Vec<_> = names.iter().filter_map(|name| names::parse_file(name)).collect();
    let on_disk: Vec<_> = files
        .iter()
        .filter_map(|kind| match kind {
            FileKind::Segment(base) => Some(*base),
            FileKind::Index(_) => None,
        })
        .collect();
    let mut expected = Vec::new();
    match position {
        Some(position) => {
            let known = position.segments_with_ends();
            expected.extend(known.map(|(segment, end)| (segment.base, end, Some(segment.bytes))));
        }
        None => {
            for (at, base) in on_disk.iter().enumerate() {
                expected.push((*base, on_disk.get(at + 1).copied().unwrap_or(Offset(i64::MAX)), None));
            }
        }
    }
    let epochs = position.map(|position| Epochs::new(position.epochs.clone())).unwrap_or_default();
    for (base, end, bytes) in &expected {
        scan.segment(Part { base: *base, end: *end, bytes: *bytes }, &epochs)?;
    }
    for base in on_disk.iter().filter(|base| !expected.iter().any(|known| known.0 == **base)) {
        let behind = position.is_some_and(|position| *base >= position.log_end);
        let file = names::segment(tp, *base);
        if behind {
            scan.tail(&file, *base, 0)?;
        } else {
            (scan.sink)(Finding::Leftover { file });
        }
    }
    Ok(scan.summary)
}

/// The offsets up to the checkpoint that damage took, by the rules of those that read: what they still get of what is whole behind
/// it is not among them.
pub fn lost(
    disk: &dyn Disk,
    tp: TopicPartition,
    position: &LogPosition,
) -> io::Result<Vec<(Offset, Offset)>> {
    let epochs = Epochs::new(position.epochs.clone());
    let mut lost: Vec<(Offset, Offset)> = Vec::new();
    for (segment, end) in position.segments_with_ends() {
        let path = names::segment(tp, segment.base);
        let span = Span { path, base: segment.base, end, bytes: segment.bytes };
        let found = match disk.open(&span.path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![(span.base, span.end)],
            opened => {
                let index = SegmentIndex::complete();
                index.load(read_index(disk, tp, &span)?.map(|index| index.entries).unwrap_or_default());
                match holes::all(&*opened?, &span, &epochs, &index) {
                    Err(ReadError::Corrupt(_)) => vec![(span.base, span.end)],
                    found => found.map_err(|error| io::Error::other(error.to_string()))?,
                }
            }
        };
        let seen = found.into_iter().map(|(from, to)| (from.max(position.log_start), to));
        for (from, to) in seen.filter(|(from, to)| from < to) {
            match lost.last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                _ => lost.push((from, to)),
            }
        }
    }
    Ok(lost)
}

/// What a segment's index file holds, if it has one.
fn read_index(disk: &dyn Disk, tp: TopicPartition, span: &Span) -> io::Result<Option<index::Decoded>> {
    let file = match disk.open(&names::index(tp, span.base), OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let bytes = index::read_file(&*file, span.bytes)?;
    Ok(Some(index::decode(span.base, &bytes, span.bytes)))
}

struct Part {
    base: Offset,
    end: Offset,
    bytes: Option<u64>,
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    tp: TopicPartition,
    sink: &'a mut dyn FnMut(Finding<'_>),
    summary: ScanSummary,
}

impl Scan<'_> {
    fn segment(&mut self, part: Part, epochs: &Epochs) -> io::Result<()> {
        let path = names::segment(self.tp, part.base);
        let file = match self.disk.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.damage(Damage { file: path, position: 0, reason: "the file is missing".to_owned() });
                self.summary.unchecked_bytes += part.bytes.unwrap_or(0);
                return Ok(());
            }
            opened => opened?,
        };
        self.summary.segments += 1;
        let size_bytes = file.size_bytes()?;
        let bytes = part.bytes.unwrap_or(size_bytes);
        let span = Span { path, base: part.base, end: part.end, bytes };
        let mut walk = Walk::new(&*file, &span, epochs, IndexEntry::START);
        loop {
            if part.end == Offset(i64::MAX) && walk.position() == bytes {
                break;
            }
            let place = match walk.step() {
                Ok(Some(place)) => place,
                Ok(None) => break,
                Err(error) => {
                    let position = walk.position();
                    self.summary.unchecked_bytes += bytes.saturating_sub(position);
                    self.damage(damage_of(error)?);
                    return self.index(&span);
                }
            };
            match walk.batch(&place) {
                Ok(batch) => {
                    self.summary.batches += 1;
                    self.summary.bytes += batch.len() as u64;
                    let (position, header) = (place.position, &place.header);
                    let file = &span.path;
                    (self.sink)(Finding::Batch {
                        file,
                        position,
                        header,
                        bytes: batch,
                        behind_checkpoint: false,
                    });
                }
                Err(error) => self.damage(damage_of(error)?),
            }
        }
        self.index(&span)?;
        if size_bytes > bytes {
            self.tail(&span.path, part.end, bytes)?;
        }
        Ok(())
    }

    /// What is behind the checkpoint, from `position` on, where `base` is the next offset.
    fn tail(&mut self, path: &str, base: Offset, position: u64) -> io::Result<()> {
        let file = self.disk.open(path, OpenMode::Read)?;
        let span = Span { path: path.to_owned(), base, end: Offset(i64::MAX), bytes: file.size_bytes()? };
        // Epochs behind the checkpoint are not known here.
        let epochs = Epochs::default();
        let from =
            IndexEntry { relative: 0, position: position as u32, max_before: IndexEntry::START.max_before };
        let mut walk = Walk::new(&*file, &span, &epochs, from);
        while walk.position() < span.bytes {
            let found = match walk.step() {
                Ok(Some(place)) => walk.batch(&place).map(|batch| (place, batch)),
                Ok(None) => break,
                Err(error) => Err(error),
            };
            match found {
                Ok((place, bytes)) => {
                    let (position, header) = (place.position, &place.header);
                    (self.sink)(Finding::Batch {
                        file: path,
                        position,
                        header,
                        bytes,
                        behind_checkpoint: true,
                    });
                }
                Err(error) => {
                    (self.sink)(Finding::TornTail(damage_of(error)?));
                    break;
                }
            }
        }
        Ok(())
    }

    fn index(&mut self, span: &Span) -> io::Result<()> {
        let path = names::index(self.tp, span.base);
        for position in read_index(self.disk, self.tp, span)?.map(|index| index.damaged).unwrap_or_default() {
            let reason = "an index entry is damaged".to_owned();
            (self.sink)(Finding::IndexDamage(Damage { file: path.clone(), position, reason }));
        }
        Ok(())
    }

    fn damage(&mut self, damage: Damage) {
        self.summary.damages += 1;
        (self.sink)(Finding::Damage(damage));
    }
}

/// The damage that a walk ended at; other errors end the scan.
fn damage_of(error: ReadError) -> io::Result<Damage> {
    match error {
        ReadError::Corrupt(damage) => Ok(damage),
        ReadError::Io { file, source } => Err(io::Error::new(source.kind(), format!("{file}: {source}"))),
        other => Err(io::Error::other(other.to_string())),
    }
}

fn list(disk: &dyn Disk, path: &str) -> io::Result<Vec<String>> {
    match disk.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => Ok(listed?.into_iter().map(|entry| entry.name).collect()),
    }
}
