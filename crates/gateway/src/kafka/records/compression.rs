//! The codecs of a batch: gzip, snappy in xerial's framing, lz4 frames, zstd. Decompression is bounded by the caller,
//! whatever the input claims: what comes out never takes more than was allowed, and what a decoder needs beside it is known
//! before it is allocated (gzip 32 KiB, lz4 blocks of 4 MiB at most, zstd's window).

use std::io::{self, Read, Write};

use bytes::Bytes;
use thiserror::Error;

/// A codec, as the batch's attributes number it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy, framed as the xerial library does.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// Zstandard (KIP-110).
    Zstd = 4,
}

/// Why records cannot be decompressed.
#[derive(Debug, Error)]
pub enum CompressionError {
    /// A codec number that does not exist.
    #[error("compression codec {0} is unknown")]
    Unknown(i16),
    /// They would be larger than allowed.
    #[error("the records are larger than {0} bytes when decompressed")]
    TooLarge(usize),
    /// The decoder would have to keep more than it may.
    #[error("the records were compressed with a window of more than {0} bytes")]
    WindowTooLarge(u64),
    /// They are not what the codec writes.
    #[error("the compressed records are damaged: {0}")]
    Damaged(#[from] io::Error),
}

/// The window that every zstd decoder should take, and none has to exceed (RFC 8878 §3.1.1.1.2), as a power of two: 8 MiB.
pub(super) const ZSTD_WINDOW_LOG_RECOMMENDED: u32 = 23;
/// The window up to which zstd's own tools and the Java client decompress unasked (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`): 128 MiB.
pub(super) const ZSTD_WINDOW_LOG_USUAL: u32 = 27;

/// How much is read at a time.
const READ_BYTES: usize = 64 * 1024;

/// The magic in front of xerial's framing; version and compatible version follow, four bytes each.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

pub(super) fn compress(codec: Compression, records: Vec<u8>) -> Vec<u8> {
    const WRITES: &str = "compressing into memory cannot fail";
    match codec {
        Compression::None => records,
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            out.write_all(&records).expect(WRITES);
            out.finish().expect(WRITES)
        }
        Compression::Snappy => {
            let mut out = XERIAL_MAGIC.to_vec();
            out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
            for block in records.chunks(XERIAL_BLOCK_BYTES) {
                let block = snap::raw::Encoder::new().compress_vec(block).expect(WRITES);
                out.extend_from_slice(&(block.len() as u32).to_be_bytes());
                out.extend_from_slice(&block);
            }
            out
        }
        Compression::Lz4 => {
            let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
            out.write_all(&records).expect(WRITES);
            out.finish().expect(WRITES)
        }
        Compression::Zstd => zstd::encode_all(&records[..], 0).expect(WRITES),
    }
}

/// The records of a batch, decompressed to at most `bytes_max` bytes; uncompressed ones are shared. Takes at most 8 MiB
/// beside them.
pub fn decompress(codec: i16, records: Bytes, bytes_max: usize) -> Result<Bytes, CompressionError> {
    decompress_within(codec, records, bytes_max, ZSTD_WINDOW_LOG_RECOMMENDED)
}

/// The same with a window of zstd of up to 2^`window_log_max` bytes, which it takes beside the records.
pub(super) fn decompress_within(
    codec: i16,
    records: Bytes,
    bytes_max: usize,
    window_log_max: u32,
) -> Result<Bytes, CompressionError> {
    match codec {
        0 => Ok(records),
        1 => read_bounded(flate2::read::MultiGzDecoder::new(&records[..]), bytes_max),
        2 => decompress_snappy(&records, bytes_max),
        3 => read_bounded(lz4_flex::frame::FrameDecoder::new(&records[..]), bytes_max),
        4 => decompress_zstd(&records, bytes_max, window_log_max),
        unknown => Err(CompressionError::Unknown(unknown)),
    }
}

fn read_bounded(mut from: impl Read, bytes_max: usize) -> Result<Bytes, CompressionError> {
    let mut out = Vec::new();
    loop {
        let length = out.len();
        if length == out.capacity() {
            // Doubled, but never beyond the bound and the one byte that shows that there is more.
            out.reserve_exact(length.max(READ_BYTES).min(bytes_max + 1 - length));
        }
        let room = (out.capacity() - length).min(READ_BYTES);
        out.resize(length + room, 0);
        let read = from.read(&mut out[length..]);
        out.truncate(length + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => return Ok(out.into()),
            Ok(_) if out.len() > bytes_max => return Err(CompressionError::TooLarge(bytes_max)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn decompress_zstd(records: &[u8], bytes_max: usize, window_log_max: u32) -> Result<Bytes, CompressionError> {
    // What zstd calls ZSTD_error_frameParameter_windowTooLarge; its wrapper keeps only the sentence.
    const WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";
    let mut decoder = zstd::Decoder::new(records)?;
    decoder.window_log_max(window_log_max)?;
    match read_bounded(decoder, bytes_max) {
        Err(CompressionError::Damaged(error)) if error.to_string() == WINDOW_TOO_LARGE => {
            Err(CompressionError::WindowTooLarge(1 << window_log_max))
        }
        other => other,
    }
}

fn decompress_snappy(records: &[u8], bytes_max: usize) -> Result<Bytes, CompressionError> {
    if !records.starts_with(&XERIAL_MAGIC) {
        return snappy_block(records, 0, bytes_max).map(Bytes::from);
    }
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a block is cut short");
    let mut rest = records.get(XERIAL_HEADER_BYTES..).ok_or_else(damaged)?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (block, behind) =
            behind.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(damaged)?;
        out.extend(snappy_block(block, out.len(), bytes_max)?);
        rest = behind;
    }
    Ok(out.into())
}

/// One block, behind the `bytes_before` that are decompressed already.
fn snappy_block(block: &[u8], bytes_before: usize, bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    let damaged = |error: snap::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    if snap::raw::decompress_len(block).map_err(damaged)? > bytes_max - bytes_before {
        return Err(CompressionError::TooLarge(bytes_max));
    }
    Ok(snap::raw::Decoder::new().decompress_vec(block).map_err(damaged)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    #[test]
    fn every_codec_comes_back() {
        let records: Vec<u8> = (0..100_000_u32).flat_map(|n| (n % 1000).to_be_bytes()).collect();
        for codec in ALL {
            let compressed = Bytes::from(compress(codec, records.clone()));
            assert_eq!(decompress(codec as i16, compressed, records.len()).unwrap(), records, "{codec:?}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_bound() {
        let records = vec![0; 10 << 20];
        for codec in ALL.into_iter().filter(|codec| *codec != Compression::None) {
            let compressed = Bytes::from(compress(codec, records.clone()));
            let refused = decompress(codec as i16, compressed, 1 << 20);
            assert!(matches!(refused, Err(CompressionError::TooLarge(_))), "{codec:?}");
        }
    }

    /// A frame that asks for a window of 2^`window_log` bytes and has three bytes in one raw block (RFC 8878 §3.1.1).
    fn zstd_frame(window_log: u8) -> Bytes {
        let (magic, no_flags, last_raw_block) = ([0x28, 0xb5, 0x2f, 0xfd], 0, [1 | 3 << 3, 0, 0]);
        [&magic[..], &[no_flags, (window_log - 10) << 3], &last_raw_block, b"abc"].concat().into()
    }

    #[test]
    fn a_window_is_refused_before_it_is_allocated() {
        let within = |window_log| decompress(Compression::Zstd as i16, zstd_frame(window_log), 1 << 20);
        assert_eq!(within(23).unwrap(), "abc");
        for window_log in 24..=41 {
            let refused = within(window_log);
            assert!(matches!(refused, Err(CompressionError::WindowTooLarge(8_388_608))), "{refused:?}");
        }
        let usual = |window_log| decompress_within(4, zstd_frame(window_log), 3, ZSTD_WINDOW_LOG_USUAL);
        assert_eq!(usual(27).unwrap(), "abc");
        assert!(matches!(usual(28), Err(CompressionError::WindowTooLarge(_))));
    }

    #[test]
    fn nothing_fits_into_nothing() {
        for codec in ALL.into_iter().filter(|codec| *codec != Compression::None) {
            let one = decompress(codec as i16, compress(codec, vec![7]).into(), 0);
            assert!(matches!(one, Err(CompressionError::TooLarge(0))), "{codec:?}");
            assert_eq!(decompress(codec as i16, compress(codec, Vec::new()).into(), 0).unwrap(), "");
        }
    }

    #[test]
    fn cut_input_is_an_error_and_never_a_panic() {
        let records: Vec<u8> = (0..1000_u32).flat_map(u32::to_be_bytes).collect();
        for codec in ALL.into_iter().filter(|codec| *codec != Compression::None) {
            let compressed = Bytes::from(compress(codec, records.clone()));
            for cut in 1..compressed.len() {
                let read = decompress(codec as i16, compressed.slice(..cut), records.len());
                assert!(read.is_err() || read.unwrap().len() <= records.len(), "{codec:?} cut at {cut}");
            }
        }
    }
}
