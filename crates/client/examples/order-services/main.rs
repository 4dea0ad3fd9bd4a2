//! The services that the proof of the SDK kills: an order service with an outbox, its relay, a red-packet service with an
//! inbox, and a sender with a spool, each its own process. They write down what they were told, and judge nothing;
//! `proof/stages/sdk_orders.py` starts, kills and judges them.
//!
//! ```text
//! order-services ROLE NAME=VALUE...
//!   prepare  store orders packets                                          makes the tables
//!   shop     store orders topic count seed                                 writes orders with their messages
//!   relay    store orders bootstrap process history                        sends them
//!   packets  store packets bootstrap topic process history                 one red packet for each order
//!   send     bootstrap topic process history spool seed                    sends without a database, with a spool
//!   drain    bootstrap spool                                               empties a spool
//!   read     bootstrap topic process history                               the whole topic, in the end
//!   count    store orders packets                                          what the databases hold, as JSON
//! ```

mod arguments;
mod effects;
mod history;
mod packets;
mod progress;
mod reader;
mod relay;
mod sender;
mod shop;
mod stores;

use std::process::ExitCode;

use sqlx::{MySql, Postgres, Sqlite};

use arguments::Arguments;
use stores::Store;

/// Any failure of a service; it ends the process.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}; see the head of examples/order-services/main.rs");
            return ExitCode::from(2);
        }
    };
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", arguments.role());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.role() {
        "send" => return sender::send(arguments).await,
        "drain" => return sender::drain(arguments).await,
        "read" => return reader::read(arguments),
        _ => {}
    }
    match arguments.text("store")? {
        "postgres" => with_database::<Postgres>(arguments).await,
        "mariadb" => with_database::<MySql>(arguments).await,
        "sqlite" => with_database::<Sqlite>(arguments).await,
        "redis" => with_redis(arguments).await,
        other => Err(format!("no such store: {other}").into()),
    }
}

async fn with_database<DB: Store>(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.role() {
        "prepare" => {
            shop::prepare::<DB>(arguments.text("orders")?).await?;
            packets::prepare::<DB>(arguments.text("packets")?).await
        }
        "shop" => shop::run::<DB>(arguments).await,
        "relay" => relay::run::<DB>(arguments).await,
        "packets" => packets::run::<DB>(arguments).await,
        "count" => {
            let orders = shop::count::<DB>(arguments.text("orders")?).await?;
            print_counts(orders, packets::count::<DB>(arguments.text("packets")?).await?)
        }
        other => Err(format!("no such role: {other}").into()),
    }
}

/// The inbox and its effects are in Redis; the orders and their outbox, in SQLite.
async fn with_redis(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.role() {
        "prepare" => shop::prepare::<Sqlite>(arguments.text("orders")?).await,
        "shop" => shop::run::<Sqlite>(arguments).await,
        "relay" => relay::run::<Sqlite>(arguments).await,
        "packets" => packets::redis::run(arguments).await,
        "count" => {
            let orders = shop::count::<Sqlite>(arguments.text("orders")?).await?;
            print_counts(orders, packets::redis::count(arguments.text("packets")?).await?)
        }
        other => Err(format!("no such role: {other}").into()),
    }
}

fn print_counts(orders: shop::Written, effects: effects::Effects) -> Result<(), Failure> {
    println!("{}", serde_json::json!({ "orders": orders, "effects": effects }));
    Ok(())
}
