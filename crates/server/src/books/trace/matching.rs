//! Whether a batch or a record is the one that is asked for. Pure.

use bytes::Bytes;
use tallymq_gateway::kafka::records::{Header, Record};
use tallymq_model::{BatchHeader, Offset, ProducerId, Sequence};

/// Names the producer instance, in the SDK's sequence headers.
const LABEL_PRODUCER: &str = "tally-producer";
/// The record's number there, as ASCII digits.
const LABEL_SEQUENCE: &str = "tally-seq";
/// What the SDK's copies of failed records say of their original.
const ORIGIN_TOPIC: &str = "tally-origin-topic";
const ORIGIN_PARTITION: &str = "tally-origin-partition";
const ORIGIN_OFFSET: &str = "tally-origin-offset";

/// Which record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The one at this offset.
    Place(Offset),
    /// Those with this key.
    Key(Bytes),
    /// The one with this sequence of an idempotent producer (KIP-98).
    Sequence {
        /// The producer's id.
        producer: ProducerId,
        /// The sequence.
        sequence: Sequence,
    },
    /// The one with this number in the sequence headers.
    Label {
        /// The producer instance.
        producer: String,
        /// The number.
        number: u64,
    },
    /// Those with this header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Bytes,
    },
}

impl Wanted {
    /// Whether a batch may hold one, by its header alone.
    pub fn may_be_in(&self, header: &BatchHeader) -> bool {
        match self {
            Wanted::Place(offset) => (header.base_offset..header.next_offset()).contains(offset),
            Wanted::Sequence { producer, sequence } => {
                header.producer_id == *producer && place_in(header, *sequence).is_some()
            }
            _ => !header.is_control(),
        }
    }

    /// Whether it is this record.
    pub fn is(&self, header: &BatchHeader, record: &Record) -> bool {
        match self {
            Wanted::Place(offset) => record.offset == *offset,
            Wanted::Key(key) => record.key.as_ref() == Some(key),
            Wanted::Sequence { sequence, .. } => place_in(header, *sequence)
                .is_some_and(|delta| record.offset == header.base_offset.plus(i64::from(delta))),
            Wanted::Label { producer, number } => label(record) == Some((producer.as_str(), *number)),
            Wanted::Header { name, value } => {
                record.headers.iter().any(|(found, bytes)| found == name && bytes.as_ref() == Some(value))
            }
        }
    }

    /// Whether there is at most one such record in a partition.
    pub fn is_unique(&self) -> bool {
        matches!(self, Wanted::Place(_) | Wanted::Sequence { .. } | Wanted::Label { .. })
    }
}

/// Where in the batch a sequence is; it wraps after `i32::MAX`.
fn place_in(header: &BatchHeader, sequence: Sequence) -> Option<i32> {
    let base = header.base_sequence;
    if !header.has_producer() || base.0 < 0 || sequence.0 < 0 {
        return None;
    }
    let delta = (i64::from(sequence.0) - i64::from(base.0)).rem_euclid(1 << 31);
    i32::try_from(delta).ok().filter(|delta| *delta <= header.last_offset_delta)
}

/// What a record's sequence headers say. Of headers with the same name the last one counts.
pub fn label(record: &Record) -> Option<(&str, u64)> {
    let last = |wanted: &str| last(&record.headers, wanted);
    let producer = str::from_utf8(last(LABEL_PRODUCER)?).ok()?;
    let number = str::from_utf8(last(LABEL_SEQUENCE)?).ok()?;
    Some((producer, number.parse().ok()?))
}

/// Where a copy for retry or dead-letter topics says that it comes from: topic, partition, offset.
pub fn origin(record: &Record) -> Option<(&str, i32, i64)> {
    let last = |wanted: &str| str::from_utf8(last(&record.headers, wanted)?).ok();
    Some((last(ORIGIN_TOPIC)?, last(ORIGIN_PARTITION)?.parse().ok()?, last(ORIGIN_OFFSET)?.parse().ok()?))
}

fn last<'a>(headers: &'a [Header], wanted: &str) -> Option<&'a [u8]> {
    headers.iter().rev().find(|(name, _)| name == wanted)?.1.as_deref()
}

#[cfg(test)]
mod tests {
    use tallymq_gateway::kafka::records::{BatchOptions, Compression, Producer, build_batch};

    use super::*;

    fn batch(base_sequence: i32, count: usize) -> BatchHeader {
        let producer = Some(Producer { id: 7, epoch: 0, base_sequence });
        let options = BatchOptions { compression: Compression::None, producer };
        BatchHeader::parse(&build_batch(&vec![Record::default(); count], &options)).unwrap()
    }

    fn sequence(number: i32) -> Wanted {
        Wanted::Sequence { producer: ProducerId(7), sequence: Sequence(number) }
    }

    #[test]
    fn a_sequence_is_found_in_its_batch_and_after_a_wrap() {
        let header = batch(10, 3);
        let found: Vec<i32> = (8..15).filter(|at| sequence(*at).may_be_in(&header)).collect();
        assert_eq!(found, [10, 11, 12]);
        let second = Record { offset: header.base_offset.plus(1), ..Record::default() };
        assert!(sequence(11).is(&header, &second) && !sequence(12).is(&header, &second));
        let wrapping = batch(i32::MAX, 2);
        assert!(sequence(i32::MAX).may_be_in(&wrapping) && sequence(0).may_be_in(&wrapping));
        assert!(!sequence(1).may_be_in(&wrapping) && !sequence(-1).may_be_in(&wrapping));
        let other = Wanted::Sequence { producer: ProducerId(8), sequence: Sequence(10) };
        assert!(!other.may_be_in(&header));
    }

    #[test]
    fn keys_headers_and_labels_match_exactly() {
        let header = batch(0, 1);
        let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let record = Record {
            key: text("k"),
            headers: vec![
                ("tally-seq".to_owned(), text("8")),
                ("tally-producer".to_owned(), text("p")),
                ("tally-seq".to_owned(), text("9")),
            ],
            ..Record::default()
        };
        assert!(Wanted::Key(Bytes::from_static(b"k")).is(&header, &record));
        assert!(!Wanted::Key(Bytes::from_static(b"")).is(&header, &record));
        let label = |number| Wanted::Label { producer: "p".to_owned(), number };
        assert!(label(9).is(&header, &record) && !label(8).is(&header, &record), "the last one counts");
        let header_is = |value: &'static [u8]| Wanted::Header {
            name: "tally-seq".to_owned(),
            value: Bytes::from_static(value),
        };
        assert!(header_is(b"8").is(&header, &record) && !header_is(b"7").is(&header, &record));
        assert_eq!(origin(&record), None);
        let says = |name: &str, value| (format!("tally-origin-{name}"), text(value));
        let headers = vec![says("topic", "orders"), says("partition", "2"), says("offset", "17")];
        let copy = Record { headers, ..Record::default() };
        assert_eq!(origin(&copy), Some(("orders", 2, 17)));
    }
}
