//! The thread that polls librdkafka: it reads, pauses, commits, and answers rebalances. It never waits for a handler,
//! but for those of partitions that are about to go, for a bounded time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};

use super::{
    counts::one,
    processing::Shared,
    received::Received,
    work::{Admitted, Place},
};
use crate::{cluster, sequence::SequenceId};

/// How long a poll waits: also how late a resume or a commit may be.
const POLL: Duration = Duration::from_millis(20);

/// How the thread is told to stop, and what it says in the end.
#[derive(Debug, Default)]
pub(super) struct Stop {
    pub(super) asked: AtomicBool,
    pub(super) within: Mutex<Duration>,
}

/// How a consumer ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Stopped {
    /// Handlers that were still at work when the time was up. Their records come again.
    pub abandoned: u64,
    /// Why it ended by itself, if it did.
    pub failure: Option<String>,
}

/// What the thread has besides what it shares.
pub(super) struct Settings {
    pub(super) commit_interval: Duration,
    /// Topics whose records are checked for their sequence: not the retry topics.
    pub(super) checked: Vec<String>,
}

pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) revoke_wait: Duration,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        cluster::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Context>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let mut work = self.shared.work.lock();
                for place in places(list) {
                    work.assign(place);
                }
            }
            Rebalance::Revoke(list) => self.give_back(consumer, &places(list)),
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        if let Err(error) = result {
            one(&self.shared.counters.commits_failed);
            tracing::warn!(%error, "a commit failed; the position is committed again with the next one");
            return;
        }
        let mut work = self.shared.work.lock();
        for element in offsets.elements() {
            if let (Ok(()), Offset::Offset(position)) = (element.error(), element.offset()) {
                work.committed(&(element.topic().into(), element.partition()), position);
            }
        }
    }
}

impl Context {
    /// Running handlers may finish, for a bounded time; then what is finished is committed, and the rest comes again
    /// to the next owner.
    fn give_back(&self, consumer: &BaseConsumer<Context>, places: &[Place]) {
        let shared = &self.shared;
        let mut work = shared.work.lock();
        let dropped = work.give_back(places);
        shared.counters.given_back.fetch_add(dropped, Relaxed);
        // A partition that is lost already is another's: nothing finished now can be committed.
        let lost = consumer.assignment_lost();
        // One that stops has waited already.
        let wait = if lost || work.is_stopping() { Duration::ZERO } else { self.revoke_wait };
        let until = Instant::now() + wait;
        while work.running_on(places) > 0 && !shared.ended.wait_until(&mut work, until).timed_out() {}
        let positions = work.committable(Some(places));
        drop(work);
        if !lost {
            commit(consumer, shared, &positions, CommitMode::Sync);
        }
        shared.work.lock().remove(places);
        for (topic, partition) in places {
            shared.watch.forget(topic, *partition);
        }
    }
}

/// The thread's whole life.
pub(super) fn run(
    consumer: BaseConsumer<Context>,
    shared: &Arc<Shared>,
    settings: &Settings,
    stop: &Stop,
) -> Stopped {
    let mut names: HashMap<String, Arc<str>> = HashMap::new();
    let mut last_commit = Instant::now();
    let mut failure = None;
    while !stop.asked.load(Relaxed) && failure.is_none() {
        resume(&consumer, shared);
        if last_commit.elapsed() >= settings.commit_interval {
            let positions = shared.work.lock().committable(None);
            commit(&consumer, shared, &positions, CommitMode::Async);
            last_commit = Instant::now();
        }
        match consumer.poll(POLL) {
            Some(Ok(message)) => take(&consumer, shared, settings, &mut names, &message),
            Some(Err(error)) => failure = fatal(&error),
            None => {}
        }
    }
    let within = *stop.within.lock();
    let abandoned = finish(&consumer, shared, within);
    // Leaves the group: others need not wait for a timeout.
    drop(consumer);
    Stopped { abandoned, failure }
}

fn take(
    consumer: &BaseConsumer<Context>,
    shared: &Arc<Shared>,
    settings: &Settings,
    names: &mut HashMap<String, Arc<str>>,
    message: &BorrowedMessage<'_>,
) {
    let topic = match names.get(message.topic()) {
        Some(topic) => topic.clone(),
        None => names.entry(message.topic().to_owned()).or_insert_with(|| message.topic().into()).clone(),
    };
    let place = (topic, message.partition());
    let received = Received::from_message(message);
    one(&shared.counters.received);
    if settings.checked.iter().any(|checked| checked == received.topic()) {
        let id = SequenceId::of(received.headers());
        shared.watch.seen(received.topic(), received.partition(), received.offset(), id);
    }
    let (admitted, job) = shared.work.lock().admit(&place, received);
    if admitted == Admitted::HeldPause
        && let Err(error) = consumer.pause(&list(&[place]))
    {
        tracing::warn!(%error, "a partition cannot be paused");
    }
    if let Some(job) = job {
        shared.schedule(job);
        shared.start_ready();
    }
}

fn resume(consumer: &BaseConsumer<Context>, shared: &Shared) {
    let places = shared.work.lock().take_resumable();
    if !places.is_empty()
        && let Err(error) = consumer.resume(&list(&places))
    {
        tracing::warn!(%error, "a partition cannot be resumed");
    }
}

/// Polls on while the last handlers finish, so that the membership lasts, then commits.
fn finish(consumer: &BaseConsumer<Context>, shared: &Shared, within: Duration) -> u64 {
    let dropped = shared.work.lock().stop();
    shared.counters.given_back.fetch_add(dropped, Relaxed);
    if let Ok(assignment) = consumer.assignment() {
        drop(consumer.pause(&assignment));
    }
    let until = Instant::now() + within;
    while shared.work.lock().running() > 0 && Instant::now() < until {
        // What is still read is ignored, and comes again to the next owner.
        drop(consumer.poll(POLL));
    }
    let (positions, running) = {
        let work = shared.work.lock();
        (work.committable(None), work.running())
    };
    commit(consumer, shared, &positions, CommitMode::Sync);
    running as u64
}

fn commit(consumer: &BaseConsumer<Context>, shared: &Shared, positions: &[(Place, i64)], mode: CommitMode) {
    if positions.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for ((topic, partition), position) in positions {
        drop(list.add_partition_offset(topic, *partition, Offset::Offset(*position)));
    }
    match consumer.commit(&list, mode) {
        Ok(()) if matches!(mode, CommitMode::Sync) => {
            let mut work = shared.work.lock();
            for (place, position) in positions {
                work.committed(place, *position);
            }
        }
        Ok(()) => {}
        Err(error) => {
            one(&shared.counters.commits_failed);
            tracing::warn!(%error, "a commit failed; what it covered may come again");
        }
    }
}

/// Errors after which librdkafka reads no more; it mends all others by itself.
fn fatal(error: &KafkaError) -> Option<String> {
    match error {
        KafkaError::MessageConsumptionFatal(_) => {
            tracing::error!(%error, "the consumer ends");
            Some(error.to_string())
        }
        _ => {
            tracing::warn!(%error, "reading");
            None
        }
    }
}

fn places(list: &TopicPartitionList) -> Vec<Place> {
    list.elements().iter().map(|element| (element.topic().into(), element.partition())).collect()
}

fn list(places: &[Place]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        list.add_partition(topic, *partition);
    }
    list
}
