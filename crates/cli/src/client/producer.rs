//! An idempotent producer (KIP-98): each partition has at most one batch unanswered, and a batch that is sent again keeps
//! its sequence, so that it is stored once however often the connection breaks.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use tallymq_gateway::kafka::{
    ErrorCode, Records, Response,
    messages::{
        init_producer_id::InitProducerIdRequest,
        produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData},
    },
    records::{self, BatchOptions, Compression, Record, build_batch},
};
use tallymq_model::Sequence;
use tokio::time::Instant;

use super::{Address, Client, ClientError, TopicInfo, call, check};

/// Pause before something is tried again.
pub(super) const BACKOFF: Duration = Duration::from_millis(100);
/// Acknowledged by all in-sync replicas.
const ACKS_ALL: i16 = -1;

/// Records for one partition.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The partition.
    pub partition: i32,
    /// At least one.
    pub records: Vec<Record>,
}

/// What came of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// Stored; its first record has this offset.
    Acknowledged(i64),
    /// Refused, or not known: then nothing more may be sent.
    Failed(ClientError),
}

/// The producer of one topic.
pub struct Producer {
    topic: TopicInfo,
    compression: Compression,
    id: i64,
    epoch: i16,
    sequences: HashMap<i32, Sequence>,
}

struct InFlight {
    at: usize,
    partition: i32,
    bytes: Bytes,
}

impl Producer {
    /// Gets a producer id, and the topic's leaders.
    pub async fn start(
        client: &mut Client,
        topic: &str,
        compression: Compression,
    ) -> Result<Producer, ClientError> {
        let topic = client.topic_with_leaders(topic, true).await?;
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        let deadline = Instant::now() + client.timeout();
        loop {
            let answer = call!(client.any().await?, InitProducerId, request.clone())?;
            match check("producer id", answer.error_code, None) {
                Ok(()) => {
                    let (id, epoch) = (answer.producer_id, answer.producer_epoch);
                    return Ok(Producer { topic, compression, id, epoch, sequences: HashMap::new() });
                }
                Err(error) if error.is_retriable() && Instant::now() < deadline => {
                    tokio::time::sleep(BACKOFF).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The topic.
    pub fn topic(&self) -> &TopicInfo {
        &self.topic
    }

    /// Sends the batches, at most one per partition, until each is stored or refused, or time is up. The outcomes are in
    /// the order of the batches.
    pub async fn send(&mut self, client: &mut Client, batches: &[Batch]) -> Vec<Outcome> {
        let deadline = Instant::now() + client.timeout();
        let mut outcomes: Vec<Option<Outcome>> = batches.iter().map(|_| None).collect();
        let mut open: Vec<InFlight> =
            batches.iter().enumerate().map(|(at, batch)| self.in_flight(at, batch)).collect();
        while !open.is_empty() {
            let mut again = Vec::new();
            for (sent, result) in self.round(client, open).await {
                match result {
                    Ok(offset) => outcomes[sent.at] = Some(Outcome::Acknowledged(offset)),
                    Err(error) if error.is_retriable() && Instant::now() < deadline => again.push(sent),
                    Err(error) => outcomes[sent.at] = Some(Outcome::Failed(error)),
                }
            }
            open = again;
            if !open.is_empty() {
                tokio::time::sleep(BACKOFF).await;
                // Whether this succeeds shows in the next round.
                if let Ok(topic) = client.topic(&self.topic.name, false).await {
                    self.topic = topic;
                }
            }
        }
        let outcomes: Vec<_> =
            outcomes.into_iter().map(|outcome| outcome.expect("each batch ended")).collect();
        for (batch, outcome) in batches.iter().zip(&outcomes) {
            if matches!(outcome, Outcome::Acknowledged(_)) {
                let next = self.sequences.entry(batch.partition).or_default();
                *next = next.plus(batch.records.len() as i32);
            }
        }
        outcomes
    }

    fn in_flight(&self, at: usize, batch: &Batch) -> InFlight {
        let sequence = self.sequences.get(&batch.partition).copied().unwrap_or_default();
        let producer = records::Producer { id: self.id, epoch: self.epoch, base_sequence: sequence.0 };
        let options = BatchOptions { compression: self.compression, producer: Some(producer) };
        InFlight { at, partition: batch.partition, bytes: build_batch(&batch.records, &options) }
    }

    /// Sends all to their leaders at once, then collects the answers.
    async fn round(
        &self,
        client: &mut Client,
        open: Vec<InFlight>,
    ) -> Vec<(InFlight, Result<i64, ClientError>)> {
        let mut results = Vec::new();
        let mut by_leader: BTreeMap<Address, Vec<InFlight>> = BTreeMap::new();
        for sent in open {
            match self.topic.leader(sent.partition) {
                Ok(address) => by_leader.entry(address.clone()).or_default().push(sent),
                Err(error) => results.push((sent, Err(error))),
            }
        }
        let mut pending = Vec::new();
        for (address, sent) in by_leader {
            let request = self.request(client, &sent);
            let started = match client.to(&address).await {
                Ok(connection) => connection.start(request),
                Err(error) => Err(error),
            };
            pending.push((sent, started));
        }
        for (sent, started) in pending {
            let answer = match started {
                Ok(pending) => pending.answer().await,
                Err(error) => Err(error),
            };
            results.extend(self.sort_out(sent, answer));
        }
        results
    }

    fn request(&self, client: &Client, sent: &[InFlight]) -> ProduceRequest {
        let partition_data = sent
            .iter()
            .map(|sent| PartitionProduceData {
                index: sent.partition,
                records: Some(Records::from(sent.bytes.clone())),
            })
            .collect();
        let topic =
            TopicProduceData { name: self.topic.name.clone(), topic_id: self.topic.id, partition_data };
        ProduceRequest {
            transactional_id: None,
            acks: ACKS_ALL,
            timeout_ms: client.timeout().as_millis() as i32,
            topic_data: vec![topic],
        }
    }

    fn sort_out(
        &self,
        sent: Vec<InFlight>,
        answer: Result<Response, ClientError>,
    ) -> Vec<(InFlight, Result<i64, ClientError>)> {
        let answer = match answer {
            Ok(Response::Produce(answer)) => Ok(answer),
            Ok(other) => Err(ClientError::WrongAnswer(other.api()).to_string()),
            Err(error) if !error.is_connectivity() => Err(error.to_string()),
            Err(error) => {
                // Not known whether it was stored: sent again with the same sequence.
                let lost = |partition| ClientError::Lost {
                    address: self.topic.leader(partition).map(Address::to_string).unwrap_or_default(),
                    reason: error.to_string(),
                };
                return sent
                    .into_iter()
                    .map(|one| {
                        let lost = lost(one.partition);
                        (one, Err(lost))
                    })
                    .collect();
            }
        };
        sent.into_iter()
            .map(|one| {
                let result = match &answer {
                    Ok(answer) => self.outcome_of(one.partition, answer),
                    Err(text) => Err(ClientError::Records {
                        what: format!("{}-{}", self.topic.name, one.partition),
                        reason: text.clone(),
                    }),
                };
                (one, result)
            })
            .collect()
    }

    fn outcome_of(&self, partition: i32, answer: &ProduceResponse) -> Result<i64, ClientError> {
        let what = format!("{}-{partition}", self.topic.name);
        let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
        let Some(found) = partitions.find(|known| known.index == partition) else {
            let reason = "the broker's answer does not mention it".to_owned();
            return Err(ClientError::Records { what, reason });
        };
        // A repeat from before the remembered window: stored, only its offset is not known any more.
        if found.error_code != ErrorCode::DuplicateSequenceNumber {
            check(what, found.error_code, found.error_message.clone())?;
        }
        Ok(found.base_offset)
    }
}
