//! Reading behind damage. Where the usual way to an offset ends at bytes that are no batch, this looks for the batches that are
//! whole behind them, and says which offsets the damage takes: those between the last batch in front and the first one behind.
//!
//! ```text
//!   0–9 | 10–19 | (20–29 cut out, overwritten, …) | 30–39 | 40–49
//!               ^ sure: whole up to here           ^ checksum and epoch hold, the next batch continues it
//! ```
//!
//! A base offset lies outside of the batch's checksum. So a batch counts as found only if what follows it continues it: a batch
//! that begins with the offset behind it, or the segment's end, where the offset must be that of the end. *Invariant: nothing is
//! served that a walk without damage would not serve at that offset.*

use tallymq_model::{BatchHeader, Offset, batch::HEADER_BYTES};

use super::{
    batches::{Span, Walk},
    epochs::Epochs,
    error::{Damage, ReadError},
    index::{Hole, IndexEntry},
    read::{Opened, Source},
};
use crate::disk::File;

/// Bytes that a search reads at once.
const CHUNK_BYTES: usize = 256 << 10;
/// How often a search may check as many bytes as the segment has, before it gives up: damaged bytes, or payloads that are
/// batches themselves, may look like many headers of long batches.
const CHECKED_MAX: u64 = 4;

/// The batch that holds `from`, checked, where the usual way ended in damage; or the damage that took it.
pub(super) fn place(opened: &Opened, source: &Source, from: Offset) -> Result<IndexEntry, ReadError> {
    let base = source.span.base;
    let relative = (from.0 - base.0) as u32;
    if let Some(damage) = opened.index.hole_at(relative) {
        return Err(damage.into());
    }
    let file = &*opened.segment.file;
    let size_bytes =
        file.size_bytes().map_err(|error| ReadError::Io { file: source.span.path.clone(), source: error })?;
    // What was cut out makes a file shorter; its end must be that of the last batch all the same.
    let span = Span { bytes: source.span.bytes.min(size_bytes), ..source.span.clone() };
    let salvage = Salvage { file, span: &span, epochs: &source.epochs };
    let mut at = trusted(opened, &salvage, relative);
    loop {
        let broken = match salvage.walk(at, from)? {
            Walked::Found(entry) => return Ok(entry),
            Walked::Broken(broken) => broken,
        };
        let behind = salvage.behind(&broken)?;
        let to = behind.map_or((span.end.0 - base.0) as u32, |entry| entry.relative);
        let damage = broken.damage;
        let hole = Hole { from: broken.sure.relative, to, behind, damage: damage.clone() };
        opened.index.note_hole(hole);
        match behind {
            Some(entry) if entry.relative <= relative => at = entry,
            _ => return Err(damage.into()),
        }
    }
}

/// The nearest known place in front that is one: bytes that are cut out shift what is behind them, and what an index says of it.
fn trusted(opened: &Opened, salvage: &Salvage<'_>, relative: u32) -> IndexEntry {
    let mut doubted = 1;
    loop {
        let known = opened.index.before_offset(relative);
        if known.position == 0 || salvage.walk_from(known).step().is_ok() {
            return IndexEntry { max_before: IndexEntry::UNKNOWN, ..known };
        }
        opened.index.doubt(known, doubted);
        doubted *= 2;
    }
}

struct Salvage<'a> {
    file: &'a dyn File,
    span: &'a Span,
    epochs: &'a Epochs,
}

/// Where a walk ended.
enum Walked {
    /// At the batch that was asked for.
    Found(IndexEntry),
    Broken(Broken),
}

struct Broken {
    /// Behind the last whole batch.
    sure: IndexEntry,
    damage: Damage,
    /// The header there, if it is in place and only its batch is not whole.
    header: Option<BatchHeader>,
}

impl<'a> Salvage<'a> {
    fn walk_from(&self, at: IndexEntry) -> Walk<'a> {
        Walk::new(self.file, self.span, self.epochs, at)
    }

    /// Passes whole batches, up to the one that contains `from` or to damage.
    fn walk(&self, at: IndexEntry, from: Offset) -> Result<Walked, ReadError> {
        let mut walk = self.walk_from(at);
        let mut sure = at;
        loop {
            let mut header = None;
            let stepped = walk.step().and_then(|place| match place {
                Some(place) => {
                    header = Some(place.header);
                    walk.batch(&place)?;
                    Ok(place)
                }
                None => Err(self.span.damage(walk.position(), format!("offset {from} is missing")).into()),
            });
            match stepped {
                Ok(place) if place.header.next_offset() > from => {
                    return Ok(Walked::Found(place.entry(self.span.base)));
                }
                Ok(place) => sure = self.entry(walk.position(), place.header.next_offset()),
                Err(ReadError::Corrupt(damage)) => {
                    let damage = Damage { position: u64::from(sure.position), ..damage };
                    return Ok(Walked::Broken(Broken { sure, damage, header }));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where whole batches go on behind damage, if they do.
    fn behind(&self, broken: &Broken) -> Result<Option<IndexEntry>, ReadError> {
        let Broken { sure, header, .. } = broken;
        if let Some(header) = header {
            // The length and the offsets of a damaged batch are right if something continues it.
            let next = u64::from(sure.position) + header.size_bytes as u64;
            if next < self.span.bytes && self.continues(next, header.next_offset()) {
                return Ok(Some(self.entry(next, header.next_offset())));
            }
        }
        self.search(u64::from(sure.position), self.span.base.plus(i64::from(sure.relative)))
    }

    /// The first whole batch at or behind `position` with offsets from `floor` on.
    fn search(&self, mut position: u64, floor: Offset) -> Result<Option<IndexEntry>, ReadError> {
        let mut checked = 0;
        let mut chunk = Vec::new();
        while position + HEADER_BYTES as u64 <= self.span.bytes {
            let size = (self.span.bytes - position).min(CHUNK_BYTES as u64);
            chunk.resize(size as usize, 0);
            self.span.read(self.file, &mut chunk, position)?;
            let starts = chunk.len() - HEADER_BYTES + 1;
            for at in 0..starts {
                let here = position + at as u64;
                let Some(header) = self.candidate(&chunk[at..], here, floor) else { continue };
                checked += header.size_bytes as u64;
                if checked > self.span.bytes.saturating_mul(CHECKED_MAX) {
                    return Ok(None);
                }
                if self.is_whole(here, header.base_offset)? {
                    return Ok(Some(self.entry(here, header.base_offset)));
                }
            }
            position += starts as u64;
        }
        Ok(None)
    }

    /// A header that may be a batch's of this segment, and that something continues.
    fn candidate(&self, bytes: &[u8], position: u64, floor: Offset) -> Option<BatchHeader> {
        let header = BatchHeader::parse_prefix(bytes).ok()?;
        let base = header.base_offset;
        if base < floor || base >= self.span.end {
            return None;
        }
        self.span.check_header(bytes, position, base, self.epochs).ok()?;
        self.continues(position + header.size_bytes as u64, header.next_offset()).then_some(header)
    }

    /// Whether a batch that begins with this offset is there, or the segment ends with it.
    fn continues(&self, position: u64, offset: Offset) -> bool {
        self.walk_from(self.entry(position, offset)).step().is_ok()
    }

    fn is_whole(&self, position: u64, base: Offset) -> Result<bool, ReadError> {
        let mut walk = self.walk_from(self.entry(position, base));
        let checked = walk.step().and_then(|place| match place {
            Some(place) => walk.batch(&place).map(|_| true),
            None => Ok(false),
        });
        match checked {
            Err(ReadError::Corrupt(_)) => Ok(false),
            checked => checked,
        }
    }

    fn entry(&self, position: u64, offset: Offset) -> IndexEntry {
        let relative = (offset.0 - self.span.base.0) as u32;
        IndexEntry { relative, position: position as u32, max_before: IndexEntry::UNKNOWN }
    }
}
