//! The records inside a commit group: the meta section, then the payloads in the same order. Written without copying a
//! payload; read without believing a length.
//!
//! ```text
//!  group header | record | record | …           | payload | payload | … | zeros up to the page
//!               '-- meta section, has a CRC, --'
//!                   and one of each payload
//! ```

use bytes::{Buf, BufMut, Bytes};
use tallymq_model::{LogIndex, RaftGroup, Term};

use super::{
    format::{GROUP_HEADER_BYTES, GroupHeader, crc32c, crc32c_of},
    record::WalRecord,
};

const KIND_ENTRY: u8 = 1;
const KIND_VOTE: u8 = 2;
const KIND_TRUNCATE: u8 = 3;
const KIND_PURGE: u8 = 4;
const KIND_SNAPSHOT: u8 = 5;

/// The state of one Raft group at the begin of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSnapshot {
    /// Its vote.
    pub vote: Option<Bytes>,
    /// What is purged.
    pub purged: LogIndex,
    /// Its last entry, if one above `purged` is in an older file.
    pub last: Option<(LogIndex, Term)>,
}

/// A record as it stands in the meta section: without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaRecord<'a> {
    /// An entry was appended.
    Entry {
        /// The group.
        group: RaftGroup,
        /// Its position in the group's log.
        index: LogIndex,
        /// Its term.
        term: Term,
        /// Bytes of its payload.
        length: u32,
        /// CRC-32C of its payload.
        crc: u32,
    },
    /// A vote was cast.
    Vote {
        /// The group.
        group: RaftGroup,
        /// The vote.
        vote: &'a [u8],
    },
    /// Entries were removed from `from` on.
    Truncate {
        /// The group.
        group: RaftGroup,
        /// The first entry removed.
        from: LogIndex,
    },
    /// Entries through `through` are covered by a checkpoint.
    Purge {
        /// The group.
        group: RaftGroup,
        /// The last entry purged.
        through: LogIndex,
    },
    /// What a group was when the file began.
    Snapshot {
        /// The group.
        group: RaftGroup,
        /// Its state.
        state: GroupSnapshot,
    },
}

/// Header and meta section of the group being built; reused from group to group.
#[derive(Default)]
pub(super) struct GroupBuffer {
    bytes: Vec<u8>,
    records: u32,
    payload_bytes: u64,
    /// The checksum of each entry's payload, in order.
    crcs: Vec<u32>,
}

impl GroupBuffer {
    /// Begins a group.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(GROUP_HEADER_BYTES, 0);
        self.records = 0;
        self.payload_bytes = 0;
        self.crcs.clear();
    }

    /// Adds a record's meta; its payload is the caller's to write behind.
    pub(super) fn push(&mut self, record: &WalRecord) {
        let out = &mut self.bytes;
        match record {
            WalRecord::Entry { group, index, term, payload } => {
                let length: usize = payload.iter().map(Bytes::len).sum();
                let crc = match payload.as_slice() {
                    [part] => crc32c(part),
                    parts => crc32c_of(parts.iter().map(|part| &part[..])),
                };
                put_key(out, KIND_ENTRY, *group, index.0);
                out.put_u64_le(term.0);
                out.put_u32_le(length as u32);
                out.put_u32_le(crc);
                self.payload_bytes += length as u64;
                self.crcs.push(crc);
            }
            WalRecord::Vote { group, vote } => {
                out.put_u8(KIND_VOTE);
                out.put_u32_le(group.0);
                put_bytes(out, vote);
            }
            WalRecord::Truncate { group, from } => put_key(out, KIND_TRUNCATE, *group, from.0),
            WalRecord::Purge { group, through } => put_key(out, KIND_PURGE, *group, through.0),
        }
        self.records += 1;
    }

    /// Adds a group's state.
    pub(super) fn push_snapshot(&mut self, group: RaftGroup, state: &GroupSnapshot) {
        let out = &mut self.bytes;
        put_key(out, KIND_SNAPSHOT, group, state.purged.0);
        let (last, term) = state.last.unwrap_or_default();
        out.put_u64_le(last.0);
        out.put_u64_le(term.0);
        out.put_u8(u8::from(state.vote.is_some()));
        put_bytes(out, state.vote.as_deref().unwrap_or_default());
        self.records += 1;
    }

    /// Records so far.
    pub(super) fn records(&self) -> usize {
        self.records as usize
    }

    /// The checksum of each entry's payload, in order.
    pub(super) fn crcs(&self) -> &[u32] {
        &self.crcs
    }

    /// Bytes in front of the first payload.
    pub(super) fn meta_end(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Bytes on disk without padding.
    pub(super) fn size_bytes(&self) -> u64 {
        self.meta_end() + self.payload_bytes
    }

    /// Completes the header, and gives what is to be written in front of the payloads.
    pub(super) fn seal(&mut self, place: GroupHeader) -> &[u8] {
        let meta = &self.bytes[GROUP_HEADER_BYTES..];
        let header = GroupHeader {
            meta_bytes: meta.len() as u32,
            body_bytes: (meta.len() as u64 + self.payload_bytes) as u32,
            meta_crc: crc32c(meta),
            records: self.records,
            ..place
        };
        header.encode(&mut self.bytes);
        &self.bytes
    }
}

fn put_key(out: &mut Vec<u8>, kind: u8, group: RaftGroup, index: u64) {
    out.put_u8(kind);
    out.put_u32_le(group.0);
    out.put_u64_le(index);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

/// Bytes that a record takes in a group.
pub(super) fn encoded_bytes(record: &WalRecord) -> usize {
    match record {
        WalRecord::Entry { payload, .. } => 29 + payload.iter().map(Bytes::len).sum::<usize>(),
        WalRecord::Vote { vote, .. } => 9 + vote.len(),
        WalRecord::Truncate { .. } | WalRecord::Purge { .. } => 13,
    }
}

/// Checks a whole group behind its header (`body` is meta section and payloads) and gives its records. `Err` says what
/// is wrong.
pub(super) fn parse_body<'a>(
    header: &GroupHeader,
    body: &'a [u8],
) -> Result<Vec<MetaRecord<'a>>, &'static str> {
    let (meta, mut payloads) =
        body.split_at_checked(header.meta_bytes as usize).ok_or("the group is cut short")?;
    if crc32c(meta) != header.meta_crc {
        return Err("the checksum of the group does not match");
    }
    let records = parse_meta(meta).ok_or("the records of the group cannot be read")?;
    if records.len() != header.records as usize {
        return Err("the group has another number of records than it says");
    }
    for record in &records {
        if let MetaRecord::Entry { length, crc, .. } = record {
            let (payload, rest) =
                payloads.split_at_checked(*length as usize).ok_or("an entry is cut short")?;
            if crc32c(payload) != *crc {
                return Err("the checksum of an entry does not match");
            }
            payloads = rest;
        }
    }
    if payloads.is_empty() { Ok(records) } else { Err("the group is longer than its entries") }
}

fn parse_meta(mut meta: &[u8]) -> Option<Vec<MetaRecord<'_>>> {
    let mut records = Vec::new();
    while !meta.is_empty() {
        let (kind, group) = (meta.try_get_u8().ok()?, RaftGroup(meta.try_get_u32_le().ok()?));
        records.push(match kind {
            KIND_ENTRY => MetaRecord::Entry {
                group,
                index: LogIndex(meta.try_get_u64_le().ok()?),
                term: Term(meta.try_get_u64_le().ok()?),
                length: meta.try_get_u32_le().ok()?,
                crc: meta.try_get_u32_le().ok()?,
            },
            KIND_VOTE => MetaRecord::Vote { group, vote: take_bytes(&mut meta)? },
            KIND_TRUNCATE => MetaRecord::Truncate { group, from: LogIndex(meta.try_get_u64_le().ok()?) },
            KIND_PURGE => MetaRecord::Purge { group, through: LogIndex(meta.try_get_u64_le().ok()?) },
            KIND_SNAPSHOT => {
                let purged = LogIndex(meta.try_get_u64_le().ok()?);
                let last = LogIndex(meta.try_get_u64_le().ok()?);
                let term = Term(meta.try_get_u64_le().ok()?);
                let voted = meta.try_get_u8().ok()? != 0;
                let vote = Bytes::copy_from_slice(take_bytes(&mut meta)?);
                let last = (last > purged).then_some((last, term));
                let state = GroupSnapshot { vote: voted.then_some(vote), purged, last };
                MetaRecord::Snapshot { group, state }
            }
            _ => return None,
        });
    }
    Some(records)
}

fn take_bytes<'a>(meta: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = meta.try_get_u32_le().ok()? as usize;
    let (bytes, rest) = meta.split_at_checked(length)?;
    *meta = rest;
    Some(bytes)
}
