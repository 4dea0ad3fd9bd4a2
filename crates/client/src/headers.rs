//! The reserved header names, all that begin with `tally-`, and how their values are written: numbers as decimal text,
//! so that any tool can read them. It reads and writes headers and knows no client.

use bytes::Bytes;

/// Who numbered a record: the producer instance, a UUID as text.
pub const PRODUCER: &str = "tally-producer";
/// The record's number: per producer instance, topic and partition, from 0, plus 1.
pub const SEQUENCE: &str = "tally-seq";
/// Which message this is, however often it is stored: what an outbox writes, and an inbox goes by.
pub const ID: &str = "tally-id";
/// How often handlers have tried the record so far.
pub const ATTEMPTS: &str = "tally-attempts";
/// Why the last attempt failed.
pub const CAUSE: &str = "tally-cause";
/// When the last attempt failed, in milliseconds since 1970.
pub const FAILED_AT: &str = "tally-failed-at";
/// When a record of a retry topic is due, in milliseconds since 1970.
pub const RETRY_AT: &str = "tally-retry-at";
/// The consumer group that gave up on the record, or retries it.
pub const GROUP: &str = "tally-group";
/// The topic where the record was first stored.
pub const ORIGIN_TOPIC: &str = "tally-origin-topic";
/// The partition where the record was first stored.
pub const ORIGIN_PARTITION: &str = "tally-origin-partition";
/// The offset where the record was first stored.
pub const ORIGIN_OFFSET: &str = "tally-origin-offset";
/// The record's time where it was first stored, in milliseconds since 1970: a copy under that time would soon be too old for
/// its topic's retention.
pub const ORIGIN_TIMESTAMP: &str = "tally-origin-timestamp";
/// [`PRODUCER`] of the record where it was first stored: a copy must not look like a duplicate to sequence checkers.
pub const ORIGIN_PRODUCER: &str = "tally-origin-producer";
/// [`SEQUENCE`] of the record where it was first stored.
pub const ORIGIN_SEQUENCE: &str = "tally-origin-seq";
/// How often the record was sent again out of a dead-letter topic.
pub const REDRIVEN: &str = "tally-redriven";
/// On a note in a dead-letter topic: the offset, in the note's own partition, of the letter that is settled.
pub const SETTLES: &str = "tally-settles";
/// On such a note: what became of the letter, `redriven` or `purged`.
pub const SETTLED_AS: &str = "tally-settled-as";

/// One header of a record: a name and a value, which may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name; names may repeat.
    pub name: String,
    /// The value.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(name: impl Into<String>, value: impl Into<Bytes>) -> Header {
        Header { name: name.into(), value: Some(value.into()) }
    }
}

/// The value of the last header called `name`, as text; None if it is absent, null or no UTF-8.
pub(crate) fn text<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    let header = headers.iter().rev().find(|header| header.name == name)?;
    std::str::from_utf8(header.value.as_ref()?).ok()
}

/// The same, as a number.
pub(crate) fn number<T: std::str::FromStr>(headers: &[Header], name: &str) -> Option<T> {
    text(headers, name)?.parse().ok()
}

/// The offset of the letter that a note in a dead-letter topic settles. A copy is no note: some were made of notes, with these
/// headers, and their offset is one of another topic.
pub(crate) fn settles(headers: &[Header]) -> Option<u64> {
    number(headers, SETTLES).filter(|_| text(headers, ORIGIN_TOPIC).is_none())
}

/// Replaces all headers of that name by one, or only removes them.
pub(crate) fn put(headers: &mut Vec<Header>, name: &str, value: Option<String>) {
    headers.retain(|header| header.name != name);
    headers.extend(value.map(|value| Header::new(name, value.into_bytes())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_header_of_a_name_counts() {
        let mut headers = vec![Header::new("a", "1"), Header::new("b", "x"), Header::new("a", "2")];
        assert_eq!(number::<u64>(&headers, "a"), Some(2));
        assert_eq!(number::<u64>(&headers, "b"), None);
        put(&mut headers, "a", Some("3".into()));
        assert_eq!(headers, [Header::new("b", "x"), Header::new("a", "3")]);
        put(&mut headers, "b", None);
        assert_eq!(text(&headers, "b"), None);
    }

    #[test]
    fn a_copy_settles_nothing() {
        let mut headers = vec![Header::new(SETTLES, "7")];
        assert_eq!(settles(&headers), Some(7));
        headers.push(Header::new(ORIGIN_TOPIC, "orders"));
        assert_eq!(settles(&headers), None);
    }
}
