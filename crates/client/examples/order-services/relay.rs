//! The relay of the order service's outbox, and what the producer told it about each send.

use std::time::Duration;

use tallymq_client::{
    Cluster, Producer, Record, SendError, Stored,
    outbox::{self, Destination, Outbox, RelaySettings},
};

use crate::{
    Failure,
    arguments::Arguments,
    history::{History, SEND_HEADER, SendEnd},
    progress::Progress,
    stores::{Store, connected},
};

/// Relays until it is killed.
pub async fn run<DB: Store>(arguments: &Arguments) -> Result<(), Failure> {
    let pool = connected::<DB>(arguments.text("orders")?).await;
    let cluster = Cluster::at(arguments.text("bootstrap")?).set("reconnect.backoff.ms", "20");
    let cluster = cluster.set("reconnect.backoff.max.ms", "200").set("client.id", "relay");
    let producer = Producer::builder(cluster).deadline(Duration::from_secs(5)).start().await?;
    let destination =
        Recorded { producer, history: History::open(arguments, "")?, progress: Progress::default() };
    let settings = RelaySettings::default()
        .batch_rows_max(2048)
        .lanes_max(32)
        .lease(Duration::from_secs(1))
        .poll(Duration::from_millis(20))
        .back_off_first(Duration::from_millis(20))
        .back_off_max(Duration::from_millis(500));
    Outbox::new(pool).relay(destination).settings(settings).run(std::future::pending()).await;
    Ok(())
}

/// A producer whose every send is written down.
struct Recorded {
    producer: Producer,
    history: History,
    progress: Progress,
}

impl Destination for Recorded {
    async fn send(&self, record: Record) -> Result<(), outbox::DestinationError> {
        let value = self.history.new_value();
        let record = record.header(SEND_HEADER, value.clone());
        self.history.sending(&value, true);
        let (end, answer) = match self.producer.send(record).await {
            Ok(Stored::InTopic { partition, offset, .. }) => {
                (SendEnd::Stored(Some((partition, offset))), Ok(()))
            }
            Ok(elsewhere) => {
                (SendEnd::Unknown, Err(outbox::DestinationError::retry(format!("it is in {elsewhere:?}"))))
            }
            Err(error @ SendError::Refused { .. }) => {
                (SendEnd::Refused, Err(outbox::DestinationError::retry(error.to_string())))
            }
            Err(error) => (SendEnd::Unknown, Err(outbox::DestinationError::retry(error.to_string()))),
        };
        self.history.sent(&value, true, end);
        if answer.is_ok() {
            self.progress.add(1);
        }
        answer
    }
}
