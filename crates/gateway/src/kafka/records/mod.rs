//! The records inside a batch: built by our own clients, read where somebody wants to see or search them. The broker's
//! produce and fetch paths never come here.
//!
//! ```text
//! | length | attributes | timestamp delta | offset delta | key length, key | value length, value | headers: count, (key, value)… |
//! | varint | i8 = 0     | varlong         | varint       | varint          | varint              | varint                        |
//! ```
//! Varints are zigzag-folded; a length of -1 is null.

mod batch;
mod compression;
mod keys;
mod murmur2;
mod read;

use bytes::Bytes;
use tallymq_model::{Offset, Timestamp};

pub use batch::{BatchOptions, Producer, build_batch};
pub use compression::{Compression, CompressionError, decompress};
pub use keys::{SEARCHED_BYTES_MAX, for_each_key};
pub use murmur2::murmur2;
pub use read::{ReadRecordsError, read_records};

/// A header of a record: a name, and a value that may be null.
pub type Header = (String, Option<Bytes>);

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its offset in the partition; ignored when a batch is built.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Vec<Header>,
}
