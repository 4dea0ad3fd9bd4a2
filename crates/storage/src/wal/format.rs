//! The bytes of the log's files: the file header and the group header, drawn in `docs/formats.md`. Little endian.
//! Parsing never panics and believes no length.

use bytes::{Buf, BufMut};
use crc_fast::{CrcAlgorithm, Digest, checksum};

/// Groups begin at multiples of this, and no two share one.
pub(super) const PAGE_BYTES: u64 = 4096;
/// The only format version there is.
pub(super) const FORMAT_VERSION: u32 = 1;
/// Bytes of a group's header; the meta section follows at once.
pub(super) const GROUP_HEADER_BYTES: usize = 80;
/// Bytes of the file header that its checksum covers, from the checksum's end on.
const FILE_HEADER_BYTES: usize = 48;

const FILE_MAGIC: [u8; 8] = *b"TALLYWAL";
const GROUP_MAGIC: [u8; 8] = *b"TALLYGRP";

/// A group that acknowledges nothing: it proves that the one before it was synced.
pub(super) const FLAG_CLOSING: u32 = 1;
/// The first group of a file: what idle groups must not lose when older files are recycled.
pub(super) const FLAG_SNAPSHOT: u32 = 2;
/// The first group of a process: it begins its epoch.
pub(super) const FLAG_OPENING: u32 = 4;

/// CRC-32C of some parts, one behind the other.
pub(super) fn crc32c_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    digest.finalize() as u32
}

/// CRC-32C.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// `bytes` rounded up to whole pages.
pub(super) fn padded(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_BYTES) * PAGE_BYTES
}

/// The first page of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// The file's number; its name says the same.
    pub(super) sequence: u64,
    /// Bytes that the file must have.
    pub(super) size_bytes: u64,
    /// The epoch that began the file.
    pub(super) epoch: u64,
    /// The sequence of its first group: every one below it was synced.
    pub(super) first_group: u64,
}

/// Why a page is no file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileHeaderError {
    /// Anything else.
    Invalid,
    /// One of another release.
    UnknownVersion(u32),
}

impl FileHeader {
    /// The bytes; the rest of the page is zero.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PAGE_BYTES as usize);
        out.put_slice(&FILE_MAGIC);
        out.put_u32_le(FORMAT_VERSION);
        out.put_u32_le(0);
        for field in [self.sequence, self.size_bytes, self.epoch, self.first_group] {
            out.put_u64_le(field);
        }
        let crc = crc32c_of([&out[..12], &out[16..FILE_HEADER_BYTES]]);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out.resize(PAGE_BYTES as usize, 0);
        out
    }

    /// Reads one back.
    pub(super) fn parse(page: &[u8]) -> Result<FileHeader, FileHeaderError> {
        let Some(mut header) = page.get(..FILE_HEADER_BYTES) else {
            return Err(FileHeaderError::Invalid);
        };
        if header[..8] != FILE_MAGIC {
            return Err(FileHeaderError::Invalid);
        }
        let crc = crc32c_of([&header[..12], &header[16..]]);
        header.advance(8);
        let version = header.get_u32_le();
        if version != FORMAT_VERSION {
            return Err(FileHeaderError::UnknownVersion(version));
        }
        if header.get_u32_le() != crc {
            return Err(FileHeaderError::Invalid);
        }
        Ok(FileHeader {
            sequence: header.get_u64_le(),
            size_bytes: header.get_u64_le(),
            epoch: header.get_u64_le(),
            first_group: header.get_u64_le(),
        })
    }
}

/// The front of a commit group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// `FLAG_*`.
    pub(super) flags: u32,
    /// The file it was written to: stale bytes of a recycled file have another.
    pub(super) file_sequence: u64,
    /// Where in the file it was written.
    pub(super) position: u64,
    /// The process that wrote it.
    pub(super) epoch: u64,
    /// Its number, over all files, without a gap.
    pub(super) sequence: u64,
    /// The newest group that was synced when this one was written.
    pub(super) synced: u64,
    /// Bytes of the meta section.
    pub(super) meta_bytes: u32,
    /// Bytes of meta section and payloads.
    pub(super) body_bytes: u32,
    /// CRC-32C of the meta section, which holds one of each payload: together they cover the body.
    pub(super) meta_crc: u32,
    /// Records in the meta section.
    pub(super) records: u32,
}

impl GroupHeader {
    /// Bytes on disk, padding included.
    pub(super) fn size_bytes(&self) -> u64 {
        padded(GROUP_HEADER_BYTES as u64 + u64::from(self.body_bytes))
    }

    /// Writes it over the first [`GROUP_HEADER_BYTES`] of `out`.
    pub(super) fn encode(&self, out: &mut [u8]) {
        let mut rest = &mut out[12..GROUP_HEADER_BYTES];
        rest.put_u32_le(self.flags);
        for field in [self.file_sequence, self.position, self.epoch, self.sequence, self.synced] {
            rest.put_u64_le(field);
        }
        for field in [self.meta_bytes, self.body_bytes, self.meta_crc, self.records] {
            rest.put_u32_le(field);
        }
        rest.put_u64_le(0);
        out[..8].copy_from_slice(&GROUP_MAGIC);
        let crc = crc32c(&out[12..GROUP_HEADER_BYTES]);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the header of the group that begins at `position` of the file `file_sequence`; `None` for anything that
    /// was not written there.
    pub(super) fn parse(page: &[u8], file_sequence: u64, position: u64) -> Option<GroupHeader> {
        GroupHeader::parse_anywhere(page, file_sequence).filter(|header| header.position == position)
    }

    /// Reads the header of a group of the file `file_sequence`, whatever place it says it is for.
    pub(super) fn parse_anywhere(page: &[u8], file_sequence: u64) -> Option<GroupHeader> {
        let mut rest = page.get(..GROUP_HEADER_BYTES)?;
        if rest[..8] != GROUP_MAGIC || rest[8..12] != crc32c(&rest[12..]).to_le_bytes() {
            return None;
        }
        rest.advance(12);
        let header = GroupHeader {
            flags: rest.get_u32_le(),
            file_sequence: rest.get_u64_le(),
            position: rest.get_u64_le(),
            epoch: rest.get_u64_le(),
            sequence: rest.get_u64_le(),
            synced: rest.get_u64_le(),
            meta_bytes: rest.get_u32_le(),
            body_bytes: rest.get_u32_le(),
            meta_crc: rest.get_u32_le(),
            records: rest.get_u32_le(),
        };
        let ours = header.file_sequence == file_sequence || tallymq_model::planted("stale-group-replayed");
        (ours && header.meta_bytes <= header.body_bytes).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_any_flipped_bit_is_noticed() {
        let file = FileHeader { sequence: 7, size_bytes: 1 << 16, epoch: 3, first_group: 99 };
        let mut page = file.encode();
        assert_eq!(FileHeader::parse(&page), Ok(file));
        for bit in 0..FILE_HEADER_BYTES * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::parse(&page).is_err(), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
        let group =
            GroupHeader { file_sequence: 7, position: 8192, sequence: 5, synced: 4, ..Default::default() };
        let mut page = vec![0; GROUP_HEADER_BYTES];
        group.encode(&mut page);
        assert_eq!(GroupHeader::parse(&page, 7, 8192), Some(group));
        assert_eq!(GroupHeader::parse(&page, 8, 8192), None, "a recycled file's");
        assert_eq!(GroupHeader::parse(&page, 7, 4096), None, "moved");
        for bit in 0..GROUP_HEADER_BYTES * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(GroupHeader::parse(&page, 7, 8192), None, "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
