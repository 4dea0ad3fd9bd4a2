//! The time of single records: the batch at an offset, of which only the header is read.

use std::collections::BTreeMap;

use tallymq_gateway::kafka::{
    Response,
    messages::fetch::{FetchPartition, FetchRequest, FetchTopic},
};
use tallymq_model::BatchHeader;

use super::{Client, ClientError, Pending, TopicInfo};

/// One batch comes however large it is (KIP-74).
const BYTES_MAX: i32 = 1;
/// How many requests are on their way at once.
const AT_ONCE: usize = 64;

impl Client {
    /// The newest timestamp of the batch that holds each of these offsets, in milliseconds since 1970. A partition is absent
    /// if the offset is not there.
    pub async fn timestamps_at(
        &mut self,
        topic: &TopicInfo,
        offsets: &[(i32, i64)],
    ) -> Result<BTreeMap<i32, i64>, ClientError> {
        let mut found = BTreeMap::new();
        for some in offsets.chunks(AT_ONCE) {
            let mut pending: Vec<(i32, Pending)> = Vec::new();
            for (partition, offset) in some {
                // A request of its own for each: only the first partition of an answer is sure to get a batch.
                let connection = self.to(topic.leader(*partition)?).await?;
                pending.push((*partition, connection.start(request(topic, *partition, *offset))?));
            }
            for (partition, pending) in pending {
                if let Some(timestamp) = newest(pending.answer().await?)? {
                    found.insert(partition, timestamp);
                }
            }
        }
        Ok(found)
    }
}

fn request(topic: &TopicInfo, partition: i32, fetch_offset: i64) -> FetchRequest {
    let asked = FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: BYTES_MAX,
        ..FetchPartition::default()
    };
    let topic = FetchTopic { topic: topic.name.clone(), topic_id: topic.id, partitions: vec![asked] };
    FetchRequest { max_bytes: BYTES_MAX, topics: vec![topic], ..FetchRequest::default() }
}

fn newest(answer: Response) -> Result<Option<i64>, ClientError> {
    let Response::Fetch(answer) = answer else {
        return Err(ClientError::WrongAnswer(answer.api()));
    };
    let data = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
    let bytes = data.and_then(|data| data.records).map(|records| records.into_contiguous());
    let header = bytes.and_then(|bytes| BatchHeader::parse_prefix(&bytes).ok());
    Ok(header.map(|header| header.max_timestamp.0))
}
