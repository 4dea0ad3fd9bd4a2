//! The keys in a batch, and nothing else of its records: for indexes and searches, which look at many and copy none.

use bytes::Bytes;
use tallymq_model::{BatchHeader, batch::HEADER_BYTES, varint};

use super::ReadRecordsError;
use super::compression::{ZSTD_WINDOW_LOG_USUAL, decompress_within};

/// Bound on a batch that is decompressed to be searched.
pub const SEARCHED_BYTES_MAX: usize = 64 << 20;

/// Gives the key of each record that has one to `sink`, in order; control batches have none. Takes at most [`SEARCHED_BYTES_MAX`]
/// beside the batch. After an error the sink may have had some of the keys.
pub fn for_each_key(
    header: &BatchHeader,
    batch: &[u8],
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), ReadRecordsError> {
    if header.is_control() {
        return Ok(());
    }
    let records = &batch[HEADER_BYTES.min(batch.len())..header.size_bytes.min(batch.len())];
    if header.compression() == 0 {
        return keys(header, records, sink);
    }
    let records = Bytes::copy_from_slice(records);
    let records =
        decompress_within(header.compression(), records, SEARCHED_BYTES_MAX, ZSTD_WINDOW_LOG_USUAL)?;
    keys(header, &records, sink)
}

fn keys(header: &BatchHeader, mut rest: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadRecordsError> {
    for at in 0..header.record_count {
        if let Some(key) = take_key(&mut rest).ok_or(ReadRecordsError::Malformed(at))? {
            sink(key);
        }
    }
    Ok(())
}

/// Passes a record. `None`: malformed.
fn take_key<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = usize::try_from(varint::take(rest)?).ok()?;
    let (body, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    let mut body = body.get(1..)?;
    varint::take(&mut body)?;
    varint::take(&mut body)?;
    match varint::take(&mut body)? {
        -1 => Some(None),
        length => Some(Some(body.get(..usize::try_from(length).ok()?)?)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kafka::records::{BatchOptions, Compression, Record, build_batch, read_records};

    fn found(batch: &[u8]) -> Result<Vec<Bytes>, ReadRecordsError> {
        let header = BatchHeader::parse(batch).unwrap();
        let mut keys = Vec::new();
        for_each_key(&header, batch, &mut |key| keys.push(Bytes::copy_from_slice(key)))?;
        Ok(keys)
    }

    proptest! {
        #[test]
        fn they_are_those_of_the_records(keys in prop::collection::vec(prop::option::of("[a-c]{0,3}"), 1..40)) {
            let record = |key: &Option<String>| Record {
                key: key.clone().map(Bytes::from),
                value: Some(Bytes::from_static(b"v")),
                headers: vec![("h".to_owned(), None)],
                ..Record::default()
            };
            let records: Vec<Record> = keys.iter().map(record).collect();
            for compression in [Compression::None, Compression::Lz4] {
                let batch = build_batch(&records, &BatchOptions { compression, producer: None });
                let expected: Vec<Bytes> = keys.iter().flatten().cloned().map(Bytes::from).collect();
                prop_assert_eq!(found(&batch).unwrap(), expected);
            }
        }

        #[test]
        fn what_can_be_read_has_keys_and_nothing_panics(at in 61..120_usize, byte in any::<u8>()) {
            let record = Record { key: Some(Bytes::from_static(b"key")), ..Record::default() };
            let mut batch = build_batch(&vec![record; 6], &BatchOptions::default()).to_vec();
            let at = at.min(batch.len() - 1);
            batch[at] = byte;
            let header = BatchHeader::parse(&batch).unwrap();
            let read = read_records(&header, &Bytes::from(batch.clone()), 1 << 20);
            if let Ok(records) = read {
                let keys: Vec<Bytes> = records.into_iter().filter_map(|record| record.key).collect();
                prop_assert_eq!(found(&batch).unwrap(), keys);
            } else {
                drop(found(&batch));
            }
        }
    }
}
