//! Reading a topic for an audit: from where to where, and then every record in the order of the offsets, with a progress
//! bar. What retention removes meanwhile is said, not skipped in silence.

use std::collections::BTreeMap;

use tallymq_gateway::kafka::{ErrorCode, records::Record};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    client::{Client, ClientError, EARLIEST, Fetcher, LATEST, TopicInfo},
    failure::Failure,
    output,
};

const FETCH_WAIT: Duration = Duration::from_millis(500);
const BACKOFF: Duration = Duration::from_millis(100);

/// What is read of a partition.
#[derive(Clone, Copy, Debug)]
pub struct ReadRange {
    /// The first offset.
    pub from: i64,
    /// The offset behind the last one.
    pub to: i64,
}

/// What happens while a topic is read.
pub enum Event<'a> {
    /// A record of a partition.
    Record(i32, &'a Record),
    /// Records of a partition were removed before they were read.
    Jump(i32),
}

/// Whether compaction removes records; if the cluster does not tell, it does not.
pub async fn is_compacted(client: &mut Client, topic: &str) -> bool {
    let Ok(mut configs) = client.topic_configs(&[topic.to_owned()]).await else {
        return false;
    };
    let Some(Ok(configs)) = configs.remove(topic) else {
        return false;
    };
    let policy = configs.into_iter().find(|config| config.name == "cleanup.policy");
    policy
        .and_then(|policy| policy.value)
        .is_some_and(|value| value.split(',').any(|one| one.trim() == "compact"))
}

/// From the log start or a time up to a time or the log end of now.
pub async fn ranges(
    client: &mut Client,
    topic: &TopicInfo,
    since: Option<i64>,
    until: Option<i64>,
) -> Result<BTreeMap<i32, ReadRange>, Failure> {
    let partitions: Vec<i32> = topic.partitions.iter().map(|known| known.index).collect();
    let starts = client.offsets(topic, &partitions, since.unwrap_or(EARLIEST)).await?;
    let ends = client.offsets(topic, &partitions, LATEST).await?;
    let limits = match until {
        Some(ms) => client.offsets(topic, &partitions, ms).await?,
        None => ends.clone(),
    };
    let range = |partition: i32| {
        // -1: no record is that late.
        let offset = |found: &BTreeMap<i32, i64>, end| {
            found.get(&partition).copied().filter(|at| *at >= 0).unwrap_or(end)
        };
        let end = ends.get(&partition).copied().unwrap_or(0);
        let from = offset(&starts, end);
        (partition, ReadRange { from, to: offset(&limits, end).min(end).max(from) })
    };
    Ok(partitions.into_iter().map(range).collect())
}

/// The same ranges, only those partitions, and no further than these offsets.
pub fn up_to(ranges: &BTreeMap<i32, ReadRange>, last: &BTreeMap<i32, i64>) -> BTreeMap<i32, ReadRange> {
    let cut = |(partition, last): (&i32, &i64)| {
        let range = ranges.get(partition)?;
        Some((*partition, ReadRange { from: range.from, to: last + 1 }))
    };
    last.iter().filter_map(cut).collect()
}

/// Reads all of it.
pub async fn read(
    client: &mut Client,
    topic: &TopicInfo,
    ranges: &BTreeMap<i32, ReadRange>,
    mut take: impl FnMut(Event<'_>),
) -> Result<(), Failure> {
    let total: i64 = ranges.values().map(|range| range.to - range.from).sum();
    let bar = output::progress(Some(total as u64), "records");
    let mut fetcher = Fetcher::new(topic.clone());
    ranges.iter().for_each(|(partition, range)| fetcher.add(*partition, range.from));
    let mut failing_since: Option<Instant> = None;
    loop {
        drop_finished(&mut fetcher, ranges);
        let left: i64 = fetcher.positions().iter().map(|(partition, at)| ranges[partition].to - at).sum();
        bar.set_position((total - left) as u64);
        if fetcher.positions().is_empty() {
            bar.finish_and_clear();
            return Ok(());
        }
        match fetcher.fetch(client, FETCH_WAIT).await {
            Ok(fetched) => {
                failing_since = None;
                for part in &fetched {
                    let to = ranges[&part.partition].to;
                    let wanted = part.records.iter().filter(|record| record.offset.0 < to);
                    wanted.for_each(|record| take(Event::Record(part.partition, record)));
                }
            }
            Err(ClientError::Refused { code: ErrorCode::OffsetOutOfRange, .. }) => {
                jump(client, &mut fetcher, &mut take).await?;
            }
            Err(error) => {
                let since = *failing_since.get_or_insert_with(Instant::now);
                if !error.is_retriable() || since.elapsed() > client.timeout() {
                    return Err(error.into());
                }
                sleep(BACKOFF).await;
                // If the broker is still away, the next round tells.
                drop(fetcher.refresh(client).await);
            }
        }
    }
}

fn drop_finished(fetcher: &mut Fetcher, ranges: &BTreeMap<i32, ReadRange>) {
    let finished = fetcher.positions().iter().filter(|(partition, at)| **at >= ranges[*partition].to);
    let finished: Vec<i32> = finished.map(|(partition, _)| *partition).collect();
    finished.into_iter().for_each(|partition| fetcher.remove(partition));
}

/// Goes on at the new log starts.
async fn jump(
    client: &mut Client,
    fetcher: &mut Fetcher,
    take: &mut impl FnMut(Event<'_>),
) -> Result<(), Failure> {
    let reading: Vec<i32> = fetcher.positions().keys().copied().collect();
    let topic = fetcher.topic().clone();
    let starts = client.offsets(&topic, &reading, EARLIEST).await?;
    let behind: Vec<(i32, i64)> = starts
        .into_iter()
        .filter(|(partition, start)| fetcher.positions().get(partition) < Some(start))
        .collect();
    if behind.is_empty() {
        return Err(Failure::Failed(format!("topic {}: the log was cut while it was read", topic.name)));
    }
    for (partition, start) in behind {
        fetcher.add(partition, start);
        take(Event::Jump(partition));
    }
    Ok(())
}
