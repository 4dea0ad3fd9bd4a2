//! The codecs of a batch: gzip, snappy in xerial's framing, lz4 frames, zstd. Decompression is bounded by the caller,
//! whatever the input claims.

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
    /// They are not what the codec writes.
    #[error("the compressed records are damaged: {0}")]
    Damaged(#[from] io::Error),
}

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

/// The records of a batch, decompressed to at most `bytes_max` bytes; uncompressed ones are shared.
pub fn decompress(codec: i16, records: Bytes, bytes_max: usize) -> Result<Bytes, CompressionError> {
    match codec {
        0 => Ok(records),
        1 => read_bounded(flate2::read::MultiGzDecoder::new(&records[..]), bytes_max),
        2 => decompress_snappy(&records, bytes_max),
        3 => read_bounded(lz4_flex::frame::FrameDecoder::new(&records[..]), bytes_max),
        4 => read_bounded(zstd::Decoder::new(&records[..])?, bytes_max),
        unknown => Err(CompressionError::Unknown(unknown)),
    }
}

fn read_bounded(from: impl Read, bytes_max: usize) -> Result<Bytes, CompressionError> {
    let mut out = Vec::new();
    from.take(bytes_max as u64 + 1).read_to_end(&mut out)?;
    if out.len() > bytes_max {
        return Err(CompressionError::TooLarge(bytes_max));
    }
    Ok(out.into())
}

fn decompress_snappy(records: &[u8], bytes_max: usize) -> Result<Bytes, CompressionError> {
    if !records.starts_with(&XERIAL_MAGIC) {
        return snappy_block(records, bytes_max).map(Bytes::from);
    }
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a block is cut short");
    let mut rest = records.get(XERIAL_HEADER_BYTES..).ok_or_else(damaged)?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (block, behind) =
            behind.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(damaged)?;
        out.extend(snappy_block(block, bytes_max - out.len())?);
        rest = behind;
    }
    Ok(out.into())
}

fn snappy_block(block: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    let damaged = |error: snap::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    if snap::raw::decompress_len(block).map_err(damaged)? > bytes_max {
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
