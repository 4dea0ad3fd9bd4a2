//! Reads the compact binary encoding of commands and checkpointed state that [`Parts`] writes. Every length is checked
//! against the bytes that are there before anything is allocated. Knows no command.

use bytes::{Buf, Bytes};
pub use tallymq_model::Parts;
use tallymq_model::{BatchError, PartitionIndex, TopicId, TopicPartition};
use thiserror::Error;
use uuid::Uuid;

/// Why stored bytes cannot be decoded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the bytes end inside {0}")]
    Truncated(&'static str),
    /// A format version that this build does not know.
    #[error("{what} has format version {found}, this build knows up to {known}")]
    Version {
        /// What was read.
        what: &'static str,
        /// The version in the bytes.
        found: u8,
        /// The newest version that this build reads.
        known: u8,
    },
    /// A variant number that does not exist in this format version.
    #[error("{what} has unknown variant {found}")]
    Variant {
        /// What was read.
        what: &'static str,
        /// The number in the bytes.
        found: u8,
    },
    /// A number outside of its range, or a length that the bytes cannot hold.
    #[error("{0} has an impossible value")]
    Range(&'static str),
    /// Text that is not UTF-8.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// A record batch inside a command is malformed.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// Reads what [`Parts`] wrote, from the front of `Bytes`. What it hands out shares those bytes.
pub struct Reader<'a> {
    bytes: &'a mut Bytes,
}

impl<'a> Reader<'a> {
    /// Reads from the front of `bytes`, and leaves behind what was not read.
    pub fn new(bytes: &'a mut Bytes) -> Reader<'a> {
        Reader { bytes }
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// One byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        if self.bytes.is_empty() {
            return Err(DecodeError::Truncated(what));
        }
        Ok(self.bytes.get_u8())
    }

    /// A format version between 1 and `known`.
    pub fn version(&mut self, what: &'static str, known: u8) -> Result<u8, DecodeError> {
        let found = self.u8(what)?;
        if found == 0 || found > known {
            return Err(DecodeError::Version { what, found, known });
        }
        Ok(found)
    }

    /// A flag.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Range(what)),
        }
    }

    /// An unsigned number, at most ten bytes.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (at, &byte) in self.bytes.iter().take(10).enumerate() {
            if at == 9 && byte > 1 {
                return Err(DecodeError::Range(what));
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.bytes.advance(at + 1);
                return Ok(value);
            }
        }
        Err(DecodeError::Truncated(what))
    }

    /// An unsigned number of 32 bits.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        u32::try_from(self.u64(what)?).map_err(|_| DecodeError::Range(what))
    }

    /// A signed number of 64 bits.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let folded = self.u64(what)?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// A signed number of 32 bits.
    pub fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        i32::try_from(self.i64(what)?).map_err(|_| DecodeError::Range(what))
    }

    /// A signed number of 16 bits.
    pub fn i16(&mut self, what: &'static str) -> Result<i16, DecodeError> {
        i16::try_from(self.i64(what)?).map_err(|_| DecodeError::Range(what))
    }

    /// The count of a list whose elements take at least `element_bytes_min` (not 0) each, so that no count can ask for more
    /// memory than the bytes that are there justify.
    pub fn count(&mut self, what: &'static str, element_bytes_min: usize) -> Result<usize, DecodeError> {
        let count = self.u64(what)?;
        if count > (self.bytes.len() / element_bytes_min.max(1)) as u64 {
            return Err(DecodeError::Truncated(what));
        }
        Ok(count as usize)
    }

    /// Length and bytes, shared with the input.
    pub fn bytes(&mut self, what: &'static str) -> Result<Bytes, DecodeError> {
        let length = self.count(what, 1)?;
        Ok(self.bytes.split_to(length))
    }

    /// Length and text.
    pub fn text(&mut self, what: &'static str) -> Result<String, DecodeError> {
        let bytes = self.bytes(what)?;
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| DecodeError::Text(what))
    }

    /// A flag, then the value if there is one.
    pub fn option<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool(what)? { read(self).map(Some) } else { Ok(None) }
    }

    /// A UUID.
    pub fn uuid(&mut self, what: &'static str) -> Result<Uuid, DecodeError> {
        if self.bytes.len() < 16 {
            return Err(DecodeError::Truncated(what));
        }
        Ok(Uuid::from_u128(self.bytes.get_u128()))
    }

    /// A partition's identity.
    pub fn topic_partition(&mut self, what: &'static str) -> Result<TopicPartition, DecodeError> {
        let topic = TopicId(self.uuid(what)?);
        Ok(TopicPartition { topic, partition: PartitionIndex(self.i32(what)?) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tallymq_model::parts::LINK_BYTES_MIN;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_text_come_back(a: u64, b: i64, c: i32, d: i16, text: String, raw: Vec<u8>, flag: bool) {
            let mut parts = Parts::new();
            parts.put_u64(a);
            parts.put_i64(b);
            parts.put_i32(c);
            parts.put_i16(d);
            parts.put_text(&text);
            parts.put_slice(&raw);
            parts.put_option(flag.then_some(a), Parts::put_u64);
            let length = parts.len();
            let mut bytes = parts.into_bytes();
            prop_assert_eq!(bytes.len(), length);
            let mut reader = Reader::new(&mut bytes);
            prop_assert_eq!(reader.u64("a").unwrap(), a);
            prop_assert_eq!(reader.i64("b").unwrap(), b);
            prop_assert_eq!(reader.i32("c").unwrap(), c);
            prop_assert_eq!(reader.i16("d").unwrap(), d);
            prop_assert_eq!(reader.text("text").unwrap(), text);
            prop_assert_eq!(&reader.bytes("raw").unwrap()[..], &raw[..]);
            prop_assert_eq!(reader.option("flag", |r| r.u64("a")).unwrap(), flag.then_some(a));
            prop_assert_eq!(reader.remaining(), 0);
        }

        #[test]
        fn hostile_bytes_are_errors_and_never_a_panic(raw: Vec<u8>) {
            let all = Bytes::from(raw);
            let _ = Reader::new(&mut all.clone()).u64("x");
            let _ = Reader::new(&mut all.clone()).bytes("x");
            let _ = Reader::new(&mut all.clone()).text("x");
            let _ = Reader::new(&mut all.clone()).count("x", 16);
            let _ = Reader::new(&mut all.clone()).topic_partition("x");
        }
    }

    #[test]
    fn a_big_payload_is_linked_and_sliced_without_a_copy() {
        let payload = Bytes::from(vec![7; LINK_BYTES_MIN]);
        let mut parts = Parts::new();
        parts.put_u8(1);
        parts.put_bytes(&payload);
        parts.put_u8(2);
        let pieces = parts.into_parts();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1].as_ptr(), payload.as_ptr());

        let mut joined = Bytes::from(pieces.concat());
        let start = joined.as_ptr() as usize;
        let mut reader = Reader::new(&mut joined);
        reader.u8("first").unwrap();
        let read = reader.bytes("payload").unwrap();
        assert_eq!(read, payload);
        assert_eq!(read.as_ptr() as usize, start + 3);
    }

    #[test]
    fn an_impossible_length_allocates_nothing() {
        let mut parts = Parts::new();
        parts.put_u64(u64::MAX);
        let mut bytes = parts.into_bytes();
        assert_eq!(Reader::new(&mut bytes).bytes("x"), Err(DecodeError::Truncated("x")));
    }
}
