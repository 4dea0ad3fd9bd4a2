//! The sparse index of one segment: where some of its batches begin. A help and never the truth: what it points at is
//! checked, what it lacks is found by walking on from the entry before, and a damaged entry is left out.
//!
//! ```text
//! file:   "TALLYIDX" | version u32 = 1 | crc32c u32 of these twelve bytes
//! entry:  offset - base u32 | position u32 | max timestamp before i64 | crc32c u32 of base offset i64 and these sixteen
//! ```
//! All big-endian. Entries are appended and each has its own checksum, so a torn or lost one costs nothing else.

use std::{collections::VecDeque, io};

use parking_lot::Mutex;
use tallymq_model::{
    Offset, Timestamp,
    batch::{self, crc32c},
};

use super::error::Damage;
use crate::disk::File;

const MAGIC: &[u8; 8] = b"TALLYIDX";
const VERSION: u32 = 1;
/// Bytes in front of the first entry.
pub(super) const HEADER_BYTES: usize = 16;
/// Bytes of one entry.
pub(super) const ENTRY_BYTES: usize = 20;
const CURSORS: usize = 4;
/// Holes that are remembered per open segment; the others are looked for again.
const HOLES_MAX: usize = 64;

/// Where a batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    /// The batch's base offset, relative to the segment's.
    pub relative: u32,
    /// Where it begins in the file.
    pub position: u32,
    /// The largest max timestamp of the batches before it in this segment; -1 if none.
    pub max_before: Timestamp,
}

impl IndexEntry {
    /// The segment's beginning, which is in no index.
    pub(super) const START: IndexEntry = IndexEntry { relative: 0, position: 0, max_before: Timestamp(-1) };
    /// A `max_before` that nobody knows: batches were passed without their checksums.
    pub(super) const UNKNOWN: Timestamp = Timestamp(i64::MAX);
}

/// Offsets that damage took, as far as somebody read.
#[derive(Clone, Debug)]
pub(super) struct Hole {
    /// The first one, relative to the segment's base.
    pub from: u32,
    /// The one behind the last.
    pub to: u32,
    /// Where batches go on, if they do.
    pub behind: Option<IndexEntry>,
    /// What was found.
    pub damage: Damage,
}

/// The index of one segment, filled by the writer, from its file and by readers that walked.
#[derive(Debug, Default)]
pub(super) struct SegmentIndex(Mutex<Entries>);

/// Invariant: `entries` rise strictly in position, relative offset, and do not fall in `max_before`.
#[derive(Debug, Default)]
struct Entries {
    entries: Vec<IndexEntry>,
    loaded: bool,
    /// Where the last few reads ended: a consumer that reads on finds its place without walking.
    cursors: [Option<IndexEntry>; CURSORS],
    next_cursor: usize,
    holes: VecDeque<Hole>,
}

impl SegmentIndex {
    /// An index that has no file to be read first.
    pub(super) fn complete() -> SegmentIndex {
        SegmentIndex(Mutex::new(Entries { loaded: true, ..Entries::default() }))
    }

    /// Whether the file was read.
    pub(super) fn is_loaded(&self) -> bool {
        self.0.lock().loaded
    }

    /// Takes over what the file holds.
    pub(super) fn load(&self, found: Vec<IndexEntry>) {
        self.merge(found);
        self.0.lock().loaded = true;
    }

    /// Adds the writer's entry, behind all others.
    pub(super) fn push(&self, entry: IndexEntry) {
        let mut inner = self.0.lock();
        debug_assert!(inner.entries.last().is_none_or(|last| last.position < entry.position));
        inner.entries.push(entry);
    }

    /// Adds entries in any order, known ones among them.
    pub(super) fn merge(&self, found: Vec<IndexEntry>) {
        if found.is_empty() {
            return;
        }
        let mut inner = self.0.lock();
        inner.entries.extend(found);
        inner.entries.sort_by_key(|entry| entry.position);
        inner.entries.dedup_by_key(|entry| entry.position);
    }

    /// Notes where a read ended.
    pub(super) fn set_cursor(&self, relative: u32, position: u32) {
        let mut inner = self.0.lock();
        let slot = inner.next_cursor;
        inner.cursors[slot] = Some(IndexEntry { relative, position, max_before: IndexEntry::UNKNOWN });
        inner.next_cursor = (slot + 1) % CURSORS;
    }

    /// The last known place at or before the batch that contains the offset `relative` to the base.
    pub(super) fn before_offset(&self, relative: u32) -> IndexEntry {
        let inner = self.0.lock();
        let known = inner.entries.partition_point(|entry| entry.relative <= relative);
        let entry = known.checked_sub(1).map_or(IndexEntry::START, |at| inner.entries[at]);
        let behind = inner.holes.iter().filter_map(|hole| hole.behind.as_ref());
        let others = inner.cursors.iter().flatten().chain(behind).filter(|other| other.relative <= relative);
        others.copied().chain([entry]).max_by_key(|entry| entry.position).unwrap_or(entry)
    }

    /// The first entry behind an offset relative to the base.
    pub(super) fn after_offset(&self, relative: u32) -> Option<IndexEntry> {
        let inner = self.0.lock();
        let known = inner.entries.partition_point(|entry| entry.relative <= relative);
        inner.entries.get(known).copied()
    }

    /// Notes what damage took.
    pub(super) fn note_hole(&self, hole: Hole) {
        let mut inner = self.0.lock();
        inner.holes.retain(|known| known.from != hole.from);
        if inner.holes.len() == HOLES_MAX {
            inner.holes.pop_front();
        }
        inner.holes.push_back(hole);
    }

    /// The damage that took an offset, if that is known.
    pub(super) fn hole_at(&self, relative: u32) -> Option<Damage> {
        let inner = self.0.lock();
        let hole = inner.holes.iter().find(|hole| (hole.from..hole.to).contains(&relative))?;
        Some(hole.damage.clone())
    }

    /// Where batches go on behind the damage that took an offset, if that is known.
    pub(super) fn behind_hole_at(&self, relative: u32) -> Option<IndexEntry> {
        let inner = self.0.lock();
        inner.holes.iter().find(|hole| (hole.from..hole.to).contains(&relative))?.behind
    }

    /// Whether a batch is known to begin there.
    pub(super) fn knows(&self, relative: u32, position: u32) -> bool {
        let inner = self.0.lock();
        let known = inner.entries.binary_search_by_key(&position, |entry| entry.position);
        known.is_ok_and(|at| inner.entries[at].relative == relative)
    }

    /// A known place is none. Forgets it, and if it is an entry, so many up to it.
    pub(super) fn doubt(&self, known: IndexEntry, entries: usize) {
        let mut inner = self.0.lock();
        let is_it = |other: &IndexEntry| other.position == known.position;
        inner
            .cursors
            .iter_mut()
            .filter(|cursor| cursor.as_ref().is_some_and(is_it))
            .for_each(|cursor| *cursor = None);
        inner.holes.retain(|hole| !hole.behind.as_ref().is_some_and(is_it));
        if let Ok(at) = inner.entries.binary_search_by_key(&known.position, |entry| entry.position) {
            inner.entries.drain((at + 1).saturating_sub(entries)..=at);
        }
    }

    /// The last known place with only smaller timestamps before it.
    pub(super) fn before_timestamp(&self, at: Timestamp) -> IndexEntry {
        let inner = self.0.lock();
        let known = inner.entries.partition_point(|entry| entry.max_before < at);
        known.checked_sub(1).map_or(IndexEntry::START, |at| inner.entries[at])
    }

    /// Bytes in memory, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.0.lock().entries.capacity() * size_of::<IndexEntry>() + size_of::<Entries>()
    }
}

/// The file's first bytes.
pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_be_bytes());
    let crc = crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_be_bytes());
    header
}

/// The bytes of an index file, of no more entries than a segment of `segment_bytes` has batches.
pub(super) fn read_file(file: &dyn File, segment_bytes: u64) -> io::Result<Vec<u8>> {
    let entries_max = segment_bytes / batch::HEADER_BYTES as u64 + 1;
    let size_bytes = file.size_bytes()?.min(HEADER_BYTES as u64 + entries_max * ENTRY_BYTES as u64);
    let mut bytes = vec![0; size_bytes as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Bytes of a file of `bytes` (0: none yet) behind which `entries` are written.
pub(super) fn file_bytes_after(bytes: u64, entries: usize) -> u64 {
    bytes.max(HEADER_BYTES as u64) + (entries * ENTRY_BYTES) as u64
}

/// Writes entries of the segment that begins at `base`.
pub(super) fn encode(base: Offset, entries: &[IndexEntry], out: &mut Vec<u8>) {
    for entry in entries {
        let start = out.len();
        out.extend(entry.relative.to_be_bytes());
        out.extend(entry.position.to_be_bytes());
        out.extend(entry.max_before.0.to_be_bytes());
        let crc = entry_crc(base, &out[start..]);
        out.extend(crc.to_be_bytes());
    }
}

/// What a file holds.
pub(super) struct Decoded {
    /// Whole entries in front of `position_max`, in order.
    pub entries: Vec<IndexEntry>,
    /// Bytes of the file up to the first entry that points at or behind `position_max`, or is not whole.
    pub kept_bytes: u64,
    /// Where something is damaged.
    pub damaged: Vec<u64>,
}

/// Reads a file, leaving out what is damaged or points at or behind `position_max`.
pub(super) fn decode(base: Offset, bytes: &[u8], position_max: u64) -> Decoded {
    let mut decoded = Decoded { entries: Vec::new(), kept_bytes: 0, damaged: Vec::new() };
    if bytes.len() < HEADER_BYTES || bytes[..HEADER_BYTES] != header() {
        decoded.damaged.push(0);
        return decoded;
    }
    decoded.kept_bytes = HEADER_BYTES as u64;
    for chunk in bytes[HEADER_BYTES..].chunks_exact(ENTRY_BYTES) {
        let u32_at = |at: usize| u32::from_be_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
        let mut timestamp = [0; 8];
        timestamp.copy_from_slice(&chunk[8..16]);
        let entry = IndexEntry {
            relative: u32_at(0),
            position: u32_at(4),
            max_before: Timestamp(i64::from_be_bytes(timestamp)),
        };
        let rises = decoded.entries.last().is_none_or(|last| {
            last.position < entry.position
                && last.relative < entry.relative
                && last.max_before <= entry.max_before
        });
        if u32_at(16) != entry_crc(base, &chunk[..16]) || !rises {
            decoded.damaged.push(decoded.kept_bytes);
        } else if u64::from(entry.position) >= position_max {
            return decoded;
        } else {
            decoded.entries.push(entry);
        }
        decoded.kept_bytes += ENTRY_BYTES as u64;
    }
    decoded
}

fn entry_crc(base: Offset, entry: &[u8]) -> u32 {
    let mut covered = [0; 24];
    covered[..8].copy_from_slice(&base.0.to_be_bytes());
    covered[8..].copy_from_slice(entry);
    crc32c(&covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u32) -> IndexEntry {
        IndexEntry { relative: n * 10, position: n * 100, max_before: Timestamp(i64::from(n)) }
    }

    #[test]
    fn every_flipped_bit_of_a_file_costs_at_most_what_it_hits() {
        let entries: Vec<_> = (1..5).map(entry).collect();
        let mut file = header().to_vec();
        encode(Offset(7), &entries, &mut file);
        assert_eq!(decode(Offset(7), &file, 1_000).entries, entries);
        assert_eq!(decode(Offset(7), &file, 300).entries, entries[..2]);
        assert_eq!(decode(Offset(7), &file, 300).kept_bytes, 56);
        assert!(decode(Offset(8), &file, 1_000).entries.is_empty(), "another segment's");
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let decoded = decode(Offset(7), &damaged, 1_000);
            assert!(!decoded.damaged.is_empty(), "bit {bit}");
            assert!(decoded.entries.iter().all(|found| entries.contains(found)), "bit {bit}");
        }
    }

    #[test]
    fn lookups_find_the_last_place_before() {
        let index = SegmentIndex::complete();
        assert_eq!(index.before_offset(5), IndexEntry::START);
        index.push(entry(3));
        index.merge(vec![entry(2), entry(1), entry(3)]);
        assert_eq!(index.before_offset(25), entry(2));
        assert_eq!(index.before_offset(30), entry(3));
        assert_eq!(index.before_timestamp(Timestamp(2)), entry(1), "entry 2 has a 2 before it");
        assert_eq!(index.before_timestamp(Timestamp(0)), IndexEntry::START);
        index.set_cursor(27, 270);
        assert_eq!(index.before_offset(28).position, 270);
        assert_eq!(index.before_offset(26), entry(2));
    }
}
