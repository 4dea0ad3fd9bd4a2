//! The bytes of an index of keys. All big-endian; drawn in `docs/formats.md`.
//!
//! ```text
//! header | "TALLYKEY" | version u32 = 1 | blocks u32 | topic 16 bytes | partition i32 | unread u32 | from i64 | to i64 | log bytes u64
//!        | batches u64 | postings u64 | sum u64 | crc32c u32 of all before |
//! block  | crc32c u32 | first hash u32 | first batch u32 | postings u16 | bytes u16 | postings … | zeros up to 4096 |
//! table  | per block: first hash u32, first batch u32 | per batch whose keys could not be found: u32 | crc32c u32 |
//! ```
//! Batches are base offsets relative to `from`. A posting is the difference of its hash to the one before (unsigned LEB128), then the
//! batch: where the hash is the same, the difference to the batch before. The first one stands in the block's head.
//! The checksums of blocks and table begin with the one of the file's identity and their number, so that none stands for another.

use tallymq_model::{Offset, PartitionIndex, TopicId, TopicPartition, batch::crc32c};
use uuid::Uuid;

use super::posting::{KeyHash, Posting, PostingSum};

const MAGIC: &[u8; 8] = b"TALLYKEY";
const VERSION: u32 = 1;
/// Bytes in front of the first block.
pub(super) const HEADER_BYTES: usize = 92;
/// Bytes of a block.
pub(super) const BLOCK_BYTES: usize = 4096;
const BLOCK_HEAD_BYTES: usize = 16;
/// Bytes of an entry of the table.
const ENTRY_BYTES: usize = 8;
/// Batches whose keys could not be found, at most; a part of a log with more has no index.
pub(super) const UNREAD_MAX: usize = 1024;
/// Stands for the table where blocks have their number.
const TABLE: u32 = u32::MAX;

/// What an index says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whose.
    pub tp: TopicPartition,
    /// Base offset of the first batch.
    pub from: Offset,
    /// The offset behind the last batch.
    pub to: Offset,
    /// Bytes of the batches.
    pub log_bytes: u64,
    /// Batches.
    pub batches: u64,
    /// Over all postings, and what [`super::unread_term`] gives for the batches whose keys could not be found.
    pub postings: PostingSum,
    /// Blocks.
    pub(super) blocks: u32,
    /// Batches whose keys could not be found.
    pub(super) unread: u32,
}

impl Facts {
    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.blocks) * BLOCK_BYTES as u64 + self.table_bytes()
    }

    pub(super) fn table_at(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.blocks) * BLOCK_BYTES as u64
    }

    pub(super) fn table_bytes(&self) -> u64 {
        u64::from(self.blocks) * ENTRY_BYTES as u64 + u64::from(self.unread) * 4 + 4
    }
}

/// What every checksum behind the header begins with.
pub(super) fn identity(tp: TopicPartition, from: Offset, to: Offset) -> u32 {
    let mut bytes = Vec::with_capacity(36);
    bytes.extend(tp.topic.0.as_bytes());
    bytes.extend(tp.partition.0.to_be_bytes());
    bytes.extend(from.0.to_be_bytes());
    bytes.extend(to.0.to_be_bytes());
    crc32c(&bytes)
}

pub(super) fn encode_header(facts: &Facts) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_be_bytes());
    out.extend(facts.blocks.to_be_bytes());
    out.extend(facts.tp.topic.0.as_bytes());
    out.extend(facts.tp.partition.0.to_be_bytes());
    out.extend(facts.unread.to_be_bytes());
    out.extend(facts.from.0.to_be_bytes());
    out.extend(facts.to.0.to_be_bytes());
    for number in [facts.log_bytes, facts.batches, facts.postings.count, facts.postings.sum] {
        out.extend(number.to_be_bytes());
    }
    let crc = crc32c(&out);
    out.extend(crc.to_be_bytes());
    out
}

/// Reads a header; why not, if it is none.
pub(super) fn decode_header(bytes: &[u8]) -> Result<Facts, &'static str> {
    let header: &[u8; HEADER_BYTES] = bytes
        .get(..HEADER_BYTES)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or("the file ends in its header")?;
    if header[..8] != *MAGIC {
        return Err("this is no index of keys");
    }
    if u32_at(header, 88) != crc32c(&header[..88]) {
        return Err("the header is damaged");
    }
    if u32_at(header, 8) != VERSION {
        return Err("the version is not known");
    }
    let mut topic = [0; 16];
    topic.copy_from_slice(&header[16..32]);
    let (from, to) = (u64_at(header, 40) as i64, u64_at(header, 48) as i64);
    if from < 0 || to <= from || to - from > 1 << 32 || u32_at(header, 36) as usize > UNREAD_MAX {
        return Err("the header contradicts itself");
    }
    Ok(Facts {
        tp: TopicPartition {
            topic: TopicId(Uuid::from_bytes(topic)),
            partition: PartitionIndex(u32_at(header, 32) as i32),
        },
        from: Offset(from),
        to: Offset(to),
        log_bytes: u64_at(header, 56),
        batches: u64_at(header, 64),
        postings: PostingSum { count: u64_at(header, 72), sum: u64_at(header, 80) },
        blocks: u32_at(header, 12),
        unread: u32_at(header, 36),
    })
}

/// Puts postings, which come in order, into blocks.
pub(super) struct BlockWriter {
    identity: u32,
    block: Vec<u8>,
    postings: u16,
    last: Posting,
    /// The first posting of each block.
    pub firsts: Vec<Posting>,
}

impl BlockWriter {
    pub(super) fn new(identity: u32) -> BlockWriter {
        let last = Posting { hash: KeyHash(0), relative: 0 };
        BlockWriter {
            identity,
            block: Vec::with_capacity(BLOCK_BYTES),
            postings: 0,
            last,
            firsts: Vec::new(),
        }
    }

    /// Adds a posting behind the last one; a block that is full by it goes to `out`.
    pub(super) fn push(&mut self, posting: Posting, out: &mut Vec<u8>) {
        if self.postings > 0 {
            let mut bytes = [0; 10];
            let mut used = put_u32(posting.hash.0 - self.last.hash.0, &mut bytes, 0);
            let same = posting.hash == self.last.hash;
            let relative = if same { posting.relative - self.last.relative } else { posting.relative };
            used = put_u32(relative, &mut bytes, used);
            if self.block.len() + used <= BLOCK_BYTES {
                self.block.extend(&bytes[..used]);
                self.postings += 1;
                self.last = posting;
                return;
            }
            self.finish(out);
        }
        self.block.resize(BLOCK_HEAD_BYTES, 0);
        self.block[4..8].copy_from_slice(&posting.hash.0.to_be_bytes());
        self.block[8..12].copy_from_slice(&posting.relative.to_be_bytes());
        (self.postings, self.last) = (1, posting);
        self.firsts.push(posting);
    }

    /// Ends the block that is not full.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.postings == 0 {
            return;
        }
        let used = (self.block.len() - BLOCK_HEAD_BYTES) as u16;
        self.block[12..14].copy_from_slice(&self.postings.to_be_bytes());
        self.block[14..16].copy_from_slice(&used.to_be_bytes());
        self.block.resize(BLOCK_BYTES, 0);
        let crc = section_crc(self.identity, self.firsts.len() as u32 - 1, &self.block[4..]);
        self.block[..4].copy_from_slice(&crc.to_be_bytes());
        out.extend(&self.block);
        self.block.clear();
        self.postings = 0;
    }
}

/// The postings of a block, in order; None if it is damaged.
pub(super) fn decode_block(identity: u32, number: u32, block: &[u8; BLOCK_BYTES]) -> Option<Vec<Posting>> {
    let stored = u32_at(block, 0);
    if stored != section_crc(identity, number, &block[4..]) && !tallymq_model::planted("key-block-unchecked")
    {
        return None;
    }
    let count = u16::from_be_bytes([block[12], block[13]]);
    let used = usize::from(u16::from_be_bytes([block[14], block[15]]));
    let mut rest = block.get(BLOCK_HEAD_BYTES..BLOCK_HEAD_BYTES + used)?;
    let mut last = Posting { hash: KeyHash(u32_at(block, 4)), relative: u32_at(block, 8) };
    let mut postings = Vec::with_capacity(usize::from(count));
    postings.push(last);
    for _ in 1..count {
        let (hash_delta, relative) = (take_u32(&mut rest)?, take_u32(&mut rest)?);
        let relative = if hash_delta == 0 {
            last.relative.checked_add(relative).filter(|_| relative > 0)?
        } else {
            relative
        };
        last = Posting { hash: KeyHash(last.hash.0.checked_add(hash_delta)?), relative };
        postings.push(last);
    }
    (count > 0 && rest.is_empty()).then_some(postings)
}

pub(super) fn encode_table(identity: u32, firsts: &[Posting], unread: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(firsts.len() * ENTRY_BYTES + unread.len() * 4 + 4);
    for first in firsts {
        out.extend(first.packed().to_be_bytes());
    }
    unread.iter().for_each(|relative| out.extend(relative.to_be_bytes()));
    let crc = section_crc(identity, TABLE, &out);
    out.extend(crc.to_be_bytes());
    out
}

/// The first posting of each block, and the batches whose keys could not be found; None if it is damaged.
pub(super) fn decode_table(facts: &Facts, table: &[u8]) -> Option<(Vec<Posting>, Vec<u32>)> {
    let (covered, crc) = table.split_last_chunk::<4>()?;
    let identity = identity(facts.tp, facts.from, facts.to);
    if u32::from_be_bytes(*crc) != section_crc(identity, TABLE, covered) {
        return None;
    }
    let (entries, unread) = covered.split_at_checked(facts.blocks as usize * ENTRY_BYTES)?;
    let firsts: Vec<_> =
        entries.chunks_exact(ENTRY_BYTES).map(|entry| Posting::unpacked(u64_at(entry, 0))).collect();
    let unread: Vec<_> = unread.chunks_exact(4).map(|relative| u32_at(relative, 0)).collect();
    (firsts.is_sorted() && unread.is_sorted()).then_some((firsts, unread))
}

fn section_crc(identity: u32, number: u32, bytes: &[u8]) -> u32 {
    let mut covered = Vec::with_capacity(bytes.len() + 8);
    covered.extend(identity.to_be_bytes());
    covered.extend(number.to_be_bytes());
    covered.extend(bytes);
    crc32c(&covered)
}

fn put_u32(mut value: u32, out: &mut [u8; 10], mut at: usize) -> usize {
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

fn take_u32(from: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok();
        }
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}
