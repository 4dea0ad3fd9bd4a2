//! What can go wrong when a message is put, or when the outbox's own tables are used.

use crate::inbox::MessageIdError;

/// A record was not written. The transaction is as the database left it: PostgreSQL will only roll it back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The record is larger than [`Outbox::record_bytes_max`](super::Outbox::record_bytes_max).
    #[error(
        "the record has {bytes} bytes, more than the {bytes_max} allowed: the broker would refuse it when it is too late; \
         store the content elsewhere and send a reference, or raise record_bytes_max and the topic's max.message.bytes"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// No topic can have this name.
    #[error(
        "\"{0}\" is no topic name: 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-', and not \".\" or \"..\""
    )]
    Topic(String),
    /// The header `tally-id` of the record cannot be used as its id.
    #[error("the record's tally-id cannot be used: {0}")]
    Id(#[from] MessageIdError),
    /// A message with this id is in the outbox already.
    #[error(
        "a message with the id \"{0}\" is already in the outbox; if this is a retry, the first one is enough"
    )]
    IdTaken(String),
    /// The database failed.
    #[error(
        "the outbox could not be written: {0}; roll back and try again (is the schema there? Outbox::create_schema)"
    )]
    Database(#[source] sqlx::Error),
}

/// The outbox's tables could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the outbox's tables cannot be used: {0}; check the connection and the schema (Outbox::create_schema)"
)]
pub struct StoreError(#[from] pub(super) sqlx::Error);

impl StoreError {
    /// What the database said.
    pub fn into_database_error(self) -> sqlx::Error {
        self.0
    }
}
