//! The databases of the two services, a SQLite file each, and what the demo counts in them.

use std::{collections::BTreeMap, path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tallymq_client::{inbox::Inbox, outbox::Outbox};

use super::order::{GROUP, Order};
use crate::failure::Failure;

/// How a transaction begins that reads before it writes.
pub const WRITE: &str = "BEGIN IMMEDIATE";

/// Opens, and makes if it is missing, one service's database. One connection: whoever writes waits for its turn instead of
/// trying again and again. What is committed is synced.
async fn open(directory: &Path, file: &str) -> Result<SqlitePool, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(directory.join(file))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(300));
    Ok(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?)
}

/// The order service's database.
#[derive(Clone)]
pub struct Orders {
    pub pool: SqlitePool,
    pub outbox: Outbox<Sqlite>,
}

impl Orders {
    /// Opens it.
    pub async fn open(directory: &Path) -> Result<Orders, Failure> {
        let pool = open(directory, "orders.db").await?;
        let orders =
            "CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, customer TEXT, cents INTEGER)";
        sqlx::query(orders).execute(&pool).await?;
        let outbox = Outbox::new(pool.clone());
        outbox.create_schema().await.map_err(failed)?;
        Ok(Orders { pool, outbox })
    }

    /// Writes an order in that transaction.
    pub async fn insert(tx: &mut Transaction<'_, Sqlite>, order: &Order) -> sqlx::Result<()> {
        let insert = sqlx::query("INSERT INTO orders VALUES (?, ?, ?)").bind(order.number as i64);
        insert.bind(&order.customer).bind(order.cents as i64).execute(&mut **tx).await?;
        Ok(())
    }

    /// How many there are. Their numbers are 1 to that.
    pub async fn count(&self) -> Result<u64, Failure> {
        number(&self.pool, "SELECT COALESCE(MAX(number), 0) FROM orders").await
    }

    /// Whether the message of any order after that one was acknowledged. The outbox has a row for each order.
    pub async fn is_sent_after(&self, order: u64) -> Result<bool, Failure> {
        let sent = sqlx::query_scalar("SELECT COUNT(*) FROM tally_outbox WHERE state = 1 AND id > ?");
        let sent: i64 = sent.bind(order as i64).fetch_one(&self.pool).await?;
        Ok(sent > 0)
    }

    /// How many of their messages the outbox has not sent.
    pub async fn pending(&self) -> Result<u64, Failure> {
        number(&self.pool, "SELECT COUNT(*) FROM tally_outbox WHERE state = 0").await
    }
}

/// The red-packet service's database. Nothing in it keeps an order from having two packets, but the inbox.
#[derive(Clone)]
pub struct Packets {
    pub pool: SqlitePool,
    pub inbox: Inbox<Sqlite>,
}

impl Packets {
    /// Opens it.
    pub async fn open(directory: &Path) -> Result<Packets, Failure> {
        let pool = open(directory, "packets.db").await?;
        let packets = "CREATE TABLE IF NOT EXISTS packets (number INTEGER PRIMARY KEY, of_order INTEGER, \
            customer TEXT, cents INTEGER)";
        sqlx::query(packets).execute(&pool).await?;
        let inbox = Inbox::new(pool.clone(), GROUP);
        inbox.create_schema().await.map_err(failed)?;
        Ok(Packets { pool, inbox })
    }

    /// Writes a red packet in that transaction.
    pub async fn insert(tx: &mut Transaction<'_, Sqlite>, order: &Order) -> sqlx::Result<()> {
        let insert = "INSERT INTO packets (of_order, customer, cents) VALUES (?, ?, ?)";
        let insert = sqlx::query(insert).bind(order.number as i64);
        insert.bind(&order.customer).bind(order.cents as i64).execute(&mut **tx).await?;
        Ok(())
    }

    /// How many there are.
    pub async fn count(&self) -> Result<u64, Failure> {
        number(&self.pool, "SELECT COALESCE(MAX(number), 0) FROM packets").await
    }

    /// The order of the packet that was made as the `at`-th, from 0.
    pub async fn order_of(&self, at: u64) -> Result<u64, Failure> {
        let order = sqlx::query_scalar("SELECT of_order FROM packets ORDER BY number LIMIT 1 OFFSET ?");
        let order: i64 = order.bind(at as i64).fetch_one(&self.pool).await?;
        Ok(order as u64)
    }

    /// How many packets each order has.
    pub async fn by_order(&self) -> Result<BTreeMap<u64, u64>, Failure> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT of_order, COUNT(*) FROM packets GROUP BY of_order")
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|(order, packets)| (order as u64, packets as u64)).collect())
    }

    /// How many messages came again after their work was done, and were not worked on again.
    pub async fn repeats(&self) -> Result<u64, Failure> {
        Ok(self.inbox.progress().await.map_err(failed)?.repeats)
    }
}

async fn number(pool: &SqlitePool, sql: &'static str) -> Result<u64, Failure> {
    let number: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
    Ok(number as u64)
}

/// Any error of a kit as the command's.
pub fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        failed(error)
    }
}
