//! The bytes in front of a checkpoint's body. Pure.

use bytes::{Buf, BufMut};
use tallymq_model::{LogIndex, RaftGroup, Term, batch::crc32c};

const MAGIC: &[u8; 8] = b"TALLYCKP";
/// The version written.
pub(super) const VERSION: u32 = 1;
const PREAMBLE_BYTES: usize = 16;
/// Bytes in front of the body.
pub(super) const FRONT_BYTES: usize = PREAMBLE_BYTES + 44;

/// What stands in front of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Front {
    pub group: RaftGroup,
    pub applied: LogIndex,
    pub term: Term,
    pub header_bytes: u64,
    pub state_bytes: u64,
    pub body_crc: u32,
}

/// Why a front is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadFront {
    /// Written by another version.
    UnknownVersion(u32),
    /// Damaged at this byte.
    Damaged(u64, &'static str),
}

pub(super) fn encode(front: &Front) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRONT_BYTES);
    out.put_slice(MAGIC);
    out.put_u32(VERSION);
    out.put_u32(crc32c(&out));
    out.put_u32(front.group.0);
    out.put_u64(front.applied.0);
    out.put_u64(front.term.0);
    out.put_u64(front.header_bytes);
    out.put_u64(front.state_bytes);
    out.put_u32(front.body_crc);
    out.put_u32(crc32c(&out[PREAMBLE_BYTES..]));
    out
}

/// Reads the front; `bytes` may end anywhere.
pub(super) fn decode(bytes: &[u8]) -> Result<Front, BadFront> {
    if bytes.len() < PREAMBLE_BYTES {
        return Err(BadFront::Damaged(bytes.len() as u64, "the file ends inside its preamble"));
    }
    if &bytes[..8] != MAGIC || crc32c(&bytes[..12]) != (&bytes[12..16]).get_u32() {
        return Err(BadFront::Damaged(0, "the preamble is no checkpoint's"));
    }
    let version = (&bytes[8..12]).get_u32();
    if version != VERSION {
        return Err(BadFront::UnknownVersion(version));
    }
    if bytes.len() < FRONT_BYTES {
        return Err(BadFront::Damaged(bytes.len() as u64, "the file ends inside its header"));
    }
    if crc32c(&bytes[PREAMBLE_BYTES..FRONT_BYTES - 4]) != (&bytes[FRONT_BYTES - 4..FRONT_BYTES]).get_u32() {
        return Err(BadFront::Damaged(PREAMBLE_BYTES as u64, "the header checksum does not match"));
    }
    let mut fields = &bytes[PREAMBLE_BYTES..];
    Ok(Front {
        group: RaftGroup(fields.get_u32()),
        applied: LogIndex(fields.get_u64()),
        term: Term(fields.get_u64()),
        header_bytes: fields.get_u64(),
        state_bytes: fields.get_u64(),
        body_crc: fields.get_u32(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_version_is_damage_and_another_one_is_named() {
        let front = Front {
            group: RaftGroup(3),
            applied: LogIndex(9),
            term: Term(2),
            header_bytes: 4,
            state_bytes: 5,
            body_crc: 6,
        };
        let bytes = encode(&front);
        assert_eq!(decode(&bytes), Ok(front));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(decode(&damaged), Err(BadFront::Damaged(..))), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..cut]), Err(BadFront::Damaged(..))), "{cut} bytes");
        }
        let mut newer = bytes;
        newer[11] = 7;
        let crc = crc32c(&newer[..12]);
        newer[12..16].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(&newer), Err(BadFront::UnknownVersion(7)));
    }
}
