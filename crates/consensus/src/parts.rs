//! A chain of byte buffers: small values are copied together, large ones are linked by reference, so that a record
//! batch goes from the socket to the write-ahead log without a copy. No format is known here.

use bytes::{BufMut, Bytes, BytesMut};

/// From this size on a buffer is linked; below, copying is cheaper than one more part in the write.
const LINK_BYTES_MIN: usize = 2048;

/// Bytes that are written one behind the other.
#[derive(Debug, Default)]
pub struct Parts {
    closed: Vec<Bytes>,
    closed_bytes: usize, // = the sum of `closed`
    open: BytesMut,
}

impl Parts {
    /// None.
    pub fn new() -> Parts {
        Parts::default()
    }

    /// The buffer at the end, for anything small: it is a [`BufMut`].
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.open
    }

    /// Appends a copy.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.open.put_slice(bytes);
    }

    /// Appends `bytes`: by reference if they are large, else as a copy.
    pub fn link(&mut self, bytes: &Bytes) {
        if bytes.len() < LINK_BYTES_MIN {
            self.open.put_slice(bytes);
            return;
        }
        self.close();
        self.closed_bytes += bytes.len();
        self.closed.push(bytes.clone());
    }

    /// Bytes so far.
    pub fn size_bytes(&self) -> usize {
        self.closed_bytes + self.open.len()
    }

    /// The parts, in order; none of them is empty.
    pub fn into_parts(mut self) -> Vec<Bytes> {
        self.close();
        self.closed
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let part = self.open.split().freeze();
            self.closed_bytes += part.len();
            self.closed.push(part);
        }
    }
}

/// All parts as one buffer; copies only if there is more than one.
pub(crate) fn joined(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    parts.iter().for_each(|part| whole.put_slice(part));
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_are_linked_and_small_ones_gathered_in_order() {
        let large = Bytes::from(vec![7; LINK_BYTES_MIN]);
        let mut parts = Parts::new();
        parts.put_slice(b"ab");
        parts.link(&Bytes::from_static(b"cd"));
        parts.link(&large);
        parts.buffer().put_u8(b'e');
        assert_eq!(parts.size_bytes(), 5 + LINK_BYTES_MIN);
        let parts = parts.into_parts();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0], "abcd");
        assert_eq!(parts[1].as_ptr(), large.as_ptr(), "linked, not copied");
        assert_eq!(parts[2], "e");
        assert_eq!(joined(parts).len(), 5 + LINK_BYTES_MIN);
    }
}
