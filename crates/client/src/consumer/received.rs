//! A record as a handler gets it.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _},
};

use crate::{
    headers::{self, Header},
    sequence::SequenceId,
};

/// A place in a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}:{}", self.topic, self.partition, self.offset)
    }
}

/// A record that was read. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Received {
    content: Arc<Content>,
    attempt: u32,
}

#[derive(Debug)]
struct Content {
    position: Position,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<Header>,
    timestamp_ms: Option<i64>,
}

impl Received {
    pub(crate) fn from_message(message: &BorrowedMessage<'_>) -> Received {
        let mut read = Vec::new();
        for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
            read.push(Header {
                name: header.key.to_owned(),
                value: header.value.map(Bytes::copy_from_slice),
            });
        }
        let content = Content {
            position: Position {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                offset: message.offset(),
            },
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers: read,
            timestamp_ms: message.timestamp().to_millis(),
        };
        Received::new(content)
    }

    /// A record that was not read from a broker: for tests of handlers.
    pub fn for_test(
        position: Position,
        key: Option<Bytes>,
        value: Option<Bytes>,
        headers: Vec<Header>,
    ) -> Received {
        Received::new(Content { position, key, value, headers, timestamp_ms: None })
    }

    fn new(content: Content) -> Received {
        let tried: u32 = headers::number(&content.headers, headers::ATTEMPTS).unwrap_or(0);
        Received { content: Arc::new(content), attempt: tried.saturating_add(1) }
    }

    /// The same, with attempts counted from here on: what its headers say is of another topic's consumer.
    pub(crate) fn first_attempt(mut self) -> Received {
        self.attempt = 1;
        self
    }

    pub(crate) fn next_attempt(&self) -> Received {
        Received { content: self.content.clone(), attempt: self.attempt.saturating_add(1) }
    }

    /// Where it was read.
    pub fn position(&self) -> &Position {
        &self.content.position
    }

    /// The topic it was read from; for a retried record, the retry topic.
    pub fn topic(&self) -> &str {
        &self.content.position.topic
    }

    /// The partition it was read from.
    pub fn partition(&self) -> i32 {
        self.content.position.partition
    }

    /// The offset it was read from.
    pub fn offset(&self) -> i64 {
        self.content.position.offset
    }

    /// The key.
    pub fn key(&self) -> Option<&Bytes> {
        self.content.key.as_ref()
    }

    /// The payload.
    pub fn value(&self) -> Option<&Bytes> {
        self.content.value.as_ref()
    }

    /// All headers, in order.
    pub fn headers(&self) -> &[Header] {
        &self.content.headers
    }

    /// The value of the last header of that name.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers().iter().rev().find(|header| header.name == name)?.value.as_ref()
    }

    /// The record's time in milliseconds since 1970: the same through retries, dead letters and redrives, although each copy has
    /// its own for the broker.
    pub fn timestamp_ms(&self) -> Option<i64> {
        headers::number(self.headers(), headers::ORIGIN_TIMESTAMP).or(self.content.timestamp_ms)
    }

    /// The how-manieth attempt this is, from 1, those on retry topics included.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Tells it from another record at the same position.
    pub(crate) fn fingerprint(&self) -> u64 {
        let sum = |bytes: &Option<Bytes>| {
            bytes.as_ref().map(|bytes| (bytes.len(), crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)))
        };
        let content = &*self.content;
        let mut hasher = DefaultHasher::new();
        (content.timestamp_ms, sum(&content.key), sum(&content.value)).hash(&mut hasher);
        for header in &content.headers {
            (&header.name, sum(&header.value)).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Where the record was first stored: the same through retries, dead letters and redrives, so that it can tell
    /// whether work was done already.
    pub fn origin(&self) -> Position {
        let headers = self.headers();
        let origin = || {
            Some(Position {
                topic: headers::text(headers, headers::ORIGIN_TOPIC)?.to_owned(),
                partition: headers::number(headers, headers::ORIGIN_PARTITION)?,
                offset: headers::number(headers, headers::ORIGIN_OFFSET)?,
            })
        };
        origin().unwrap_or_else(|| self.content.position.clone())
    }

    /// Its sender's number: the same through retries, dead letters, redrives and resends.
    pub fn sequence(&self) -> Option<SequenceId> {
        SequenceId::of_origin(self.headers()).or_else(|| SequenceId::of(self.headers()))
    }
}
