//! How far a partition's files are synced: what a checkpoint keeps of a log, and all that is needed to open it again
//! without reading a file. Pure encoding.
//!
//! ```text
//! version u8 = 1 | log start i64 | log end i64 | segments u32 | epochs u32
//! per segment:  base offset i64 | bytes u64 | first timestamp i64 | max timestamp i64 | offset of the max i64
//! per epoch:    leader epoch i32 | first offset i64
//! ```
//! All big-endian.

use bytes::{Buf, BufMut};
use tallymq_model::{LeaderEpoch, Offset, Timestamp};
use thiserror::Error;

use super::epochs::EpochStart;

const VERSION: u8 = 1;
const SEGMENT_BYTES: usize = 40;
const EPOCH_BYTES: usize = 12;

/// One segment file, as far as it is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPosition {
    /// Its first offset, and its name.
    pub base: Offset,
    /// Bytes of it that count; what is behind them in the file is cut off. Never 0.
    pub bytes: u64,
    /// The max timestamp of its first batch, from which time based rolling counts; -1 if it has none.
    pub first_timestamp: Timestamp,
    /// The largest max timestamp of its batches; -1 if none has one.
    pub max_timestamp: Timestamp,
    /// Base offset of the first batch that has it.
    pub max_timestamp_base: Offset,
}

/// The synced state of one partition's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// The first offset that readers see.
    pub log_start: Offset,
    /// The offset behind the last record.
    pub log_end: Offset,
    /// The segments that hold offsets from `log_start` on, oldest first; a segment ends where the next begins, the
    /// last one at `log_end`. Later appends go to the last one.
    pub segments: Vec<SegmentPosition>,
    /// The leader epochs of these offsets, in rising order.
    pub epochs: Vec<EpochStart>,
}

/// Why bytes are no position.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PositionError {
    /// Fewer bytes than announced.
    #[error("a log position is cut short")]
    Truncated,
    /// Written by a newer or damaged program.
    #[error("log positions of version {0} are not known, only {VERSION}")]
    UnknownVersion(u8),
    /// Offsets that no log has.
    #[error("a log position contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl LogPosition {
    /// Writes the position behind what is in `out`.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(VERSION);
        out.put_i64(self.log_start.0);
        out.put_i64(self.log_end.0);
        out.put_u32(self.segments.len() as u32);
        out.put_u32(self.epochs.len() as u32);
        for segment in &self.segments {
            out.put_i64(segment.base.0);
            out.put_u64(segment.bytes);
            out.put_i64(segment.first_timestamp.0);
            out.put_i64(segment.max_timestamp.0);
            out.put_i64(segment.max_timestamp_base.0);
        }
        for start in &self.epochs {
            out.put_i32(start.epoch.0);
            out.put_i64(start.start.0);
        }
    }

    /// Reads one position from the front of `input`.
    pub fn decode(input: &mut impl Buf) -> Result<LogPosition, PositionError> {
        if input.remaining() < 1 {
            return Err(PositionError::Truncated);
        }
        let version = input.get_u8();
        if version != VERSION {
            return Err(PositionError::UnknownVersion(version));
        }
        if input.remaining() < 24 {
            return Err(PositionError::Truncated);
        }
        let (log_start, log_end) = (Offset(input.get_i64()), Offset(input.get_i64()));
        let (segments, epochs) = (input.get_u32() as usize, input.get_u32() as usize);
        if input.remaining() / SEGMENT_BYTES < segments
            || (input.remaining() - segments * SEGMENT_BYTES) / EPOCH_BYTES < epochs
        {
            return Err(PositionError::Truncated);
        }
        let segments = (0..segments)
            .map(|_| SegmentPosition {
                base: Offset(input.get_i64()),
                bytes: input.get_u64(),
                first_timestamp: Timestamp(input.get_i64()),
                max_timestamp: Timestamp(input.get_i64()),
                max_timestamp_base: Offset(input.get_i64()),
            })
            .collect();
        let epochs = (0..epochs)
            .map(|_| EpochStart { epoch: LeaderEpoch(input.get_i32()), start: Offset(input.get_i64()) })
            .collect();
        let position = LogPosition { log_start, log_end, segments, epochs };
        position.check()?;
        Ok(position)
    }

    /// The segments, each with the offset behind its last record.
    pub(super) fn segments_with_ends(&self) -> impl Iterator<Item = (&SegmentPosition, Offset)> {
        let ends = self.segments.iter().skip(1).map(|next| next.base).chain([self.log_end]);
        self.segments.iter().zip(ends)
    }

    fn check(&self) -> Result<(), PositionError> {
        let rule = |holds: bool, name| {
            if holds { Ok(()) } else { Err(PositionError::Inconsistent(name)) }
        };
        rule(self.log_start >= Offset::ZERO && self.log_start <= self.log_end, "log start and end")?;
        rule(self.segments.windows(2).all(|two| two[0].base < two[1].base), "segments do not rise")?;
        rule(self.segments.iter().all(|segment| segment.bytes > 0), "an empty segment")?;
        rule(self.segments.first().is_none_or(|first| first.base >= Offset::ZERO), "a negative offset")?;
        rule(
            self.segments.last().is_none_or(|last| last.base < self.log_end),
            "a segment behind the log end",
        )?;
        let covered = self.segments.first().map_or(self.log_end, |first| first.base);
        rule(covered <= self.log_start, "no segment for the log start")?;
        let rising = |two: &[EpochStart]| two[0].epoch < two[1].epoch && two[0].start < two[1].start;
        rule(self.epochs.windows(2).all(rising), "epochs do not rise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> LogPosition {
        let segment = |base, bytes| SegmentPosition {
            base: Offset(base),
            bytes,
            first_timestamp: Timestamp(5),
            max_timestamp: Timestamp(9),
            max_timestamp_base: Offset(base),
        };
        LogPosition {
            log_start: Offset(12),
            log_end: Offset(40),
            segments: vec![segment(10, 100), segment(20, 300)],
            epochs: vec![EpochStart { epoch: LeaderEpoch(2), start: Offset(10) }],
        }
    }

    #[test]
    fn a_position_is_read_back_and_every_cut_of_it_refused() {
        let mut bytes = Vec::new();
        position().encode(&mut bytes);
        let mut input = &bytes[..];
        assert_eq!(LogPosition::decode(&mut input), Ok(position()));
        assert!(input.is_empty());
        for cut in 0..bytes.len() {
            assert_eq!(LogPosition::decode(&mut &bytes[..cut]), Err(PositionError::Truncated), "{cut} bytes");
        }
        bytes[0] = 9;
        assert_eq!(LogPosition::decode(&mut &bytes[..]), Err(PositionError::UnknownVersion(9)));
    }

    #[test]
    fn huge_counts_allocate_nothing() {
        let mut bytes = vec![VERSION];
        bytes.extend([0; 16]);
        bytes.extend([0xff; 8]);
        bytes.extend([0; 64]);
        assert_eq!(LogPosition::decode(&mut &bytes[..]), Err(PositionError::Truncated));
    }

    #[test]
    fn positions_that_no_log_has_are_refused() {
        let spoil: [fn(&mut LogPosition); 5] = [
            |p| p.log_start = Offset(41),
            |p| p.segments.swap(0, 1),
            |p| p.segments[0].bytes = 0,
            |p| p.log_end = Offset(20),
            |p| p.log_start = Offset(9),
        ];
        for spoil in spoil {
            let mut bad = position();
            spoil(&mut bad);
            let mut bytes = Vec::new();
            bad.encode(&mut bytes);
            assert!(
                matches!(LogPosition::decode(&mut &bytes[..]), Err(PositionError::Inconsistent(_))),
                "{bad:?}"
            );
        }
    }
}
