//! Messages written in the caller's own database transaction, and the relay that sends them. It never sends what was not
//! committed, and never forgets what was.
//!
//! ```text
//!   your transaction                    the relay (one or several, anywhere)
//!   ┌────────────────────────────┐      ┌────────────────────────────────────────────┐
//!   │ BEGIN                      │      │ lease some lanes       (64, by order key)  │
//!   │   your changes             │      │ read their next rows   (in order)          │
//!   │   outbox.put(&mut tx, …)   │ ───▶ │ send, one after the other within a key     │ ───▶ topic
//!   │ COMMIT                     │      │ mark what was acknowledged, give back      │      with the header tally-id
//!   └────────────────────────────┘      └────────────────────────────────────────────┘
//! ```
//!
//! # What it promises
//! - A record is sent if, and only if, its transaction was committed. A relay that dies between the acknowledgement and
//!   the mark sends it again, with the same `tally-id`, which the [`inbox`](crate::inbox) at the other end recognises.
//! - **In order per key**: of two records with the same topic and key, the one whose `put` came first is stored first,
//!   as long as the two transactions did not overlap. Where they may, lock what the key names (the row of the order)
//!   before `put`, as you do anyway when you change it. Records without a key have no order.
//! - A key whose record cannot be sent waits, with back-off; other keys go on. Nothing pending is ever removed.
//!
//! # Use
//! The tables come from [`Outbox::create_schema`], or from the SQL that [`Outbox::schema`] gives to your migrations.
//!
//! ```
//! use sqlx::sqlite::SqlitePoolOptions;
//! use tallymq_client::{
//!     Record,
//!     outbox::{Destination, DestinationError, Outbox},
//! };
//!
//! /// In a real program this is a `tallymq_client::Producer`: see `examples/outbox.rs`.
//! struct Printer;
//! impl Destination for Printer {
//!     async fn send(&self, record: Record) -> Result<(), DestinationError> {
//!         println!("{record:?}");
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A database in memory lives in one connection, hence the 1.
//! let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER)").execute(&pool).await?;
//! let outbox = Outbox::new(pool.clone());
//! outbox.create_schema().await?;
//!
//! let mut tx = pool.begin().await?;
//! sqlx::query("INSERT INTO orders VALUES (1, 30)").execute(&mut *tx).await?;
//! outbox.put(&mut tx, Record::to("orders").key("1").value("30")).await?;
//! tx.commit().await?;
//! assert_eq!(outbox.progress().await?.pending, 1);
//!
//! let mut relay = outbox.relay(Printer);
//! assert_eq!(relay.round().await?.sent, 1); // a service calls relay.run(until)
//! assert_eq!(outbox.progress().await?.pending, 0);
//! # Ok(()) }
//! ```

#[cfg(feature = "sqlite")]
mod check_back;
mod destination;
mod error;
mod header_block;
mod order;
mod progress;
mod relay;
mod statements;
mod store;

#[cfg(feature = "sqlite")]
pub use check_back::{
    Ask, CheckBack, CheckBackError, CheckBackProgress, CheckBackSettings, Half, HalfMessage, Verdict,
};
pub use destination::{Destination, DestinationError};
pub use error::{PutError, StoreError};
pub use progress::{HeldKey, ParkedMessage, Progress};
pub use relay::{OnRefused, Relay, RelaySettings, RelayStatus, Round, Step};
pub use store::{Outbox, OutboxDatabase};
