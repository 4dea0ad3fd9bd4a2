//! Walks over the batches of a segment file and checks each one. Base offset and leader epoch are outside of a batch's
//! checksum: the first is checked against the batch before (offsets have no gaps), the second against the epochs that
//! the log knows; the length against both and the checksum. So there is no byte of a batch that nothing checks.

use tallymq_model::{BatchHeader, Offset, Timestamp, batch::HEADER_BYTES};

use super::{
    epochs::Epochs,
    error::{Damage, ReadError},
    index::IndexEntry,
};
use crate::disk::File;

/// Bytes that a walk reads at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The part of a segment file that counts.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// Path of the file.
    pub path: String,
    /// First offset.
    pub base: Offset,
    /// The offset behind the last batch.
    pub end: Offset,
    /// Bytes.
    pub bytes: u64,
}

impl Span {
    /// Damage at a position of this file.
    pub(super) fn damage(&self, position: u64, reason: impl ToString) -> Damage {
        Damage { file: self.path.clone(), position, reason: reason.to_string() }
    }

    /// Parses the header at `position`, from bytes that may end anywhere behind it, and checks it against what the
    /// place demands. Does not check the checksum.
    pub(super) fn check_header(
        &self,
        bytes: &[u8],
        position: u64,
        expected: Offset,
        epochs: &Epochs,
    ) -> Result<BatchHeader, Damage> {
        let header = BatchHeader::parse_prefix(bytes).map_err(|error| self.damage(position, error))?;
        if header.size_bytes as u64 > self.bytes - position {
            let left = self.bytes - position;
            return Err(self
                .damage(position, format!("a batch of {} bytes where {left} are left", header.size_bytes)));
        }
        if header.base_offset != expected {
            return Err(
                self.damage(position, format!("offset {} where {expected} must be", header.base_offset))
            );
        }
        if header.last_offset_delta < 0 || header.next_offset() > self.end {
            return Err(self.damage(position, format!("last offset delta {}", header.last_offset_delta)));
        }
        if !epochs.allow(header.leader_epoch, header.base_offset) {
            let reason = format!("leader epoch {} did not write offset {expected}", header.leader_epoch);
            return Err(self.damage(position, reason));
        }
        Ok(header)
    }

    /// Fills `buffer` from the file or says why that is not possible.
    pub(super) fn read(&self, file: &dyn File, buffer: &mut [u8], position: u64) -> Result<(), ReadError> {
        let read = file
            .read_at(buffer, position)
            .map_err(|source| ReadError::Io { file: self.path.clone(), source })?;
        if read < buffer.len() {
            let reason = format!("the file ends here, {} bytes must be there", self.bytes);
            return Err(self.damage(position + read as u64, reason).into());
        }
        Ok(())
    }
}

/// A place where a batch begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub position: u64,
    pub header: BatchHeader,
    /// The largest max timestamp of the batches before it in the segment.
    pub max_before: Timestamp,
}

impl Place {
    /// As an index entry.
    pub(super) fn entry(&self, base: Offset) -> IndexEntry {
        IndexEntry {
            relative: (self.header.base_offset.0 - base.0) as u32,
            position: self.position as u32,
            max_before: self.max_before,
        }
    }
}

/// Goes from header to header.
pub(super) struct Walk<'a> {
    file: &'a dyn File,
    span: &'a Span,
    epochs: &'a Epochs,
    position: u64,
    expected: Offset,
    max_before: Timestamp,
    chunk: Vec<u8>,
    chunk_at: u64,
}

impl<'a> Walk<'a> {
    /// Begins at a known place.
    pub(super) fn new(file: &'a dyn File, span: &'a Span, epochs: &'a Epochs, from: IndexEntry) -> Walk<'a> {
        Walk {
            file,
            span,
            epochs,
            position: u64::from(from.position),
            expected: span.base.plus(i64::from(from.relative)),
            max_before: from.max_before,
            chunk: Vec::new(),
            chunk_at: 0,
        }
    }

    /// Where the walk is: behind the last batch it returned.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch's header, or nothing at the end.
    pub(super) fn step(&mut self) -> Result<Option<Place>, ReadError> {
        let left = self.span.bytes.saturating_sub(self.position);
        if left == 0 {
            if self.expected != self.span.end {
                let reason = format!("ends at offset {}, not {}", self.expected, self.span.end);
                return Err(self.span.damage(self.position, reason).into());
            }
            return Ok(None);
        }
        self.fill(left.min(HEADER_BYTES as u64) as usize)?;
        let at = (self.position - self.chunk_at) as usize;
        let header = self.span.check_header(&self.chunk[at..], self.position, self.expected, self.epochs)?;
        let place = Place { position: self.position, header, max_before: self.max_before };
        self.position += header.size_bytes as u64;
        self.expected = header.next_offset();
        self.max_before = self.max_before.max(header.max_timestamp);
        Ok(Some(place))
    }

    /// The whole batch at a place that this walk returned last, its checksum checked.
    pub(super) fn batch(&mut self, place: &Place) -> Result<&[u8], ReadError> {
        let after = self.position;
        self.position = place.position;
        let filled = self.fill(place.header.size_bytes);
        self.position = after;
        filled?;
        let at = (place.position - self.chunk_at) as usize;
        let batch = &self.chunk[at..at + place.header.size_bytes];
        place.header.check_crc(batch).map_err(|error| self.span.damage(place.position, error))?;
        Ok(batch)
    }

    /// Has `bytes` at the position in memory, which must be inside the span.
    fn fill(&mut self, bytes: usize) -> Result<(), ReadError> {
        let end = self.position + bytes as u64;
        if self.chunk_at <= self.position && end <= self.chunk_at + self.chunk.len() as u64 {
            return Ok(());
        }
        let size = (self.span.bytes - self.position).min(bytes.max(CHUNK_BYTES) as u64);
        self.chunk.resize(size as usize, 0);
        self.chunk_at = self.position;
        if let Err(error) = self.span.read(self.file, &mut self.chunk, self.position) {
            self.chunk.clear();
            return self.fill_short(bytes, error);
        }
        Ok(())
    }

    /// The chunk could not be read whole: what is needed may still be there.
    fn fill_short(&mut self, bytes: usize, error: ReadError) -> Result<(), ReadError> {
        if bytes >= CHUNK_BYTES || matches!(error, ReadError::Io { .. }) {
            return Err(error);
        }
        self.chunk.resize(bytes, 0);
        let read = self.span.read(self.file, &mut self.chunk, self.position);
        if read.is_err() {
            self.chunk.clear();
        }
        read
    }
}
