//! What the inbox asks of a database, one method per question. It holds no rule of the inbox.

use std::future::Future;

use super::{Applied, Change, Concurrent, MessageId};

mod body;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// What the unique key said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    New,
    Repeat,
    Busy,
}

/// The statements, for a transaction's connection.
pub trait Statements: sqlx::Database {
    /// The SQL file that creates the table.
    const SCHEMA: &'static str;

    fn create_schema(conn: &mut Self::Connection) -> impl Future<Output = sqlx::Result<()>> + Send;
    /// Writes the id, or counts a repetition.
    fn register(
        conn: &mut Self::Connection,
        consumer: &str,
        id: &MessageId,
        concurrent: Concurrent,
    ) -> impl Future<Output = sqlx::Result<Registration>> + Send;
    /// Removes ids older than that; answers how many.
    fn clean(
        conn: &mut Self::Connection,
        consumer: &str,
        age_ms: i64,
        ids_max: i64,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;
    /// How many ids, and how many repetitions.
    fn counts(
        conn: &mut Self::Connection,
        consumer: &str,
    ) -> impl Future<Output = sqlx::Result<(i64, i64)>> + Send;
    fn update_if_version(
        conn: &mut Self::Connection,
        change: &Change,
        version: i64,
    ) -> impl Future<Output = sqlx::Result<Applied>> + Send;
    fn upsert_if_newer(
        conn: &mut Self::Connection,
        change: &Change,
        version: i64,
    ) -> impl Future<Output = sqlx::Result<Applied>> + Send;
    /// Whether the error says that another transaction was in the way, so that all of it may simply be tried again.
    fn is_conflict(error: &sqlx::Error) -> bool;
    /// After an error: begins the transaction anew if the database has ended it by itself, so that what the caller does
    /// next is in a transaction, and the savepoints that sqlx counts on are there.
    fn mend(conn: &mut Self::Connection) -> impl Future<Output = ()> + Send {
        let _ = conn;
        std::future::ready(())
    }
    /// The planted bug: commits what the transaction has so far, behind the back of its owner.
    fn tear(conn: &mut Self::Connection) -> impl Future<Output = sqlx::Result<()>> + Send;
}
