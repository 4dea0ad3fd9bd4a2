//! The databases that the services run on, behind one trait. A place is a socket, or the path of a file.

use std::{future::Future, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, MySql, Pool, Postgres, Sqlite,
    mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions, MySqlSslMode},
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tallymq_client::{inbox::InboxDatabase, outbox::OutboxDatabase};

/// How long a service waits for a connection while the database is away.
const ACQUIRE: Duration = Duration::from_secs(5);
const CONNECTIONS_MAX: u32 = 16;

/// What the services need of a database beside the outbox and the inbox.
pub trait Store: OutboxDatabase + InboxDatabase {
    /// How a transaction begins that reads before it writes.
    const WRITE: &'static str;
    /// A column that counts up.
    const COUNTING: &'static str;
    /// How many connections write orders at a time.
    const WRITERS: i64;

    /// Makes the database itself, if that is needed.
    fn create(place: &str) -> impl Future<Output = sqlx::Result<()>> + Send;
    fn connect(place: &str) -> impl Future<Output = sqlx::Result<Pool<Self>>> + Send;
    fn execute(conn: &mut Self::Connection, sql: String) -> impl Future<Output = sqlx::Result<()>> + Send;
    fn number(pool: &Pool<Self>, sql: String) -> impl Future<Output = sqlx::Result<i64>> + Send;
}

macro_rules! statements {
    () => {
        async fn execute(conn: &mut Self::Connection, sql: String) -> sqlx::Result<()> {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(drop)
        }

        async fn number(pool: &Pool<Self>, sql: String) -> sqlx::Result<i64> {
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await
        }
    };
}

impl Store for Postgres {
    const WRITE: &'static str = "BEGIN";
    const COUNTING: &'static str = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY";
    const WRITERS: i64 = 4;

    async fn create(_: &str) -> sqlx::Result<()> {
        Ok(())
    }

    async fn connect(place: &str) -> sqlx::Result<Pool<Self>> {
        let options = PgConnectOptions::new_without_pgpass().socket(place).username("tally");
        let options = options.database("postgres").ssl_mode(PgSslMode::Disable);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE);
        pool.connect_with(options).await
    }

    statements!();
}

impl Store for MySql {
    const WRITE: &'static str = "BEGIN";
    const COUNTING: &'static str = "BIGINT AUTO_INCREMENT PRIMARY KEY";
    const WRITERS: i64 = 4;

    async fn create(place: &str) -> sqlx::Result<()> {
        let options = mysql_options(place).database("mysql");
        let mut conn = MySqlConnection::connect_with(&options).await?;
        Self::execute(&mut conn, "CREATE DATABASE IF NOT EXISTS shop".into()).await?;
        conn.close().await
    }

    async fn connect(place: &str) -> sqlx::Result<Pool<Self>> {
        let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE);
        pool.connect_with(mysql_options(place).database("shop")).await
    }

    statements!();
}

fn mysql_options(place: &str) -> MySqlConnectOptions {
    MySqlConnectOptions::new().socket(place).username("root").ssl_mode(MySqlSslMode::Disabled)
}

impl Store for Sqlite {
    const WRITE: &'static str = "BEGIN IMMEDIATE";
    const COUNTING: &'static str = "INTEGER PRIMARY KEY AUTOINCREMENT";
    const WRITERS: i64 = 2;

    async fn create(_: &str) -> sqlx::Result<()> {
        Ok(())
    }

    /// Without a sync per commit: what is killed are processes, and the kernel keeps what they wrote.
    async fn connect(place: &str) -> sqlx::Result<Pool<Self>> {
        let options = SqliteConnectOptions::new().filename(place).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
        let options = options.busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE);
        pool.connect_with(options).await
    }

    statements!();
}

/// Connects, for as long as it takes: a service may start while its database is away.
pub async fn connected<DB: Store>(place: &str) -> Pool<DB> {
    loop {
        match DB::connect(place).await {
            Ok(pool) => return pool,
            Err(error) => eprintln!("no database yet: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
