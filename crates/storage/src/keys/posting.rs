//! One posting: the hash of a key, and the batch that holds it. Sums of postings, whose order does not matter, tell whether
//! an index and the log that it was made from are still of the same content.

use tallymq_model::batch::crc32c;

/// The hash of a key: its CRC-32C. Different keys may share one; whoever looks a key up compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyHash(pub u32);

impl KeyHash {
    /// Of these bytes.
    pub fn of(key: &[u8]) -> KeyHash {
        KeyHash(crc32c(key))
    }
}

/// Ordered by hash, then by batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posting {
    pub hash: KeyHash,
    /// The batch's base offset, relative to the index's first offset.
    pub relative: u32,
}

impl Posting {
    pub(super) fn packed(self) -> u64 {
        u64::from(self.hash.0) << 32 | u64::from(self.relative)
    }

    pub(super) fn unpacked(packed: u64) -> Posting {
        Posting { hash: KeyHash((packed >> 32) as u32), relative: packed as u32 }
    }
}

/// How many postings there are, and a sum over all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostingSum {
    /// Postings.
    pub count: u64,
    /// The sum of all, each mixed.
    pub sum: u64,
}

impl PostingSum {
    /// Adds the posting of a key in the batch at `relative`.
    pub fn add(&mut self, hash: KeyHash, relative: u32) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(mixed(Posting { hash, relative }.packed()));
    }
}

/// What a batch whose keys could not be found adds to the sum.
pub fn unread_term(relative: u32) -> u64 {
    mixed(!u64::from(relative))
}

/// The finalizer of splitmix64: sums of what it gives do not come out the same by chance.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
