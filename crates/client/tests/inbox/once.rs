//! One consumer, one message after the other.

use std::time::Duration;

use sqlx::Transaction;
use tallymq_client::inbox::{Inbox, InboxError, Once};

use super::{effect, effects, id, inbox};
use crate::support::database::{Db, Opened, on_every_database, open};

on_every_database!(
    the_second_time_nothing_is_done,
    work_that_failed_leaves_nothing_even_in_a_commit,
    a_rollback_takes_the_id_along,
    ids_are_bytes_and_consumers_are_apart,
    old_ids_are_forgotten_by_age,
);

async fn begin<DB: Db>(db: &Opened<DB>) -> Transaction<'static, DB> {
    db.pool.begin_with(DB::WRITE).await.unwrap()
}

/// Does it and commits.
async fn once<DB: Db>(db: &Opened<DB>, inbox: &Inbox<DB>, message: &str) -> Once<()> {
    let mut tx = begin(db).await;
    let work = async |tx: &mut Transaction<'_, DB>| Ok(DB::execute(tx, effect("x")).await?);
    let outcome = inbox.once(&mut tx, &id(message), work).await.unwrap();
    tx.commit().await.unwrap();
    outcome
}

async fn the_second_time_nothing_is_done<DB: Db>() {
    let db = open::<DB>().await;
    let inbox = inbox(&db).await;
    assert_eq!(once(&db, &inbox, "a").await, Once::Done(()));
    assert_eq!(once(&db, &inbox, "a").await, Once::Repeated);
    assert_eq!(once(&db, &inbox, "a").await, Once::Repeated);
    assert_eq!(once(&db, &inbox, "b").await, Once::Done(()));
    assert_eq!(effects(&db).await, 2);
    let progress = inbox.progress().await.unwrap();
    assert_eq!((progress.ids, progress.repeats), (2, 2));
}

async fn work_that_failed_leaves_nothing_even_in_a_commit<DB: Db>() {
    let db = open::<DB>().await;
    let inbox = inbox(&db).await;
    let mut tx = begin(&db).await;
    DB::execute(&mut tx, effect("before")).await.unwrap();
    let outcome = inbox
        .once(&mut tx, &id("a"), async |tx| {
            DB::execute(tx, effect("half of the work")).await?;
            DB::execute(tx, "INSERT INTO no_such_table VALUES (1)".into()).await?;
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(InboxError::Work(_))), "{outcome:?}");
    tx.commit().await.unwrap();
    assert_eq!(effects(&db).await, 1, "only what was there before");
    assert_eq!(once(&db, &inbox, "a").await, Once::Done(()));
}

async fn a_rollback_takes_the_id_along<DB: Db>() {
    let db = open::<DB>().await;
    let inbox = inbox(&db).await;
    for end in ["rollback", "drop"] {
        let mut tx = begin(&db).await;
        let work = async |tx: &mut Transaction<'_, DB>| Ok(DB::execute(tx, effect("x")).await?);
        assert_eq!(inbox.once(&mut tx, &id("a"), work).await.unwrap(), Once::Done(()));
        if end == "rollback" {
            tx.rollback().await.unwrap();
        } else {
            drop(tx);
        }
        assert_eq!(effects(&db).await, 0, "{end}");
    }
    assert_eq!(once(&db, &inbox, "a").await, Once::Done(()), "the id was remembered, the work was not");
    assert_eq!(effects(&db).await, 1);
}

async fn ids_are_bytes_and_consumers_are_apart<DB: Db>() {
    let db = open::<DB>().await;
    let inbox = inbox(&db).await;
    let long = "x".repeat(300);
    for message in ["a", "A", "a ", " a", "ä", "a\u{308}", "ß", "ss", &long, &long[1..]] {
        assert_eq!(once(&db, &inbox, message).await, Once::Done(()), "{message:?}");
        assert_eq!(once(&db, &inbox, message).await, Once::Repeated, "{message:?}");
    }
    let other = Inbox::new(db.pool.clone(), "Tests");
    assert_eq!(once(&db, &other, "a").await, Once::Done(()));
    assert_eq!(other.progress().await.unwrap().ids, 1);
}

async fn old_ids_are_forgotten_by_age<DB: Db>() {
    let db = open::<DB>().await;
    let inbox = inbox(&db).await;
    let other = Inbox::new(db.pool.clone(), "another");
    assert_eq!(once(&db, &other, "a").await, Once::Done(()));
    for message in ["a", "b", "c"] {
        assert_eq!(once(&db, &inbox, message).await, Once::Done(()));
    }
    assert_eq!(inbox.clean(Duration::from_secs(3600), 100).await.unwrap(), 0);
    assert_eq!(inbox.clean(Duration::ZERO, 2).await.unwrap(), 2, "the bound, and the oldest first");
    assert_eq!(once(&db, &inbox, "c").await, Once::Repeated);
    assert_eq!(inbox.clean(Duration::ZERO, 100).await.unwrap(), 1);
    assert_eq!(once(&db, &other, "a").await, Once::Repeated, "another consumer's id was forgotten");
}
