//! Dead letters: looking at what consumers gave up on, sending it again, removing it. It handles no record.
//!
//! A single letter cannot be taken out of a topic. So that none is sent twice by mistake, a *note* in the letter's own
//! partition says what became of it: a record without payload, with the headers `tally-settles` (the letter's offset)
//! and `tally-settled-as`. Listings leave out what is settled.

mod letter;
mod scan;
mod settling;
mod stream;

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    config::FromClientConfig,
    error::KafkaError,
};

use self::settling::{Settler, Settling};
pub use self::{letter::DeadLetter, stream::DeadLetterStream};
use crate::{
    cluster::{Cluster, StartError},
    consumer::{Position, dead_letter_topic},
    producer::SendError,
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
    /// Sending stopped; what was settled before stays so.
    #[error("{redriven} letters were settled, then: {source}")]
    Send {
        /// How many were settled.
        redriven: u64,
        /// What happened then.
        source: SendError,
    },
    /// The broker did not answer, or refused.
    #[error(
        "the broker was not reached, or refused: {0}; see that it is there and allows this, then do it again: \
         what is settled stays settled"
    )]
    Broker(String),
}

impl From<KafkaError> for DeadLetterError {
    fn from(error: KafkaError) -> DeadLetterError {
        DeadLetterError::Broker(error.to_string())
    }
}

/// Which letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
    group: Option<String>, // whose letters alone; other names may make the same topic
}

impl DeadLetters {
    /// Those that this group gave up on in this topic.
    pub fn of(cluster: Cluster, topic: &str, group: &str) -> DeadLetters {
        let letters = DeadLetters::in_topic(cluster, dead_letter_topic(topic, group));
        DeadLetters { group: Some(group.to_owned()), ..letters }
    }

    /// Those in this dead-letter topic, whichever group gave up on them.
    pub fn in_topic(cluster: Cluster, topic: impl Into<String>) -> DeadLetters {
        DeadLetters { cluster, topic: topic.into(), group: None }
    }

    /// Whether a topic is called like those of dead letters: `….dead`.
    pub fn is_name_of(topic: &str) -> bool {
        topic.ends_with(".dead")
    }

    /// The cluster's topics that are called like those of dead letters: `….dead`.
    ///
    /// # Errors
    /// [`DeadLetterError::Broker`].
    pub async fn topics(cluster: Cluster) -> Result<Vec<String>, DeadLetterError> {
        let topics = tokio::task::spawn_blocking(move || scan::topics(&cluster));
        topics.await.map_err(|error| DeadLetterError::Broker(error.to_string()))?
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

    /// All unsettled letters, one by one.
    pub fn stream(&self) -> DeadLetterStream {
        DeadLetterStream::open(self.clone())
    }

    /// Sends letters again, to their origin or to `to`, and settles each once its copy is stored. If that is cut short
    /// between the two, up to 30 letters go twice; their origin headers (and so an inbox) tell the copies as one.
    ///
    /// # Errors
    /// [`DeadLetterError::Send`] says how many went well before.
    pub async fn redrive(&self, letters: Letters, to: Option<&str>) -> Result<u64, DeadLetterError> {
        let Letters::One { partition, offset } = letters else {
            return self.redrive_where(|_| true, to).await;
        };
        let mut settler = Settler::start(self, Settling::Redriven(to)).await?;
        settler.add(self.show(partition, offset).await?).await?;
        settler.finish().await
    }

    /// The same with those that `wanted` wants.
    ///
    /// # Errors
    /// Those of [`DeadLetters::redrive`].
    pub async fn redrive_where(
        &self,
        wanted: impl FnMut(&DeadLetter) -> bool,
        to: Option<&str>,
    ) -> Result<u64, DeadLetterError> {
        self.settle_where(wanted, Settling::Redriven(to)).await
    }

    /// Removes letters for good. All: their records are deleted. One, or all if there are another group's between them: they are
    /// settled, and their records stay until all are deleted.
    ///
    /// # Errors
    /// Those of [`DeadLetters::show`], and [`DeadLetterError::Broker`] if the broker does not delete.
    pub async fn purge(&self, letters: Letters) -> Result<u64, DeadLetterError> {
        match letters {
            Letters::All => {
                // What comes while these are counted stays.
                let ends = self.ends().await?;
                let below =
                    |place: &Position| ends.get(&place.partition).is_some_and(|end| place.offset < *end);
                let mut purged = 0;
                let mut stream = DeadLetters { group: None, ..self.clone() }.stream();
                while let Some(letter) = stream.next().await {
                    let letter = letter?;
                    if !self.has(&letter) {
                        return self.settle_where(|_| true, Settling::Purged).await;
                    }
                    purged += u64::from(below(letter.position()));
                }
                self.delete(&ends).await?;
                Ok(purged)
            }
            Letters::One { partition, offset } => {
                let mut settler = Settler::start(self, Settling::Purged).await?;
                settler.add(self.show(partition, offset).await?).await?;
                settler.finish().await
            }
        }
    }

    /// Settles those that `wanted` wants; their records stay in the topic until all are deleted, or with its retention.
    ///
    /// # Errors
    /// Those of [`DeadLetters::redrive`].
    pub async fn purge_where(&self, wanted: impl FnMut(&DeadLetter) -> bool) -> Result<u64, DeadLetterError> {
        self.settle_where(wanted, Settling::Purged).await
    }

    /// Deletes all records of a partition of the dead-letter topic below an offset, settled or not.
    ///
    /// # Errors
    /// [`DeadLetterError::Broker`] if the broker does not delete.
    pub async fn delete_below(&self, partition: i32, offset: i64) -> Result<(), DeadLetterError> {
        self.delete(&BTreeMap::from([(partition, offset)])).await
    }

    async fn settle_where(
        &self,
        mut wanted: impl FnMut(&DeadLetter) -> bool,
        what: Settling<'_>,
    ) -> Result<u64, DeadLetterError> {
        let mut settler = Settler::start(self, what).await?;
        let mut stream = self.stream();
        while let Some(letter) = stream.next().await {
            let letter = letter?;
            if wanted(&letter) {
                settler.add(letter).await?;
            }
        }
        settler.finish().await
    }

    async fn select(&self, letters: Letters, letters_max: usize) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let of = self.clone();
        let selected = tokio::task::spawn_blocking(move || scan::unsettled(&of, letters, letters_max));
        selected.await.map_err(|error| DeadLetterError::Broker(error.to_string()))?
    }

    /// Whether a letter of the topic is one of these.
    fn has(&self, letter: &DeadLetter) -> bool {
        let other = |group: &String| letter.group().is_some_and(|of| of != group);
        !self.group.as_ref().is_some_and(other)
    }

    /// The end of each partition.
    async fn ends(&self) -> Result<BTreeMap<i32, i64>, DeadLetterError> {
        let (cluster, topic) = (self.cluster.clone(), self.topic.clone());
        let bounds = tokio::task::spawn_blocking(move || scan::bounds(&cluster, &topic));
        let bounds = bounds.await.map_err(|error| DeadLetterError::Broker(error.to_string()))??;
        Ok(bounds.into_iter().map(|(partition, _, end)| (partition, end)).collect())
    }

    async fn delete(&self, below: &BTreeMap<i32, i64>) -> Result<(), DeadLetterError> {
        let admin = AdminClient::<DefaultClientContext>::from_config(&self.cluster.config(&[]))?;
        let mut list = TopicPartitionList::new();
        for (partition, offset) in below {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        let options = AdminOptions::new().request_timeout(Some(TIME_MAX)).operation_timeout(Some(TIME_MAX));
        let deleted = admin.delete_records(&list, &options).await?;
        for element in deleted.elements() {
            element.error()?;
        }
        Ok(())
    }
}
