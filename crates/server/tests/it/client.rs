//! A client without a mind of its own: the gateway's client codec over a socket, answers in the order in which they come.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use tallymq_gateway::kafka::{
    ApiKey, ErrorCode, Records, Request, Response,
    client_codec::{decode_response, encode_request, take_frame},
    messages::{
        create_topics::{CreatableTopic, CreateTopicsRequest},
        delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic},
        fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic},
        list_offsets::{
            ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
        },
        offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic},
        produce::{PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData},
    },
    records::{BatchOptions, Compression, Record, build_batch, read_records},
};
use tallymq_model::{BatchHeader, Timestamp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Nothing takes so long, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(300);
const FRAME_BYTES_MAX: usize = 64 << 20;
pub const LATEST: i64 = -1;

/// Waits for what has to come.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it never came")
}

/// Looks again and again, until it is so. In between there is time for what it waits for, which may have a low priority.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    soon(async {
        while !is_so() {
            looks.tick().await;
        }
    })
    .await;
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    arrived: BytesMut,
    asked: VecDeque<(i32, ApiKey, i16)>,
    last: i32,
    name: String,
}

macro_rules! answer {
    ($response:expr, $name:ident) => {
        match $response {
            tallymq_gateway::kafka::Response::$name(response) => response,
            other => panic!("{:?} was answered", other.api()),
        }
    };
}
pub(crate) use answer;

impl Client {
    pub async fn connect(address: SocketAddr) -> Client {
        let stream = soon(TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, arrived: BytesMut::new(), asked: VecDeque::new(), last: 0, name: "test".to_owned() }
    }

    /// The same; it takes in little before it is read.
    pub async fn connect_narrow(address: SocketAddr) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        let stream = soon(socket.connect(address)).await.unwrap();
        Client { stream, arrived: BytesMut::new(), asked: VecDeque::new(), last: 0, name: "test".to_owned() }
    }

    /// Waits for the first byte of an answer, and leaves it where it is.
    pub async fn arriving(&mut self) {
        assert_eq!(soon(self.stream.peek(&mut [0])).await.unwrap(), 1);
    }

    /// The same with another client id.
    pub fn called(mut self, name: &str) -> Client {
        self.name = name.to_owned();
        self
    }

    /// Sends a request in the newest version that names topics by name, and does not wait.
    pub async fn send(&mut self, request: impl Into<Request>) {
        let request = request.into();
        let api = request.api();
        let newest = match api {
            ApiKey::Produce | ApiKey::Fetch => 12,
            ApiKey::OffsetCommit => 9,
            ApiKey::OffsetFetch => 7,
            _ => *api.decodable().end(),
        };
        self.send_as(newest, request).await;
    }

    /// Sends a request in this version.
    pub async fn send_as(&mut self, version: i16, request: impl Into<Request>) {
        let request = request.into();
        self.last += 1;
        self.asked.push_back((self.last, request.api(), version));
        let frame = encode_request(version, self.last, Some(&self.name), &request).unwrap().concat();
        self.send_bytes(&frame).await;
    }

    /// Sends anything at all.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer, which must be that to the oldest request without one.
    pub async fn receive(&mut self) -> Response {
        let (expected, api, version) = self.asked.pop_front().expect("nothing was asked");
        loop {
            if let Some(frame) = take_frame(&mut self.arrived, FRAME_BYTES_MAX).unwrap() {
                let (correlation_id, response) = decode_response(api, version, frame).unwrap();
                assert_eq!(correlation_id, expected, "answers come in the order of the requests");
                return response;
            }
            let read = soon(self.stream.read_buf(&mut self.arrived)).await.unwrap();
            assert!(read > 0, "closed instead of an answer");
        }
    }

    pub async fn call(&mut self, request: impl Into<Request>) -> Response {
        self.send(request).await;
        self.receive().await
    }

    /// Whether something has arrived that was not received yet.
    pub fn has_answer(&mut self) -> bool {
        let mut one = [0];
        !self.arrived.is_empty() || self.stream.try_read(&mut one).is_ok()
    }

    /// Waits until the broker closes the connection; fails if it answers instead.
    pub async fn closed(mut self) {
        let ended = soon(self.stream.read_buf(&mut self.arrived)).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "an answer instead of the end: {:?}", self.arrived);
    }

    /// Makes a topic.
    pub async fn create(&mut self, topic: &str, partitions: i32) {
        let topic = CreatableTopic {
            name: topic.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let created = answer!(self.call(request).await, CreateTopics);
        assert_eq!(created.topics[0].error_code, ErrorCode::None, "{:?}", created.topics[0].error_message);
    }

    /// Deletes the records of partition 0 below an offset.
    pub async fn delete_records(&mut self, topic: &str, offset: i64) {
        let deleted = answer!(self.call(delete_records(topic, offset)).await, DeleteRecords);
        assert_eq!(deleted.topics[0].partitions[0].error_code, ErrorCode::None);
    }

    /// Produces one batch to partition 0.
    pub async fn produce(&mut self, topic: &str, batch: Bytes) -> PartitionProduceResponse {
        self.send(produce(topic, 0, batch)).await;
        self.produced().await
    }

    /// The answer to a produce of one batch.
    pub async fn produced(&mut self) -> PartitionProduceResponse {
        let mut response = answer!(self.receive().await, Produce);
        response.responses.remove(0).partition_responses.remove(0)
    }

    pub async fn fetch(&mut self, request: FetchRequest) -> FetchResponse {
        answer!(self.call(request).await, Fetch)
    }

    /// Offset and value of every record of partition 0.
    pub async fn read_all(&mut self, topic: &str) -> Vec<(i64, String)> {
        let end = self.offset(topic, LATEST).await.offset;
        let mut values = Vec::new();
        while (values.len() as i64) < end {
            let next = values.last().map_or(0, |(offset, _)| offset + 1);
            let fetched = self.fetch(fetch(topic, next)).await;
            let before = values.len();
            values.extend(values_of(&fetched).into_iter().filter(|(offset, _)| *offset >= next));
            assert!(values.len() > before, "nothing behind {next}, although the log ends at {end}");
        }
        values
    }

    /// ListOffsets of partition 0.
    pub async fn offset(&mut self, topic: &str, timestamp: i64) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition { timestamp, current_leader_epoch: -1, partition_index: 0 };
        let topic = ListOffsetsTopic { name: topic.to_owned(), partitions: vec![partition] };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let mut listed = answer!(self.call(request).await, ListOffsets);
        listed.topics.remove(0).partitions.remove(0)
    }

    /// Commits a position in partition 0 without being a member.
    pub async fn commit(&mut self, group: &str, topic: &str, offset: i64) -> ErrorCode {
        let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request =
            OffsetCommitRequest { group_id: group.to_owned(), topics: vec![topic], ..Default::default() };
        answer!(self.call(request).await, OffsetCommit).topics[0].partitions[0].error_code
    }

    /// The committed position in partition 0; -1 is none.
    pub async fn committed(&mut self, group: &str, topic: &str) -> i64 {
        let topic = OffsetFetchRequestTopic { name: topic.to_owned(), partition_indexes: vec![0] };
        let request = OffsetFetchRequest {
            group_id: group.to_owned(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        answer!(self.call(request).await, OffsetFetch).topics[0].partitions[0].committed_offset
    }
}

/// A request to delete the records of partition 0 below an offset.
pub fn delete_records(topic: &str, offset: i64) -> DeleteRecordsRequest {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.to_owned(), partitions }];
    DeleteRecordsRequest { topics, timeout_ms: 30_000 }
}

/// A request to store one batch.
pub fn produce(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: Some(Records::from(batch)) };
    let topic = TopicProduceData { name: topic.to_owned(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

/// A request for what is in partition 0 from `offset` on, without a wait and without a session.
pub fn fetch(topic: &str, offset: i64) -> FetchRequest {
    fetch_partitions(topic, &[(0, offset)])
}

/// The same for some partitions.
pub fn fetch_partitions(topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
    let partitions = partitions.iter().map(|&(partition, fetch_offset)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    });
    let topic =
        FetchTopic { topic: topic.to_owned(), partitions: partitions.collect(), ..Default::default() };
    FetchRequest { max_bytes: 16 << 20, topics: vec![topic], ..Default::default() }
}

/// A batch of one record.
pub fn batch(value: &str) -> Bytes {
    batch_at(&[(1_000, value)], Compression::None)
}

/// A batch of records with timestamps.
pub fn batch_at(records: &[(i64, &str)], compression: Compression) -> Bytes {
    let records: Vec<Record> = records
        .iter()
        .map(|(timestamp, value)| Record {
            timestamp: Timestamp(*timestamp),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            ..Record::default()
        })
        .collect();
    build_batch(&records, &BatchOptions { compression, producer: None })
}

/// Offset and value of every record of an answer's first partition.
pub fn values_of(fetched: &FetchResponse) -> Vec<(i64, String)> {
    let partition = &fetched.responses[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::None);
    let mut rest = partition.records.clone().unwrap_or_default().into_contiguous();
    let mut values = Vec::new();
    while !rest.is_empty() {
        let header = BatchHeader::parse(&rest).unwrap();
        let batch = rest.split_to(header.size_bytes);
        header.check_crc(&batch).unwrap();
        for record in read_records(&header, &batch, 1 << 20).unwrap() {
            let value = String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap();
            values.push((record.offset.0, value));
        }
    }
    values
}
