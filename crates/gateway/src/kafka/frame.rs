//! Frames: a length of four bytes, then that many bytes. The length is checked before anything else happens.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

const LENGTH_BYTES: usize = 4;

/// A frame's length field that cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("frame of {length} bytes; 0 to {frame_bytes_max} are accepted")]
pub struct FrameError {
    /// What the length field says.
    pub length: i32,
    /// The most that is accepted.
    pub frame_bytes_max: usize,
}

/// Takes one whole frame off the front of `input`, without its length field and without copying it; `None` while it
/// is not complete. Never reserves memory: `input` grows only by what has really arrived.
pub fn take_frame(input: &mut BytesMut, frame_bytes_max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(length_field) = input.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length_field);
    let bytes = usize::try_from(length)
        .ok()
        .filter(|bytes| *bytes <= frame_bytes_max)
        .ok_or(FrameError { length, frame_bytes_max })?;
    if input.len() - LENGTH_BYTES < bytes {
        return Ok(None);
    }
    input.advance(LENGTH_BYTES);
    Ok(Some(input.split_to(bytes).freeze()))
}
