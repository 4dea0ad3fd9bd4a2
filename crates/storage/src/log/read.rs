//! Reading: from memory near the end, else from files. What comes from a file is checked batch by batch before it is
//! handed out; at the first damage a read ends, and one that would begin there is an error. What is behind it can be read.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed},
    },
};

use bytes::Bytes;
use tallymq_model::{Offset, batch::HEADER_BYTES};

use super::{
    batches::{Place, Span, Walk},
    epochs::Epochs,
    error::ReadError,
    files::OpenSegment,
    holes,
    index::{self, IndexEntry, SegmentIndex},
    names,
    partition::{FetchedBatches, PartitionLog},
    state::State,
    tail::Run,
};
use crate::disk::OpenMode;

/// Bytes between two index entries that a walk leaves behind.
const WALK_INDEX_BYTES: u64 = 32 << 10;
/// Bytes that a read asks the file for at least, if one batch must come.
const READ_BYTES_MIN: usize = 64 << 10;

/// A segment's file as one moment's state knows it.
pub(super) struct Source {
    pub span: Span,
    pub epochs: Epochs,
    /// The segment takes appends; its index lives with the partition.
    active: Option<Arc<SegmentIndex>>,
}

/// Where an offset is to be read.
enum Found {
    Memory(Run),
    File(Source),
    /// At the log end, or no batch fits.
    Nothing,
}

/// See [`PartitionLog::read`].
pub(super) fn read(
    log: &PartitionLog,
    from: Offset,
    bytes_max: usize,
    at_least_one: bool,
) -> Result<FetchedBatches, ReadError> {
    let mut fetched = FetchedBatches { base: from, next: from, ..FetchedBatches::default() };
    loop {
        let first = fetched.pieces.is_empty();
        let left = bytes_max - fetched.bytes.min(bytes_max);
        if left == 0 && !(first && at_least_one) {
            return Ok(fetched);
        }
        let run = match find(log, fetched.next, left, first && at_least_one, &mut fetched.pieces) {
            Ok(Found::Nothing) => return Ok(fetched),
            Ok(Found::Memory(run)) => Some(run),
            Ok(Found::File(source)) => {
                match read_run(log, &source, fetched.next, left, first && at_least_one) {
                    Ok(Some((piece, run))) => {
                        fetched.pieces.push(piece);
                        Some(run)
                    }
                    Ok(None) => None,
                    Err(error) if first => return Err(error),
                    Err(_) => None,
                }
            }
            Err(error) if first => return Err(error),
            Err(_) => None,
        };
        let Some(run) = run else {
            return Ok(fetched);
        };
        if first {
            fetched.base = run.base;
        }
        fetched.bytes += run.bytes;
        fetched.next = run.next;
    }
}

fn find(
    log: &PartitionLog,
    from: Offset,
    bytes_max: usize,
    at_least_one: bool,
    pieces: &mut Vec<Bytes>,
) -> Result<Found, ReadError> {
    let first = pieces.is_empty();
    let mut state = log.state.lock();
    if state.deleted {
        return Err(ReadError::Deleted);
    }
    let (log_start, log_end) = (state.log_start, state.log_end);
    if from < log_start || from > log_end {
        return Err(ReadError::OffsetOutOfRange { log_start, log_end });
    }
    if from == log_end {
        return Ok(Found::Nothing);
    }
    if state.tail.first().is_some_and(|tail| tail <= from) {
        let run = state.tail.collect(from, bytes_max, at_least_one, pieces);
        log.shared.hits.fetch_add(u64::from(first), Relaxed);
        return Ok(run.map_or(Found::Nothing, Found::Memory));
    }
    log.shared.misses.fetch_add(u64::from(first), Relaxed);
    if !log.prepared.load(Acquire) {
        drop(state);
        ready(log)?;
        state = log.state.lock();
    }
    Ok(source(log, &state, from).map_or(Found::Nothing, Found::File))
}

/// Has the files cut, once.
pub(super) fn ready(log: &PartitionLog) -> Result<(), ReadError> {
    log.prepare().map_err(|failed| ReadError::Io { file: failed.path, source: failed.source })
}

/// The segment that contains the written offset `from`.
pub(super) fn source(log: &PartitionLog, state: &State, from: Offset) -> Option<Source> {
    let at = state.segments.partition_point(|segment| segment.base <= from).checked_sub(1)?;
    let segment = state.segments[at];
    let span = Span {
        path: names::segment(log.topic_partition(), segment.base),
        base: segment.base,
        end: state.segment_end(at),
        bytes: segment.bytes,
    };
    let active = if at + 1 == state.segments.len() { state.active.clone() } else { None };
    (from < span.end).then(|| Source { span, epochs: state.epochs.clone(), active })
}

/// A segment's open file with its index.
pub(super) struct Opened {
    pub segment: Arc<OpenSegment>,
    pub index: Arc<SegmentIndex>,
}

pub(super) fn open(log: &PartitionLog, source: &Source) -> Result<Opened, ReadError> {
    let span = &source.span;
    let mode = if source.active.is_some() { OpenMode::Write } else { OpenMode::Read };
    let opened = log.shared.files.get((log.serial, span.base), || log.shared.disk.open(&span.path, mode));
    let segment = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(log, span)),
        opened => opened.map_err(|source| ReadError::Io { file: span.path.clone(), source })?,
    };
    let index = source.active.clone().unwrap_or_else(|| Arc::clone(&segment.index));
    if !index.is_loaded() {
        let path = names::index(log.topic_partition(), span.base);
        let bytes = match log.shared.disk.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            opened => opened.and_then(|file| index::read_file(&*file, span.bytes)),
        };
        // An index that cannot be read is as good as none: the segment itself is walked.
        let entries =
            bytes.map(|bytes| index::decode(span.base, &bytes, span.bytes).entries).unwrap_or_default();
        index.load(entries);
    }
    Ok(Opened { segment, index })
}

/// The file is not there: removed behind the reader's back because nobody sees it any more, or lost.
fn missing(log: &PartitionLog, span: &Span) -> ReadError {
    let state = log.state.lock();
    if state.deleted {
        ReadError::Deleted
    } else if state.log_start >= span.end {
        ReadError::OffsetOutOfRange { log_start: state.log_start, log_end: state.log_end }
    } else {
        span.damage(0, "the file is missing").into()
    }
}

/// Where the batch that contains `from` begins, also behind damage. Its header is in place; its checksum is the caller's to check.
pub(super) fn locate(opened: &Opened, source: &Source, from: Offset) -> Result<IndexEntry, ReadError> {
    let begins = |at: &IndexEntry| {
        Walk::new(&*opened.segment.file, &source.span, &source.epochs, *at).step().map(drop)
    };
    match find_place(opened, source, from).and_then(|at| begins(&at).map(|()| at)) {
        // Damage in front may have shifted what an index knows.
        Err(ReadError::Corrupt(_)) => holes::place(opened, source, from),
        found => found,
    }
}

/// Where the batch that contains `from` begins, in a segment without damage in front of it.
fn find_place(opened: &Opened, source: &Source, from: Offset) -> Result<IndexEntry, ReadError> {
    let relative = (from.0 - source.span.base.0) as u32;
    let known = opened.index.before_offset(relative);
    if known.relative == relative {
        return Ok(known);
    }
    let mut walk = Walk::new(&*opened.segment.file, &source.span, &source.epochs, known);
    let mut trail = Trail::new(source.span.base, known);
    let found = loop {
        match walk.step()? {
            Some(place) if place.header.next_offset() > from => break place,
            // Damage in a batch that is passed does not keep the ones behind it from being read.
            Some(place) if walk.batch(&place).is_err() => trail.end(),
            Some(place) => trail.pass(&place),
            None => {
                return Err(source.span.damage(walk.position(), format!("offset {from} is missing")).into());
            }
        }
    };
    opened.index.merge(trail.entries);
    Ok(found.entry(source.span.base))
}

/// Index entries that a walk leaves behind where the index has none.
pub(super) struct Trail {
    base: Offset,
    /// The position of the last entry, as long as timestamps are certain.
    last: Option<u64>,
    pub entries: Vec<IndexEntry>,
}

impl Trail {
    pub(super) fn new(base: Offset, from: IndexEntry) -> Trail {
        let known = from.max_before != IndexEntry::UNKNOWN;
        let last = known.then_some(u64::from(from.position));
        Trail { base, last, entries: Vec::new() }
    }

    /// Notes a batch whose checksum holds.
    pub(super) fn pass(&mut self, place: &Place) {
        if self.last.is_some_and(|last| place.position >= last + WALK_INDEX_BYTES) {
            self.last = Some(place.position);
            self.entries.push(place.entry(self.base));
        }
    }

    /// From here on timestamps are not certain.
    pub(super) fn end(&mut self) {
        self.last = None;
    }
}

/// Reads whole batches of one segment from the one that contains `from` on, all checked.
fn read_run(
    log: &PartitionLog,
    source: &Source,
    from: Offset,
    bytes_max: usize,
    at_least_one: bool,
) -> Result<Option<(Bytes, Run)>, ReadError> {
    let opened = open(log, source)?;
    let bounds = (bytes_max, at_least_one);
    let found = find_place(&opened, source, from);
    match found.and_then(|start| read_from(&opened, source, start, bounds)) {
        // What led there may be damaged, and the batch be whole.
        Err(ReadError::Corrupt(_)) => {
            let start = holes::place(&opened, source, from)?;
            read_from(&opened, source, start, bounds)
        }
        read => read,
    }
}

/// Reads whole batches from a place on, all checked.
fn read_from(
    opened: &Opened,
    source: &Source,
    start: IndexEntry,
    (bytes_max, at_least_one): (usize, bool),
) -> Result<Option<(Bytes, Run)>, ReadError> {
    let (span, file) = (&source.span, &*opened.segment.file);
    let position = u64::from(start.position);
    let left = span.bytes - position;
    let wanted = left.min(bytes_max.max(READ_BYTES_MIN) as u64) as usize;
    // Fewer if the file is shorter than it should be: it may still hold the batches in front of that.
    let mut buffer = file
        .read_new(wanted, position)
        .map_err(|source| ReadError::Io { file: span.path.clone(), source })?;
    let base = span.base.plus(i64::from(start.relative));
    let first = span.check_header(&buffer, position, base, &source.epochs)?;
    if first.size_bytes > bytes_max && !at_least_one {
        return Ok(None);
    }
    if first.size_bytes > buffer.len() {
        buffer.resize(first.size_bytes, 0);
        span.read(file, &mut buffer, position)?;
    }
    let limit = bytes_max.max(first.size_bytes).min(buffer.len());
    let mut end = IndexEntry { position: 0, ..start };
    loop {
        let at = end.position as usize;
        let rest = &buffer[at..limit];
        if at > 0 && rest.len() < HEADER_BYTES {
            break;
        }
        let expected = span.base.plus(i64::from(end.relative));
        let checked =
            span.check_header(rest, position + at as u64, expected, &source.epochs).and_then(|header| {
                if header.size_bytes > rest.len() {
                    return Ok(None);
                }
                let crc = header.check_crc(rest).map_err(|error| span.damage(position + at as u64, error));
                crc.map(|()| Some(header))
            });
        match checked {
            Ok(Some(header)) => {
                end.position += header.size_bytes as u32;
                end.relative = (header.next_offset().0 - span.base.0) as u32;
            }
            Err(damage) if at == 0 => return Err(damage.into()),
            Ok(None) | Err(_) => break,
        }
    }
    let bytes = end.position as usize;
    if position + (bytes as u64) < span.bytes {
        opened.index.set_cursor(end.relative, start.position + end.position);
    }
    let run = Run { base, next: span.base.plus(i64::from(end.relative)), bytes };
    Ok(Some((Bytes::from(buffer).slice(..bytes), run)))
}
