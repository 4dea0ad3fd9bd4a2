//! Sending letters again and settling them, some at a time: all copies of a batch are stored before the first of its notes is
//! sent, so that nothing is settled that is not stored. What is cut short in between is sent twice, and never lost.

use futures_util::future::join_all;

use super::{DeadLetter, DeadLetterError, DeadLetters};
use crate::{
    consumer::copies,
    headers,
    producer::{Producer, SendError},
    record::Record,
};

/// Letters whose copies may be stored without their notes: what a crash in the middle can double. Of so many futures
/// `join_all` polls each in its turn.
const BATCH_LETTERS: usize = 30;

/// What becomes of the letters.
#[derive(Clone, Copy)]
pub(super) enum Settling<'a> {
    /// Sent again: to this topic, or to their origin.
    Redriven(Option<&'a str>),
    /// Left where they are, as done with.
    Purged,
}

/// Settles letters in batches, and counts them.
pub(super) struct Settler<'a> {
    letters: &'a DeadLetters,
    producer: Producer,
    what: Settling<'a>,
    batch: Vec<(DeadLetter, Option<String>)>, // with its destination
    settled: u64,
}

impl<'a> Settler<'a> {
    pub(super) async fn start(
        letters: &'a DeadLetters,
        what: Settling<'a>,
    ) -> Result<Settler<'a>, DeadLetterError> {
        // Copies carry the number of their origin and none of their own.
        let producer =
            Producer::builder(letters.cluster.for_copies()).sequence_headers(false).start().await?;
        Ok(Settler { letters, producer, what, batch: Vec::new(), settled: 0 })
    }

    /// One more letter.
    pub(super) async fn add(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let to = match self.what {
            Settling::Purged => None,
            Settling::Redriven(Some(topic)) => Some(topic.to_owned()),
            Settling::Redriven(None) => match letter.origin_topic() {
                Some(topic) => Some(topic.to_owned()),
                None => {
                    let (partition, offset) = (letter.position().partition, letter.position().offset);
                    // What came before it is not to be sent again with the next attempt.
                    self.flush().await?;
                    return Err(DeadLetterError::NoOrigin { partition, offset });
                }
            },
        };
        self.batch.push((letter, to));
        if self.batch.len() >= BATCH_LETTERS { self.flush().await } else { Ok(()) }
    }

    /// Settles what was added, and says how many that are in all.
    pub(super) async fn finish(mut self) -> Result<u64, DeadLetterError> {
        self.flush().await?;
        Ok(self.settled)
    }

    async fn flush(&mut self) -> Result<(), DeadLetterError> {
        let batch = std::mem::take(&mut self.batch);
        let producer = &self.producer;
        let copies = batch.iter().map(|(letter, to)| async move {
            match to {
                Some(topic) => {
                    let copy = copies::for_redrive(letter.record(), topic.clone());
                    producer.send(copy).await.map(drop)
                }
                None => Ok(()),
            }
        });
        // Sends are stored in the order in which they are polled first: that of the letters.
        let copies = join_all(copies).await;
        let mut failure: Option<SendError> = None;
        let mut stored = Vec::with_capacity(batch.len());
        for ((letter, _), copy) in batch.iter().zip(copies) {
            match copy {
                Ok(()) => stored.push(letter),
                Err(source) => failure = failure.or(Some(source)),
            }
        }
        let notes = join_all(stored.iter().map(|letter| producer.send(self.note(letter)))).await;
        for note in notes {
            match note {
                Ok(_) => self.settled += 1,
                Err(source) => failure = failure.or(Some(source)),
            }
        }
        match failure {
            Some(source) => Err(DeadLetterError::Send { redriven: self.settled, source }),
            None => Ok(()),
        }
    }

    fn note(&self, letter: &DeadLetter) -> Record {
        let settled_as = match self.what {
            Settling::Redriven(_) => "redriven",
            Settling::Purged => "purged",
        };
        Record::to(self.letters.topic())
            .partition(letter.position().partition)
            .header(headers::SETTLES, letter.position().offset.to_string())
            .header(headers::SETTLED_AS, settled_as)
    }
}
