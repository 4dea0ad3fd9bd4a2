//! Several consumers with the same message at the same instant.

use std::{sync::Arc, time::Duration};

use sqlx::{MySql, Postgres, Sqlite, Transaction};
use tallymq_client::inbox::{Concurrent, Inbox, InboxError, Once};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

use super::{effect, effects, id, inbox};
use crate::support::database::{Db, Opened, on_every_database, open};

on_every_database!(
    one_works_and_the_other_waits,
    the_other_works_when_the_first_gives_up,
    many_consumers_and_many_copies_make_one_effect_each,
);

/// A consumer in the middle of its work on message "a", and how to let it go on: true commits, false rolls back.
async fn in_the_middle<DB: Db>(
    db: &Arc<Opened<DB>>,
    inbox: &Inbox<DB>,
) -> (oneshot::Sender<bool>, JoinHandle<()>) {
    let (go_on, told) = oneshot::channel();
    let (begun, has_begun) = oneshot::channel();
    let (db, inbox) = (db.clone(), inbox.clone());
    let working = tokio::spawn(async move {
        let mut tx = db.pool.begin_with(DB::WRITE).await.unwrap();
        let work = async |tx: &mut Transaction<'_, DB>| {
            DB::execute(tx, effect("first")).await?;
            begun.send(()).unwrap();
            Ok(told.await?)
        };
        match inbox.once(&mut tx, &id("a"), work).await.unwrap() {
            Once::Done(true) => tx.commit().await.unwrap(),
            Once::Done(false) => tx.rollback().await.unwrap(),
            other => panic!("{other:?}"),
        }
    });
    has_begun.await.unwrap();
    (go_on, working)
}

fn second<DB: Db>(db: &Arc<Opened<DB>>, inbox: &Inbox<DB>, message: &'static str) -> JoinHandle<Once<()>> {
    let (db, inbox) = (db.clone(), inbox.clone());
    tokio::spawn(async move {
        let mut tx = db.pool.begin_with(DB::WRITE).await.unwrap();
        let work = async |tx: &mut Transaction<'_, DB>| Ok(DB::execute(tx, effect("second")).await?);
        let outcome = inbox.once(&mut tx, &id(message), work).await.unwrap();
        tx.commit().await.unwrap();
        outcome
    })
}

async fn one_works_and_the_other_waits<DB: Db>() {
    let db = Arc::new(open::<DB>().await);
    let inbox = inbox(&db).await;
    let (go_on, working) = in_the_middle(&db, &inbox).await;
    let mut waiting = second(&db, &inbox, "a");
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "the second did not wait: {early:?}");
    go_on.send(true).unwrap();
    working.await.unwrap();
    assert_eq!(waiting.await.unwrap(), Once::Repeated);
    assert_eq!(effects(&db).await, 1);
}

async fn the_other_works_when_the_first_gives_up<DB: Db>() {
    let db = Arc::new(open::<DB>().await);
    let inbox = inbox(&db).await;
    let (go_on, working) = in_the_middle(&db, &inbox).await;
    let waiting = second(&db, &inbox, "a");
    go_on.send(false).unwrap();
    working.await.unwrap();
    assert_eq!(waiting.await.unwrap(), Once::Done(()));
    assert_eq!(effects(&db).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_skips_where_told_to() {
    skips::<Postgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_skips_where_told_to() {
    skips::<MySql>().await;
}

async fn skips<DB: Db>() {
    let db = Arc::new(open::<DB>().await);
    let inbox = inbox(&db).await.concurrent(Concurrent::Skip);
    let (go_on, working) = in_the_middle(&db, &inbox).await;
    assert_eq!(second(&db, &inbox, "a").await.unwrap(), Once::Busy);
    assert_eq!(second(&db, &inbox, "b").await.unwrap(), Once::Done(()), "another message was skipped, too");
    go_on.send(true).unwrap();
    working.await.unwrap();
    assert_eq!(second(&db, &inbox, "a").await.unwrap(), Once::Repeated);
    assert_eq!(effects(&db).await, 2);
}

/// SQLite cannot skip: it waits, which is as good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_waits_where_told_to_skip() {
    let db = Arc::new(open::<Sqlite>().await);
    let inbox = inbox(&db).await.concurrent(Concurrent::Skip);
    let (go_on, working) = in_the_middle(&db, &inbox).await;
    let waiting = second(&db, &inbox, "a");
    go_on.send(true).unwrap();
    working.await.unwrap();
    assert_eq!(waiting.await.unwrap(), Once::Repeated);
}

async fn many_consumers_and_many_copies_make_one_effect_each<DB: Db>() {
    let db = Arc::new(open::<DB>().await);
    let inbox = inbox(&db).await;
    let mut consumers = JoinSet::new();
    for consumer in 0..6_u64 {
        let (db, inbox) = (db.clone(), inbox.clone());
        consumers.spawn(async move {
            let mut done = 0;
            for number in 0..40_u64 {
                // Half of them in the same order, half against it; every third attempt is given up.
                let number = if consumer % 2 == 0 { number } else { 39 - number };
                done += consume(&db, &inbox, number, (consumer + number) % 3 == 0).await;
            }
            done
        });
    }
    let mut done = 0;
    while let Some(finished) = consumers.join_next().await {
        done += finished.unwrap();
    }
    assert_eq!((done, effects(&db).await), (40, 40));
    let distinct = "SELECT COUNT(DISTINCT message) FROM effects";
    assert_eq!(DB::number(&db.pool, distinct).await.unwrap(), 40);
}

/// One message, until it is done by somebody; answers 1 if it was here.
async fn consume<DB: Db>(db: &Opened<DB>, inbox: &Inbox<DB>, number: u64, fails_first: bool) -> u64 {
    let message = number.to_string();
    let mut fails = fails_first;
    loop {
        let mut tx = db.pool.begin_with(DB::WRITE).await.unwrap();
        let work = async |tx: &mut Transaction<'_, DB>| {
            DB::execute(tx, effect(&message)).await?;
            if std::mem::take(&mut fails) { Err("the first time it fails".into()) } else { Ok(()) }
        };
        match inbox.once(&mut tx, &id(&message), work).await {
            Ok(Once::Done(())) => {
                tx.commit().await.unwrap();
                return 1;
            }
            Ok(_) => return 0,
            Err(InboxError::Work(_) | InboxError::Conflict(_)) => tx.rollback().await.unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// InnoDB ends the victim's whole transaction. What the caller does in it afterwards must not be committed by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_deadlock_in_mariadb_the_transaction_is_still_one() {
    let db = Arc::new(open::<MySql>().await);
    let inbox = inbox(&db).await;
    let both_have_one = Arc::new(tokio::sync::Barrier::new(2));
    let mut crossing = JoinSet::new();
    for order in [["a", "b"], ["b", "a"]] {
        let (db, inbox, both_have_one) = (db.clone(), inbox.clone(), both_have_one.clone());
        crossing.spawn(async move {
            let mut tx = db.pool.begin().await.unwrap();
            let nothing = async |_: &mut Transaction<'_, MySql>| Ok(());
            assert_eq!(inbox.once(&mut tx, &id(order[0]), nothing).await.unwrap(), Once::Done(()));
            both_have_one.wait().await;
            let crossed = inbox.once(&mut tx, &id(order[1]), nothing).await;
            if let Err(error) = &crossed {
                assert!(matches!(error, InboxError::Conflict(_)), "{error:?}");
                MySql::execute(&mut tx, effect("after the deadlock")).await.unwrap();
                tx.rollback().await.unwrap();
            } else {
                tx.commit().await.unwrap();
            }
            crossed.is_err()
        });
    }
    let mut victims = 0;
    while let Some(victim) = crossing.join_next().await {
        victims += usize::from(victim.unwrap());
    }
    assert_eq!((victims, effects(&db).await), (1, 0));
}
