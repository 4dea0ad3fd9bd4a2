//! Takes an order in a SQLite database, and its message in the same transaction. A relay sends what was committed.

use std::{env, error::Error};

use tallymq_client::{
    Cluster, Producer, Record,
    outbox::{Outbox, Step},
    sqlx::{self, SqlitePool, sqlite::SqliteConnectOptions},
};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::at(env::args().nth(1).unwrap_or("127.0.0.1:9092".into()));
    let file = SqliteConnectOptions::new().filename("orders.sqlite").create_if_missing(true);
    let pool = SqlitePool::connect_with(file).await?;
    let table = "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, article TEXT)";
    sqlx::query(table).execute(&pool).await?;
    let outbox = Outbox::new(pool.clone());
    outbox.create_schema().await?;

    let mut tx = pool.begin().await?;
    let insert = sqlx::query("INSERT INTO orders (article) VALUES ('book')");
    let order = insert.execute(&mut *tx).await?.last_insert_rowid();
    let message = Record::to("orders").key(order.to_string()).value("book");
    let id = outbox.put(&mut tx, message).await?;
    tx.commit().await?;
    println!("order {order} is taken, its message is {id}");

    // This could be another process, or several. The producer has no spool: the outbox is the better one.
    let mut interrupted = signal(SignalKind::interrupt())?; // Ctrl-C, heard from now on
    let producer = Producer::builder(cluster).start().await?;
    let relay = outbox.relay(producer).on_step(|step| {
        if let Step::Sent(id) = step {
            println!("{id} is sent");
        }
    });
    relay.run(async { _ = interrupted.recv().await }).await;
    println!("{} wait in the outbox", outbox.progress().await?.pending);
    Ok(())
}
