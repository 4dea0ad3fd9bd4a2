//! ListOffsets by time: it looks into compressed batches, within bounds, and says so where it cannot.

use bytes::Bytes;
use tallymq_gateway::kafka::{ErrorCode, records::Compression};
use tallymq_model::batch::{CRC_START, HEADER_BYTES, LENGTH_PREFIX_BYTES, crc32c};

use crate::{client::batch_at, disks::TestDisk, world::start_on};

const RECORDS: [(i64, &str); 3] = [(1_000, "a"), (2_000, "b"), (3_000, "c")];

/// The batch with other bytes in the place of its compressed records, and a checksum that fits.
fn with_records(batch: &Bytes, records: &[u8]) -> Bytes {
    let mut changed = [&batch[..HEADER_BYTES], records].concat();
    let length = (changed.len() - LENGTH_PREFIX_BYTES) as i32;
    changed[8..LENGTH_PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&changed[CRC_START..]);
    changed[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_be_bytes());
    changed.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_found_inside_a_batch_of_any_compression() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for (number, codec) in codecs.into_iter().enumerate() {
        let later = number as i64 * 10_000;
        let records = RECORDS.map(|(timestamp, value)| (timestamp + later, value));
        client.produce("t", batch_at(&records, codec)).await;
        let found = client.offset("t", later + 1_500).await;
        assert_eq!((found.offset, found.timestamp), (number as i64 * 3 + 1, later + 2_000), "{codec:?}");
    }
    assert_eq!(client.offset("t", 100_000).await.offset, -1, "nothing is so late");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_cannot_be_looked_into_costs_no_memory_and_stops_nobody() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    let plain = batch_at(&RECORDS, Compression::Zstd);
    // RFC 8878 §3.1.1: a frame without flags, a window of 128 MiB, one raw block of three bytes.
    let window = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1 | 3 << 3, 0, 0], &b"abc"[..]].concat();
    assert_eq!(client.produce("t", with_records(&plain, &window)).await.error_code, ErrorCode::None);
    let found = client.offset("t", 1_500).await;
    assert_eq!((found.error_code, found.offset), (ErrorCode::None, 0), "its first record: nothing is missed");

    client.create("u", 1).await;
    assert_eq!(client.produce("u", with_records(&plain, b"no frame")).await.error_code, ErrorCode::None);
    assert_eq!(client.offset("u", 1_500).await.error_code, ErrorCode::UnknownServerError);

    client.create("v", 1).await;
    let cut = batch_at(&RECORDS, Compression::Zstd);
    let empty_frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0];
    assert_eq!(client.produce("v", with_records(&cut, &empty_frame)).await.error_code, ErrorCode::None);
    assert_eq!(client.offset("v", 1_500).await.error_code, ErrorCode::InvalidRecord);
    assert_eq!(client.offset("v", -2).await.offset, 0);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_a_batch_has_only_before_the_log_start_is_looked_for_behind_it() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    for (topic, codec) in [("plain", Compression::None), ("packed", Compression::Zstd)] {
        client.create(topic, 1).await;
        let (early, late) = ([(1_000, "a"), (9_000, "b"), (2_000, "c")], [(3_000, "d"), (9_500, "e")]);
        client.produce(topic, batch_at(&early, codec)).await;
        client.delete_records(topic, 2).await;
        assert_eq!(client.offset(topic, 8_000).await.offset, -1, "{topic}");
        client.produce(topic, batch_at(&late, codec)).await;
        let found = client.offset(topic, 8_000).await;
        assert_eq!((found.offset, found.timestamp), (4, 9_500), "{topic}");
    }
    broker.stop().await;
}
