//! The bytes of an entry or a checkpoint as they are made: small values are copied together, large ones are linked by
//! reference, so that a record batch goes from the socket to the write-ahead log without a copy. Knows no command.
//!
//! Numbers are LEB128 varints (signed ones zigzag-folded first) unless they are ids of fixed width; text and lists
//! carry their length in front.

use bytes::Bytes;
use uuid::Uuid;

use crate::TopicPartition;

/// Payloads from this size on are linked into [`Parts`]; below it a copy is cheaper than another part to write.
pub const LINK_BYTES_MIN: usize = 1024;

/// Encoded bytes as a sequence of pieces to be written one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    finished: Vec<Bytes>,
    finished_bytes: usize,
    open: Vec<u8>,
}

impl Parts {
    /// Nothing yet.
    pub fn new() -> Parts {
        Parts::default()
    }

    /// Bytes in all pieces together.
    pub fn len(&self) -> usize {
        self.finished_bytes + self.open.len()
    }

    /// Whether nothing was put yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, in order.
    pub fn into_parts(mut self) -> Vec<Bytes> {
        self.close();
        self.finished
    }

    /// One contiguous copy; for tests and small values.
    pub fn into_bytes(mut self) -> Bytes {
        if self.finished.is_empty() {
            return Bytes::from(self.open);
        }
        self.close();
        let mut all = Vec::with_capacity(self.finished_bytes);
        for part in &self.finished {
            all.extend_from_slice(part);
        }
        Bytes::from(all)
    }

    /// Bytes as they are, copied.
    pub fn append(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
    }

    /// Bytes as they are; shared and not copied from [`LINK_BYTES_MIN`] on.
    pub fn link(&mut self, bytes: &Bytes) {
        if bytes.len() < LINK_BYTES_MIN {
            return self.append(bytes);
        }
        self.close();
        self.finished_bytes += bytes.len();
        self.finished.push(bytes.clone());
    }

    /// One byte.
    pub fn put_u8(&mut self, value: u8) {
        self.open.push(value);
    }

    /// A flag, one byte.
    pub fn put_bool(&mut self, value: bool) {
        self.open.push(u8::from(value));
    }

    /// An unsigned number, LEB128.
    pub fn put_u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.open.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.open.push(value as u8);
    }

    /// An unsigned number, LEB128.
    pub fn put_u32(&mut self, value: u32) {
        self.put_u64(u64::from(value));
    }

    /// A signed number, zigzag and LEB128.
    pub fn put_i64(&mut self, value: i64) {
        self.put_u64(((value << 1) ^ (value >> 63)) as u64);
    }

    /// A signed number, zigzag and LEB128.
    pub fn put_i32(&mut self, value: i32) {
        self.put_i64(i64::from(value));
    }

    /// A signed number, zigzag and LEB128.
    pub fn put_i16(&mut self, value: i16) {
        self.put_i64(i64::from(value));
    }

    /// A length or count.
    pub fn put_length(&mut self, length: usize) {
        self.put_u64(length as u64);
    }

    /// Length and text.
    pub fn put_text(&mut self, text: &str) {
        self.put_length(text.len());
        self.open.extend_from_slice(text.as_bytes());
    }

    /// Length and bytes, copied.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.put_length(bytes.len());
        self.open.extend_from_slice(bytes);
    }

    /// Length and bytes; shared and not copied from [`LINK_BYTES_MIN`] on.
    pub fn put_bytes(&mut self, bytes: &Bytes) {
        self.put_length(bytes.len());
        self.link(bytes);
    }

    /// A flag, then the value if there is one.
    pub fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Parts, T)) {
        self.put_bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }

    /// A UUID, sixteen bytes.
    pub fn put_uuid(&mut self, id: Uuid) {
        self.open.extend_from_slice(id.as_bytes());
    }

    /// A partition's identity.
    pub fn put_topic_partition(&mut self, tp: TopicPartition) {
        self.put_uuid(tp.topic.0);
        self.put_i32(tp.partition.0);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let open = Bytes::from(std::mem::take(&mut self.open));
            self.finished_bytes += open.len();
            self.finished.push(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_are_linked_and_small_ones_gathered_in_order() {
        let large = Bytes::from(vec![7; LINK_BYTES_MIN]);
        let mut parts = Parts::new();
        parts.append(b"ab");
        parts.link(&Bytes::from_static(b"cd"));
        parts.link(&large);
        parts.put_u8(b'e');
        assert_eq!(parts.len(), 5 + LINK_BYTES_MIN);
        let parts = parts.into_parts();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0], "abcd");
        assert_eq!(parts[1].as_ptr(), large.as_ptr(), "linked, not copied");
        assert_eq!(parts[2], "e");
    }
}
