//! Sends the lines of its input, with a spool for outages: `spooler BOOTSTRAP TOPIC SPOOL_DIRECTORY`. Prints what became
//! of each line; for an empty line, how the spool stands.

use std::{
    io::{BufRead, stdin},
    time::Duration,
};

use tallymq_client::{Cluster, Producer, Record, SpoolSettings, Stored};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, spool] = arguments.as_slice() else {
        return Err("usage: spooler BOOTSTRAP TOPIC SPOOL_DIRECTORY".into());
    };
    let producer = Producer::builder(Cluster::at(bootstrap))
        .deadline(Duration::from_secs(1))
        .spool(SpoolSettings::at(spool))
        .start()
        .await?;
    println!("ready");
    for line in stdin().lock().lines() {
        let line = line?;
        if line.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let status = producer.spool().expect("it has one").status();
            println!("waiting {} resent {} torn {}", status.waiting, status.resent, status.torn_bytes);
            continue;
        }
        match producer.send(Record::to(topic).value(line.clone())).await {
            Ok(Stored::InSpool) => println!("spooled {line}"),
            Ok(_) => println!("stored {line}"),
            Err(error) => println!("failed {line}: {error}"),
        }
    }
    Ok(())
}
