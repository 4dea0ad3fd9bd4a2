//! The order service: each order and its message are in one transaction. Killed and started again, it goes on behind its
//! last order; a commit whose answer is missing is looked up, never guessed.

use std::time::Duration;

use sqlx::Pool;
use tallymq_client::{Record, outbox::Outbox};
use tokio::task::JoinSet;

use crate::{
    Failure,
    arguments::Arguments,
    progress::Progress,
    stores::{Store, connected},
};

/// Orders of one customer stay in order. A multiple of every store's number of writers.
pub const CUSTOMERS: i64 = 1000;

/// One transaction in so many puts a message and is rolled back.
const ROLLED_BACK_ONE_IN: u64 = 20;

/// The order number of a message that must never be sent.
pub const NEVER: i64 = -1;

/// What the order service's database holds.
#[derive(Debug, serde::Serialize)]
pub struct Written {
    orders: i64,
    messages_pending: i64,
    messages_parked: i64,
}

/// Makes the tables.
pub async fn prepare<DB: Store>(place: &str) -> Result<(), Failure> {
    DB::create(place).await?;
    let pool = DB::connect(place).await?;
    Outbox::new(pool.clone()).create_schema().await?;
    let table = "CREATE TABLE IF NOT EXISTS shop_orders (writer BIGINT NOT NULL, id BIGINT NOT NULL, \
        customer BIGINT NOT NULL, PRIMARY KEY (writer, id))";
    let mut conn = pool.acquire().await?;
    Ok(DB::execute(&mut conn, table.into()).await?)
}

/// Writes orders until there are `count`.
pub async fn run<DB: Store>(arguments: &Arguments) -> Result<(), Failure> {
    let pool = connected::<DB>(arguments.text("orders")?).await;
    let progress = std::sync::Arc::new(Progress::default());
    let mut writers = JoinSet::new();
    for number in 0..DB::WRITERS {
        let writer = Writer::<DB> {
            outbox: Outbox::new(pool.clone()),
            pool: pool.clone(),
            number,
            count: arguments.number("count")?,
            seed: arguments.number("seed")?,
            topic: arguments.text("topic")?.to_owned(),
        };
        let progress = progress.clone();
        writers.spawn(async move { writer.run(&progress).await });
    }
    while let Some(ended) = writers.join_next().await {
        ended?;
    }
    println!("all orders are written");
    Ok(())
}

/// What there is in the end.
pub async fn count<DB: Store>(place: &str) -> Result<Written, Failure> {
    let pool = DB::connect(place).await?;
    let progress = Outbox::new(pool.clone()).progress().await?;
    Ok(Written {
        orders: DB::number(&pool, "SELECT COUNT(*) FROM shop_orders".into()).await?,
        messages_pending: progress.pending as i64,
        messages_parked: progress.parked as i64,
    })
}

/// Writes the orders of its customers, in order.
struct Writer<DB: Store> {
    pool: Pool<DB>,
    outbox: Outbox<DB>,
    number: i64,
    count: i64,
    seed: u64,
    topic: String,
}

impl<DB: Store> Writer<DB> {
    async fn run(&self, progress: &Progress) {
        let mut next = None;
        loop {
            // After an error nobody knows whether the commit was done, but the table.
            let id = match next {
                Some(id) => id,
                None => match self.resume().await {
                    Ok(id) => *next.insert(id),
                    Err(error) => {
                        back_off(&error).await;
                        continue;
                    }
                },
            };
            if id >= self.count {
                return;
            }
            match self.write(id).await {
                Ok(written) => {
                    progress.add(written as u64);
                    next = Some(id + written * DB::WRITERS);
                }
                Err(error) => {
                    back_off(&*error).await;
                    next = None;
                }
            }
        }
    }

    async fn resume(&self) -> sqlx::Result<i64> {
        let sql = format!(
            "SELECT COALESCE(MAX(id) + {}, {number}) FROM shop_orders WHERE writer = {number}",
            DB::WRITERS,
            number = self.number
        );
        DB::number(&self.pool, sql).await
    }

    /// One to seven orders from that one on, in one transaction.
    async fn write(&self, first: i64) -> Result<i64, Failure> {
        let dice = mixed(self.seed ^ first as u64);
        if dice.is_multiple_of(ROLLED_BACK_ONE_IN) {
            let mut tx = self.pool.begin_with(DB::WRITE).await?;
            self.outbox.put(&mut tx, self.message(NEVER, first % CUSTOMERS)).await?;
            tx.rollback().await?;
        }
        let ids: Vec<i64> = (0..1 + (dice >> 32) as i64 % 7).map(|step| first + step * DB::WRITERS).collect();
        let ids: Vec<i64> = ids.into_iter().filter(|id| *id < self.count).collect();
        let rows = ids.iter().map(|id| format!("({}, {id}, {})", self.number, id % CUSTOMERS));
        let rows = rows.collect::<Vec<_>>().join(", ");
        let mut tx = self.pool.begin_with(DB::WRITE).await?;
        DB::execute(&mut tx, format!("INSERT INTO shop_orders (writer, id, customer) VALUES {rows}")).await?;
        for id in &ids {
            self.outbox.put(&mut tx, self.message(*id, id % CUSTOMERS)).await?;
        }
        tx.commit().await?;
        Ok(ids.len() as i64)
    }

    fn message(&self, order: i64, customer: i64) -> Record {
        Record::to(&self.topic).key(format!("customer-{customer}")).value(format!("{order} {customer}"))
    }
}

async fn back_off(error: &(impl std::fmt::Display + ?Sized)) {
    eprintln!("the shop waits: {error}");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// SplitMix64: the same transactions for the same seed, wherever the service was killed.
pub fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
