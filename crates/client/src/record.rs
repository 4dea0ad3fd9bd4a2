//! A record on its way to a topic. It holds what the caller said and nothing of the wire.

use bytes::Bytes;

use crate::headers::Header;

/// A record to send.
///
/// ```
/// use tallymq_client::Record;
///
/// let record = Record::to("orders").key("customer-7").value(r#"{"order":1}"#).header("source", "web");
/// assert_eq!(record.topic(), "orders");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<Header>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Record {
    /// A record without key, value and headers for that topic.
    pub fn to(topic: impl Into<String>) -> Record {
        Record {
            topic: topic.into(),
            partition: None,
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }

    /// The key. Records with the same key go to the same partition, in the order of their sends.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Record {
        self.key = Some(key.into());
        self
    }

    /// The payload. A record without one is a tombstone on a compacted topic.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Record {
        self.value = Some(value.into());
        self
    }

    /// Adds a header. Names that begin with `tally-` are reserved.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Record {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Sends it to this partition, whatever its key.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Record {
        self.partition = Some(partition);
        self
    }

    /// The record's time in milliseconds since 1970; without it, the time of the send.
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Record {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// The topic it goes to.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Its key.
    pub fn key_bytes(&self) -> Option<&Bytes> {
        self.key.as_ref()
    }

    /// Its payload.
    pub fn value_bytes(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }

    /// Its headers, in order.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// About how many bytes it holds in memory, for bounds.
    pub(crate) fn size_bytes(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|header| header.name.len() + header.value.as_ref().map_or(0, Bytes::len) + 16)
            .sum::<usize>();
        let payload = self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len);
        self.topic.len() + payload + headers + 96
    }
}
