//! What the headers of a record say of its sender: the producer instance and the record's number, counted per instance and
//! partition from 0. Pure.

use tallymq_client::headers::{PRODUCER, SEQUENCE};
use tallymq_gateway::kafka::records::Header;

/// What the headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label<'a> {
    /// Neither header is there.
    None,
    /// One is missing, or they are not what they should be.
    Malformed,
    /// The producer instance and the number.
    Sequence(&'a str, u64),
}

/// Reads the headers. Of headers with the same name the last one counts, as with Kafka's `lastHeader`.
pub fn label(headers: &[Header]) -> Label<'_> {
    let last = |wanted: &str| headers.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let (producer, sequence) = match (last(PRODUCER), last(SEQUENCE)) {
        (None, None) => return Label::None,
        (Some(Some(producer)), Some(Some(sequence))) => (producer, sequence),
        _ => return Label::Malformed,
    };
    let producer = str::from_utf8(producer).ok().filter(|text| !text.is_empty());
    match (producer, number(sequence)) {
        (Some(producer), Some(sequence)) => Label::Sequence(producer, sequence),
        _ => Label::Malformed,
    }
}

/// Digits only, and no more than fit in an i64, which every language has.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number: u64 = digits.then(|| str::from_utf8(text).ok()?.parse().ok())??;
    (number <= i64::MAX as u64).then_some(number)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn header(name: &str, value: &[u8]) -> Header {
        (name.to_owned(), Some(Bytes::copy_from_slice(value)))
    }

    #[test]
    fn both_headers_make_a_label() {
        let good = [header("x", b"y"), header(PRODUCER, b"p-1"), header(SEQUENCE, b"42")];
        assert_eq!(label(&good), Label::Sequence("p-1", 42));
        let twice = [&good[..], &[header(SEQUENCE, b"43")]].concat();
        assert_eq!(label(&twice), Label::Sequence("p-1", 43), "the last one counts");
        assert_eq!(label(&[header("tally-sequence", b"1")]), Label::None);
    }

    #[test]
    fn anything_else_is_malformed() {
        assert_eq!(label(&[header(PRODUCER, b"p")]), Label::Malformed);
        assert_eq!(label(&[header(SEQUENCE, b"1")]), Label::Malformed);
        assert_eq!(label(&[header(PRODUCER, b""), header(SEQUENCE, b"1")]), Label::Malformed);
        assert_eq!(label(&[header(PRODUCER, b"\xff"), header(SEQUENCE, b"1")]), Label::Malformed);
        assert_eq!(label(&[(PRODUCER.to_owned(), None), header(SEQUENCE, b"1")]), Label::Malformed);
        for number in ["", "+1", "-1", " 1", "1.0", "0x1", "9223372036854775808", "99999999999999999999999"] {
            let headers = [header(PRODUCER, b"p"), header(SEQUENCE, number.as_bytes())];
            assert_eq!(label(&headers), Label::Malformed, "{number}");
        }
        let most = [header(PRODUCER, b"p"), header(SEQUENCE, b"9223372036854775807")];
        assert_eq!(label(&most), Label::Sequence("p", i64::MAX as u64));
    }
}
