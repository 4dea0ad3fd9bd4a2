//! Packs a parcel for each order, once, however often its message comes: the parcel and the note that the message was seen are
//! one transaction.

use std::{env, error::Error, time::Duration};

use tallymq_client::{
    Cluster, Consumer, HandlerError, Received, headers,
    inbox::{IdSource, Inbox, Once},
    sqlx::{self, Sqlite, SqlitePool, Transaction, sqlite::SqliteConnectOptions},
};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::at(env::args().nth(1).unwrap_or("127.0.0.1:9092".into()));
    let file = SqliteConnectOptions::new().filename("parcels.sqlite").create_if_missing(true);
    let pool = SqlitePool::connect_with(file).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS parcels (article TEXT)").execute(&pool).await?;
    let inbox = Inbox::new(pool.clone(), "packing");
    inbox.create_schema().await?;

    let mut interrupted = signal(SignalKind::interrupt())?; // Ctrl-C, heard from now on
    let handler = move |order: Received| {
        let (pool, inbox) = (pool.clone(), inbox.clone());
        async move { pack(&pool, &inbox, &order).await }
    };
    let mut consumer = Consumer::builder(cluster, "packing").topic("orders").start(handler).await?;
    tokio::select! {
        stopped = consumer.ended() => return Err(format!("the consumer ended: {stopped:?}").into()),
        _ = interrupted.recv() => {}
    }
    let stopped = consumer.stop(Duration::from_secs(30)).await;
    println!("{} handlers were cut short", stopped.abandoned);
    Ok(())
}

/// What this returns decides: well, and the record is acknowledged; an error, and it comes again.
async fn pack(pool: &SqlitePool, inbox: &Inbox<Sqlite>, order: &Received) -> Result<(), HandlerError> {
    // The outbox's relay wrote it; it is the same if the message was sent twice.
    let id = IdSource::Header(headers::ID.into()).id(order)?;
    let Some(article) = order.value() else {
        return Err(HandlerError::give_up("an order of nothing"));
    };
    let article = std::str::from_utf8(article)?;

    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let work = async |tx: &mut Transaction<'_, Sqlite>| {
        sqlx::query("INSERT INTO parcels VALUES (?)").bind(article).execute(&mut **tx).await?;
        Ok(())
    };
    match inbox.once(&mut tx, &id, work).await? {
        Once::Done(()) => {
            tx.commit().await?;
            println!("{article}: packed");
        }
        Once::Repeated => {
            tx.commit().await?;
            println!("{article}: packed before");
        }
        Once::Busy => return Err(HandlerError::retry("another consumer packs it")),
    }
    Ok(())
}
