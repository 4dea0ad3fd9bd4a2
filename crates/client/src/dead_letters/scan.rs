//! Reading a dead-letter topic from its beginning to its end, without a group: twice, first for the notes, then for the
//! letters, so that memory holds only what is asked for. Blocks.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use super::{DeadLetter, DeadLetterError, DeadLetters, Letters};
use crate::{cluster::Cluster, consumer::Received, headers, sequence::Ranges};

const METADATA_TIME_MAX: Duration = Duration::from_secs(10);
/// Without a record for so long, the broker is called silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The unsettled letters among those asked for, at most so many.
pub(super) fn unsettled(
    of: &DeadLetters,
    letters: Letters,
    letters_max: usize,
) -> Result<Vec<DeadLetter>, DeadLetterError> {
    let mut found = Vec::new();
    visit(of, letters, &mut |letter| {
        if found.len() < letters_max {
            found.push(letter);
        }
        found.len() < letters_max
    })?;
    found.sort_by_key(|letter| (letter.position().partition, letter.position().offset));
    Ok(found)
}

/// Each unsettled letter among those asked for, oldest first per partition, until `wanted` says false.
pub(super) fn visit(
    of: &DeadLetters,
    letters: Letters,
    wanted: &mut dyn FnMut(DeadLetter) -> bool,
) -> Result<(), DeadLetterError> {
    let (cluster, topic) = (&of.cluster, of.topic());
    let mut bounds = bounds(cluster, topic)?;
    if let Letters::One { partition, offset } = letters {
        // Its note can only stand behind it.
        bounds.retain(|(one, start, end)| *one == partition && (*start..*end).contains(&offset));
        bounds.iter_mut().for_each(|bound| bound.1 = offset);
    }
    let mut settled: HashMap<i32, Ranges> = HashMap::new();
    read(cluster, topic, &bounds, &mut |record| {
        if let Some(offset) = headers::settles(record.headers()) {
            settled.entry(record.partition()).or_default().insert(offset..=offset);
        }
        true
    })?;
    read(cluster, topic, &bounds, &mut |record| {
        let offset = record.offset() as u64;
        let done = settled.get(&record.partition()).is_some_and(|settled| settled.contains(offset));
        let asked_for = match letters {
            Letters::All => true,
            Letters::One { offset, .. } => record.offset() == offset,
        };
        let is_note = headers::settles(record.headers()).is_some();
        let letter = DeadLetter::new(record);
        !asked_for || done || is_note || !of.has(&letter) || wanted(letter)
    })
}

/// The topics whose names are those of dead-letter topics.
pub(super) fn topics(cluster: &Cluster) -> Result<Vec<String>, DeadLetterError> {
    let metadata = client(cluster)?.fetch_metadata(None, METADATA_TIME_MAX)?;
    let names = metadata.topics().iter().filter(|topic| topic.error().is_none()).map(|topic| topic.name());
    let mut names: Vec<String> =
        names.filter(|name| DeadLetters::is_name_of(name)).map(str::to_owned).collect();
    names.sort_unstable();
    Ok(names)
}

/// Each partition with its first offset and its end.
pub(super) fn bounds(cluster: &Cluster, topic: &str) -> Result<Vec<(i32, i64, i64)>, DeadLetterError> {
    let consumer = client(cluster)?;
    let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIME_MAX)?;
    let found = metadata.topics().iter().find(|one| one.name() == topic && one.error().is_none());
    let Some(found) = found else { return Err(DeadLetterError::NoTopic(topic.to_owned())) };
    let mut bounds = Vec::new();
    for partition in found.partitions() {
        let (start, end) = consumer.fetch_watermarks(topic, partition.id(), METADATA_TIME_MAX)?;
        bounds.push((partition.id(), start, end));
    }
    Ok(bounds)
}

fn client(cluster: &Cluster) -> Result<BaseConsumer, DeadLetterError> {
    let config = cluster.config(&[
        // librdkafka reads nothing without one; it is neither joined nor committed to.
        ("group.id", "tallymq-dead-letters".into()),
        ("enable.auto.commit", "false".into()),
        // The last offsets of a partition may hold no record; its end is told apart from silence by this.
        ("enable.partition.eof", "true".into()),
        ("auto.offset.reset", "earliest".into()),
    ]);
    Ok(BaseConsumer::from_config(&config)?)
}

/// Calls `visit` with every record within the bounds, until it says false.
fn read(
    cluster: &Cluster,
    topic: &str,
    bounds: &[(i32, i64, i64)],
    visit: &mut dyn FnMut(Received) -> bool,
) -> Result<(), DeadLetterError> {
    let ends: HashMap<i32, i64> = bounds.iter().map(|(partition, _, end)| (*partition, *end)).collect();
    let mut open: BTreeSet<i32> =
        bounds.iter().filter(|(_, start, end)| start < end).map(|(partition, ..)| *partition).collect();
    if open.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for (partition, start, _) in bounds.iter().filter(|(partition, ..)| open.contains(partition)) {
        list.add_partition_offset(topic, *partition, Offset::Offset(*start))?;
    }
    let consumer = client(cluster)?;
    consumer.assign(&list)?;
    let mut last = Instant::now();
    while !open.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last = Instant::now();
                let (partition, offset, end) =
                    (message.partition(), message.offset(), ends[&message.partition()]);
                if offset < end && !visit(Received::from_message(&message)) {
                    return Ok(());
                }
                if offset + 1 >= end {
                    open.remove(&partition);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => tracing::warn!(%error, "reading dead letters"),
            None if last.elapsed() > SILENCE_MAX => {
                return Err(DeadLetterError::Broker(format!("no answer while reading {topic}")));
            }
            None => {}
        }
    }
    Ok(())
}
