//! Changes that check a version, on every database.

use sqlx::Transaction;
use tallymq_client::inbox::{Applied, Change, ChangeError, Value};

use crate::support::database::{Db, on_every_database, open};

on_every_database!(
    the_newest_wins_in_any_order,
    an_update_needs_the_version_it_has_seen,
    every_kind_of_value_is_kept
);

const TABLE: &str = "CREATE TABLE price (shop INTEGER NOT NULL, sku VARCHAR(20) NOT NULL, cents BIGINT, \
     version BIGINT NOT NULL, code VARCHAR(20) UNIQUE, PRIMARY KEY (shop, sku))";

fn price(cents: i64) -> Change {
    Change::of("price").key("shop", 1).key("sku", "tea").set("cents", cents)
}

async fn table<DB: Db>(tx: &mut Transaction<'_, DB>) {
    DB::execute(tx, TABLE.into()).await.unwrap();
}

async fn the_newest_wins_in_any_order<DB: Db>() {
    let db = open::<DB>().await;
    let mut tx = db.pool.begin_with(DB::WRITE).await.unwrap();
    table::<DB>(&mut tx).await;
    let versions =
        [(2, Applied::Yes), (1, Applied::Stale), (2, Applied::Stale), (5, Applied::Yes), (4, Applied::Stale)];
    for (version, expected) in versions {
        let outcome = price(version * 100).upsert_if_newer(&mut tx, version).await.unwrap();
        assert_eq!(outcome, expected, "version {version}");
    }
    let other = Change::of("price").key("shop", 2).key("sku", "tea").set("cents", 1_i64);
    assert_eq!(other.upsert_if_newer(&mut tx, 1).await.unwrap(), Applied::Yes);
    tx.commit().await.unwrap();
    assert_eq!(DB::number(&db.pool, "SELECT cents FROM price WHERE shop = 1").await.unwrap(), 500);
    assert_eq!(DB::number(&db.pool, "SELECT version FROM price WHERE shop = 1").await.unwrap(), 5);
}

async fn an_update_needs_the_version_it_has_seen<DB: Db>() {
    let db = open::<DB>().await;
    let mut tx = db.pool.begin_with(DB::WRITE).await.unwrap();
    table::<DB>(&mut tx).await;
    assert_eq!(price(1).update_if_version(&mut tx, 1).await.unwrap(), Applied::Stale, "there is no row");
    assert_eq!(price(1).upsert_if_newer(&mut tx, 7).await.unwrap(), Applied::Yes);
    assert_eq!(price(2).update_if_version(&mut tx, 6).await.unwrap(), Applied::Stale);
    assert_eq!(price(3).update_if_version(&mut tx, 7).await.unwrap(), Applied::Yes);
    assert_eq!(price(4).update_if_version(&mut tx, 7).await.unwrap(), Applied::Stale);
    tx.commit().await.unwrap();
    assert_eq!(DB::number(&db.pool, "SELECT cents FROM price").await.unwrap(), 3);
    assert_eq!(DB::number(&db.pool, "SELECT version FROM price").await.unwrap(), 8);

    // A conflict with another unique key is an error and not a stale version.
    let mut tx = db.pool.begin_with(DB::WRITE).await.unwrap();
    let coded = |shop: i32| Change::of("price").key("shop", shop).key("sku", "tea").set("code", "x");
    assert_eq!(coded(8).upsert_if_newer(&mut tx, 1).await.unwrap(), Applied::Yes);
    let taken = coded(9).upsert_if_newer(&mut tx, 1).await;
    assert!(matches!(taken, Err(ChangeError::Database(_))), "{taken:?}");
}

async fn every_kind_of_value_is_kept<DB: Db>() {
    let db = open::<DB>().await;
    let mut tx = db.pool.begin_with(DB::WRITE).await.unwrap();
    let (bytes, real) = match DB::LABEL {
        "postgres" => ("BYTEA", "DOUBLE PRECISION"),
        _ => ("BLOB", "DOUBLE"),
    };
    let table = format!(
        "CREATE TABLE kinds (id BIGINT PRIMARY KEY, b BOOLEAN, r {real}, t VARCHAR(20), y {bytes}, n VARCHAR(20), revision BIGINT)"
    );
    DB::execute(&mut tx, table).await.unwrap();
    let change = Change::of("kinds").key("id", 1_i64).version_column("revision");
    let change = change.set("b", true).set("r", 0.5).set("t", "it's").set("y", vec![0_u8, 255]);
    let change = change.set("n", Value::from(None::<String>));
    assert_eq!(change.clone().upsert_if_newer(&mut tx, 1).await.unwrap(), Applied::Yes);
    assert_eq!(change.update_if_version(&mut tx, 1).await.unwrap(), Applied::Yes);
    tx.commit().await.unwrap();
    let kept = "SELECT COUNT(*) FROM kinds WHERE b AND r = 0.5 AND t = 'it''s' AND LENGTH(y) = 2 AND n IS NULL AND revision = 2";
    assert_eq!(DB::number(&db.pool, kept).await.unwrap(), 1);
}
