//! The books of one partition's log: what is in memory, what is written, what a checkpoint sees. No disk here; the
//! lock around it is held for moments and never across one.

use std::sync::Arc;

use bytes::Bytes;
use tallymq_model::{BatchHeader, LeaderEpoch, Offset, Timestamp};

use super::{
    epochs::Epochs,
    error::{AppendError, FlushError},
    index::{IndexEntry, SegmentIndex},
    options::PartitionOptions,
    position::{LogPosition, SegmentPosition},
    segment::SegmentView,
    tail::{Tail, TailBatch},
};

/// Index entries that gather before they are written to the index file.
const INDEX_ENTRIES_GATHERED: usize = 64;
/// Batches of one write: two parts each stay below Linux's `IOV_MAX` of 1024.
const WRITE_BATCHES_MAX: usize = 500;

/// Invariants: `log_start <= log_end`; `written_end <= log_end`; segments rise in base and the last one ends at
/// `written_end`; `tail` reaches from `written_end` or before to `log_end`.
#[derive(Debug)]
pub(super) struct State {
    pub options: PartitionOptions,
    pub log_start: Offset,
    pub log_end: Offset,
    pub written_end: Offset,
    pub tail: Tail,
    pub unwritten_bytes: u64,
    pub segments: Vec<SegmentPosition>,
    /// The last of `segments` takes appends, and this is its index. `None`: the next write begins a segment.
    pub active: Option<Arc<SegmentIndex>>,
    /// The writer's entries that are not in the index file yet.
    pub index_fresh: Vec<IndexEntry>,
    /// Bytes of the active segment's index file.
    pub index_file_bytes: u64,
    /// Bytes of the active segment at its last index entry.
    index_last: u64,
    pub epochs: Epochs,
    /// In the writer's queue.
    pub queued: bool,
    /// Written to since the last checkpoint looked.
    written_lately: bool,
    pub deleted: bool,
    created: u64,
    seen: u64,
    mark: Option<Box<MarkPoint>>,
    marked_start: Offset,
    marked_end: Offset,
    /// What is below it is in a checkpoint that is on disk: no crash changes it any more.
    pub durable_end: Offset,
    needed: [Offset; 2],
}

/// Where the log was when its group began a checkpoint, noted at the first change after that.
#[derive(Debug)]
struct MarkPoint {
    generation: u64,
    log_start: Offset,
    log_end: Offset,
    /// Taken before anything behind the mark is written.
    frozen: Option<LogPosition>,
}

/// What the writer is to do next for a partition. Only the writer makes plans and carries them out.
#[derive(Debug)]
pub(super) struct WritePlan {
    /// The segment as it will be.
    pub segment: SegmentPosition,
    /// It is a new one.
    pub begins: bool,
    /// There is no other, so that its directory may be new as well.
    pub first: bool,
    /// Where in it to write.
    pub at: u64,
    /// What to write.
    pub batches: Vec<TailBatch>,
    /// All their bytes.
    pub bytes: u64,
    entries: Vec<IndexEntry>,
    index_last: u64,
}

/// Index entries to be put into a file.
#[derive(Debug)]
pub(super) struct IndexFlush {
    pub base: Offset,
    pub entries: Vec<IndexEntry>,
    /// Where in the file; 0 is a new file.
    pub at: u64,
}

impl State {
    pub(super) fn new(options: PartitionOptions, position: LogPosition, generation: u64) -> State {
        let first = position.segments.first().map_or(position.log_start, |segment| segment.base);
        let last_bytes = position.segments.last().map_or(0, |segment| segment.bytes);
        State {
            options,
            log_start: position.log_start,
            log_end: position.log_end,
            written_end: position.log_end,
            tail: Tail::default(),
            unwritten_bytes: 0,
            active: (!position.segments.is_empty()).then(Arc::default),
            segments: position.segments,
            index_fresh: Vec::new(),
            index_file_bytes: 0,
            index_last: last_bytes,
            epochs: Epochs::new(position.epochs),
            queued: false,
            written_lately: false,
            deleted: false,
            created: generation,
            seen: generation,
            mark: None,
            marked_start: first,
            marked_end: position.log_end,
            durable_end: position.log_end,
            // The checkpoint before the one that was loaded may need what this one does not.
            needed: [Offset::ZERO; 2],
        }
    }

    /// To be called before any change by a command: keeps apart what is before and after the group's newest mark.
    pub(super) fn enter(&mut self, generation: u64) {
        if self.seen < generation {
            self.seen = generation;
            let (log_start, log_end) = (self.log_start, self.log_end);
            self.mark = Some(Box::new(MarkPoint { generation, log_start, log_end, frozen: None }));
        }
    }

    pub(super) fn append(
        &mut self,
        header: &BatchHeader,
        bytes: Bytes,
        base: Offset,
        epoch: LeaderEpoch,
    ) -> Result<(), AppendError> {
        if base != self.log_end {
            return Err(AppendError::NotContiguous { log_end: self.log_end, base });
        }
        if let Some(last) = self.epochs.last().filter(|last| *last > epoch) {
            return Err(AppendError::EpochFalls { last, epoch });
        }
        if header.size_bytes != bytes.len() || header.last_offset_delta < 0 {
            return Err(AppendError::BadHeader {
                header_bytes: header.size_bytes,
                records: i64::from(header.last_offset_delta) + 1,
                batch_bytes: bytes.len(),
            });
        }
        self.epochs.note(epoch, base);
        self.unwritten_bytes += bytes.len() as u64;
        let (last_offset_delta, max_timestamp) = (header.last_offset_delta, header.max_timestamp);
        let batch = TailBatch { bytes, base, last_offset_delta, epoch, max_timestamp };
        self.log_end = batch.next();
        self.tail.push(batch);
        Ok(())
    }

    /// Hides what is before `offset`; never shows it again. Beyond the log end means up to it.
    pub(super) fn set_log_start(&mut self, offset: Offset) {
        let offset = offset.min(self.log_end);
        if offset > self.log_start {
            self.log_start = offset;
            self.epochs.trim(offset);
            self.seal_if_hidden();
        }
    }

    /// A segment that holds only hidden records takes no more, so that it can be removed.
    fn seal_if_hidden(&mut self) {
        if self.written_end == self.log_end && self.log_start == self.log_end {
            self.active = None;
            self.index_fresh = Vec::new();
        }
    }

    /// The next write, bounded by `bytes_max`, the segment's end and the mark.
    pub(super) fn plan(&mut self, bytes_max: usize) -> Option<WritePlan> {
        self.freeze_if_reached();
        let stop = match &self.mark {
            Some(mark) if mark.frozen.is_none() => mark.log_end,
            _ => Offset(i64::MAX),
        };
        let first = self.tail.unwritten().next()?;
        let open = self.active.is_some().then(|| self.segments.last().copied()).flatten();
        let open = open.filter(|segment| !segment.is_full_for(first, &self.options));
        let begins = open.is_none();
        let mut segment = open.unwrap_or_else(|| SegmentPosition::empty(first.base));
        let at = segment.bytes;
        let mut index_last = if begins { 0 } else { self.index_last };
        let (mut batches, mut entries, mut bytes) = (Vec::new(), Vec::new(), 0);
        for batch in self.tail.unwritten().take(WRITE_BATCHES_MAX) {
            let size = batch.bytes.len() as u64;
            let enough = !batches.is_empty() && bytes + size > bytes_max as u64;
            if enough || batch.base >= stop || segment.is_full_for(batch, &self.options) {
                break;
            }
            if segment.bytes >= index_last + u64::from(self.options.index_interval_bytes) {
                index_last = segment.bytes;
                entries.push(IndexEntry {
                    relative: (batch.base.0 - segment.base.0) as u32,
                    position: segment.bytes as u32,
                    max_before: segment.max_timestamp,
                });
            }
            segment.extend(batch);
            bytes += size;
            batches.push(batch.clone());
        }
        Some(WritePlan {
            segment,
            begins,
            first: self.segments.is_empty(),
            at,
            batches,
            bytes,
            entries,
            index_last,
        })
    }

    /// Notes that a plan is on its way to the disk. Returns what to put into index files, the sealed segment's first.
    pub(super) fn wrote(&mut self, plan: &WritePlan) -> Vec<IndexFlush> {
        let mut flushes = Vec::new();
        if plan.begins {
            flushes.extend(self.take_index(1));
            self.segments.push(plan.segment);
            self.active = Some(Arc::new(SegmentIndex::complete()));
            self.index_file_bytes = 0;
        } else if let Some(last) = self.segments.last_mut() {
            *last = plan.segment;
        }
        if let Some(index) = &self.active {
            plan.entries.iter().for_each(|entry| index.push(*entry));
        }
        self.index_fresh.extend(&plan.entries);
        self.index_last = plan.index_last;
        flushes.extend(self.take_index(INDEX_ENTRIES_GATHERED));
        self.tail.wrote(plan.batches.len());
        self.written_end = plan.batches.last().map_or(self.written_end, TailBatch::next);
        self.unwritten_bytes -= plan.bytes;
        self.written_lately = true;
        self.freeze_if_reached();
        self.seal_if_hidden();
        flushes
    }

    fn take_index(&mut self, entries_min: usize) -> Option<IndexFlush> {
        if self.index_fresh.len() < entries_min {
            return None;
        }
        let base = self.segments.last()?.base;
        let (entries, at) = (std::mem::take(&mut self.index_fresh), self.index_file_bytes);
        self.index_file_bytes = super::index::file_bytes_after(at, entries.len());
        Some(IndexFlush { base, entries, at })
    }

    fn freeze_if_reached(&mut self) {
        if let Some(mark) = &self.mark
            && mark.frozen.is_none()
            && mark.log_end == self.written_end
        {
            let position = self.position(mark.log_start);
            if let Some(mark) = &mut self.mark {
                mark.frozen = Some(position);
            }
        }
    }

    /// The newest segment and its bytes, if it was written to since the last call.
    pub(super) fn take_written_lately(&mut self) -> Option<(Offset, u64)> {
        let lately = std::mem::take(&mut self.written_lately) && !self.deleted;
        self.segments.last().filter(|_| lately).map(|segment| (segment.base, segment.bytes))
    }

    pub(super) fn written_position(&self) -> LogPosition {
        self.position(self.log_start.min(self.written_end))
    }

    fn position(&self, log_start: Offset) -> LogPosition {
        let live = self.segments.iter().enumerate().filter(|(at, _)| self.segment_end(*at) > log_start);
        LogPosition {
            log_start,
            log_end: self.written_end,
            segments: live.map(|(_, segment)| *segment).collect(),
            epochs: self.epochs.between(log_start, self.written_end),
        }
    }

    /// The position at the mark of `generation`, which the writer has passed. `None` if the partition is younger.
    pub(super) fn position_at(&mut self, generation: u64) -> Result<Option<LogPosition>, FlushError> {
        if self.created >= generation {
            return Ok(None);
        }
        self.freeze_if_reached();
        let (written_end, log_end) = (self.written_end, self.log_end);
        let unwritten = |log_end| FlushError::Unwritten { written_end, log_end };
        let position = match &self.mark {
            // Positions that end before the state does make a checkpoint from which no start is possible.
            _ if self.seen < generation && written_end != log_end => return Err(unwritten(log_end)),
            _ if self.seen < generation => self.position(self.log_start),
            Some(mark) if mark.generation == generation => {
                mark.frozen.clone().ok_or_else(|| unwritten(mark.log_end))?
            }
            _ => return Err(FlushError::Superseded),
        };
        self.marked_start = position.log_start;
        self.marked_end = position.log_end;
        Ok(Some(position))
    }

    /// The checkpoint of `generation` is durable. Returns the segments that no kept checkpoint needs any more.
    pub(super) fn durable(&mut self, generation: u64, checkpoints_kept: u8) -> Vec<Offset> {
        if self.created >= generation {
            return Vec::new();
        }
        if self.mark.as_ref().is_some_and(|mark| mark.generation <= generation) {
            self.mark = None;
        }
        self.durable_end = self.durable_end.max(self.marked_end);
        self.needed =
            [if checkpoints_kept < 2 { self.marked_start } else { self.needed[1] }, self.marked_start];
        let sealed = self.segments.len() - usize::from(self.active.is_some());
        let over = (0..sealed).take_while(|at| self.segment_end(*at) <= self.needed[0]).count();
        self.segments.drain(..over).map(|segment| segment.base).collect()
    }

    /// Takes files up that are before all known segments, in rising order: hidden ones that were not removed before the
    /// process ended, and are removed as others are.
    pub(super) fn adopt(&mut self, bases: &[Offset]) {
        let first = self.segments.first().map_or(self.written_end, |segment| segment.base);
        debug_assert!(
            bases.is_sorted() && bases.last().is_none_or(|last| *last < first),
            "hidden files come first"
        );
        self.segments.splice(0..0, bases.iter().map(|base| SegmentPosition::empty(*base)));
    }

    /// The offset behind the last record of a segment.
    pub(super) fn segment_end(&self, at: usize) -> Offset {
        self.segments.get(at + 1).map_or(self.written_end, |next| next.base)
    }

    /// The segments that are not wholly hidden, oldest first.
    pub(super) fn views(&self) -> Vec<SegmentView> {
        let last = self.segments.len().saturating_sub(1);
        let views = self.segments.iter().enumerate().map(|(at, segment)| SegmentView {
            base: segment.base,
            end: self.segment_end(at),
            max_timestamp: segment.max_timestamp,
            bytes: segment.bytes,
            sealed: at != last || self.active.is_none(),
        });
        views.filter(|view| view.end > self.log_start).collect()
    }

    /// The largest max timestamp and the base offset of the first batch that has it, over all that is not in a wholly
    /// hidden segment.
    pub(super) fn max_timestamp(&self) -> Option<(Timestamp, Offset)> {
        self.max_timestamp_behind(Offset(-1))
    }

    /// The same over what is behind the segment that begins at `base`.
    pub(super) fn max_timestamp_behind(&self, base: Offset) -> Option<(Timestamp, Offset)> {
        let written = (0..self.segments.len())
            .filter(|at| self.segment_end(*at) > self.log_start && self.segments[*at].base > base)
            .map(|at| (self.segments[at].max_timestamp, self.segments[at].max_timestamp_base));
        let visible = self.tail.unwritten().filter(|batch| batch.next() > self.log_start);
        let unwritten = visible.map(|batch| (batch.max_timestamp, batch.base));
        written.chain(unwritten).reduce(|best, next| if next.0 > best.0 { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log with one batch in memory, of which nothing is written.
    fn unwritten() -> State {
        let mut state = State::new(PartitionOptions::default(), LogPosition::default(), 0);
        let bytes = Bytes::from_static(&[0; 61]);
        let batch = TailBatch {
            bytes: bytes.clone(),
            base: Offset(0),
            last_offset_delta: 0,
            epoch: LeaderEpoch(0),
            max_timestamp: Timestamp(0),
        };
        state.epochs.note(LeaderEpoch(0), Offset(0));
        state.log_end = batch.next();
        state.unwritten_bytes = bytes.len() as u64;
        state.tail.push(batch);
        state
    }

    #[test]
    fn a_mark_that_came_ahead_of_a_write_gives_no_position() {
        let mut state = unwritten();
        assert!(matches!(
            state.position_at(1),
            Err(FlushError::Unwritten { written_end: Offset(0), log_end: Offset(1) })
        ));
        // Nor does it once something behind the mark has come.
        state.enter(1);
        assert!(matches!(state.position_at(1), Err(FlushError::Unwritten { .. })));
        let plan = state.plan(1000).unwrap();
        state.wrote(&plan);
        assert_eq!(state.position_at(1).unwrap().unwrap().log_end, Offset(1));
    }
}
