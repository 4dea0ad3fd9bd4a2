//! A service that sends without a database: what the broker does not take in time goes to its spool, which outlives it.

use std::time::Duration;

use tallymq_client::{Cluster, Producer, Record, SendError, SpoolSettings, Stored};
use tokio::task::JoinSet;

use crate::{
    Failure,
    arguments::Arguments,
    history::{History, SEND_HEADER, SendEnd},
    progress::Progress,
    shop::mixed,
};

/// Sends under way at a time, each the next of its key.
const SENDERS: u64 = 16;
/// A short one: the spool is to be used often.
const DEADLINE: Duration = Duration::from_millis(400);
/// What drains it waits for the slowest disk instead: nothing more comes.
const DRAIN_DEADLINE: Duration = Duration::from_secs(60);
const SPOOL_BYTES_MAX: u64 = 64 << 20;

async fn producer(arguments: &Arguments, deadline: Duration) -> Result<Producer, Failure> {
    let cluster = Cluster::at(arguments.text("bootstrap")?).set("reconnect.backoff.ms", "20");
    let spool = SpoolSettings::at(arguments.text("spool")?).bytes_max(SPOOL_BYTES_MAX);
    let cluster = cluster.set("reconnect.backoff.max.ms", "200");
    Ok(Producer::builder(cluster).deadline(deadline).spool(spool).start().await?)
}

/// Sends until it is killed.
pub async fn send(arguments: &Arguments) -> Result<(), Failure> {
    let producer = producer(arguments, DEADLINE).await?;
    let history = std::sync::Arc::new(History::open(arguments, "")?);
    let progress = std::sync::Arc::new(Progress::default());
    let (topic, seed) = (arguments.text("topic")?.to_owned(), arguments.number::<u64>("seed")?);
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let (producer, history, progress) = (producer.clone(), history.clone(), progress.clone());
        let topic = topic.clone();
        senders.spawn(async move {
            for step in 0.. {
                let value = history.new_value();
                let padding = mixed(seed ^ (number << 32) ^ step) as usize % 500;
                let record = Record::to(&topic).key(format!("sender-{number}")).value(" ".repeat(padding));
                let record = record.header(SEND_HEADER, value.clone());
                history.sending(&value, false);
                let end = match producer.send(record).await {
                    Ok(Stored::InTopic { partition, offset, .. }) => {
                        SendEnd::Stored(Some((partition, offset)))
                    }
                    Ok(_) => SendEnd::Stored(None),
                    Err(SendError::Refused { .. }) => SendEnd::Refused,
                    Err(_) => SendEnd::Unknown,
                };
                history.sent(&value, false, end);
                match end {
                    SendEnd::Stored(Some(_)) => progress.add(1),
                    // Slowly, so that the spool gets empty again when the broker is back.
                    SendEnd::Stored(None) => {
                        progress.add(1);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended?;
    }
    Ok(())
}

/// Waits until what is in the spool is sent; says what the spool went through.
pub async fn drain(arguments: &Arguments) -> Result<(), Failure> {
    let producer = producer(arguments, DRAIN_DEADLINE).await?;
    let spool = producer.spool().ok_or("a producer without its spool")?;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while spool.status().waiting > 0 {
        looks.tick().await;
    }
    let status = spool.status();
    println!("{}", serde_json::json!({ "resent": status.resent, "damaged_bytes": status.damaged_bytes }));
    Ok(producer.close(DRAIN_DEADLINE).await?)
}
