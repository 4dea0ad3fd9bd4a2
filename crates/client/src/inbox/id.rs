//! Which id a message has. Two deliveries of one message must get the same, two messages never. Pure.

use crate::headers::{self, Header};

/// The header in which the outbox's relay sends a message's id.
pub const ID_HEADER: &str = "tally-id";

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

/// Where a record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
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
    /// The text of the header of this name, such as [`ID_HEADER`].
    Header(String),
}

impl IdSource {
    /// The id of a record that was read there. Copies on retry and dead-letter topics get the id of the record of which
    /// they are copies, by the headers `tally-origin-…`.
    ///
    /// # Errors
    /// If the record has no such header, or its text cannot be an id.
    ///
    /// ```
    /// use tallymq_client::{headers::Header, inbox::{ID_HEADER, IdSource, Origin}};
    ///
    /// let at = Origin { topic: "orders", partition: 3, offset: 1077 };
    /// assert_eq!(IdSource::Position.id(at, &[])?.as_str(), "orders/3/1077");
    /// let headers = [Header::new("tally-id", "order-42")];
    /// assert_eq!(IdSource::Header(ID_HEADER.into()).id(at, &headers)?.as_str(), "order-42");
    /// # Ok::<(), tallymq_client::inbox::MessageIdError>(())
    /// ```
    pub fn id(&self, at: Origin<'_>, headers: &[Header]) -> Result<MessageId, MessageIdError> {
        let missing = |name: &str| MessageIdError::Missing { name: name.to_owned() };
        let origin = first_stored(at, headers);
        match self {
            IdSource::Position => MessageId::from_position(origin.topic, origin.partition, origin.offset),
            IdSource::Sequence => {
                let header = |copied, first| {
                    headers::text(headers, copied)
                        .or_else(|| headers::text(headers, first))
                        .ok_or_else(|| missing(first))
                };
                let producer = header(headers::ORIGIN_PRODUCER, headers::PRODUCER)?;
                let sequence = header(headers::ORIGIN_SEQUENCE, headers::SEQUENCE)?;
                MessageId::new(format!("{producer}/{}/{}/{sequence}", origin.topic, origin.partition))
            }
            IdSource::Header(name) => {
                MessageId::new(headers::text(headers, name).ok_or_else(|| missing(name))?)
            }
        }
    }
}

/// Where the record of which this is a copy was first stored; the record's own place if it is no copy.
fn first_stored<'a>(at: Origin<'a>, headers: &'a [Header]) -> Origin<'a> {
    let origin = || {
        Some(Origin {
            topic: headers::text(headers, headers::ORIGIN_TOPIC)?,
            partition: headers::number(headers, headers::ORIGIN_PARTITION)?,
            offset: headers::number(headers, headers::ORIGIN_OFFSET)?,
        })
    };
    origin().unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Origin<'static> = Origin { topic: "orders-retry-1", partition: 0, offset: 5 };

    fn copied() -> Vec<Header> {
        vec![
            Header::new(headers::ORIGIN_TOPIC, "orders"),
            Header::new(headers::ORIGIN_PARTITION, "3"),
            Header::new(headers::ORIGIN_OFFSET, "1077"),
        ]
    }

    #[test]
    fn a_copy_has_the_id_of_its_original() {
        let original = Origin { topic: "orders", partition: 3, offset: 1077 };
        assert_eq!(IdSource::Position.id(AT, &copied()), IdSource::Position.id(original, &[]));

        let sent = [Header::new(headers::PRODUCER, "p"), Header::new(headers::SEQUENCE, "9")];
        let mut copy = copied();
        copy.push(Header::new(headers::ORIGIN_PRODUCER, "p"));
        copy.push(Header::new(headers::ORIGIN_SEQUENCE, "9"));
        copy.push(Header::new(headers::PRODUCER, "the-retrying-one"));
        copy.push(Header::new(headers::SEQUENCE, "0"));
        assert_eq!(IdSource::Sequence.id(AT, &copy), IdSource::Sequence.id(original, &sent));
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
        let id = IdSource::Sequence.id(AT, &[Header::new(headers::PRODUCER, "p")]);
        assert_eq!(id, Err(MessageIdError::Missing { name: "tally-seq".into() }));
        let id = IdSource::Header("x".into()).id(AT, &[Header { name: "x".into(), value: None }]);
        assert_eq!(id, Err(MessageIdError::Missing { name: "x".into() }));
    }
}
