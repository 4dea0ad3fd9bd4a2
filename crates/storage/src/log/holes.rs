//! Reading behind damage. Where the usual way to an offset ends at bytes that are no batch, this looks for the batches that are
//! whole behind them, and says which offsets the damage takes: those between the last batch in front and the first one behind.
//!
//! ```text
//!   0–9 | 10–19 | (20–29 cut out, overwritten, …) | 30–39 | 40–49
//!               ^ sure: whole up to here           ^ checksum and epoch hold, the next batch continues it
//! ```
//!
//! A base offset lies outside of the batch's checksum, and the payload of a damaged batch may hold whole batches, one behind the
//! other, where somebody stores copies of logs. So batches that follow each other without a gap count as found only
//! - if they reach the segment's end, and with the offset of the end, or one of them stands where the index knows it, or
//! - if the first one stands where the damaged one's length says, or where that one itself should, and another one follows, or
//! - if the damaged one's header still says both the first one's place and its offset.
//!
//! What is whole between two damages, and for which none of that holds, is lost with them: nothing proves its offsets. *Invariant:
//! nothing is served that a walk without damage would not serve at that offset.*

use tallymq_model::{BatchHeader, Offset, batch::HEADER_BYTES};

use super::{
    batches::{Span, Walk},
    epochs::Epochs,
    error::{Damage, ReadError},
    index::{Hole, IndexEntry, SegmentIndex},
    read::{Opened, Source},
};
use crate::disk::File;

/// Bytes that a search reads at once.
const CHUNK_BYTES: usize = 256 << 10;
/// A batch's length counts from behind its own field on.
const LENGTH_END: u64 = 12;
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
    let (span, missing) = what_is_there(file, &source.span)?;
    let salvage = Salvage { file, span: &span, epochs: &source.epochs, index: &opened.index, missing };
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

/// The offsets of a segment that damage took, as its readers find them. For a log at rest: nothing is in memory only.
pub(super) fn all(
    file: &dyn File,
    span: &Span,
    epochs: &Epochs,
    index: &SegmentIndex,
) -> Result<Vec<(Offset, Offset)>, ReadError> {
    let (shortened, missing) = what_is_there(file, span)?;
    let salvage = Salvage { file, span: &shortened, epochs, index, missing };
    let offset = |entry: &IndexEntry| span.base.plus(i64::from(entry.relative));
    let (last, mut at, mut found) = (span.end.plus(-1), IndexEntry::START, Vec::new());
    while let Walked::Broken(broken) = salvage.walk(at, last)? {
        let behind = match salvage.behind(&broken)? {
            None => salvage.known_behind(broken.sure),
            behind => behind,
        };
        found.push((offset(&broken.sure), behind.as_ref().map_or(span.end, offset)));
        let Some(behind) = behind else { break };
        at = behind;
    }
    Ok(found)
}

/// A segment as far as its file goes, and the bytes that are missing: what was cut out makes a file shorter, and its end must be
/// that of the last batch all the same.
fn what_is_there(file: &dyn File, span: &Span) -> Result<(Span, u64), ReadError> {
    let size_bytes = file.size_bytes().map_err(|source| ReadError::Io { file: span.path.clone(), source })?;
    let bytes = span.bytes.min(size_bytes);
    Ok((Span { bytes, ..span.clone() }, span.bytes - bytes))
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

/// Where whole batches go on from the offset of one that may be damaged: there, or behind what damage took; None if they do not.
pub(super) fn go_on(opened: &Opened, source: &Source, from: Offset) -> Result<Option<IndexEntry>, ReadError> {
    match place(opened, source, from) {
        Ok(whole) => Ok(Some(whole)),
        Err(ReadError::Corrupt(_)) => Ok(opened.index.behind_hole_at((from.0 - source.span.base.0) as u32)),
        Err(error) => Err(error),
    }
}

struct Salvage<'a> {
    file: &'a dyn File,
    span: &'a Span,
    epochs: &'a Epochs,
    index: &'a SegmentIndex,
    /// Bytes that are missing from the file: so far what is behind them has moved.
    missing: u64,
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

/// What is left of a damaged header.
struct Remains {
    /// Where it begins.
    position: u64,
    /// The offset that is due there.
    floor: Offset,
    /// Where it says that the next batch begins.
    next_position: Option<u64>,
    /// The offset that it says for that.
    next_offset: Option<Offset>,
}

/// Batches by their headers, each where the one before ends and with the offset behind it.
#[derive(Default)]
struct Chain {
    is_proven: bool,
    batches: u64,
    bytes: u64,
}

/// Bytes of a batch, as a header says that may be damaged.
fn size_bytes(header: &[u8; HEADER_BYTES]) -> Option<u64> {
    let length = i32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    u64::try_from(length).ok().map(|length| length + LENGTH_END)
}

/// Offsets of a batch, as a header says that may be damaged.
fn offsets(header: &[u8; HEADER_BYTES]) -> Option<i64> {
    let last_delta = i32::from_be_bytes([header[23], header[24], header[25], header[26]]);
    (last_delta >= 0).then(|| i64::from(last_delta) + 1)
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
            // The length and the offsets of a damaged batch are right if a batch with the offset behind it stands there: its
            // place is known from two sides, so one step is enough.
            let next = u64::from(sure.position) + header.size_bytes as u64;
            let follows = || self.walk_from(self.entry(next, header.next_offset())).step().is_ok();
            if next < self.span.bytes && follows() {
                return Ok(Some(self.entry(next, header.next_offset())));
            }
        }
        self.search(&self.remains(sure)?)
    }

    /// What a damaged header says that begins at a sure place.
    fn remains(&self, sure: &IndexEntry) -> Result<Remains, ReadError> {
        let (position, floor) = (u64::from(sure.position), self.span.base.plus(i64::from(sure.relative)));
        let mut remains = Remains { position, floor, next_position: None, next_offset: None };
        let mut header = [0; HEADER_BYTES];
        if position + header.len() as u64 <= self.span.bytes {
            self.span.read(self.file, &mut header, position)?;
            remains.next_position = size_bytes(&header).map(|size| position + size);
            remains.next_offset = offsets(&header).map(|offsets| floor.plus(offsets));
        }
        Ok(remains)
    }

    /// The first batch that is found behind a damaged one.
    fn search(&self, damaged: &Remains) -> Result<Option<IndexEntry>, ReadError> {
        let (mut position, floor) = (damaged.position, damaged.floor);
        let mut checked = 0;
        // The longest chain that proves nothing: where it goes on, and where it ends. No part of it proves more.
        let (mut unproven, mut unproven_end) = (u64::MAX, 0);
        let mut chunk = Vec::new();
        while position + HEADER_BYTES as u64 <= self.span.bytes {
            let size = (self.span.bytes - position).min(CHUNK_BYTES as u64);
            chunk.resize(size as usize, 0);
            self.span.read(self.file, &mut chunk, position)?;
            let starts = chunk.len() - HEADER_BYTES + 1;
            for at in 0..starts {
                let here = position + at as u64;
                let Some(header) = self.candidate(&chunk[at..], here, floor) else { continue };
                let found = self.entry(here, header.base_offset);
                let is_next = damaged.next_position == Some(here);
                if is_next && damaged.next_offset == Some(header.base_offset) {
                    return Ok(Some(found));
                }
                let next = here + header.size_bytes as u64;
                if here == unproven && !is_next {
                    unproven = next;
                    continue;
                }
                let chain = self.chain(found);
                checked += chain.bytes.max(header.size_bytes as u64);
                if checked > self.span.bytes.saturating_mul(CHECKED_MAX) {
                    return Ok(None);
                }
                let is_trusted = tallymq_model::planted("hole-ends-at-any-batch");
                let is_placed = chain.batches > 1 && (is_next || here == damaged.position || is_trusted);
                if (chain.is_proven || is_placed) && self.is_whole(here, header.base_offset)? {
                    return Ok(Some(found));
                }
                if !chain.is_proven && here + chain.bytes > unproven_end {
                    (unproven, unproven_end) = (next, here + chain.bytes);
                }
            }
            position += starts as u64;
        }
        Ok(None)
    }

    /// A header that may be a batch's of this segment.
    fn candidate(&self, bytes: &[u8], position: u64, floor: Offset) -> Option<BatchHeader> {
        let header = BatchHeader::parse_prefix(bytes).ok()?;
        let base = header.base_offset;
        if base < floor || base >= self.span.end {
            return None;
        }
        self.span.check_header(bytes, position, base, self.epochs).is_ok().then_some(header)
    }

    /// The headers that follow each other from a place on. Proven are they if the last batch ends where the segment does, or one
    /// stands where the index knows it, or would but for what is missing in front.
    fn chain(&self, at: IndexEntry) -> Chain {
        let mut walk = self.walk_from(at);
        let mut chain = Chain::default();
        loop {
            match walk.step() {
                Ok(Some(place)) => {
                    let known = |position| {
                        let at = self.entry(position, place.header.base_offset);
                        self.index.knows(at.relative, at.position)
                    };
                    chain.is_proven = known(place.position) || known(place.position + self.missing);
                    chain.batches += 1;
                    chain.bytes = walk.position() - u64::from(at.position);
                    if chain.is_proven {
                        return chain;
                    }
                }
                Ok(None) => return Chain { is_proven: true, ..chain },
                Err(_) => return chain,
            }
        }
    }

    /// The next place that the index knows, and where a batch begins: readers of what is behind it come from there.
    fn known_behind(&self, mut damaged: IndexEntry) -> Option<IndexEntry> {
        while let Some(known) = self.index.after_offset(damaged.relative) {
            if self.walk_from(known).step().is_ok_and(|place| place.is_some()) {
                return Some(IndexEntry { max_before: IndexEntry::UNKNOWN, ..known });
            }
            damaged = known;
        }
        None
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
