//! Finding records by time (ListOffsets, KIP-79 and KIP-734). The log finds the batch; which record of it, the caller
//! finds in its records once they are decompressed, with [`record_at`].

use std::sync::atomic::Ordering::Acquire;

use bytes::{BufMut, Bytes, BytesMut};
use tallymq_model::{BatchHeader, Offset, Timestamp, TimestampType, varint};
use thiserror::Error;

use super::{
    batches::{Place, Walk},
    error::ReadError,
    index::IndexEntry,
    partition::{FoundBatch, PartitionLog},
    read::{self, Source},
    tail::TailBatch,
};

/// See [`PartitionLog::find_timestamp`].
pub(super) fn find(log: &PartitionLog, at: Timestamp, from: Offset) -> Result<Option<FoundBatch>, ReadError> {
    let mut from = from;
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
        let hit = |place: &Place| place.header.max_timestamp >= at;
        if let Some(found) = first_where(log, &source, from, Some(at), hit)? {
            return Ok(Some(found));
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
    match source {
        Some(source) => first_where(log, &source, base, None, |_| true),
        None => Ok(None),
    }
}

/// The first batch at or behind `from` in a segment for which `hit` holds, checked.
fn first_where(
    log: &PartitionLog,
    source: &Source,
    from: Offset,
    at: Option<Timestamp>,
    hit: impl Fn(&Place) -> bool,
) -> Result<Option<FoundBatch>, ReadError> {
    let opened = read::open(log, source)?;
    let by_offset = opened.index.before_offset((from.0 - source.span.base.0) as u32);
    let by_time = at.map_or(IndexEntry::START, |at| opened.index.before_timestamp(at));
    let known = if by_time.position > by_offset.position { by_time } else { by_offset };
    let mut walk = Walk::new(&*opened.segment.file, &source.span, &source.epochs, known);
    let mut trail = read::Trail::new(source.span.base, known);
    while let Some(place) = walk.step()? {
        // Also a batch that is passed is judged by its timestamp, so its checksum must hold.
        let batch = walk.batch(&place)?;
        if place.header.next_offset() > from && hit(&place) {
            let bytes = Bytes::copy_from_slice(batch);
            opened.index.merge(trail.entries);
            return Ok(Some(FoundBatch { header: place.header, bytes }));
        }
        trail.pass(&place);
    }
    opened.index.merge(trail.entries);
    Ok(None)
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
