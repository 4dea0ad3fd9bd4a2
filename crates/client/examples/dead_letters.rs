//! Bills orders by the price list in `prices`. What has no price goes to the dead letters at once; with `again` as its second
//! argument, this program sends them to their topic again.

use std::{env, error::Error, fs, time::Duration};

use tallymq_client::{Cluster, Consumer, DeadLetters, HandlerError, Received, Retry};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::at(env::args().nth(1).unwrap_or("127.0.0.1:9092".into()));
    if env::args().nth(2).as_deref() == Some("again") {
        return send_again(cluster).await;
    }
    let mut interrupted = signal(SignalKind::interrupt())?; // Ctrl-C, heard from now on
    let mut consumer = Consumer::builder(cluster, "billing")
        .topic("orders")
        .retry(Retry::topics([Duration::from_secs(5), Duration::from_secs(60)]))
        .attempts_max(3)
        .start(bill)
        .await?;
    tokio::select! {
        stopped = consumer.ended() => return Err(format!("the consumer ended: {stopped:?}").into()),
        _ = interrupted.recv() => {}
    }
    let stopped = consumer.stop(Duration::from_secs(30)).await;
    println!("{} handlers were cut short", stopped.abandoned);
    Ok(())
}

async fn bill(order: Received) -> Result<(), HandlerError> {
    let article = String::from_utf8_lossy(order.value().map_or(&[], |value| value));
    let prices = fs::read_to_string("prices")?; // an error is tried again: after 5 s, then after 60 s
    let price = prices.lines().find_map(|line| line.strip_prefix(&format!("{article} ")));
    let Some(price) = price else {
        println!("{article}: given up");
        return Err(HandlerError::give_up(format!("no price of {article}")));
    };
    println!("{article}: {price}");
    Ok(())
}

async fn send_again(cluster: Cluster) -> Result<(), Box<dyn Error>> {
    let letters = DeadLetters::of(cluster, "orders", "billing");
    for letter in letters.list(100).await? {
        println!("{} from {}: {}", letter.position(), letter.origin(), letter.cause());
    }
    let sent = letters.redrive_where(|letter| letter.cause().starts_with("no price"), None).await?;
    println!("{sent} sent again");
    Ok(())
}
