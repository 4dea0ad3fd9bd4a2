//! The bounded reader: every length is checked against the bytes that remain before anything is allocated, and what
//! a message may take in memory is bounded by its encoded size. It never copies payloads and never panics.

use bytes::{Buf, Bytes};

use super::{DecodeFault, Layout, Wire};

/// How many bytes of lists a frame may take in memory per encoded byte. Honest messages stay below 10 (lists of very
/// short names); a list of nothing but empty strings takes 24.
const MEMORY_PER_BYTE_MAX: usize = 16;
/// What any frame may take, so that small frames full of empty values are fine.
const MEMORY_FREE_BYTES: usize = 64 * 1024;

/// Reads values from a frame. Payloads come out as slices that share the frame's memory.
#[derive(Debug)]
pub struct Reader {
    bytes: Bytes,
    memory_left_bytes: usize,
}

impl Reader {
    /// A reader over one frame, or over one opaque payload.
    pub fn new(bytes: Bytes) -> Self {
        let memory_left_bytes =
            bytes.len().saturating_mul(MEMORY_PER_BYTE_MAX).saturating_add(MEMORY_FREE_BYTES);
        Reader { bytes, memory_left_bytes }
    }

    /// How many bytes have not been read.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// What has not been read, without reading it.
    pub fn peek(&self) -> &[u8] {
        &self.bytes
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeFault> {
        match self.bytes.first_chunk::<N>() {
            Some(chunk) => {
                let chunk = *chunk;
                self.bytes.advance(N);
                Ok(chunk)
            }
            None => Err(DecodeFault::Truncated { wanted: N, remaining: self.remaining() }),
        }
    }

    /// The next `length` bytes, sharing the frame's memory.
    pub fn slice(&mut self, length: usize) -> Result<Bytes, DecodeFault> {
        if length > self.remaining() {
            return Err(DecodeFault::Truncated { wanted: length, remaining: self.remaining() });
        }
        Ok(self.bytes.split_to(length))
    }

    /// Passes over `length` bytes.
    pub fn skip(&mut self, length: usize) -> Result<(), DecodeFault> {
        if length > self.remaining() {
            return Err(DecodeFault::Truncated { wanted: length, remaining: self.remaining() });
        }
        self.bytes.advance(length);
        Ok(())
    }

    /// The next `length` bytes as text.
    pub fn text(&mut self, length: usize) -> Result<String, DecodeFault> {
        let Some(text) = self.bytes.get(..length) else {
            return Err(DecodeFault::Truncated { wanted: length, remaining: self.remaining() });
        };
        let text = std::str::from_utf8(text).map_err(|_| DecodeFault::NotUtf8)?.to_owned();
        self.bytes.advance(length);
        Ok(text)
    }

    /// An unsigned variable-length integer of at most 32 bits: seven bits a byte, lowest first (KIP-482).
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeFault> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array::<1>()?;
            if shift == 28 && byte > 0x0f {
                return Err(DecodeFault::Varint);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeFault::Varint)
    }

    /// The length of a string: two bytes, or compact; `None` is null.
    pub fn text_length(&mut self, layout: Layout) -> Result<Option<usize>, DecodeFault> {
        if layout.flexible { self.compact_length() } else { length(i16::from_be_bytes(self.array()?).into()) }
    }

    /// The length of bytes, or the number of elements in a list: four bytes, or compact; `None` is null.
    pub fn length(&mut self, layout: Layout) -> Result<Option<usize>, DecodeFault> {
        if layout.flexible { self.compact_length() } else { length(i32::from_be_bytes(self.array()?).into()) }
    }

    /// A compact length is stored plus one; 0 is null (KIP-482).
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeFault> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    /// An empty list with room for `count` elements of `T`, if the remaining bytes can hold that many.
    pub fn list<T: Wire>(&mut self, count: usize, layout: Layout) -> Result<Vec<T>, DecodeFault> {
        let wire_bytes_min = count.saturating_mul(T::bytes_min(layout).max(1));
        if wire_bytes_min > self.remaining() {
            return Err(DecodeFault::CountTooLarge { count, remaining: self.remaining() });
        }
        let memory_bytes = count.saturating_mul(size_of::<T>());
        self.memory_left_bytes =
            self.memory_left_bytes.checked_sub(memory_bytes).ok_or(DecodeFault::TooCostly)?;
        Ok(Vec::with_capacity(count))
    }
}

fn length(length: i64) -> Result<Option<usize>, DecodeFault> {
    match length {
        -1 => Ok(None),
        0.. => Ok(Some(length as usize)),
        _ => Err(DecodeFault::NegativeLength(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &'static [u8]) -> Reader {
        Reader::new(Bytes::from_static(bytes))
    }

    #[test]
    fn varints_end_at_32_bits() {
        assert_eq!(reader(&[0x7f]).unsigned_varint(), Ok(127));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unsigned_varint(), Ok(u32::MAX));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x10]).unsigned_varint(), Err(DecodeFault::Varint));
        assert_eq!(reader(&[0x80; 6]).unsigned_varint(), Err(DecodeFault::Varint));
        assert_eq!(
            reader(&[0x80]).unsigned_varint(),
            Err(DecodeFault::Truncated { wanted: 1, remaining: 0 })
        );
    }

    #[test]
    fn lists_are_refused_before_they_are_allocated() {
        let plain = Layout { version: 0, flexible: false };
        let fault = reader(&[0; 8]).list::<i32>(3, plain).expect_err("12 bytes are not there");
        assert_eq!(fault, DecodeFault::CountTooLarge { count: 3, remaining: 8 });
        let fault = reader(&[0; 8]).list::<i64>(usize::MAX, plain).expect_err("no overflow");
        assert_eq!(fault, DecodeFault::CountTooLarge { count: usize::MAX, remaining: 8 });
        assert!(reader(&[0; 8]).list::<i32>(2, plain).is_ok());
    }

    #[test]
    fn a_frame_cannot_take_many_times_its_size() {
        let flexible = Layout { version: 0, flexible: true };
        let count = 1 << 20;
        let mut reader = Reader::new(Bytes::from(vec![1; count]));
        assert_eq!(reader.list::<String>(count, flexible).expect_err("24 times"), DecodeFault::TooCostly);
    }

    #[test]
    fn negative_lengths_are_no_lengths() {
        let plain = Layout { version: 0, flexible: false };
        assert_eq!(reader(&[0xff, 0xff]).text_length(plain), Ok(None));
        assert_eq!(reader(&[0xff, 0xfe]).text_length(plain), Err(DecodeFault::NegativeLength(-2)));
        assert_eq!(reader(&[0x80, 0, 0, 0]).length(plain), Err(DecodeFault::NegativeLength(-(1 << 31))));
        assert_eq!(reader(&[0]).length(Layout { version: 0, flexible: true }), Ok(None));
    }
}
