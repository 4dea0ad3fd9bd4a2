//! Which id a message has. Two deliveries of one message must get the same, two messages never. Pure.

use crate::{Received, headers, sequence::SequenceId};

/// The longest id, in bytes: room for the longest topic name, a partition and an offset.
const ID_BYTES_MAX: usize = 300;

/// What identifies a message: 1 to 300 bytes of text without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(String);

/// A text cannot be a message id, or a record has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageIdError {
    /// Empty.
    #[error("the id is empty; give every message an id of its own")]
    Empty,
    /// Too long.
    #[error("the id has {bytes} bytes, more than {ID_BYTES_MAX}; use a hash of it")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A control character.
    #[error("the id contains a control character; write it as text, for instance in hexadecimal")]
    Control,
    /// The header is not there.
    #[error(
        "the record has no header \"{name}\" with text in it; have its sender set one, or use another IdSource"
    )]
    Missing {
        /// Which one.
        name: String,
    },
}

impl MessageId {
    /// An id of your own, for instance the number of the order and what happened to it.
    ///
    /// # Errors
    /// If it is empty, too long or not plain text.
    pub fn new(text: impl Into<String>) -> Result<MessageId, MessageIdError> {
        let text = text.into();
        match text.len() {
            0 => Err(MessageIdError::Empty),
            bytes if bytes > ID_BYTES_MAX => Err(MessageIdError::TooLong { bytes }),
            _ if text.chars().any(char::is_control) => Err(MessageIdError::Control),
            _ => Ok(MessageId(text)),
        }
    }

    /// The id of the record at that place in a topic.
    ///
    /// # Errors
    /// If the topic's name is longer than a topic's name can be.
    pub fn from_position(topic: &str, partition: i32, offset: i64) -> Result<MessageId, MessageIdError> {
        MessageId::new(format!("{topic}/{partition}/{offset}"))
    }

    /// A new id that no other message has: a UUID of version 7, so that ids of one time are near each other in an index.
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub(crate) fn unique() -> MessageId {
        MessageId(uuid::Uuid::now_v7().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// From what a record's id is made.
///
/// | source | the same for | not the same for |
/// |---|---|---|
/// | position | redeliveries, retry topics, redriven dead letters | a record that its sender stored twice |
/// | sequence | these, and what a producer with sequence headers sent twice | a message that its sender sends anew after a restart |
/// | header | whatever the sender gave the same id, such as the outbox | |
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IdSource {
    /// Topic, partition and offset where the record was first stored.
    #[default]
    Position,
    /// The headers `tally-producer` and `tally-seq`, with topic and partition, within which they count.
    Sequence,
    /// The text of the header of this name, such as [`headers::ID`].
    Header(String),
}

impl IdSource {
    /// The record's id. Copies on retry and dead-letter topics have that of the record of which they are copies.
    ///
    /// # Errors
    /// If the record has no such header, or its text cannot be an id.
    ///
    /// ```
    /// use tallymq_client::{
    ///     Header, Position, Received, headers,
    ///     inbox::IdSource,
    /// };
    ///
    /// let position = Position { topic: "orders".into(), partition: 3, offset: 1077 };
    /// let record = Received::for_test(position, None, None, vec![Header::new(headers::ID, "order-42")]);
    /// assert_eq!(IdSource::Position.id(&record)?.as_str(), "orders/3/1077");
    /// assert_eq!(IdSource::Header(headers::ID.into()).id(&record)?.as_str(), "order-42");
    /// # Ok::<(), tallymq_client::inbox::MessageIdError>(())
    /// ```
    pub fn id(&self, record: &Received) -> Result<MessageId, MessageIdError> {
        let missing = |name: &str| MessageIdError::Missing { name: name.to_owned() };
        match self {
            IdSource::Position => {
                let origin = record.origin();
                MessageId::from_position(&origin.topic, origin.partition, origin.offset)
            }
            IdSource::Sequence => {
                let origin = record.origin();
                let sequence = record.sequence().ok_or_else(|| missing(headers::SEQUENCE))?;
                let SequenceId { producer, number } = sequence;
                MessageId::new(format!("{producer}/{}/{}/{number}", origin.topic, origin.partition))
            }
            IdSource::Header(name) => {
                MessageId::new(headers::text(record.headers(), name).ok_or_else(|| missing(name))?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Position, headers::Header};

    fn record(topic: &str, offset: i64, headers: Vec<Header>) -> Received {
        Received::for_test(Position { topic: topic.into(), partition: 3, offset }, None, None, headers)
    }

    fn copied(mut with: Vec<Header>) -> Vec<Header> {
        with.extend([
            Header::new(headers::ORIGIN_TOPIC, "orders"),
            Header::new(headers::ORIGIN_PARTITION, "3"),
            Header::new(headers::ORIGIN_OFFSET, "1077"),
        ]);
        with
    }

    #[test]
    fn a_copy_has_the_id_of_its_original() {
        const PRODUCER: &str = "0192d3a5-7c1e-7000-8000-000000000001";
        const RETRYING: &str = "0192d3a5-7c1e-7000-8000-000000000002";
        let sent = vec![Header::new(headers::PRODUCER, PRODUCER), Header::new(headers::SEQUENCE, "9")];
        let original = record("orders", 1077, sent);
        let copy = copied(vec![
            Header::new(headers::ORIGIN_PRODUCER, PRODUCER),
            Header::new(headers::ORIGIN_SEQUENCE, "9"),
            Header::new(headers::PRODUCER, RETRYING),
            Header::new(headers::SEQUENCE, "0"),
        ]);
        let copy = record("orders-retry-1", 5, copy);
        for source in [IdSource::Position, IdSource::Sequence] {
            let id = source.id(&original).unwrap();
            assert_eq!(source.id(&copy).unwrap(), id);
            assert_ne!(source.id(&record("orders", 1078, vec![])), Ok(id));
        }
        let id = IdSource::Sequence.id(&original).unwrap();
        assert_eq!(id.as_str(), "0192d3a5-7c1e-7000-8000-000000000001/orders/3/9");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert_eq!(MessageId::new(""), Err(MessageIdError::Empty));
        assert_eq!(MessageId::new("a\0b"), Err(MessageIdError::Control));
        assert_eq!(MessageId::new("x".repeat(301)), Err(MessageIdError::TooLong { bytes: 301 }));
        let longest = MessageId::from_position(&"x".repeat(249), i32::MAX, i64::MAX);
        assert!(longest.is_ok(), "{longest:?}");
    }

    #[test]
    fn a_missing_header_is_named() {
        let id = IdSource::Sequence.id(&record("t", 0, vec![Header::new(headers::PRODUCER, "p")]));
        assert_eq!(id, Err(MessageIdError::Missing { name: "tally-seq".into() }));
        let id =
            IdSource::Header("x".into()).id(&record("t", 0, vec![Header { name: "x".into(), value: None }]));
        assert_eq!(id, Err(MessageIdError::Missing { name: "x".into() }));
    }
}
