//! What decompression may cost in memory, whatever the input claims.

use bytes::Bytes;
use tallymq_gateway::kafka::records::{
    BatchOptions, Compression, CompressionError, Record, build_batch, decompress,
};
use tallymq_model::batch::HEADER_BYTES;

use crate::{ALLOCATED, alone};

const BYTES_MAX: usize = 4 << 20;
/// What decoders take beside the records: blocks and windows.
const BESIDE_BYTES_MAX: usize = 12 << 20;

/// The compressed records of a batch whose value is all zeros.
fn bomb(compression: Compression, bytes: usize) -> Bytes {
    let record = Record { value: Some(vec![0; bytes].into()), ..Record::default() };
    build_batch(&[record], &BatchOptions { compression, producer: None }).slice(HEADER_BYTES..)
}

#[test]
fn decompression_takes_what_it_may_and_no_more() {
    let _alone = alone();
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        for (bytes, is_allowed) in [(BYTES_MAX - 100, true), (4 * BYTES_MAX, false)] {
            let records = bomb(codec, bytes);
            let before = ALLOCATED.current_usage();
            ALLOCATED.reset_peak_usage();
            let result = decompress(codec as i16, records, BYTES_MAX);
            let peak = ALLOCATED.peak_usage().saturating_sub(before);
            assert_eq!(result.is_ok(), is_allowed, "{codec:?} {bytes}");
            assert!(is_allowed || matches!(result, Err(CompressionError::TooLarge(BYTES_MAX))));
            // Growing holds the old and the new buffer for a moment.
            assert!(peak <= 2 * BYTES_MAX + BESIDE_BYTES_MAX, "{codec:?} took {peak} bytes");
        }
    }
}

#[test]
fn a_length_that_is_only_claimed_allocates_nothing() {
    let _alone = alone();
    // A block of snappy that says it is 4 GiB - 1, plain and in xerial's framing; nothing follows.
    let block: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f];
    let framed: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x05\xff\xff\xff\xff\x0f";
    for input in [block, framed] {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let refused = decompress(Compression::Snappy as i16, Bytes::from_static(input), BYTES_MAX);
        assert!(matches!(refused, Err(CompressionError::TooLarge(BYTES_MAX))), "{refused:?}");
        assert!(ALLOCATED.peak_usage().saturating_sub(before) < BYTES_MAX);
    }
}
