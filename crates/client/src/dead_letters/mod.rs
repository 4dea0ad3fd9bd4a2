//! Dead letters: looking at what consumers gave up on, sending it again, removing it. It handles no record.
//!
//! A single letter cannot be taken out of a topic. So that none is sent twice by mistake, a *note* in the letter's own
//! partition says what became of it: a record without payload, with the headers `tally-settles` (the letter's offset)
//! and `tally-settled-as`. Listings leave out what is settled.

mod letter;
mod scan;

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    config::FromClientConfig,
    error::KafkaError,
};

pub use self::letter::DeadLetter;
use crate::{
    cluster::{Cluster, StartError},
    consumer::{copies, dead_letter_topic},
    headers,
    producer::{Producer, SendError},
    record::Record,
};

const TIME_MAX: Duration = Duration::from_secs(30);

/// Something could not be done with dead letters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// There is no such topic: nothing was given up yet, or it has another name.
    #[error("topic {0} does not exist: nothing was given up, or its name is another one")]
    NoTopic(String),
    /// There is no unsettled letter at that place.
    #[error("there is no dead letter at {partition}:{offset}, or it is settled already")]
    NoLetter {
        /// The partition of the dead-letter topic.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// A letter has no origin to go back to.
    #[error("the letter at {partition}:{offset} does not say where it came from; say where to send it")]
    NoOrigin {
        /// The partition of the dead-letter topic.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// The client could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Sending again stopped; what was sent before is settled.
    #[error("{redriven} letters were sent again, then: {source}")]
    Send {
        /// How many went well.
        redriven: u64,
        /// What happened then.
        source: SendError,
    },
    /// The broker did not answer, or refused.
    #[error("{0}")]
    Broker(String),
}

impl From<KafkaError> for DeadLetterError {
    fn from(error: KafkaError) -> DeadLetterError {
        DeadLetterError::Broker(error.to_string())
    }
}

/// Which letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// All that are there now.
    All,
    /// One.
    One {
        /// The partition of the dead-letter topic.
        partition: i32,
        /// The offset.
        offset: i64,
    },
}

/// The dead letters of one topic and group.
///
/// ```no_run
/// use tallymq_client::{Cluster, DeadLetters, Letters};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let letters = DeadLetters::of(Cluster::at("127.0.0.1:9092"), "orders", "billing");
/// for letter in letters.list(100).await? {
///     println!("{} from {}: {}", letter.position(), letter.origin(), letter.cause());
/// }
/// letters.redrive(Letters::All, None).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DeadLetters {
    cluster: Cluster,
    topic: String,
}

impl DeadLetters {
    /// Those that this group gave up on in this topic.
    pub fn of(cluster: Cluster, topic: &str, group: &str) -> DeadLetters {
        DeadLetters::in_topic(cluster, dead_letter_topic(topic, group))
    }

    /// Those in this dead-letter topic.
    pub fn in_topic(cluster: Cluster, topic: impl Into<String>) -> DeadLetters {
        DeadLetters { cluster, topic: topic.into() }
    }

    /// The dead-letter topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The unsettled letters, oldest first per partition, at most so many.
    ///
    /// # Errors
    /// [`DeadLetterError::NoTopic`], [`DeadLetterError::Broker`].
    pub async fn list(&self, letters_max: usize) -> Result<Vec<DeadLetter>, DeadLetterError> {
        self.select(Letters::All, letters_max).await
    }

    /// One unsettled letter with its payload.
    ///
    /// # Errors
    /// [`DeadLetterError::NoLetter`] and those of [`DeadLetters::list`].
    pub async fn show(&self, partition: i32, offset: i64) -> Result<DeadLetter, DeadLetterError> {
        let found = self.select(Letters::One { partition, offset }, 1).await?;
        found.into_iter().next().ok_or(DeadLetterError::NoLetter { partition, offset })
    }

    /// Sends letters again, to their origin or to `to`, and settles each once its copy is stored. If that is cut short
    /// between the two, the letter goes twice; its origin headers (and so an inbox) tell the copies as one.
    ///
    /// # Errors
    /// [`DeadLetterError::Send`] says how many went well before.
    pub async fn redrive(&self, letters: Letters, to: Option<&str>) -> Result<u64, DeadLetterError> {
        let producer = Producer::builder(self.cluster.clone()).sequence_headers(false).start().await?;
        let mut redriven = 0;
        for letter in self.chosen(letters).await? {
            let place = letter.position();
            let (partition, offset) = (place.partition, place.offset);
            let topic = match (to, letter.origin_topic()) {
                (Some(topic), _) => topic.to_owned(),
                (None, Some(topic)) => topic.to_owned(),
                (None, None) => return Err(DeadLetterError::NoOrigin { partition, offset }),
            };
            let copy = copies::for_redrive(letter.record(), topic);
            for record in [copy, self.note(partition, offset, "redriven")] {
                match producer.send(record).await {
                    Ok(_) => {}
                    Err(source) => return Err(DeadLetterError::Send { redriven, source }),
                }
            }
            redriven += 1;
        }
        Ok(redriven)
    }

    /// Removes letters for good. All: their records are deleted. One: it is settled, and its record goes with the
    /// topic's retention.
    ///
    /// # Errors
    /// Those of [`DeadLetters::show`], and [`DeadLetterError::Broker`] if the broker does not delete.
    pub async fn purge(&self, letters: Letters) -> Result<u64, DeadLetterError> {
        let chosen = self.chosen(letters).await?.len() as u64;
        match letters {
            Letters::All => self.delete_all().await?,
            Letters::One { partition, offset } => {
                let producer =
                    Producer::builder(self.cluster.clone()).sequence_headers(false).start().await?;
                let sent = producer.send(self.note(partition, offset, "purged")).await;
                let _stored = sent.map_err(|source| DeadLetterError::Send { redriven: 0, source })?;
            }
        }
        Ok(chosen)
    }

    async fn chosen(&self, letters: Letters) -> Result<Vec<DeadLetter>, DeadLetterError> {
        match letters {
            Letters::All => self.list(usize::MAX).await,
            Letters::One { partition, offset } => Ok(vec![self.show(partition, offset).await?]),
        }
    }

    async fn select(&self, letters: Letters, letters_max: usize) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let (cluster, topic) = (self.cluster.clone(), self.topic.clone());
        let selected =
            tokio::task::spawn_blocking(move || scan::unsettled(&cluster, &topic, letters, letters_max));
        selected.await.map_err(|error| DeadLetterError::Broker(error.to_string()))?
    }

    async fn delete_all(&self) -> Result<(), DeadLetterError> {
        let admin = AdminClient::<DefaultClientContext>::from_config(&self.cluster.config(&[]))?;
        let (cluster, topic) = (self.cluster.clone(), self.topic.clone());
        let ends = tokio::task::spawn_blocking(move || scan::bounds(&cluster, &topic));
        let ends = ends.await.map_err(|error| DeadLetterError::Broker(error.to_string()))??;
        let mut list = TopicPartitionList::new();
        for (partition, _, end) in ends {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(end))?;
        }
        let options = AdminOptions::new().request_timeout(Some(TIME_MAX)).operation_timeout(Some(TIME_MAX));
        let deleted = admin.delete_records(&list, &options).await?;
        for element in deleted.elements() {
            element.error()?;
        }
        Ok(())
    }

    fn note(&self, partition: i32, offset: i64, settled_as: &str) -> Record {
        Record::to(&self.topic)
            .partition(partition)
            .header(headers::SETTLES, offset.to_string())
            .header(headers::SETTLED_AS, settled_as.to_owned())
    }
}
