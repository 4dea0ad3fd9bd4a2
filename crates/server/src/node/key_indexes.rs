//! Builds the indexes of keys that lookups use: beside everything else, on a thread that runs behind all others, and slowly; only what
//! a lookup had to read is built as fast as it goes. Never while the disk is nearly full. Nothing waits for it.

use std::{
    collections::{BTreeSet, HashMap},
    io,
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
use crate::config::KeyIndexing;

/// How often it is looked for what has no index.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long nothing is built after the disk refused it.
const FAILED_PAUSE: Duration = Duration::from_secs(60);
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
    let builder = match Builder::start() {
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
    let sweeping = tokio::task::spawn_blocking(move || {
        node.keys.indexes.sweep(|tp| {
            let topic = node.topic_by_id(tp.topic)?;
            Some(node.partition(&topic, tp)?.1.log_start())
        });
    });
    drop(sweeping.await);
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
        Err(BuildError::Io { .. }) if node.is_disk_nearly_full() => return Ok(()),
        Err(BuildError::Io { file, source }) => {
            tracing::warn!(file, %source, "an index of keys could not be written");
            return Err(DiskFailed);
        }
        // Nobody needs it any more.
        Err(BuildError::Log { source: ReadError::Deleted | ReadError::OffsetOutOfRange { .. }, .. }) => {
            job.part
        }
        Err(error) => {
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

async fn steps(node: &Node, builder: &Builder, job: &Job) -> Result<(), BuildError> {
    let (log, (from, to)) = (job.log.clone(), job.part);
    let opened = tokio::task::spawn_blocking(move || log.range(from, to)).await;
    let opened = opened.unwrap_or(Err(ReadError::Deleted));
    let range = opened.map_err(|source| BuildError::Log { at: from, source })?;
    let mut build = Build::begin(node.keys.disk.clone(), job.tp, range)?;
    let pace = CatchupPace::default();
    let bytes_per_second = if job.is_asked { 0 } else { node.startup.key_index_bytes_per_second };
    loop {
        let Some((back, step)) = builder.step(build).await else {
            return Err(BuildError::Log { at: from, source: ReadError::Deleted });
        };
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
            return Err(BuildError::Io { file: "keys".to_owned(), source });
        }
    }
}

type Stepped = (Build, Result<BuildStep, BuildError>);

/// The thread that builds. It holds no lock that others wait for.
struct Builder(mpsc::Sender<(Build, oneshot::Sender<Stepped>)>);

impl Builder {
    fn start() -> io::Result<Builder> {
        let (jobs, queue) = mpsc::channel::<(Build, oneshot::Sender<Stepped>)>();
        let run = move || {
            if let Err(error) = schedule_behind_others() {
                tracing::debug!(%error, "keys are indexed at the priority of everything else");
            }
            for (mut build, done) in queue {
                let step = build.step(&mut extract);
                // Who does not wait any more is stopping, and what is not finished goes.
                drop(done.send((build, step)));
            }
        };
        thread::Builder::new().name("key-indexer".to_owned()).spawn(run)?;
        Ok(Builder(jobs))
    }

    /// One step; None if the thread has ended.
    async fn step(&self, build: Build) -> Option<Stepped> {
        let (done, stepped) = oneshot::channel();
        self.0.send((build, done)).ok()?;
        stepped.await.ok()
    }
}

fn extract(header: &BatchHeader, batch: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Unreadable> {
    for_each_key(header, batch, sink).map_err(|_| Unreadable)
}
