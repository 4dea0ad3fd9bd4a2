//! Every check before the log, one by one, with what a real broker says.

use bytes::Bytes;
use proptest::prelude::*;
use tallymq_broker::produce::{AdmitError, AdmitRules, RecordError, RequiredAcks, UnknownAcks, admit};
use tallymq_model::{BatchError, BatchHeader, Timestamp, TimestampType};

use crate::batches::{Draft, NOW, record, record_at, varint};

const RULES: AdmitRules = AdmitRules {
    request_version: 9,
    message_bytes_max: 1_048_588,
    timestamp_type: TimestampType::CreateTime,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: 3_600_000,
    walk_records: true,
};

fn refusal(draft: &Draft) -> AdmitError {
    admit(draft.build(), &RULES, NOW).unwrap_err()
}

#[test]
fn a_good_batch_passes_untouched() {
    let batch = Draft::of_producer(5, 0, i32::MAX, 3).build();
    let admitted = admit(batch.clone(), &RULES, NOW).unwrap();
    assert_eq!(admitted.batch.as_ptr(), batch.as_ptr(), "it is not copied");
    assert_eq!(admitted.batch, batch);
    assert_eq!(admitted.header, BatchHeader::parse(&batch).unwrap());
}

#[test]
fn exactly_one_batch_of_the_current_format() {
    assert_eq!(admit(Bytes::new(), &RULES, NOW), Err(AdmitError::NoBatch));
    let batch = Draft::default().build();
    let two = Bytes::from([&batch[..], &batch[..]].concat());
    assert_eq!(admit(two, &RULES, NOW), Err(AdmitError::ManyBatches));
    for magic in [0, 1] {
        assert_eq!(refusal(&Draft { magic, ..Draft::default() }), AdmitError::Magic(magic as i8));
    }
    for magic in [3, 127] {
        let unheard_of = AdmitError::Corrupt(BatchError::UnsupportedMagic(magic as i8));
        assert_eq!(refusal(&Draft { magic, ..Draft::default() }), unheard_of);
    }
    for length in 1..batch.len() {
        let short = admit(batch.slice(..length), &RULES, NOW);
        assert_eq!(short, Err(AdmitError::NoBatch), "{length} bytes");
    }
}

#[test]
fn each_flipped_bit_under_the_checksum_is_found() {
    let batch = Draft { records: 2, ..Draft::default() }.build();
    for position in 16..batch.len() {
        for bit in 0..8 {
            let mut damaged = batch.to_vec();
            damaged[position] ^= 1 << bit;
            assert!(admit(Bytes::from(damaged), &RULES, NOW).is_err(), "bit {bit} of byte {position}");
        }
    }
    let mut damaged = batch.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let error = admit(Bytes::from(damaged), &RULES, NOW).unwrap_err();
    assert!(matches!(error, AdmitError::Corrupt(BatchError::Crc { .. })), "{error:?}");
}

#[test]
fn a_batch_above_the_limit_is_too_large_and_one_at_it_is_not() {
    let batch = Draft::default().build();
    let rules = |message_bytes_max| AdmitRules { message_bytes_max, ..RULES };
    assert!(admit(batch.clone(), &rules(batch.len()), NOW).is_ok());
    let error = admit(batch.clone(), &rules(batch.len() - 1), NOW).unwrap_err();
    assert_eq!(error, AdmitError::TooLarge { size_bytes: batch.len(), limit_bytes: batch.len() - 1 });
}

#[test]
fn compression_is_known_and_zstd_needs_version_seven() {
    for codec in 0..4 {
        let body = (codec != 0).then(|| vec![1, 2, 3]);
        assert!(admit(Draft { attributes: codec, body, ..Draft::default() }.build(), &RULES, NOW).is_ok());
    }
    let zstd = Draft { attributes: 4, body: Some(vec![1]), ..Draft::default() }.build();
    let version = |request_version| AdmitRules { request_version, ..RULES };
    assert!(admit(zstd.clone(), &version(7), NOW).is_ok());
    assert_eq!(admit(zstd, &version(6), NOW), Err(AdmitError::ZstdTooEarly(6)));
    for codec in 5..8 {
        assert_eq!(
            refusal(&Draft { attributes: codec, ..Draft::default() }),
            AdmitError::UnknownCompression(codec)
        );
    }
}

#[test]
fn contradictions_in_the_header_are_refused() {
    let good = Draft::default();
    let inconsistent = [
        Draft { base_offset: 1, ..good.clone() },
        Draft { records: 0, ..good.clone() },
        Draft { records: -1, body: Some(vec![]), ..good.clone() },
        Draft { last_offset_delta: Some(1), ..good.clone() },
        Draft { last_offset_delta: Some(-1), ..good.clone() },
        Draft { attributes: 1 << 6, ..good.clone() },
        Draft::of_producer(5, 0, -1, 1),
        Draft::of_producer(5, -1, 0, 1),
    ];
    for draft in inconsistent {
        let error = refusal(&draft);
        assert!(matches!(error, AdmitError::Inconsistent(_)), "{draft:?}: {error:?}");
    }
    assert_eq!(refusal(&Draft { attributes: 1 << 5, ..good.clone() }), AdmitError::Control);
    assert_eq!(refusal(&Draft { attributes: 1 << 4, ..good }), AdmitError::NoTransaction);
}

#[test]
fn timestamps_stay_inside_the_limits() {
    let rules = AdmitRules { timestamp_before_max_ms: 1000, timestamp_after_max_ms: 2000, ..RULES };
    let at = |first: i64, max: i64| Draft {
        first_timestamp: NOW.0 + first,
        max_timestamp: NOW.0 + max,
        ..Draft::default()
    };
    for good in [at(0, 0), at(-1000, 2000)] {
        assert!(admit(good.build(), &rules, NOW).is_ok(), "{good:?}");
    }
    for bad in [at(-1001, 0), at(0, 2001)] {
        let error = admit(bad.build(), &rules, NOW).unwrap_err();
        assert!(matches!(error, AdmitError::Timestamp(_)), "{bad:?}: {error:?}");
    }
    let none = Draft { first_timestamp: -1, max_timestamp: -1, ..Draft::default() };
    assert!(admit(none.build(), &rules, NOW).is_ok());
    let by_broker = Draft { attributes: 1 << 3, ..Draft::default() };
    for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
        let error = admit(by_broker.build(), &AdmitRules { timestamp_type, ..RULES }, NOW).unwrap_err();
        assert!(matches!(error, AdmitError::Timestamp(_)), "{error:?}");
    }
    let inside = [record_at(0, 0), record_at(1, 5000)].concat();
    let error =
        admit(Draft { records: 2, body: Some(inside), ..Draft::default() }.build(), &rules, NOW).unwrap_err();
    assert!(matches!(error, AdmitError::Record(RecordError::Timestamp { record: 1, .. })), "{error:?}");
}

#[test]
fn log_append_time_stamps_a_copy_with_a_valid_checksum() {
    let rules =
        AdmitRules { timestamp_type: TimestampType::LogAppendTime, timestamp_before_max_ms: 0, ..RULES };
    let batch = Draft { first_timestamp: 5, max_timestamp: 5, ..Draft::of_producer(5, 0, 7, 2) }.build();
    let stamp = Timestamp(NOW.0 + 1);
    let admitted = admit(batch.clone(), &rules, stamp).unwrap();
    assert_eq!(admitted.header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(admitted.header.max_timestamp, stamp);
    assert_eq!(admitted.header, BatchHeader::parse(&admitted.batch).unwrap());
    admitted.header.check_crc(&admitted.batch).unwrap();
    assert_eq!(admitted.batch[61..], batch[61..]);
}

#[test]
fn malformed_records_are_found_unless_they_are_not_looked_at() {
    let two = |body: Vec<u8>| Draft { records: 2, body: Some(body), ..Draft::default() };
    let with_header = {
        let mut content = vec![0, 0, 0, 1, 0, 2];
        for field in [b"k".as_slice(), b"v".as_slice()] {
            varint(&mut content, field.len() as i64);
            content.extend(field);
        }
        let mut record = Vec::new();
        varint(&mut record, content.len() as i64);
        [record, content].concat()
    };
    assert!(admit(Draft { body: Some(with_header), ..Draft::default() }.build(), &RULES, NOW).is_ok());
    let wrong_delta = refusal(&two([record(0), record(0)].concat()));
    assert_eq!(wrong_delta, AdmitError::Record(RecordError::OffsetDelta { record: 1, delta: 0 }));
    assert_eq!(refusal(&two(record(0))), AdmitError::Record(RecordError::Malformed(1)));
    let trailing = refusal(&two([record(0), record(1), vec![7]].concat()));
    assert_eq!(trailing, AdmitError::Record(RecordError::Trailing(1)));
    let rules = AdmitRules { walk_records: false, ..RULES };
    assert!(admit(two(record(0)).build(), &rules, NOW).is_ok());
}

#[test]
fn acks_are_minus_one_zero_or_one() {
    assert_eq!(RequiredAcks::try_from(-1), Ok(RequiredAcks::All));
    assert_eq!(RequiredAcks::try_from(0), Ok(RequiredAcks::Nothing));
    assert_eq!(RequiredAcks::try_from(1), Ok(RequiredAcks::Leader));
    for acks in [-2, 2, i16::MAX] {
        assert_eq!(RequiredAcks::try_from(acks), Err(UnknownAcks(acks)));
    }
}

proptest! {
    #[test]
    fn hostile_records_with_a_valid_checksum_never_panic(body: Vec<u8>, records in -3..20_i32, attributes in 0..128_i16) {
        let draft = Draft { body: Some(body), records, attributes, ..Draft::default() };
        let _ = admit(draft.build(), &RULES, NOW);
    }

    #[test]
    fn hostile_bytes_never_panic(raw: Vec<u8>) {
        let _ = admit(Bytes::from(raw), &RULES, NOW);
    }
}
