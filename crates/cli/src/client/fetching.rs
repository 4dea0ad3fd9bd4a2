//! Reading partitions from given offsets on: one fetch per leader at a time, all leaders at once. It checks each batch's
//! checksum and keeps the offsets; what to do with records is the caller's.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tallymq_gateway::kafka::{
    Response,
    messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData},
    records::{Record, read_records},
};
use tallymq_model::BatchHeader;

use super::{Address, Client, ClientError, Pending, TopicInfo, check};

/// Bytes of one answer, and of one partition's part of it.
const FETCH_BYTES_MAX: i32 = 50 << 20;
const PARTITION_BYTES_MAX: i32 = 1 << 20;
/// A batch may be this large when it is decompressed.
const RECORDS_BYTES_MAX: usize = 1 << 30;

/// Records of one partition.
#[derive(Debug)]
pub struct Fetched {
    /// The partition.
    pub partition: i32,
    /// In offset order; possibly none.
    pub records: Vec<Record>,
}

/// The positions of some partitions of one topic.
#[derive(Debug)]
pub struct Fetcher {
    topic: TopicInfo,
    /// Partition → the next offset to read.
    positions: BTreeMap<i32, i64>,
}

impl Fetcher {
    /// Reads nothing yet.
    pub fn new(topic: TopicInfo) -> Fetcher {
        Fetcher { topic, positions: BTreeMap::new() }
    }

    /// The topic.
    pub fn topic(&self) -> &TopicInfo {
        &self.topic
    }

    /// Reads `partition` too, from `offset` on.
    pub fn add(&mut self, partition: i32, offset: i64) {
        self.positions.insert(partition, offset);
    }

    /// Stops reading `partition`.
    pub fn remove(&mut self, partition: i32) {
        self.positions.remove(&partition);
    }

    /// Partition → the next offset to read.
    pub fn positions(&self) -> &BTreeMap<i32, i64> {
        &self.positions
    }

    /// Finds the leaders again, after an error that may come from a change of them.
    pub async fn refresh(&mut self, client: &mut Client) -> Result<(), ClientError> {
        self.topic = client.topic(&self.topic.name, false).await?;
        Ok(())
    }

    /// One round: what there is, or after `wait` nothing. The positions move behind what is given.
    pub async fn fetch(&mut self, client: &mut Client, wait: Duration) -> Result<Vec<Fetched>, ClientError> {
        let mut by_leader: BTreeMap<Address, Vec<FetchPartition>> = BTreeMap::new();
        for (&partition, &fetch_offset) in &self.positions {
            let asked = FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: PARTITION_BYTES_MAX,
                ..FetchPartition::default()
            };
            by_leader.entry(self.topic.leader(partition)?.clone()).or_default().push(asked);
        }
        let mut pending: Vec<Pending> = Vec::new();
        for (address, partitions) in by_leader {
            pending.push(client.to(&address).await?.start(self.request(partitions, wait))?);
        }
        let mut fetched = Vec::new();
        for pending in pending {
            match pending.answer().await? {
                Response::Fetch(answer) => self.take(answer, &mut fetched)?,
                other => return Err(ClientError::WrongAnswer(other.api())),
            }
        }
        for part in &fetched {
            if let Some(last) = part.records.last() {
                self.positions.insert(part.partition, last.offset.0 + 1);
            }
        }
        Ok(fetched)
    }

    fn request(&self, partitions: Vec<FetchPartition>, wait: Duration) -> FetchRequest {
        let topic = FetchTopic { topic: self.topic.name.clone(), topic_id: self.topic.id, partitions };
        FetchRequest {
            max_wait_ms: wait.as_millis() as i32,
            min_bytes: 1,
            max_bytes: FETCH_BYTES_MAX,
            topics: vec![topic],
            ..FetchRequest::default()
        }
    }

    fn take(&mut self, answer: FetchResponse, fetched: &mut Vec<Fetched>) -> Result<(), ClientError> {
        check("fetch", answer.error_code, None)?;
        for data in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            let partition = data.partition_index;
            let Some(&from) = self.positions.get(&partition) else {
                continue;
            };
            let what = format!("{}-{partition} at offset {from}", self.topic.name);
            check(what, data.error_code, None)?;
            fetched.push(self.read(data, from)?);
        }
        Ok(())
    }

    fn read(&mut self, data: PartitionData, from: i64) -> Result<Fetched, ClientError> {
        let partition = data.partition_index;
        let mut bytes = data.records.unwrap_or_default().into_contiguous();
        let mut records = Vec::new();
        // The last batch may be cut off at the end of the answer.
        while let Ok(header) = BatchHeader::parse(&bytes) {
            let batch = bytes.split_to(header.size_bytes);
            let failed = |reason: String| ClientError::Records {
                what: format!("{}-{partition} at offset {}", self.topic.name, header.base_offset),
                reason,
            };
            header.check_crc(&batch).map_err(|error| failed(error.to_string()))?;
            let read = read_batch(&header, &batch).map_err(failed)?;
            records.extend(read.into_iter().filter(|record| record.offset.0 >= from));
            if records.is_empty() && header.next_offset().0 > from {
                // Nothing for applications in it (a control batch): go on behind it.
                self.positions.insert(partition, header.next_offset().0);
            }
        }
        Ok(Fetched { partition, records })
    }
}

fn read_batch(header: &BatchHeader, batch: &Bytes) -> Result<Vec<Record>, String> {
    if header.is_control() {
        return Ok(Vec::new());
    }
    read_records(header, batch, RECORDS_BYTES_MAX).map_err(|error| error.to_string())
}
