//! Answers on their way to a socket: small pieces are copied together, large ones are shared, and it is counted what the
//! socket took. No frame and no call is known here.

use std::{collections::VecDeque, io, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;

/// A piece of this size is not added to.
const GATHER_BYTES: usize = 64 * 1024;
/// Unsent bytes of answers above which no further call begins: a client that asks and does not read gets no more.
const UNSENT_BYTES_MAX: usize = 256 * 1024;
/// Pieces of an answer below this size are copied together.
const COPY_BYTES_MAX: usize = 2048;
/// Pieces that one write hands to the kernel.
pub(super) const WRITE_PIECES_MAX: usize = 64;

/// Gives the socket what it takes; how many bytes that were.
pub(super) async fn write(writer: &mut (impl AsyncWriteExt + Unpin), output: &Output) -> io::Result<usize> {
    let slices: Vec<IoSlice<'_>> =
        output.pieces.iter().take(WRITE_PIECES_MAX).map(|piece| IoSlice::new(piece)).collect();
    match writer.write_vectored(&slices).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        sent => Ok(sent),
    }
}

/// Answers on their way to the socket.
#[derive(Default)]
pub(super) struct Output {
    pub(super) pieces: VecDeque<Bytes>,
    /// Length of all `pieces`.
    bytes: usize,
    /// Bytes that were ever pushed.
    pub(super) pushed: u64,
    /// Bytes of them that the socket took.
    pub(super) taken: u64,
    /// Small pieces that are not in `pieces` yet; empty whenever something is written.
    open: BytesMut,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The client has to read before it is given more.
    pub(super) fn is_backed_up(&self) -> bool {
        self.bytes > UNSENT_BYTES_MAX || self.pieces.len() >= WRITE_PIECES_MAX
    }

    /// Small pieces are copied together: a write of many of them costs more than the copy.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.pushed += piece.len() as u64;
        if piece.len() >= COPY_BYTES_MAX {
            self.seal();
            self.bytes += piece.len();
            self.pieces.push_back(piece);
            return;
        }
        self.open.extend_from_slice(&piece);
        if self.open.len() >= GATHER_BYTES {
            self.seal();
        }
    }

    pub(super) fn seal(&mut self) {
        if !self.open.is_empty() {
            self.bytes += self.open.len();
            self.pieces.push_back(self.open.split().freeze());
        }
    }

    pub(super) fn advance(&mut self, mut sent: usize) {
        self.bytes -= sent;
        self.taken += sent as u64;
        while let Some(piece) = self.pieces.front_mut() {
            if sent < piece.len() {
                return piece.advance(sent);
            }
            sent -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_read_is_backed_up_until_it_does() {
        let mut output = Output::default();
        let answer = Bytes::from(vec![7; 100_000]);
        for _ in 0..2 {
            output.push(answer.clone());
            output.push(Bytes::from_static(b"a small piece between"));
            output.seal();
            assert!(!output.is_backed_up());
        }
        output.push(answer.clone());
        assert!(output.is_backed_up());
        output.advance(50_000);
        assert!(!output.is_backed_up());
        output.advance(250_000 + 2 * 21);
        assert_eq!((output.bytes, output.is_empty()), (0, true));
        for _ in 0..WRITE_PIECES_MAX {
            assert!(!output.is_backed_up());
            output.push(Bytes::from(vec![7; COPY_BYTES_MAX]));
        }
        assert!(output.is_backed_up());
    }
}
