//! Sends each line of its input as an order. What no broker takes in time waits on the local disk, through restarts too, and
//! is sent from there in order.

use std::{env, error::Error, io, time::Duration};

use tallymq_client::{Cluster, Producer, Record, SendError, SpoolSettings, Stored};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::at(env::args().nth(1).unwrap_or("127.0.0.1:9092".into()));
    let producer = Producer::builder(cluster)
        .deadline(Duration::from_secs(15))
        .spool(SpoolSettings::at("spool").bytes_max(256 << 20))
        .start()
        .await?;

    // The producer works on the runtime's other threads while this one waits for a line.
    for line in io::stdin().lines() {
        match producer.send(Record::to("orders").key("customer-7").value(line?)).await {
            Ok(Stored::InTopic { partition, offset, .. }) => println!("stored at {partition}:{offset}"),
            Ok(_) => println!("safe on the local disk"),
            Err(SendError::Refused { cause, .. }) => println!("certainly not stored: {cause}"),
            Err(unknown) => println!("{unknown}"),
        }
        if let Some(spool) = producer.spool() {
            println!("{} wait on the disk", spool.status().waiting);
        }
    }
    producer.close(Duration::from_secs(30)).await?;
    Ok(())
}
