//! The bytes of what a group stores: entries, votes, checkpoint headers. Our own, so that the engine can be replaced;
//! drawn in `docs/formats.md` under "Raft entries". Everything read is checked; nothing is allocated by an unchecked
//! length.

mod checkpoint;
mod entry;
mod membership;
#[cfg(test)]
mod tests;
mod vote;

pub(crate) use checkpoint::CheckpointHeader;
pub use entry::stored_commands;
pub(crate) use entry::{BatchHeader, decode_entry, encode_entry};
pub(crate) use vote::{decode_vote, encode_vote};

use bytes::{Buf, Bytes};

use crate::DecodeError;

/// Version of all the encodings here; the first byte of each.
const VERSION: u8 = 1;

fn check_version(bytes: &mut Bytes, what: &str) -> Result<(), DecodeError> {
    match take_u8(bytes, what)? {
        VERSION => Ok(()),
        version => Err(DecodeError::new(format!("{what} has format version {version}, known is {VERSION}"))),
    }
}

fn check_end(bytes: &Bytes, what: &str) -> Result<(), DecodeError> {
    if bytes.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::new(format!("{} bytes follow {what}", bytes.len())))
    }
}

fn short(what: &str) -> impl FnOnce(bytes::TryGetError) -> DecodeError {
    move |_| DecodeError::new(format!("{what} is cut short"))
}

fn take_u8(bytes: &mut Bytes, what: &str) -> Result<u8, DecodeError> {
    bytes.try_get_u8().map_err(short(what))
}

fn take_u16(bytes: &mut Bytes, what: &str) -> Result<u16, DecodeError> {
    bytes.try_get_u16().map_err(short(what))
}

fn take_u32(bytes: &mut Bytes, what: &str) -> Result<u32, DecodeError> {
    bytes.try_get_u32().map_err(short(what))
}

fn take_i32(bytes: &mut Bytes, what: &str) -> Result<i32, DecodeError> {
    bytes.try_get_i32().map_err(short(what))
}

fn take_u64(bytes: &mut Bytes, what: &str) -> Result<u64, DecodeError> {
    bytes.try_get_u64().map_err(short(what))
}

fn take_slice(bytes: &mut Bytes, length: usize, what: &str) -> Result<Bytes, DecodeError> {
    if bytes.len() < length {
        return Err(DecodeError::new(format!("{what} is cut short")));
    }
    Ok(bytes.split_to(length))
}
