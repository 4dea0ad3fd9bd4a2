//! A part of one segment for somebody who reads all of it, slowly and beside everything else: once opened it takes no lock
//! and no place among the open files. Each batch is checked before it is handed out.

use std::sync::{Arc, atomic::Ordering::Acquire};

use tallymq_model::{BatchHeader, Offset};

use super::{
    batches::{Span, Walk},
    epochs::Epochs,
    error::ReadError,
    index::IndexEntry,
    partition::PartitionLog,
    read,
};
use crate::disk::File;

/// Batches of one segment, in order.
pub struct BatchRange {
    file: Arc<dyn File>,
    span: Span,
    epochs: Epochs,
    /// Where to go on.
    at: IndexEntry,
    from: Offset,
    to: Offset,
}

/// See [`PartitionLog::range`].
pub(super) fn open(log: &PartitionLog, from: Offset, to: Offset) -> Result<BatchRange, ReadError> {
    if !log.prepared.load(Acquire) {
        read::ready(log)?;
    }
    let source = {
        let state = log.state.lock();
        if state.deleted {
            return Err(ReadError::Deleted);
        }
        let (log_start, log_end) = (state.log_start, state.written_end);
        let source = read::source(log, &state, from).filter(|source| from < to && to <= source.span.end);
        source.ok_or(ReadError::OffsetOutOfRange { log_start, log_end })?
    };
    let opened = read::open(log, &source)?;
    let at = read::locate(&opened, &source, from)?;
    let at = IndexEntry { max_before: IndexEntry::UNKNOWN, ..at };
    let file = Arc::clone(&opened.segment.file);
    let from = source.span.base.plus(i64::from(at.relative));
    Ok(BatchRange { file, span: source.span, epochs: source.epochs, at, from, to })
}

impl BatchRange {
    /// Base offset of the first batch.
    pub fn from(&self) -> Offset {
        self.from
    }

    /// The offset behind the last batch.
    pub fn to(&self) -> Offset {
        self.to
    }

    /// The offset at which it goes on.
    pub fn next(&self) -> Offset {
        self.span.base.plus(i64::from(self.at.relative))
    }

    /// Hands out the next batches, about `bytes_max` bytes of them, at least one. Returns their bytes; 0 at the end.
    pub fn read(
        &mut self,
        bytes_max: u64,
        sink: &mut dyn FnMut(&BatchHeader, &[u8]),
    ) -> Result<u64, ReadError> {
        let mut walk = Walk::new(&*self.file, &self.span, &self.epochs, self.at);
        let mut bytes = 0;
        while bytes < bytes_max && self.next() < self.to {
            let Some(place) = walk.step()? else { break };
            sink(&place.header, walk.batch(&place)?);
            bytes += place.header.size_bytes as u64;
            self.at.position = walk.position() as u32;
            self.at.relative = (place.header.next_offset().0 - self.span.base.0) as u32;
        }
        Ok(bytes)
    }
}
