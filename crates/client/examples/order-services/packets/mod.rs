//! The red-packet service: one red packet for each order, with an inbox in a database. [`redis`] is the same with Redis.

pub mod redis;

use std::{sync::Arc, time::Duration};

use sqlx::{Pool, Transaction};
use tallymq_client::{
    Cluster, Consumer, ConsumerBuilder, Handler, HandlerError, Received, Retry, headers,
    inbox::{IdSource, Inbox, MessageId, Once},
};

use crate::{
    Failure,
    arguments::Arguments,
    effects::Effects,
    history::{History, SEND_HEADER},
    progress::Progress,
    stores::{Store, connected},
};

/// The consumer group, and the name of its inbox.
const GROUP: &str = "packets";

/// Makes the tables.
pub async fn prepare<DB: Store>(place: &str) -> Result<(), Failure> {
    DB::create(place).await?;
    let pool = DB::connect(place).await?;
    Inbox::new(pool.clone(), GROUP).create_schema().await?;
    // Nothing in it is unique but the row's own number: an order that has two shows.
    let table = format!(
        "CREATE TABLE IF NOT EXISTS red_packets (seq {}, order_id BIGINT NOT NULL, customer BIGINT NOT NULL)",
        DB::COUNTING
    );
    let mut conn = pool.acquire().await?;
    Ok(DB::execute(&mut conn, table).await?)
}

/// Handles orders until it is killed.
pub async fn run<DB: Store>(arguments: &Arguments) -> Result<(), Failure> {
    let pool = connected::<DB>(arguments.text("packets")?).await;
    let inbox = Inbox::new(pool.clone(), GROUP);
    let seen = Arc::new(Seen::open(arguments)?);
    serve(arguments, move |record: Received| {
        let (pool, inbox, seen) = (pool.clone(), inbox.clone(), seen.clone());
        async move { handle(&pool, &inbox, &seen, &record).await }
    })
    .await
}

async fn handle<DB: Store>(
    pool: &Pool<DB>,
    inbox: &Inbox<DB>,
    seen: &Seen,
    record: &Received,
) -> Result<(), HandlerError> {
    let order = seen.order(record)?;
    let id = IdSource::Header(headers::ID.into()).id(record)?;
    // A database that is away for a while is no reason to give an order up.
    pack(pool, inbox, &id, order).await.map_err(HandlerError::not_now)?;
    seen.progress.add(1);
    Ok(())
}

async fn pack<DB: Store>(
    pool: &Pool<DB>,
    inbox: &Inbox<DB>,
    id: &MessageId,
    order: Order,
) -> Result<(), Failure> {
    let mut tx = pool.begin_with(DB::WRITE).await?;
    let work = async |tx: &mut Transaction<'_, DB>| {
        let Order { number, customer } = order;
        let sql = format!("INSERT INTO red_packets (order_id, customer) VALUES ({number}, {customer})");
        Ok(DB::execute(tx, sql).await?)
    };
    match inbox.once(&mut tx, id, work).await? {
        Once::Done(()) | Once::Repeated => Ok(tx.commit().await?),
        Once::Busy => Err("another consumer has it".into()),
    }
}

/// What there is in the end.
pub async fn count<DB: Store>(place: &str) -> Result<Effects, Failure> {
    let pool = DB::connect(place).await?;
    let one = async |sql: &str| DB::number(&pool, sql.to_owned()).await;
    Ok(Effects {
        packets: one("SELECT COUNT(*) FROM red_packets").await?,
        distinct_orders: one("SELECT COUNT(DISTINCT order_id) FROM red_packets").await?,
        lowest_order: one("SELECT COALESCE(MIN(order_id), -1) FROM red_packets").await?,
        highest_order: one("SELECT COALESCE(MAX(order_id), -1) FROM red_packets").await?,
        out_of_order: one("SELECT COUNT(*) FROM (SELECT order_id, \
            LAG(order_id) OVER (PARTITION BY customer ORDER BY seq) AS earlier FROM red_packets) AS pairs \
            WHERE earlier > order_id")
        .await?,
        repeats: Inbox::new(pool.clone(), GROUP).progress().await?.repeats as i64,
        redone: 0,
    })
}

/// An order as it comes.
#[derive(Clone, Copy)]
struct Order {
    number: i64,
    customer: i64,
}

/// What the handlers saw.
struct Seen {
    history: History,
    progress: Progress,
}

impl Seen {
    fn open(arguments: &Arguments) -> Result<Seen, Failure> {
        Ok(Seen { history: History::open(arguments, GROUP)?, progress: Progress::default() })
    }

    /// Writes down that the record came, and reads it.
    fn order(&self, record: &Received) -> Result<Order, HandlerError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let sent = record.header(SEND_HEADER).map(|value| text(value)).unwrap_or_default();
        self.history.handed(record.partition(), record.offset(), &sent);
        let value = record.value().map(|value| text(value)).unwrap_or_default();
        let (number, customer) = value.split_once(' ').ok_or(HandlerError::give_up("no order"))?;
        Ok(Order { number: number.parse()?, customer: customer.parse()? })
    }
}

async fn serve(arguments: &Arguments, handler: impl Handler) -> Result<(), Failure> {
    let mut consumer = settings(arguments)?.start(handler).await?;
    println!("consuming");
    let stopped = consumer.ended().await;
    Err(format!("the consumer ended: {stopped:?}").into())
}

fn settings(arguments: &Arguments) -> Result<ConsumerBuilder, Failure> {
    let cluster = Cluster::at(arguments.text("bootstrap")?)
        .set("client.id", format!("packets-{}", arguments.text("process")?))
        .set("session.timeout.ms", "2000")
        .set("heartbeat.interval.ms", "400")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200");
    Ok(Consumer::builder(cluster, GROUP)
        .topic(arguments.text("topic")?)
        .retry(Retry::InPlace { first: Duration::from_millis(20), max: Duration::from_millis(500) })
        .revoke_wait(Duration::from_secs(5))
        .held_max(1000))
}
