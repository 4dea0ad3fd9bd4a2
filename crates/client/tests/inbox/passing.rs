//! What a database says when other transactions are in the way: no fault of the record that was at work.

use sqlx::{MySql, Postgres, Sqlite};
use tallymq_client::HandlerError;

use crate::support::database::{Db, Opened, open};

/// What the second of two transactions is told that want the same row.
async fn in_the_way<DB: Db>(db: &Opened<DB>, at_once: &str) -> sqlx::Error {
    let mut first = db.pool.acquire().await.unwrap();
    DB::execute(&mut first, "CREATE TABLE stock (article INT PRIMARY KEY, pieces INT NOT NULL)".into())
        .await
        .unwrap();
    DB::execute(&mut first, "INSERT INTO stock VALUES (1, 10)".into()).await.unwrap();
    DB::execute(&mut first, DB::WRITE.into()).await.unwrap();
    DB::execute(&mut first, "UPDATE stock SET pieces = 9".into()).await.unwrap();
    let mut second = db.pool.acquire().await.unwrap();
    DB::execute(&mut second, at_once.into()).await.unwrap();
    let refused = DB::execute(&mut second, "UPDATE stock SET pieces = 8".into()).await.unwrap_err();
    DB::execute(&mut first, "ROLLBACK".into()).await.unwrap();
    refused
}

async fn is_put_off<DB: Db>(at_once: &str) {
    let db = open::<DB>().await;
    let error = in_the_way(&db, at_once).await;
    let text = format!("{error:?}");
    assert!(HandlerError::from(error).is_not_now(), "{text}");
    let mut conn = db.pool.acquire().await.unwrap();
    let own = DB::execute(&mut conn, "INSERT INTO stock VALUES (1, 10)".into()).await.unwrap_err();
    assert!(!HandlerError::from(own).is_not_now(), "the row is there, and stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_mariadb_waited_for_in_vain_is_no_fault_of_the_record() {
    is_put_off::<MySql>("SET innodb_lock_wait_timeout = 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_postgres_waited_for_in_vain_is_no_fault_of_the_record() {
    is_put_off::<Postgres>("SET lock_timeout = 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_sqlite_waited_for_in_vain_is_no_fault_of_the_record() {
    is_put_off::<Sqlite>("PRAGMA busy_timeout = 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_too_old_for_mariadb_is_no_fault_of_the_record() {
    let db = open::<MySql>().await;
    let mut first = db.pool.acquire().await.unwrap();
    let table =
        "CREATE TABLE stock (article INT PRIMARY KEY, pieces INT NOT NULL); INSERT INTO stock VALUES (1, 10)";
    MySql::execute(&mut first, table.into()).await.unwrap();
    let begin = "SET innodb_snapshot_isolation = ON; BEGIN; SELECT * FROM stock";
    MySql::execute(&mut first, begin.into()).await.unwrap();
    let mut second = db.pool.acquire().await.unwrap();
    MySql::execute(&mut second, "UPDATE stock SET pieces = 9".into()).await.unwrap();
    let error = MySql::execute(&mut first, "UPDATE stock SET pieces = 8".into()).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(HandlerError::from(error).is_not_now(), "{text}");
}
