//! The inbox in a database: the id and the work are in one transaction, which the caller begins and ends.

use std::time::Duration;

use sqlx::{Connection, Pool, Transaction};

use super::{
    Concurrent, MessageId, Once, WorkError,
    statements::{Registration, Statements},
};
use crate::planted::planted;

/// A database that can hold an inbox: `sqlx::Postgres`, `sqlx::MySql` (MariaDB, MySQL) and `sqlx::Sqlite`, each behind the
/// feature of its name. Tested on PostgreSQL, MariaDB and SQLite; on MySQL itself it is not.
pub trait InboxDatabase: Statements {}

#[cfg(feature = "mysql")]
impl InboxDatabase for sqlx::MySql {}
#[cfg(feature = "postgres")]
impl InboxDatabase for sqlx::Postgres {}
#[cfg(feature = "sqlite")]
impl InboxDatabase for sqlx::Sqlite {}

/// Why a message was not worked on, or not to the end. Nothing of it will be in the transaction; roll it back, do not
/// acknowledge the message, and let it come again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// The work itself failed. Its changes and the id are out of the transaction again.
    #[error("the work failed: {0}")]
    Work(#[source] WorkError),
    /// Another transaction was in the way: a deadlock, a lock that took too long, a snapshot that is too old.
    #[error(
        "another transaction was in the way: {0}; roll back and try again (in SQLite, begin with BEGIN IMMEDIATE)"
    )]
    Conflict(#[source] sqlx::Error),
    /// The database failed.
    #[error(
        "the inbox cannot be used: {0}; roll back and try again (is the schema there? Inbox::create_schema)"
    )]
    Database(#[source] sqlx::Error),
}

/// What an inbox remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxProgress {
    /// Messages done and not yet forgotten.
    pub ids: u64,
    /// How often one of them came again and was not done again, as far as those transactions were committed.
    pub repeats: u64,
}

/// The inbox of one consumer (a group, a service) in one database. Cheap to clone.
pub struct Inbox<DB: InboxDatabase> {
    pool: Pool<DB>,
    consumer: String,
    concurrent: Concurrent,
}

impl<DB: InboxDatabase> Clone for Inbox<DB> {
    fn clone(&self) -> Self {
        Inbox { pool: self.pool.clone(), consumer: self.consumer.clone(), concurrent: self.concurrent }
    }
}

impl<DB: InboxDatabase> std::fmt::Debug for Inbox<DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inbox { pool: _, consumer, concurrent } = self;
        f.debug_struct("Inbox")
            .field("database", &DB::NAME)
            .field("consumer", consumer)
            .field("concurrent", concurrent)
            .finish_non_exhaustive()
    }
}

impl<DB: InboxDatabase> Inbox<DB> {
    /// The inbox of that consumer, 1 to 255 bytes: the same message is done once by each consumer.
    pub fn new(pool: Pool<DB>, consumer: impl Into<String>) -> Self {
        Inbox { pool, consumer: consumer.into(), concurrent: Concurrent::Wait }
    }

    /// What to do with a message on which another consumer is working: wait (the default) or skip.
    ///
    /// SQLite lets one transaction write at a time, so that it always waits. MySQL waits, too (at most
    /// `innodb_lock_wait_timeout`); MariaDB and PostgreSQL can do both.
    #[must_use]
    pub fn concurrent(mut self, concurrent: Concurrent) -> Self {
        self.concurrent = concurrent;
        self
    }

    /// The SQL that creates the table, for your migrations. Running it again changes nothing.
    pub fn schema() -> &'static str {
        DB::SCHEMA
    }

    /// Creates the table if it is missing.
    ///
    /// # Errors
    /// If the database fails or does not allow it.
    pub async fn create_schema(&self) -> Result<(), InboxError> {
        let mut conn = self.pool.acquire().await.map_err(failed::<DB>)?;
        DB::create_schema(&mut conn).await.map_err(failed::<DB>)
    }

    /// Does the work unless this message was done before, and remembers it: both in the caller's transaction. Commit,
    /// and only then acknowledge the message; [`Once`] says when not to.
    ///
    /// The work gets the transaction to write in, within a savepoint: if it fails, its changes and the id are gone
    /// even if the transaction is committed afterwards. Effects outside of the transaction (a mail, a call) are not
    /// covered: write them to the [`outbox`](crate::outbox) here.
    ///
    /// # Errors
    /// See [`InboxError`].
    pub async fn once<T, F>(
        &self,
        tx: &mut Transaction<'_, DB>,
        id: &MessageId,
        work: F,
    ) -> Result<Once<T>, InboxError>
    where
        F: AsyncFnOnce(&mut Transaction<'_, DB>) -> Result<T, WorkError>,
    {
        let mut both = Connection::begin(&mut **tx).await.map_err(failed::<DB>)?;
        let registration = match DB::register(&mut both, &self.consumer, id, self.concurrent).await {
            Ok(registration) => registration,
            Err(error) => {
                undo(both).await;
                return Err(failed::<DB>(error));
            }
        };
        match registration {
            Registration::New => {}
            Registration::Repeat => {
                both.commit().await.map_err(failed::<DB>)?;
                return Ok(Once::Repeated);
            }
            Registration::Busy => {
                both.rollback().await.map_err(failed::<DB>)?;
                return Ok(Once::Busy);
            }
        }
        if planted("inbox-outside-transaction") {
            DB::tear(&mut both).await.map_err(failed::<DB>)?;
        }
        match work(&mut both).await {
            Ok(result) => {
                both.commit().await.map_err(failed::<DB>)?;
                Ok(Once::Done(result))
            }
            Err(error) => {
                undo(both).await;
                Err(InboxError::Work(error))
            }
        }
    }

    /// Forgets messages that were done longer than `age` ago, at most so many; answers how many. Call it from time to
    /// time. `age` must be longer than a message can come again: longer than the retention of its topic, and than it may lie
    /// in a dead-letter topic, which has none, before it is redriven.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn clean(&self, age: Duration, ids_max: u32) -> Result<u64, InboxError> {
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX / 2);
        let mut conn = self.pool.acquire().await.map_err(failed::<DB>)?;
        DB::clean(&mut conn, &self.consumer, age_ms, ids_max.into()).await.map_err(failed::<DB>)
    }

    /// How much it remembers.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn progress(&self) -> Result<InboxProgress, InboxError> {
        let mut conn = self.pool.acquire().await.map_err(failed::<DB>)?;
        let (ids, repeats) = DB::counts(&mut conn, &self.consumer).await.map_err(failed::<DB>)?;
        Ok(InboxProgress { ids: ids.max(0) as u64, repeats: repeats.max(0) as u64 })
    }
}

/// Takes back what was done since the savepoint. If that fails, the connection is gone, and the database does it.
async fn undo<DB: Statements>(mut both: Transaction<'_, DB>) {
    DB::mend(&mut both).await;
    if let Err(error) = both.rollback().await {
        tracing::debug!(%error, "an inbox's savepoint could not be rolled back");
    }
}

fn failed<DB: Statements>(error: sqlx::Error) -> InboxError {
    if DB::is_conflict(&error) { InboxError::Conflict(error) } else { InboxError::Database(error) }
}
