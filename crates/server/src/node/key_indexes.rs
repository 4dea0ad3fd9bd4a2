//! Builds the indexes of keys that lookups use: beside everything else, on a thread that runs behind all others, and slowly; only what
//! a lookup had to read is built as fast as it goes. Never while the disk is nearly full. Nothing waits for it.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tallymq_gateway::kafka::records::for_each_key;
use tallymq_model::{BatchHeader, Offset, RaftGroup, TopicPartition};
use tallymq_storage::{
    disk::{Disk, schedule_behind_others},
    keys::{Build, BuildError, BuildStep, KeyIndexes, Unreadable, plan},
    log::{DamageExtent, PartitionLog, ReadError},
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep, timeout},
};

use super::{Node, catchup::CatchupPace};
use crate::{config::KeyIndexing, supervision::message};

/// How often it is looked for what has no index.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long nothing is built after the disk refused it.
const FAILED_PAUSE: Duration = Duration::from_secs(60);
/// The name of the thread that builds.
const THREAD: &str = "key-indexer";
/// Partitions that lookups asked for, at most; further ones wait until they are asked for again.
const ASKED_MAX: usize = 10_000;

/// The indexes of a node, and what lookups want of them.
pub struct Keys {
    /// Those that are there.
    pub indexes: Arc<KeyIndexes>,
    disk: Arc<dyn Disk>,
    asked: Mutex<BTreeSet<TopicPartition>>,
    wake: Notify,
}

impl Keys {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Keys {
        let indexes = Arc::new(KeyIndexes::new(disk.clone()));
        Keys { indexes, disk, asked: Mutex::default(), wake: Notify::new() }
    }

    /// A lookup had to read a part of this partition's log that could have an index.
    pub fn ask(&self, tp: TopicPartition) {
        let mut asked = self.asked.lock();
        if asked.len() < ASKED_MAX && asked.insert(tp) {
            self.wake.notify_one();
        }
    }
}

/// A part of a log that is to have an index.
struct Job {
    data: RaftGroup,
    tp: TopicPartition,
    log: Arc<PartitionLog>,
    part: (Offset, Offset),
    /// A lookup asked for it.
    is_asked: bool,
}

/// What is remembered between two looks.
#[derive(Default)]
struct Seen {
    /// Offsets that no index can have: damage took them, or the part that they are in cannot be indexed.
    refused: HashMap<TopicPartition, Vec<(Offset, Offset)>>,
    /// Nothing was to be built up to here: an idle partition is not looked at again.
    done: HashMap<TopicPartition, Offset>,
}

impl Seen {
    /// Forgets what is in no log any more: `log_start` gives the first offset of a partition, if there is one.
    fn forget_gone(&mut self, log_start: impl Fn(TopicPartition) -> Option<Offset>) {
        self.refused.retain(|tp, parts| {
            let log_start = log_start(*tp);
            parts.retain(|(_, to)| log_start.is_some_and(|log_start| *to > log_start));
            !parts.is_empty()
        });
    }
}

/// Builds and removes as long as the node runs.
pub(super) async fn keep(node: &Arc<Node>) {
    let keys = &node.keys;
    if node.startup.key_index == KeyIndexing::Off {
        let disk = keys.disk.clone();
        let removed = tokio::task::spawn_blocking(move || disk.remove_dir("keys")).await;
        if let Ok(Err(error)) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the indexes of keys could not be removed");
        }
        return std::future::pending().await;
    }
    let indexes = keys.indexes.clone();
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || indexes.load()).await {
        tracing::warn!(%error, "the indexes of keys could not be read; they are not used");
        return std::future::pending().await;
    }
    let builder = match Builder::start(extract) {
        Ok(builder) => builder,
        Err(error) => {
            tracing::warn!(%error, "the thread that indexes keys could not be started");
            return std::future::pending().await;
        }
    };
    let mut seen = Seen::default();
    let mut sweep_due = Instant::now();
    loop {
        let job = next_job(node, &mut seen);
        // Retention goes on where there is always something to build, too.
        if job.is_none() || sweep_due <= Instant::now() {
            sweep(node).await;
            seen.forget_gone(|tp| log_start(node, tp));
            sweep_due = Instant::now() + LOOK_INTERVAL;
        }
        let Some(job) = job else {
            let _ = timeout(LOOK_INTERVAL, keys.wake.notified()).await;
            continue;
        };
        if build(node, &builder, &job, &mut seen).await.is_err() {
            sleep(FAILED_PAUSE).await;
        }
    }
}

/// Removes the indexes of what is in no log any more.
async fn sweep(node: &Arc<Node>) {
    let node = node.clone();
    let sweeping = tokio::task::spawn_blocking(move || node.keys.indexes.sweep(|tp| log_start(&node, tp)));
    drop(sweeping.await);
}

/// The first offset of a partition, if there is one.
fn log_start(node: &Node, tp: TopicPartition) -> Option<Offset> {
    let topic = node.topic_by_id(tp.topic)?;
    Some(node.partition(&topic, tp)?.1.log_start())
}

/// What was asked for comes first; of each partition the newest part.
fn next_job(node: &Node, seen: &mut Seen) -> Option<Job> {
    if node.is_disk_nearly_full() {
        return None;
    }
    let asked: Vec<TopicPartition> = node.keys.asked.lock().iter().copied().collect();
    for tp in asked {
        let topic = node.topic_by_id(tp.topic);
        let found = topic.and_then(|topic| node.partition(&topic, tp));
        let job = found.and_then(|(handle, log)| job(node, seen, (handle.id, tp, log)));
        if let Some(job) = job {
            return Some(Job { is_asked: true, ..job });
        }
        node.keys.asked.lock().remove(&tp);
    }
    if node.startup.key_index != KeyIndexing::Background {
        return None;
    }
    let mut partitions = 0;
    for handle in node.data_groups() {
        let logs = handle.view.logs();
        partitions += logs.len();
        for (tp, log) in logs {
            let durable_end = log.durable_end();
            if seen.done.get(&tp) == Some(&durable_end) {
                continue;
            }
            if let Some(job) = job(node, seen, (handle.id, tp, log)) {
                return Some(job);
            }
            seen.done.insert(tp, durable_end);
        }
    }
    if seen.done.len() > 2 * partitions + ASKED_MAX {
        seen.done.clear();
    }
    None
}

fn job(
    node: &Node,
    seen: &Seen,
    (data, tp, log): (RaftGroup, TopicPartition, Arc<PartitionLog>),
) -> Option<Job> {
    let mut covered: Vec<_> = node.keys.indexes.parts(tp).iter().map(|part| (part.from, part.to)).collect();
    if let Some(refused) = seen.refused.get(&tp) {
        covered.extend(refused);
        covered.sort_unstable();
    }
    let part = plan(&log.segments(), &covered, log.log_start(), log.durable_end())?;
    Some(Job { data, tp, log, part, is_asked: false })
}

/// The disk does not want it.
struct DiskFailed;

async fn build(node: &Arc<Node>, builder: &Builder, job: &Job, seen: &mut Seen) -> Result<(), DiskFailed> {
    let built = steps(node, builder, job).await;
    let refused = match built {
        Ok(()) => return Ok(()),
        Err(NotBuilt::Panicked(why)) => {
            let (work, partition, (from, to)) = (THREAD, job.tp, job.part);
            tracing::error!(work, why, %partition, %from, %to, "a panic; this part of the log gets no index of keys");
            job.part
        }
        Err(NotBuilt::Failed(BuildError::Io { .. })) if node.is_disk_nearly_full() => return Ok(()),
        Err(NotBuilt::Failed(BuildError::Io { file, source })) => {
            tracing::warn!(file, %source, "an index of keys could not be written");
            return Err(DiskFailed);
        }
        // Nobody needs it any more.
        Err(NotBuilt::Failed(BuildError::Log {
            source: ReadError::Deleted | ReadError::OffsetOutOfRange { .. },
            ..
        })) => job.part,
        Err(NotBuilt::Failed(error)) => {
            tracing::warn!(%error, partition = %job.tp, "a part of the log gets no index of keys: lookups read it");
            match error {
                BuildError::Log { at, source: ReadError::Corrupt(_) } => {
                    node.found_damage(job.data, job.log.clone(), at);
                    damaged(job, at).await
                }
                _ => job.part,
            }
        }
    };
    // What is around it is planned anew.
    seen.refused.entry(job.tp).or_default().push(refused);
    Ok(())
}

/// What damage took of a part; all of it where that cannot be told.
async fn damaged(job: &Job, at: Offset) -> (Offset, Offset) {
    let log = job.log.clone();
    let measured = tokio::task::spawn_blocking(move || log.unreadable_around(at)).await;
    let taken = measured.ok().flatten().map(|DamageExtent { from, to, .. }| {
        let (first, end) = job.part;
        (from.max(first), to.min(end))
    });
    taken.filter(|(from, to)| from < to).unwrap_or(job.part)
}

/// Why there is no index of a part.
#[derive(Debug)]
enum NotBuilt {
    Failed(BuildError),
    /// With these words.
    Panicked(String),
}

impl From<BuildError> for NotBuilt {
    fn from(error: BuildError) -> NotBuilt {
        NotBuilt::Failed(error)
    }
}

async fn steps(node: &Node, builder: &Builder, job: &Job) -> Result<(), NotBuilt> {
    let (log, (from, to)) = (job.log.clone(), job.part);
    let opened = tokio::task::spawn_blocking(move || log.range(from, to)).await;
    let opened = opened.unwrap_or(Err(ReadError::Deleted));
    let range = opened.map_err(|source| BuildError::Log { at: from, source })?;
    let mut build = Build::begin(node.keys.disk.clone(), job.tp, range)?;
    let pace = CatchupPace::default();
    let bytes_per_second = if job.is_asked { 0 } else { node.startup.key_index_bytes_per_second };
    loop {
        let (back, step) = builder.step(build).await.map_err(NotBuilt::Panicked)?;
        build = back;
        match step? {
            BuildStep::Read(bytes) | BuildStep::Wrote(bytes) => {
                pace.pay(usize::try_from(bytes).unwrap_or(0), bytes_per_second).await;
            }
            BuildStep::Done(facts) => {
                node.keys.indexes.add(&facts);
                tracing::debug!(partition = %job.tp, from = %facts.from, to = %facts.to,
                    log_bytes = facts.log_bytes, bytes = facts.file_bytes(), "indexed keys");
                return Ok(());
            }
        }
        if node.is_disk_nearly_full() {
            let source = io::ErrorKind::StorageFull.into();
            return Err(BuildError::Io { file: "keys".to_owned(), source }.into());
        }
    }
}

/// What came of a step, or what its panic says; then the build is gone, with what it had written.
type Stepped = Result<(Build, Result<BuildStep, BuildError>), String>;

type ExtractKeys = fn(&BatchHeader, &[u8], &mut dyn FnMut(&[u8])) -> Result<(), Unreadable>;

/// The thread that builds. It holds no lock that others wait for, and outlives a panic.
struct Builder(mpsc::Sender<(Build, oneshot::Sender<Stepped>)>);

impl Builder {
    fn start(extract: ExtractKeys) -> io::Result<Builder> {
        let (jobs, queue) = mpsc::channel::<(Build, oneshot::Sender<Stepped>)>();
        let run = move || {
            if let Err(error) = schedule_behind_others() {
                tracing::debug!(%error, "keys are indexed at the priority of everything else");
            }
            for (mut build, done) in queue {
                let step = move || {
                    let step = build.step(&mut { extract });
                    (build, step)
                };
                let stepped = catch_unwind(AssertUnwindSafe(step)).map_err(|panic| message(&*panic));
                // Who does not wait any more is stopping, and what is not finished goes.
                drop(done.send(stepped));
            }
        };
        thread::Builder::new().name(THREAD.to_owned()).spawn(run)?;
        Ok(Builder(jobs))
    }

    /// One step.
    async fn step(&self, build: Build) -> Stepped {
        let ended = || Err("the thread has ended".to_owned());
        let (done, stepped) = oneshot::channel();
        if self.0.send((build, done)).is_err() {
            return ended();
        }
        stepped.await.unwrap_or_else(|_| ended())
    }
}

fn extract(header: &BatchHeader, batch: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Unreadable> {
    for_each_key(header, batch, sink).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use tallymq_gateway::kafka::records::{BatchOptions, Compression, Record, build_batch};
    use tallymq_model::{LeaderEpoch, PartitionIndex, TopicId};
    use tallymq_storage::{
        disk::MemoryDisk,
        log::{LogOptions, LogPosition, LogStore, PartitionOptions, Step},
    };

    use super::*;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) }
    }

    #[tokio::test]
    async fn a_panic_costs_the_index_of_one_part_and_is_told() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (store, mut writer) = LogStore::new(disk.clone(), LogOptions::default());
        let position = LogPosition::default();
        let log = store.open(tp(0), RaftGroup(1), PartitionOptions::default(), position);
        let record = Record { key: Some("key".into()), ..Record::default() };
        let batch = build_batch(&[record], &BatchOptions { compression: Compression::None, producer: None });
        let header = BatchHeader::parse(&batch).unwrap();
        log.append(&header, batch, Offset::ZERO, LeaderEpoch(0)).unwrap();
        while writer.step().unwrap() != Step::Idle {}
        let build = || {
            let range = log.range(Offset::ZERO, log.log_end()).unwrap();
            Build::begin(disk.clone(), tp(0), range).unwrap()
        };
        let builder = Builder::start(|_, _, _| panic!("planted")).unwrap();
        for _ in 0..2 {
            assert_eq!(builder.step(build()).await.err().as_deref(), Some("planted"));
        }
        let builder = Builder::start(extract).unwrap();
        assert!(matches!(builder.step(build()).await, Ok((_, Ok(BuildStep::Read(_))))));
    }

    #[test]
    fn what_is_in_no_log_any_more_is_forgotten() {
        let part = |from: i64, to: i64| (Offset(from), Offset(to));
        let mut seen = Seen::default();
        seen.refused.insert(tp(0), vec![part(0, 10), part(20, 30)]);
        seen.refused.insert(tp(1), vec![part(0, 10)]);
        seen.refused.insert(tp(2), vec![part(0, 10)]);
        seen.forget_gone(|tp| (tp.partition.0 < 2).then_some(Offset(10)));
        assert_eq!(seen.refused, HashMap::from([(tp(0), vec![part(20, 30)])]));
    }
}
