//! Record data as it travels: a list of byte pieces that are shared, never copied and never looked into.

use bytes::Bytes;

/// Record batches, back to back, in one piece or in several (for example patched batch headers between shared
/// bodies). Two are equal if their bytes are, however they are cut.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The only piece of most values, without a list of its own.
    first: Bytes,
    rest: Vec<Bytes>,
}

impl Records {
    /// No record.
    pub const fn new() -> Self {
        Records { first: Bytes::new(), rest: Vec::new() }
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.rest.push(piece);
        }
    }

    /// The size in bytes.
    pub fn bytes(&self) -> usize {
        self.pieces().map(Bytes::len).sum()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.rest).filter(|piece| !piece.is_empty())
    }

    /// Everything in one piece: shared if there is only one (as in every decoded message), else copied together.
    pub fn into_contiguous(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut joined = Vec::with_capacity(self.bytes());
        self.pieces().for_each(|piece| joined.extend_from_slice(piece));
        joined.into()
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Records { first: bytes, rest: Vec::new() }
    }
}

impl FromIterator<Bytes> for Records {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let mut records = Records::new();
        pieces.into_iter().for_each(|piece| records.push(piece));
        records
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        match (self.rest.is_empty(), other.rest.is_empty()) {
            (true, true) => self.first == other.first,
            _ => self.pieces().flatten().eq(other.pieces().flatten()),
        }
    }
}

impl Eq for Records {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_about_bytes_not_pieces() {
        let whole = Records::from(Bytes::from_static(b"abcdef"));
        let cut: Records = [&b""[..], b"abc", b"", b"def"].map(Bytes::from_static).into_iter().collect();
        assert_eq!(whole, cut);
        assert_eq!(cut.pieces().count(), 2);
        assert_eq!(cut.bytes(), 6);
        assert_ne!(whole, Records::from(Bytes::from_static(b"abcdeg")));
        assert_eq!(cut.into_contiguous(), &b"abcdef"[..]);
    }
}
