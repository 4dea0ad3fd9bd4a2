//! The whole way: a transaction, the outbox, a relay, the real broker, a consumer, the inbox, a transaction. Broker and
//! relay are killed on the way; in the end each order has had its effect once, and in order.

use std::time::Duration;

use sqlx::{Sqlite, SqlitePool, Transaction};
use tallymq_client::{
    Consumer, HandlerError, Producer, Received, headers,
    inbox::{IdSource, Inbox, Once},
    outbox::Outbox,
};
use tokio::task::JoinHandle;

use super::{LIMIT, commit_numbers, outbox, quick};
use crate::{
    broker::Broker,
    inbox::effect,
    support::database::{Db, open},
};

const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const ORDERS: u64 = 40;

async fn relay(broker: &Broker, outbox: &Outbox<Sqlite>) -> JoinHandle<()> {
    let cluster = broker.cluster().set("client.id", "relay");
    let producer = Producer::builder(cluster).start().await.unwrap();
    let settings = quick().lease(Duration::from_millis(500)); // the next one waits for it
    tokio::spawn(outbox.relay(producer).settings(settings).run(std::future::pending()))
}

async fn handle(inbox: Inbox<Sqlite>, pool: SqlitePool, record: Received) -> Result<(), HandlerError> {
    let id = IdSource::Header(headers::ID.into()).id(&record)?;
    let text = |bytes: Option<&bytes::Bytes>| String::from_utf8_lossy(bytes.unwrap()).into_owned();
    let message = format!("{}:{}", text(record.key()), text(record.value()));
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let work = async |tx: &mut Transaction<'_, Sqlite>| Ok(Sqlite::execute(tx, effect(&message)).await?);
    match inbox.once(&mut tx, &id, work).await? {
        Once::Done(()) | Once::Repeated => Ok(tx.commit().await?),
        Once::Busy => Err(HandlerError::not_now("another consumer has it")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_order_has_its_effect_once_and_in_order() {
    let mut broker = Broker::start();
    broker.create_topic("orders", 3);
    let orders = open::<Sqlite>().await;
    let outbox = outbox(&orders).await;
    let packets = open::<Sqlite>().await;
    let inbox = crate::inbox::inbox(&packets).await;
    let consumer = Consumer::builder(broker.cluster(), "packets").topic("orders").start({
        let (inbox, pool) = (inbox.clone(), packets.pool.clone());
        move |record| handle(inbox.clone(), pool.clone(), record)
    });
    let consumer = consumer.await.unwrap();

    for quarter in 0..4 {
        let relaying = relay(&broker, &outbox).await;
        let numbers = quarter * ORDERS / 4..(quarter + 1) * ORDERS / 4;
        commit_numbers(&orders, &outbox, &KEYS, numbers).await;
        if quarter == 1 {
            broker.kill();
            broker.start_again();
        }
        // Its round is cut off wherever it is; the next relay waits for its lease and goes on.
        relaying.abort();
    }
    let _last = relay(&broker, &outbox).await;
    let total = (KEYS.len() as u64 * ORDERS) as i64;
    let arrived = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while crate::inbox::effects(&packets).await < total {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, arrived).await.expect("orders are missing");
    assert_eq!(consumer.stop(LIMIT).await.abandoned, 0);

    let effects: Vec<String> = sqlx::query_scalar("SELECT message FROM effects ORDER BY rowid")
        .fetch_all(&packets.pool)
        .await
        .unwrap();
    for key in KEYS {
        let of_key = effects.iter().filter_map(|effect| effect.strip_prefix(&format!("{key}:")));
        let expected: Vec<String> = (0..ORDERS).map(|number| number.to_string()).collect();
        assert_eq!(of_key.collect::<Vec<_>>(), expected, "key {key}");
    }
}
