//! What a data group's checkpoint holds: the broker's state, and how far each partition's log is synced.
//!
//! ```text
//! version u8 = 1 | state length, state | count | per partition: topic uuid, partition, position length, position
//! ```
//! Numbers as in `broker::codec`; positions as in `storage::log::position`.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use tallymq_broker::{Parts, Reader, data::DataGroup};
use tallymq_model::TopicPartition;
use tallymq_storage::log::LogPosition;

use crate::data::RestoreError;

const VERSION: u8 = 1;

pub(crate) fn encode(state: &Bytes, positions: &BTreeMap<TopicPartition, LogPosition>) -> Vec<Bytes> {
    let mut parts = Parts::new();
    parts.put_u8(VERSION);
    parts.put_bytes(state);
    parts.put_length(positions.len());
    let mut encoded = Vec::new();
    for (tp, position) in positions {
        encoded.clear();
        position.encode(&mut encoded);
        parts.put_topic_partition(*tp);
        parts.put_slice(&encoded);
    }
    parts.into_parts()
}

/// State and positions of a checkpoint.
pub type Contents = (DataGroup, HashMap<TopicPartition, LogPosition>);

/// Reads a data group's checkpoint.
pub fn decode(mut checkpoint: Bytes) -> Result<Contents, RestoreError> {
    let mut reader = Reader::new(&mut checkpoint);
    reader.version("a data group's checkpoint", VERSION)?;
    let mut state = reader.bytes("a data group's state")?;
    let state = DataGroup::decode(&mut state)?;
    let count = reader.count("log positions", 18)?;
    let mut positions = HashMap::with_capacity(count);
    for _ in 0..count {
        let tp = reader.topic_partition("a log position's partition")?;
        let mut bytes = reader.bytes("a log position")?;
        positions.insert(tp, LogPosition::decode(&mut bytes)?);
    }
    Ok((state, positions))
}
