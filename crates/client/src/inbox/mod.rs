//! Work done once: the message id and its effect in one transaction of the user's database, or guarded by Redis. It
//! reads no topic: any consumer can use it.
//!
//! A queue delivers at least once: a consumer that dies between its work and the acknowledgement gets the record again,
//! and so does the group after a rebalance. An inbox remembers what was done.
//!
//! | | work and memory | after a crash in the middle |
//! |---|---|---|
//! | `Inbox`: PostgreSQL, MariaDB (and MySQL, untested), SQLite | one transaction: both or neither | exactly as if it had never begun |
//! | `RedisInbox` | apart | done again when the claim has expired: for work that may be repeated, or that checks a version |
//! | `Change` with a version | the row itself remembers | nothing to remember |
//!
//! ```
//! use sqlx::sqlite::SqlitePoolOptions;
//! use tallymq_client::inbox::{Inbox, MessageId, Once};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A database in memory lives in one connection, hence the 1.
//! let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! sqlx::query("CREATE TABLE packets (order_id INTEGER, cents INTEGER)").execute(&pool).await?;
//! let inbox = Inbox::new(pool.clone(), "red-packets");
//! inbox.create_schema().await?;
//!
//! for delivery in 1..=2 { // the same record comes twice
//!     let id = MessageId::from_position("orders", 3, 1077)?;
//!     let mut tx = pool.begin().await?;
//!     let outcome = inbox
//!         .once(&mut tx, &id, async |tx| {
//!             sqlx::query("INSERT INTO packets VALUES (42, 500)").execute(&mut **tx).await?;
//!             Ok(())
//!         })
//!         .await?;
//!     tx.commit().await?;
//!     assert_eq!(outcome, if delivery == 1 { Once::Done(()) } else { Once::Repeated });
//! }
//! let packets: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM packets").fetch_one(&pool).await?;
//! assert_eq!(packets, 1);
//! # Ok(()) }
//! ```
//!
//! With a consumer around it: `examples/inbox.rs`.
//!
//! # Which id
//! One that is the same in every delivery of a message: see [`IdSource`]. If the sender used the
//! outbox, take its header: `IdSource::Header(headers::ID.into())` recognises also what the relay sent twice.

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod change;
mod id;
#[cfg(feature = "redis")]
mod redis_inbox;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod statements;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod store;

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use change::{Applied, Change, ChangeError, Value};
pub use id::{IdSource, MessageId, MessageIdError};
#[cfg(feature = "redis")]
pub use redis_inbox::{RedisInbox, RedisInboxError, RedisInboxSettings};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use store::{Inbox, InboxDatabase, InboxError, InboxProgress};

/// Any error of a handler's own work.
pub type WorkError = Box<dyn std::error::Error + Send + Sync>;

/// What to do with a message on which another consumer is working at this very moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Concurrent {
    /// Wait for the other: the answer is then [`Once::Repeated`], or if the other failed, the work is done here.
    #[default]
    Wait,
    /// Answer [`Once::Busy`] at once.
    Skip,
}

/// What became of a message. Each answer asks for something else, so that a match has to name them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a message that is Busy must not be acknowledged"]
pub enum Once<T> {
    /// The work was done now, with this result. Acknowledge it, after the commit.
    Done(T),
    /// It was done before. Acknowledge it.
    Repeated,
    /// Another consumer works on it now, and may yet fail. Do not acknowledge it; try again later: a handler says
    /// [`HandlerError::not_now`](crate::HandlerError::not_now).
    Busy,
}
