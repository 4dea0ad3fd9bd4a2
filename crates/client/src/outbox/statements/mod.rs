//! What the outbox asks of a database, one method per statement, and the one body that all dialects share. It holds no
//! rule of the relay. The texts of the statements are in `postgres.rs`, `mysql.rs` and `sqlite.rs`.

use std::future::Future;

mod body;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod numbered;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// A row to write.
pub struct NewRow<'a> {
    pub message_id: &'a str,
    pub lane: i32,
    pub order_key: i64,
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    pub headers: Vec<u8>,
    pub timestamp_ms: Option<i64>,
    pub size_bytes: i64,
}

/// A row that a relay may send next; its content is fetched when it is known to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picked {
    pub id: i64,
    pub order_key: i64,
    pub size_bytes: i64,
    pub attempts: i64, // failed ones of the first pending message of this order key
}

/// The content of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    pub id: i64,
    pub order_key: i64,
    pub message_id: String,
    pub topic: String,
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<u8>,
    pub timestamp_ms: Option<i64>,
}

/// The columns of [`StoredRow`] as they are selected.
type Content =
    (i64, i64, String, String, Option<i32>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>, Option<i64>);

impl From<Content> for StoredRow {
    fn from(columns: Content) -> StoredRow {
        let (id, order_key, message_id, topic, partition, key, payload, headers, timestamp_ms) = columns;
        StoredRow { id, order_key, message_id, topic, partition, key, payload, headers, timestamp_ms }
    }
}

/// A failed attempt, to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub id: i64,
    pub order_key: i64,
    pub message_id: String,
    pub reason: String,
    pub attempts: i64, // with this one; at least 1
    pub hold_ms: i64,
}

/// Rows by state, and how old the oldest pending one is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub pending: i64,
    pub sent: i64,
    pub parked: i64,
    pub held_keys: i64,
    pub oldest_pending_ms: Option<i64>,
}

/// The texts of one dialect. Every statement names its arguments once, in the order of the method's parameters.
struct Texts {
    now: &'static str, // an expression: milliseconds since 1970
    insert: &'static str,
    lanes_with_work: &'static str,
    skip_locked: &'static str, // the end of a SELECT that takes rows nobody has locked
    pick: &'static str,
    fetch: &'static str, // a list of ids and a closing parenthesis follow
    renew: &'static str,
    release: &'static str,
    hold: &'static str,
    park: &'static str,
    unpark: &'static str,
    old: &'static str,
    counts: &'static str,
    held: &'static str,
    parked: &'static str,
}

/// The statements, for a connection or a transaction on it.
pub trait Statements: sqlx::Database {
    /// The SQL file that creates the tables.
    const SCHEMA: &'static str;
    /// How a transaction that will write begins.
    const BEGIN: &'static str;

    fn create_schema(conn: &mut Self::Connection) -> impl Future<Output = sqlx::Result<()>> + Send;
    fn insert(conn: &mut Self::Connection, row: NewRow<'_>) -> impl Future<Output = sqlx::Result<()>> + Send;
    /// Lanes that have something to send now and are free or already of this owner, longest unserved first.
    fn lanes_with_work(
        conn: &mut Self::Connection,
        owner: &str,
        lanes_max: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<i32>>> + Send;
    /// Takes those of the lanes that are still free, or this owner's already; answers with them. It does not wait for a lane
    /// that another connection has locked: a relay that froze in a transaction stops nobody but its lanes.
    fn claim(
        conn: &mut Self::Connection,
        owner: &str,
        lanes: &[i32],
        lease_ms: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<i32>>> + Send;
    /// The next rows of a lane, in order, without those of held order keys.
    fn pick(
        conn: &mut Self::Connection,
        lane: i32,
        rows_max: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<Picked>>> + Send;
    fn fetch(
        conn: &mut Self::Connection,
        ids: &[i64],
    ) -> impl Future<Output = sqlx::Result<Vec<StoredRow>>> + Send;
    fn mark_sent(conn: &mut Self::Connection, ids: &[i64]) -> impl Future<Output = sqlx::Result<()>> + Send;
    /// How many lanes were renewed.
    fn renew(
        conn: &mut Self::Connection,
        owner: &str,
        lease_ms: i64,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;
    fn release(conn: &mut Self::Connection, owner: &str) -> impl Future<Output = sqlx::Result<()>> + Send;
    fn hold(conn: &mut Self::Connection, failure: &Failure) -> impl Future<Output = sqlx::Result<()>> + Send;
    fn unhold(
        conn: &mut Self::Connection,
        order_keys: &[i64],
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
    fn park(
        conn: &mut Self::Connection,
        id: i64,
        reason: &str,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
    fn unpark(
        conn: &mut Self::Connection,
        message_id: &str,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;
    /// Removes sent rows older than that; answers how many.
    fn clean(
        conn: &mut Self::Connection,
        age_ms: i64,
        rows_max: i64,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;
    fn counts(conn: &mut Self::Connection) -> impl Future<Output = sqlx::Result<Counts>> + Send;
    /// Message id, attempts and reason of the first message of held order keys.
    fn held(
        conn: &mut Self::Connection,
        rows_max: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<(String, i64, String)>>> + Send;
    /// Message id, topic and reason.
    fn parked(
        conn: &mut Self::Connection,
        rows_max: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<(String, String, String)>>> + Send;
}
