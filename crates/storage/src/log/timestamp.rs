//! Finding records by time (ListOffsets, KIP-79 and KIP-734). The log finds the batch; which record of it, the caller
//! finds in its records once they are decompressed, with [`record_at`].

use std::sync::atomic::Ordering::Acquire;

use bytes::{BufMut, Bytes, BytesMut};
use tallymq_model::{BatchHeader, Offset, Timestamp, TimestampType, varint};
use thiserror::Error;

use super::{
    batches::{Place, Walk},
    error::{Damage, ReadError},
    holes,
    partition::{FoundBatch, PartitionLog},
    read::{self, Source},
    tail::TailBatch,
};

/// What a search came to, damage or not.
#[derive(Debug, Default)]
pub struct Searched {
    /// The first whole batch.
    pub found: Option<FoundBatch>,
    /// The first damage in front of it, or anywhere if there is none, and where the search came upon it: it may have taken an
    /// earlier one.
    pub damaged: Option<(Offset, Damage)>,
}

/// See [`PartitionLog::find_timestamp`].
pub(super) fn find(log: &PartitionLog, at: Timestamp, from: Offset) -> Result<Option<FoundBatch>, ReadError> {
    let Searched { found, damaged } = search(log, at, from)?;
    damaged.map_or(Ok(found), |(_, damage)| Err(damage.into()))
}

/// See [`PartitionLog::search_timestamp`].
pub(super) fn search(log: &PartitionLog, at: Timestamp, from: Offset) -> Result<Searched, ReadError> {
    let mut damaged = None;
    let found = find_whole(log, at, from, &mut damaged)?;
    Ok(Searched { found, damaged })
}

type Damaged = Option<(Offset, Damage)>;

fn find_whole(
    log: &PartitionLog,
    at: Timestamp,
    mut from: Offset,
    damaged: &mut Damaged,
) -> Result<Option<FoundBatch>, ReadError> {
    loop {
        let source = {
            let mut state = log.state.lock();
            if state.deleted {
                return Err(ReadError::Deleted);
            }
            from = from.max(state.log_start);
            let in_memory = state.tail.first().is_some_and(|tail| tail <= from);
            if in_memory || from >= state.written_end {
                return state.tail.find_timestamp(at, from).map(copy).transpose();
            }
            if !log.prepared.load(Acquire) {
                drop(state);
                read::ready(log)?;
                state = log.state.lock();
            }
            let next = (0..state.segments.len()).find(|segment| {
                state.segment_end(*segment) > from && state.segments[*segment].max_timestamp >= at
            });
            let Some(next) = next else {
                return state.tail.find_timestamp(at, state.written_end).map(copy).transpose();
            };
            from = from.max(state.segments[next].base);
            read::source(log, &state, from)
        };
        let Some(source) = source else {
            return Ok(None);
        };
        match first_at(log, &source, (at, from), damaged) {
            Ok(None) => {}
            // The file is missing.
            Err(ReadError::Corrupt(damage)) => drop(damaged.get_or_insert((from, damage))),
            found => return found,
        }
        from = source.span.end;
    }
}

/// See [`PartitionLog::max_timestamp`].
pub(super) fn find_max(log: &PartitionLog) -> Result<Option<FoundBatch>, ReadError> {
    let mut visible_max = None;
    let first = {
        let mut state = log.state.lock();
        if state.deleted {
            return Err(ReadError::Deleted);
        }
        let Some((_, base)) = state.max_timestamp().filter(|_| state.log_start < state.log_end) else {
            return Ok(None);
        };
        if let Some(batch) = state.tail.containing(base)
            && batch.next() > state.log_start
        {
            return copy(batch).map(Some);
        }
        if !log.prepared.load(Acquire) {
            drop(state);
            read::ready(log)?;
            state = log.state.lock();
        }
        if base >= state.log_start {
            visible_max = Some(base);
        }
        read::source(log, &state, state.log_start)
    };
    if let Some(base) = visible_max {
        return find_at(log, base);
    }
    // The largest one may be hidden, or in the batch that the log start cuts through: look at the first segment's rest.
    let Some(first) = first else {
        return Ok(None);
    };
    let seen = max_from(log, &first)?;
    let later = log.state.lock().max_timestamp_behind(first.span.base);
    match (seen, later) {
        (Some((timestamp, base)), later) if later.is_none_or(|(other, _)| timestamp >= other) => {
            find_at(log, base)
        }
        (_, Some((_, base))) => find_at(log, base),
        (_, None) => Ok(None),
    }
}

/// The largest max timestamp among a segment's visible batches, and the first batch that has it.
fn max_from(log: &PartitionLog, source: &Source) -> Result<Option<(Timestamp, Offset)>, ReadError> {
    let log_start = log.log_start();
    let opened = read::open(log, source)?;
    let known = opened.index.before_offset((log_start.0 - source.span.base.0).max(0) as u32);
    let mut walk = Walk::new(&*opened.segment.file, &source.span, &source.epochs, known);
    let mut best: Option<(Timestamp, Offset)> = None;
    while let Some(place) = walk.step()? {
        walk.batch(&place)?;
        let header = place.header;
        if header.next_offset() > log_start
            && best.is_none_or(|(timestamp, _)| header.max_timestamp > timestamp)
        {
            best = Some((header.max_timestamp, header.base_offset));
        }
    }
    Ok(best)
}

/// The batch with this base offset.
fn find_at(log: &PartitionLog, base: Offset) -> Result<Option<FoundBatch>, ReadError> {
    let source = {
        let state = log.state.lock();
        if let Some(batch) = state.tail.containing(base) {
            return copy(batch).map(Some);
        }
        read::source(log, &state, base)
    };
    let Some(source) = source else { return Ok(None) };
    let opened = read::open(log, &source)?;
    let at = read::locate(&opened, &source, base)?;
    let mut walk = Walk::new(&*opened.segment.file, &source.span, &source.epochs, at);
    match walk.step()? {
        Some(place) => found(&mut walk, &place).map(Some),
        None => Ok(None),
    }
}

/// The first whole batch of a segment with a record at or behind `from`, whose max timestamp is at least `at`.
fn first_at(
    log: &PartitionLog,
    source: &Source,
    (at, from): (Timestamp, Offset),
    damaged: &mut Damaged,
) -> Result<Option<FoundBatch>, ReadError> {
    let span = &source.span;
    let opened = read::open(log, source)?;
    let walk_from = |known| Walk::new(&*opened.segment.file, span, &source.epochs, known);
    let by_offset = opened.index.before_offset((from.0 - span.base.0) as u32);
    let by_time = opened.index.before_timestamp(at);
    let known = if by_time.position > by_offset.position { by_time } else { by_offset };
    let (mut walk, mut next) = (walk_from(known), span.base.plus(i64::from(known.relative)));
    let mut trail = read::Trail::new(span.base, known);
    let mut tried = None;
    let hit = loop {
        match whole(&mut walk) {
            Ok(Some(place)) if place.header.next_offset() > from && place.header.max_timestamp >= at => {
                break Some(place);
            }
            Ok(Some(place)) => {
                trail.pass(&place);
                next = place.header.next_offset();
            }
            Ok(None) => break None,
            Err(ReadError::Corrupt(damage)) if next < span.end => {
                let behind = holes::go_on(&opened, source, next)?;
                let behind = behind.map(|behind| (behind, span.base.plus(i64::from(behind.relative))));
                // It is whole where only the way to it was not; but no place is tried twice.
                let is_whole = behind.is_some_and(|(_, offset)| offset == next) && tried != Some(next);
                let behind = behind.filter(|(_, offset)| is_whole || *offset > next);
                if !is_whole {
                    damaged.get_or_insert((next, damage));
                }
                let Some((behind, offset)) = behind else { break None };
                trail.end();
                tried = Some(offset);
                (walk, next) = (walk_from(behind), offset);
            }
            // Only bytes behind the last batch are not there.
            Err(ReadError::Corrupt(_)) => break None,
            Err(error) => return Err(error),
        }
    };
    opened.index.merge(trail.entries);
    hit.map(|place| found(&mut walk, &place)).transpose()
}

/// The next batch. Also one that is passed is judged by its timestamp, so its checksum must hold.
fn whole(walk: &mut Walk<'_>) -> Result<Option<Place>, ReadError> {
    let Some(place) = walk.step()? else { return Ok(None) };
    walk.batch(&place)?;
    Ok(Some(place))
}

fn found(walk: &mut Walk<'_>, place: &Place) -> Result<FoundBatch, ReadError> {
    let bytes = Bytes::copy_from_slice(walk.batch(place)?);
    Ok(FoundBatch { header: place.header, bytes })
}

fn copy(batch: &TailBatch) -> Result<FoundBatch, ReadError> {
    let mut bytes = BytesMut::with_capacity(batch.bytes.len());
    bytes.put_slice(&batch.prefix());
    bytes.put_slice(batch.rest());
    let header = BatchHeader::parse(&bytes).expect("an appended batch has a header that was parsed before");
    Ok(FoundBatch { header, bytes: bytes.freeze() })
}

/// One record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
}

/// The records of a batch are not what its header says.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the records of the batch are damaged at byte {0}")]
pub struct BadRecords(pub usize);

/// The first record at or behind `from` with a timestamp of at least `at`. `records` is what follows the batch header,
/// decompressed; only as much of it as needed is looked at, nothing is allocated.
pub fn record_at(
    header: &BatchHeader,
    records: &[u8],
    at: Timestamp,
    from: Offset,
) -> Result<Option<RecordPlace>, BadRecords> {
    if header.timestamp_type() == TimestampType::LogAppendTime {
        let place = RecordPlace { offset: header.base_offset.max(from), timestamp: header.max_timestamp };
        return Ok((place.timestamp >= at && place.offset <= header.last_offset()).then_some(place));
    }
    let mut rest = records;
    for _ in 0..header.record_count {
        let bad = BadRecords(records.len() - rest.len());
        let length = varint::take(&mut rest).and_then(|length| usize::try_from(length).ok()).ok_or(bad)?;
        let (body, behind) = rest.split_at_checked(length).ok_or(bad)?;
        rest = behind;
        // In front of the deltas stands one byte of attributes.
        let mut body = body.get(1..).ok_or(bad)?;
        let timestamp = header.first_timestamp.0.wrapping_add(varint::take(&mut body).ok_or(bad)?);
        let offset = header.base_offset.0.wrapping_add(varint::take(&mut body).ok_or(bad)?);
        let (timestamp, offset) = (Timestamp(timestamp), Offset(offset));
        if offset > header.last_offset() {
            return Err(bad);
        }
        if timestamp >= at && offset >= from {
            return Ok(Some(RecordPlace { offset, timestamp }));
        }
    }
    Ok(None)
}
