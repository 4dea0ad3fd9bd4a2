//! What the handlers of group APIs translate alike: who asks, subscriptions and assignments, partitions by topic.

use bytes::Bytes;
use tallymq_broker::group::{
    InstanceId, Text,
    request::{Client, Subscription},
    response::Assignment,
    topics::{NamedPartitions, PartitionSet},
};
use tallymq_gateway::kafka::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartitions, decode, encode,
};
use tallymq_model::PartitionIndex;
use uuid::Uuid;

use super::dispatch::CallContext;

/// The protocol type whose metadata the broker can read.
pub const CONSUMER: &str = "consumer";

/// Version of the assignments that the broker writes; all versions look the same, and every client reads the first.
const ASSIGNMENT_VERSION: i16 = 0;

/// Who asks. Kafka writes an address with a slash in front, and clients show it so.
pub fn client(context: &CallContext) -> Client {
    let host = format!("/{}", context.client.ip().to_canonical());
    Client { id: context.client_id.as_str().into(), host: host.into() }
}

/// A fresh id, for a member that needs one.
pub fn fresh_id() -> Text {
    Uuid::new_v4().to_string().into()
}

/// A static member's name.
pub fn instance(name: Option<String>) -> Option<InstanceId> {
    name.map(InstanceId::from)
}

/// Milliseconds; the wire's negative numbers mean nothing here.
pub fn millis(wire: i32) -> u32 {
    u32::try_from(wire).unwrap_or(0)
}

/// Milliseconds, or a number that fits the wire.
pub fn wire_millis(millis: u32) -> i32 {
    i32::try_from(millis).unwrap_or(i32::MAX)
}

/// A copy of what a group remembers: it would keep the whole of what was read together with it.
pub fn kept(words: &Bytes) -> Bytes {
    Bytes::copy_from_slice(words)
}

/// Reads a consumer's subscription; None if the bytes are something else.
pub fn subscription(metadata: &Bytes) -> Option<Subscription> {
    let read: ConsumerProtocolSubscription = decode(metadata.clone()).ok()?;
    Some(Subscription {
        topics: read.topics.into_iter().map(Text::from).collect(),
        owned: named(read.owned_partitions),
        generation: (read.generation_id >= 0).then_some(read.generation_id),
        rack: read.rack_id.filter(|rack| !rack.is_empty()).map(Text::from),
    })
}

/// Reads a consumer's assignment; empty if the bytes are something else.
pub fn assigned_partitions(assignment: &Bytes) -> Vec<NamedPartitions> {
    let read = decode::<ConsumerProtocolAssignment>(assignment.clone());
    read.map(|read| named(read.assigned_partitions)).unwrap_or_default()
}

fn named(topics: Vec<TopicPartitions>) -> Vec<NamedPartitions> {
    let named = topics.into_iter().map(|topic| {
        let mut partitions: Vec<PartitionIndex> = topic.partitions.into_iter().map(PartitionIndex).collect();
        partitions.sort_unstable();
        NamedPartitions { topic: topic.topic.into(), partitions }
    });
    named.collect()
}

/// An assignment as a member reads it.
pub fn assignment_bytes(assignment: Assignment) -> Bytes {
    let partitions = match assignment {
        Assignment::Opaque(bytes) => return bytes,
        Assignment::Partitions(partitions) => partitions,
    };
    let assigned_partitions = partitions
        .into_iter()
        .map(|one| TopicPartitions {
            topic: one.topic.to_string(),
            partitions: one.partitions.into_iter().map(|partition| partition.0).collect(),
        })
        .collect();
    let message = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
    encode(&message, ASSIGNMENT_VERSION).expect("names and counts of existing topics fit the layout")
}

/// Partitions by topic, both ascending.
pub fn by_topic(partitions: &PartitionSet) -> Vec<(Uuid, Vec<i32>)> {
    let mut topics: Vec<(Uuid, Vec<i32>)> = Vec::new();
    for tp in partitions {
        match topics.last_mut() {
            Some((topic, indexes)) if *topic == tp.topic.0 => indexes.push(tp.partition.0),
            _ => topics.push((tp.topic.0, vec![tp.partition.0])),
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use tallymq_model::{TopicId, TopicPartition};

    use super::*;

    fn partitions(topic: &str, partitions: &[i32]) -> TopicPartitions {
        TopicPartitions { topic: topic.to_owned(), partitions: partitions.to_vec() }
    }

    fn expected(topic: &str, partitions: &[i32]) -> NamedPartitions {
        NamedPartitions {
            topic: topic.into(),
            partitions: partitions.iter().copied().map(PartitionIndex).collect(),
        }
    }

    fn full() -> ConsumerProtocolSubscription {
        ConsumerProtocolSubscription {
            topics: vec!["a".to_owned(), "b".to_owned()],
            user_data: Some(Bytes::from_static(b"sticky")),
            owned_partitions: vec![partitions("b", &[2, 0])],
            generation_id: 7,
            rack_id: Some("r1".to_owned()),
        }
    }

    #[test]
    fn a_subscription_is_read_in_every_version() {
        for version in 0..=3 {
            let read = subscription(&encode(&full(), version).unwrap()).unwrap();
            assert_eq!(read.topics, ["a".into(), "b".into()]);
            assert_eq!(read.owned, if version >= 1 { vec![expected("b", &[0, 2])] } else { Vec::new() });
            assert_eq!(read.generation, (version >= 2).then_some(7));
            assert_eq!(read.rack, (version >= 3).then(|| "r1".into()));
        }
    }

    #[test]
    fn an_unknown_generation_and_an_empty_rack_are_none() {
        let message =
            ConsumerProtocolSubscription { generation_id: -1, rack_id: Some(String::new()), ..full() };
        let read = subscription(&encode(&message, 3).unwrap()).unwrap();
        assert_eq!((read.generation, read.rack), (None, None));
    }

    #[test]
    fn other_bytes_are_no_subscription() {
        let whole = encode(&full(), 3).unwrap();
        for end in 0..whole.len() {
            assert_eq!(subscription(&whole.slice(..end)), None, "cut at {end}");
        }
        // a count of topics that the bytes cannot hold
        assert_eq!(subscription(&Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0])), None);
    }

    #[test]
    fn an_assignment_is_what_was_encoded() {
        let given = vec![expected("a", &[0, 3]), expected("b", &[1])];
        let bytes = assignment_bytes(Assignment::Partitions(given.clone()));
        let raw = [0, 0, 0, 0, 0, 2, 0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3];
        assert_eq!(bytes[..raw.len()], raw);
        assert_eq!(assigned_partitions(&bytes), given);
    }

    #[test]
    fn a_leaders_own_bytes_stay_as_they_are() {
        let bytes = Bytes::from_static(b"anything");
        assert_eq!(assignment_bytes(Assignment::Opaque(bytes.clone())), bytes);
        assert_eq!(assigned_partitions(&Bytes::new()), Vec::new());
    }

    #[test]
    fn partitions_are_gathered_by_topic() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tp =
            |topic, partition| TopicPartition { topic: TopicId(topic), partition: PartitionIndex(partition) };
        let set = PartitionSet::from([tp(two, 0), tp(one, 4), tp(one, 1)]);
        assert_eq!(by_topic(&set), [(one, vec![1, 4]), (two, vec![0])]);
    }
}
