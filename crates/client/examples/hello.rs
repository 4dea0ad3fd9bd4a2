//! Sends a greeting, and reads it as a member of a group until Ctrl-C.

use std::{env, error::Error, time::Duration};

use tallymq_client::{Cluster, Consumer, HandlerError, Producer, Received, Record};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::at(env::args().nth(1).unwrap_or("127.0.0.1:9092".into()));

    let producer = Producer::builder(cluster.clone()).start().await?;
    let stored = producer.send(Record::to("greetings").key("en").value("hello")).await?;
    println!("{stored:?}");
    producer.close(Duration::from_secs(30)).await?;

    let mut interrupted = signal(SignalKind::interrupt())?; // Ctrl-C, heard from now on
    let mut consumer = Consumer::builder(cluster, "readers")
        .topic("greetings")
        .start(async |record: Received| -> Result<(), HandlerError> {
            println!("{} {:?}", record.position(), record.value());
            Ok(())
        })
        .await?;
    tokio::select! {
        // No other call tells of it.
        stopped = consumer.ended() => return Err(format!("the consumer ended: {stopped:?}").into()),
        _ = interrupted.recv() => {}
    }
    let stopped = consumer.stop(Duration::from_secs(30)).await;
    println!("{} handlers were cut short", stopped.abandoned);
    Ok(())
}
