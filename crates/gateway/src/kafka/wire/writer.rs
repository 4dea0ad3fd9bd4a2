//! The writer: a chain of byte pieces. Small values are collected in a buffer; large payloads are linked in as they
//! are, so that a record batch is never copied on its way to the socket.

use bytes::{BufMut, Bytes, BytesMut};

use super::{EncodeFault, Layout};

/// From this size on a payload is linked instead of copied: below it, one more piece costs more than the copy.
const LINK_BYTES_MIN: usize = 512;
/// The first buffer's size: most responses fit.
const BUFFER_BYTES: usize = 256;
/// The frame's own length field.
const FRAME_LENGTH_BYTES: usize = 4;

/// Collects a message as a chain of pieces.
#[derive(Debug, Default)]
pub struct Writer {
    /// What comes between `head` and `buffer`; none is empty.
    pieces: Vec<Bytes>,
    /// What comes before `pieces`, kept writable for the frame's length field.
    head: BytesMut,
    /// What comes after `pieces`.
    buffer: BytesMut,
    /// Bytes in `head` and `pieces`.
    linked_bytes: usize,
}

impl Writer {
    /// An empty chain.
    pub fn new() -> Self {
        Writer::default()
    }

    /// A chain that starts with a frame's length field, to be ended with [`Writer::into_frame`].
    pub fn frame() -> Self {
        let mut writer = Writer { buffer: BytesMut::with_capacity(BUFFER_BYTES), ..Writer::default() };
        writer.buffer.put_i32(0);
        writer
    }

    /// How many bytes have been written, the frame's length field included.
    pub fn bytes(&self) -> usize {
        self.linked_bytes + self.buffer.len()
    }

    /// Appends bytes by copying them.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// Appends a payload: linked if it is large, copied if it is small.
    pub fn link(&mut self, bytes: &Bytes) {
        if bytes.len() < LINK_BYTES_MIN {
            self.buffer.put_slice(bytes);
            return;
        }
        self.close_buffer();
        self.linked_bytes += bytes.len();
        self.pieces.push(bytes.clone());
    }

    /// Appends all of another chain.
    pub fn append(&mut self, other: Writer) {
        self.put(&other.head);
        for piece in &other.pieces {
            self.link(piece);
        }
        self.put(&other.buffer);
    }

    /// Appends an unsigned variable-length integer: seven bits a byte, lowest first (KIP-482).
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// Appends the length of a string: two bytes, or compact; `None` is null.
    pub fn text_length(&mut self, length: Option<usize>, layout: Layout) -> Result<(), EncodeFault> {
        // Even a compact string may not be longer than a plain one (Kafka's generated code refuses it).
        let plain = match length {
            Some(length) => i16::try_from(length).map_err(|_| EncodeFault::TooLong(length))?,
            None => -1,
        };
        if layout.flexible {
            self.unsigned_varint(i32::from(plain).wrapping_add(1) as u32);
        } else {
            self.buffer.put_i16(plain);
        }
        Ok(())
    }

    /// Appends the length of bytes or the number of elements in a list: four bytes, or compact; `None` is null.
    pub fn length(&mut self, length: Option<usize>, layout: Layout) -> Result<(), EncodeFault> {
        let plain = match length {
            Some(length) => i32::try_from(length).map_err(|_| EncodeFault::TooLong(length))?,
            None => -1,
        };
        if layout.flexible {
            self.unsigned_varint(plain.wrapping_add(1) as u32);
        } else {
            self.buffer.put_i32(plain);
        }
        Ok(())
    }

    /// The pieces, in order, none of them empty.
    pub fn into_pieces(mut self) -> Vec<Bytes> {
        self.close_buffer();
        let mut pieces = Vec::with_capacity(self.pieces.len() + 1);
        if !self.head.is_empty() {
            pieces.push(self.head.freeze());
        }
        pieces.append(&mut self.pieces);
        pieces
    }

    /// The pieces of a frame, its length field filled in. Only after [`Writer::frame`].
    pub fn into_frame(mut self) -> Result<Vec<Bytes>, EncodeFault> {
        let body_bytes = self.bytes() - FRAME_LENGTH_BYTES;
        let length = i32::try_from(body_bytes).map_err(|_| EncodeFault::TooLong(body_bytes))?;
        let first = if self.head.is_empty() { &mut self.buffer } else { &mut self.head };
        first[..FRAME_LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        Ok(self.into_pieces())
    }

    /// Moves what is in the buffer to the end of the chain.
    fn close_buffer(&mut self) {
        self.linked_bytes += self.buffer.len();
        let closed = self.buffer.split();
        if self.pieces.is_empty() && self.head.is_empty() {
            self.head = closed;
        } else if !closed.is_empty() {
            self.pieces.push(closed.freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_payloads_are_linked_and_the_length_field_is_right() {
        let payload = Bytes::from(vec![7u8; LINK_BYTES_MIN]);
        let mut writer = Writer::frame();
        writer.put(&[1, 2, 3]);
        writer.link(&payload);
        writer.link(&payload);
        writer.put(&[4]);
        let pieces = writer.into_frame().expect("short enough");
        assert_eq!(pieces.len(), 4);
        assert_eq!(pieces[0], &[0, 0, 4, 4, 1, 2, 3][..]);
        assert_eq!(pieces[1].as_ptr(), payload.as_ptr());
        assert_eq!(pieces[2].as_ptr(), payload.as_ptr());
        assert_eq!(pieces[3], &[4][..]);
    }

    #[test]
    fn small_payloads_are_collected() {
        let mut writer = Writer::frame();
        writer.link(&Bytes::from_static(b"abc"));
        assert_eq!(writer.into_frame().expect("short enough"), vec![Bytes::from_static(b"\0\0\0\x03abc")]);
    }

    #[test]
    fn lengths_in_both_layouts() {
        let written = |length, flexible| {
            let mut writer = Writer::new();
            writer.length(length, Layout { version: 0, flexible }).expect("short enough");
            writer.into_pieces().concat()
        };
        assert_eq!(written(None, false), [0xff; 4]);
        assert_eq!(written(None, true), [0]);
        assert_eq!(written(Some(0), true), [1]);
        assert_eq!(written(Some(300), true), [0xad, 2]);
        assert_eq!(written(Some(300), false), [0, 0, 1, 44]);
    }
}
