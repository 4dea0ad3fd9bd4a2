//! The outbox: puts messages into the caller's transaction and tells how far they are. It sends nothing.

use std::{sync::Arc, time::Duration};

use sqlx::{Pool, Transaction};
use tokio::sync::Notify;

use super::{
    Destination, HeldKey, ParkedMessage, Progress, PutError, Relay, StoreError, header_block, order,
    statements::{NewRow, Statements},
};
use crate::{Record, headers, inbox::MessageId};

/// A database that can hold an outbox: `sqlx::Postgres`, `sqlx::MySql` (MariaDB, MySQL) and `sqlx::Sqlite`, each behind the
/// feature of its name. Tested on PostgreSQL, MariaDB and SQLite; on MySQL itself it is not.
///
/// MySQL 8 without TLS also wants sqlx's feature `mysql-rsa`.
pub trait OutboxDatabase: Statements {}

#[cfg(feature = "mysql")]
impl OutboxDatabase for sqlx::MySql {}
#[cfg(feature = "postgres")]
impl OutboxDatabase for sqlx::Postgres {}
#[cfg(feature = "sqlite")]
impl OutboxDatabase for sqlx::Sqlite {}

/// Kafka's own default for `max.message.bytes`, less what the batch around the record takes.
const RECORD_BYTES_MAX: usize = 1_000_000;

/// The outbox in one database. Cheap to clone; clones are one outbox.
pub struct Outbox<DB: OutboxDatabase> {
    pool: Pool<DB>,
    record_bytes_max: usize,
    news: Arc<Notify>,
}

impl<DB: OutboxDatabase> Clone for Outbox<DB> {
    fn clone(&self) -> Self {
        Outbox { pool: self.pool.clone(), record_bytes_max: self.record_bytes_max, news: self.news.clone() }
    }
}

impl<DB: OutboxDatabase> std::fmt::Debug for Outbox<DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("database", &DB::NAME).finish_non_exhaustive()
    }
}

impl<DB: OutboxDatabase> Outbox<DB> {
    /// The outbox in the database of this pool.
    pub fn new(pool: Pool<DB>) -> Self {
        Outbox { pool, record_bytes_max: RECORD_BYTES_MAX, news: Arc::new(Notify::new()) }
    }

    /// Refuses records larger than that, in bytes. The default is 1,000,000. Not more than the topics accept.
    #[must_use]
    pub fn record_bytes_max(mut self, bytes_max: usize) -> Self {
        self.record_bytes_max = bytes_max;
        self
    }

    /// The SQL that creates the tables, for your migrations. Running it again changes nothing.
    pub fn schema() -> &'static str {
        DB::SCHEMA
    }

    /// Creates the tables if they are missing.
    ///
    /// # Errors
    /// If the database fails or does not allow it.
    pub async fn create_schema(&self) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        Ok(DB::create_schema(&mut conn).await?)
    }

    /// Writes a record in the caller's transaction: it is sent if that is committed, and never if it is not. Answers
    /// with the id that the record will carry in the header `tally-id`: the value of that header if it has one, else
    /// a new UUID.
    ///
    /// # Errors
    /// See [`PutError`]. Roll back then: the message is not in the transaction.
    pub async fn put(&self, tx: &mut Transaction<'_, DB>, record: Record) -> Result<MessageId, PutError> {
        self.check(&record)?;
        let id = Self::id_of(&record)?;
        let order_key = order::order_key(&record, id.as_str());
        let row = NewRow {
            message_id: id.as_str(),
            lane: order::lane(order_key),
            order_key,
            topic: &record.topic,
            partition: record.partition,
            key: record.key.as_deref(),
            payload: record.value.as_deref(),
            headers: header_block::encode(&record.headers),
            timestamp_ms: record.timestamp_ms,
            size_bytes: record.size_bytes() as i64,
        };
        match DB::insert(tx, row).await {
            Ok(()) => Ok(id),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Err(PutError::IdTaken(id.as_str().to_owned()))
            }
            Err(error) => Err(PutError::Database(error)),
        }
    }

    /// The id in the record's own header, or a new one.
    pub(super) fn id_of(record: &Record) -> Result<MessageId, PutError> {
        match headers::text(record.headers(), headers::ID) {
            Some(given) => Ok(MessageId::new(given)?),
            None => Ok(MessageId::unique()),
        }
    }

    pub(super) fn check(&self, record: &Record) -> Result<(), PutError> {
        let name = record.topic();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > 249 || name == "." || name == ".." || !name.bytes().all(legal) {
            return Err(PutError::Topic(name.chars().take(300).collect()));
        }
        let bytes = record.size_bytes();
        if bytes > self.record_bytes_max {
            return Err(PutError::TooLarge { bytes, bytes_max: self.record_bytes_max });
        }
        Ok(())
    }

    /// Tells the relays of this process that something was committed, so that they need not wait for their next look.
    pub fn wake(&self) {
        self.news.notify_waiters();
    }

    /// How much waits, how much was sent and is still kept, and what is in the way.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn progress(&self) -> Result<Progress, StoreError> {
        let mut conn = self.pool.acquire().await?;
        Ok(Progress::from(DB::counts(&mut conn).await?))
    }

    /// Keys that wait because their first pending message failed, the most often tried first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn held_keys(&self, keys_max: u32) -> Result<Vec<HeldKey>, StoreError> {
        let mut conn = self.pool.acquire().await?;
        Ok(DB::held(&mut conn, keys_max.into()).await?.into_iter().map(HeldKey::from).collect())
    }

    /// Messages that were set aside (see [`OnRefused::Park`](super::OnRefused::Park)), in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn parked(&self, messages_max: u32) -> Result<Vec<ParkedMessage>, StoreError> {
        let mut conn = self.pool.acquire().await?;
        Ok(DB::parked(&mut conn, messages_max.into()).await?.into_iter().map(ParkedMessage::from).collect())
    }

    /// Has a parked message sent after all. It goes out before the pending messages of its key, but later ones may
    /// already have been sent. Answers whether it was parked.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn unpark(&self, id: &MessageId) -> Result<bool, StoreError> {
        let mut conn = self.pool.acquire().await?;
        Ok(DB::unpark(&mut conn, id.as_str()).await? > 0)
    }

    /// Removes messages that were sent longer than `age` ago, at most so many; answers how many. The relay does this by
    /// itself. Pending and parked messages stay, whatever their age.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn clean(&self, age: Duration, messages_max: u32) -> Result<u64, StoreError> {
        let mut conn = self.pool.acquire().await?;
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX / 2);
        Ok(DB::clean(&mut conn, age_ms, messages_max.into()).await?)
    }

    /// A relay that sends this outbox's messages there. Several may run at once, in one process or in many.
    pub fn relay<D: Destination>(&self, destination: D) -> Relay<DB, D> {
        Relay::new(self.clone(), destination)
    }

    pub(super) fn pool(&self) -> &Pool<DB> {
        &self.pool
    }

    pub(super) fn news(&self) -> Arc<Notify> {
        self.news.clone()
    }
}
