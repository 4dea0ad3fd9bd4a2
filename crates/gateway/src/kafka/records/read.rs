//! Reading the records of a batch. Every length is checked; what is handed out shares the (decompressed) bytes.

use bytes::Bytes;
use tallymq_model::{BatchHeader, Offset, Timestamp, TimestampType, batch::HEADER_BYTES, varint};
use thiserror::Error;

use super::compression::{ZSTD_WINDOW_LOG_USUAL, decompress_within};
use super::{CompressionError, Header, Record};

/// Why the records of a batch cannot be read.
#[derive(Debug, Error)]
pub enum ReadRecordsError {
    /// They cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// They are not what the header says.
    #[error("record {0} of the batch is malformed")]
    Malformed(i32),
}

/// All records of `batch`, whose header is `header`; at most `bytes_max` bytes of them after decompression. For clients: they
/// take the windows that other clients take.
pub fn read_records(
    header: &BatchHeader,
    batch: &Bytes,
    bytes_max: usize,
) -> Result<Vec<Record>, ReadRecordsError> {
    let compressed = batch.slice(HEADER_BYTES.min(batch.len())..header.size_bytes.min(batch.len()));
    let records = decompress_within(header.compression(), compressed, bytes_max, ZSTD_WINDOW_LOG_USUAL)?;
    let mut rest = &records[..];
    let mut read = Vec::new();
    for at in 0..header.record_count {
        let record = take_record(header, &records, &mut rest).ok_or(ReadRecordsError::Malformed(at))?;
        read.push(record);
    }
    Ok(read)
}

fn take_record(header: &BatchHeader, all: &Bytes, rest: &mut &[u8]) -> Option<Record> {
    let length = usize::try_from(varint::take(rest)?).ok()?;
    let (mut body, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    body = body.get(1..)?;
    let timestamp_delta = varint::take(&mut body)?;
    let offset_delta = varint::take(&mut body)?;
    let key = take_nullable(all, &mut body)?;
    let value = take_nullable(all, &mut body)?;
    let count = varint::take(&mut body)?;
    if count < 0 || count > body.len() as i64 {
        return None;
    }
    let mut headers: Vec<Header> = Vec::new();
    for _ in 0..count {
        let name = take_nullable(all, &mut body)??;
        let name = String::from_utf8_lossy(&name).into_owned();
        headers.push((name, take_nullable(all, &mut body)?));
    }
    let timestamp = match header.timestamp_type() {
        TimestampType::CreateTime => Timestamp(header.first_timestamp.0.wrapping_add(timestamp_delta)),
        TimestampType::LogAppendTime => header.max_timestamp,
    };
    let offset = Offset(header.base_offset.0.checked_add(offset_delta)?);
    Some(Record { offset, timestamp, key, value, headers })
}

fn take_nullable(all: &Bytes, from: &mut &[u8]) -> Option<Option<Bytes>> {
    match varint::take(from)? {
        -1 => Some(None),
        length => {
            let (taken, rest) = from.split_at_checked(usize::try_from(length).ok()?)?;
            *from = rest;
            Some(Some(all.slice_ref(taken)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::records::{BatchOptions, Compression, build_batch};

    #[test]
    fn an_offset_beyond_all_offsets_is_malformed() {
        let one = Record { value: Some(Bytes::from_static(b"v")), ..Record::default() };
        let batch = build_batch(&[one.clone(), one], &BatchOptions::default());
        let mut header = BatchHeader::parse(&batch).unwrap();
        header.base_offset = Offset(i64::MAX);
        assert!(matches!(read_records(&header, &batch, 1 << 20), Err(ReadRecordsError::Malformed(1))));
    }

    #[test]
    fn what_is_built_is_read() {
        let records: Vec<Record> = (0..100)
            .map(|n| Record {
                offset: tallymq_model::Offset(n),
                timestamp: Timestamp(1000 + n),
                key: (n % 3 != 0).then(|| Bytes::from(n.to_string())),
                value: (n % 5 != 0).then(|| Bytes::from(vec![n as u8; n as usize])),
                headers: vec![("h".to_owned(), None), ("i".to_owned(), Some(Bytes::from_static(b"j")))],
            })
            .collect();
        for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
            let batch = build_batch(&records, &BatchOptions { compression, producer: None });
            let header = BatchHeader::parse(&batch).unwrap();
            header.check_crc(&batch).unwrap();
            header.check_count().unwrap();
            assert_eq!(read_records(&header, &batch, 1 << 20).unwrap(), records);
        }
    }
}
