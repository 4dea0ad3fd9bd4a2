//! A database per test, on a shared server or in a file, and the few statements that tests make themselves.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, MySql, Pool, Postgres, Sqlite,
    mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode},
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tallymq_client::{inbox::InboxDatabase, outbox::OutboxDatabase};
use tempfile::TempDir;

use super::server::{Kind, Server, shared};

/// A database that a test has for itself.
pub struct Opened<DB: sqlx::Database> {
    pub pool: Pool<DB>,
    /// How another process reaches it.
    pub place: String,
    pub server: Option<Arc<Server>>,
    _directory: Option<TempDir>,
}

/// What the tests need of a database beside the kits.
pub trait Db: OutboxDatabase + InboxDatabase {
    const LABEL: &'static str;
    const SERVER: Option<Kind>;
    /// How a transaction begins that reads before it writes.
    const WRITE: &'static str;

    /// A new database on this server.
    fn create(server: Option<&Server>, directory: &TempDir) -> impl Future<Output = String> + Send;
    fn connect(place: &str) -> impl Future<Output = Pool<Self>> + Send;
    fn execute(conn: &mut Self::Connection, sql: String) -> impl Future<Output = sqlx::Result<()>> + Send;
    fn number(pool: &Pool<Self>, sql: &str) -> impl Future<Output = sqlx::Result<i64>> + Send;
}

pub async fn open<DB: Db>() -> Opened<DB> {
    open_on(DB::SERVER.map(shared)).await
}

/// On a server that the test may crash.
pub async fn open_alone<DB: Db>() -> Opened<DB> {
    open_on(DB::SERVER.map(|kind| Arc::new(Server::start(kind)))).await
}

async fn open_on<DB: Db>(server: Option<Arc<Server>>) -> Opened<DB> {
    let directory = tempfile::tempdir().unwrap();
    let place = DB::create(server.as_deref(), &directory).await;
    let pool = DB::connect(&place).await;
    Opened { pool, place, server, _directory: Some(directory) }
}

/// A name that no other test has.
fn unique() -> String {
    format!("t{}", uuid::Uuid::new_v4().simple())
}

macro_rules! statements {
    () => {
        async fn execute(conn: &mut Self::Connection, sql: String) -> sqlx::Result<()> {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(drop)
        }

        async fn number(pool: &Pool<Self>, sql: &str) -> sqlx::Result<i64> {
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await
        }
    };
}

const ACQUIRE: Duration = Duration::from_secs(300);

impl Db for Postgres {
    const LABEL: &'static str = "postgres";
    const SERVER: Option<Kind> = Some(Kind::Postgres);
    const WRITE: &'static str = "BEGIN";

    async fn create(server: Option<&Server>, _: &TempDir) -> String {
        let socket = server.unwrap().socket().display().to_string();
        let name = unique();
        let admin = Self::options(&format!("{socket} postgres"));
        let mut conn = admin.connect().await.expect("the admin's connection");
        Self::execute(&mut conn, format!("CREATE DATABASE {name}")).await.unwrap();
        conn.close().await.unwrap();
        format!("{socket} {name}")
    }

    async fn connect(place: &str) -> Pool<Self> {
        let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(ACQUIRE);
        pool.connect_with(Self::options(place)).await.unwrap()
    }

    statements!();
}

trait Options {
    type Options;
    fn options(place: &str) -> Self::Options;
}

impl Options for Postgres {
    type Options = PgConnectOptions;
    fn options(place: &str) -> PgConnectOptions {
        let (socket, name) = place.split_once(' ').unwrap();
        let options = PgConnectOptions::new_without_pgpass().socket(socket).username("tally").database(name);
        options.ssl_mode(PgSslMode::Disable)
    }
}

impl Options for MySql {
    type Options = MySqlConnectOptions;
    fn options(place: &str) -> MySqlConnectOptions {
        let (socket, name) = place.split_once(' ').unwrap();
        let options = MySqlConnectOptions::new().socket(socket).username("root").database(name);
        options.ssl_mode(MySqlSslMode::Disabled)
    }
}

impl Db for MySql {
    const LABEL: &'static str = "mariadb";
    const SERVER: Option<Kind> = Some(Kind::MariaDb);
    const WRITE: &'static str = "BEGIN";

    async fn create(server: Option<&Server>, _: &TempDir) -> String {
        let socket = server.unwrap().socket().display().to_string();
        let name = unique();
        let admin = Self::options(&format!("{socket} mysql"));
        let mut conn = admin.connect().await.expect("the admin's connection");
        Self::execute(&mut conn, format!("CREATE DATABASE {name}")).await.unwrap();
        conn.close().await.unwrap();
        format!("{socket} {name}")
    }

    async fn connect(place: &str) -> Pool<Self> {
        let pool = MySqlPoolOptions::new().max_connections(8).acquire_timeout(ACQUIRE);
        pool.connect_with(Self::options(place)).await.unwrap()
    }

    statements!();
}

impl Db for Sqlite {
    const LABEL: &'static str = "sqlite";
    const SERVER: Option<Kind> = None;
    const WRITE: &'static str = "BEGIN IMMEDIATE";

    async fn create(_: Option<&Server>, directory: &TempDir) -> String {
        let path: PathBuf = directory.path().join("database.sqlite");
        path.display().to_string()
    }

    async fn connect(place: &str) -> Pool<Self> {
        let options = SqliteConnectOptions::new().filename(place).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(ACQUIRE);
        // Only processes are killed here, which loses nothing that was written.
        let options = options.synchronous(SqliteSynchronous::Off);
        let pool = SqlitePoolOptions::new().max_connections(8).acquire_timeout(ACQUIRE);
        pool.connect_with(options).await.unwrap()
    }

    statements!();
}

/// Makes one test of each generic function and each database.
macro_rules! on_every_database {
    ($($test:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<sqlx::Postgres>().await; })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<sqlx::MySql>().await; })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<sqlx::Sqlite>().await; })*
        }
    };
}
pub(crate) use on_every_database;
