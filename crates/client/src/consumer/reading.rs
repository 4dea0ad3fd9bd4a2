//! The thread that polls librdkafka: it reads, pauses, and answers rebalances; another one beside it commits. It never waits
//! for a handler, but for those of partitions that are about to go, for a bounded time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use super::{
    counts::one,
    left_over::LeftOver,
    processing::Shared,
    received::Received,
    work::{Admitted, Commit, Place},
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
    /// Those and the retry topics of the levels that are configured.
    pub(super) subscription: Vec<String>,
}

pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) revoke_wait: Duration,
    /// Set with each assignment, for whoever takes it back.
    pub(super) assigned: AtomicBool,
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
                self.assigned.store(true, Relaxed);
            }
            Rebalance::Revoke(list) => self.give_back(consumer, &places(list)),
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance"),
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
        drop(work);
        if !lost {
            commit_all(consumer, shared, Some(places));
        }
        let paused = shared.work.lock().remove(places);
        // librdkafka keeps a pause beyond the assignment: without this, a partition that comes back is never read again.
        if !paused.is_empty()
            && let Err(error) = consumer.resume(&list(&paused))
        {
            tracing::warn!(%error, "partitions that go cannot be resumed");
        }
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
    let stopped = std::thread::scope(|scope| {
        // A commit waits for its answer, since librdkafka tells nobody of one that does not; reading goes on meanwhile.
        let (tick, ticks) = sync_channel(1);
        let committer = std::thread::Builder::new().name("tallymq-committer".into());
        let (of, with) = (&consumer, &**shared);
        let spawned = committer.spawn_scoped(scope, move || {
            for () in ticks {
                commit_now(of, with, None);
            }
        });
        match spawned {
            Ok(_) => read(&consumer, shared, settings, stop, &tick),
            Err(error) => {
                Stopped { failure: Some(format!("no thread for commits: {error}")), ..Stopped::default() }
            }
        }
    });
    // Leaves the group: others need not wait for a timeout.
    drop(consumer);
    stopped
}

fn read(
    consumer: &BaseConsumer<Context>,
    shared: &Arc<Shared>,
    settings: &Settings,
    stop: &Stop,
    tick: &SyncSender<()>,
) -> Stopped {
    let mut names: HashMap<String, Arc<str>> = HashMap::new();
    let mut last_commit = Instant::now();
    let mut left_over = LeftOver::beside(settings.subscription.clone());
    let mut failure = None;
    while !stop.asked.load(Relaxed) && failure.is_none() {
        resume(consumer, shared);
        left_over.look(consumer, &shared.bases);
        if last_commit.elapsed() >= settings.commit_interval {
            // If one is on its way, the next one takes what there is then.
            let _ = tick.try_send(());
            last_commit = Instant::now();
        }
        match consumer.poll(POLL) {
            Some(Ok(message)) => take(consumer, shared, settings, &mut names, &message),
            Some(Err(error)) => {
                one(&shared.counters.read_errors);
                failure = fatal(&error);
            }
            None => {}
        }
    }
    let within = *stop.within.lock();
    let abandoned = finish(consumer, shared, within);
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
    let mut received = Received::from_message(message);
    if !shared.bases.is_retry(received.topic()) {
        // What stands in its headers was counted elsewhere: by the consumer of a topic that this is a letter or a copy of.
        received = received.first_attempt();
    }
    one(&shared.counters.received);
    let (partition, offset) = (received.partition(), received.offset());
    let is_checked = settings.checked.iter().any(|checked| checked == received.topic());
    let number = is_checked.then(|| SequenceId::of(received.headers()));
    let (admitted, job) = shared.work.lock().admit(&place, received);
    if let Admitted::HeldInstead { next } = admitted {
        one(&shared.counters.truncations);
        shared.watch.truncated(message.topic(), partition, offset, next);
    }
    if let Some(id) = number {
        shared.watch.seen(message.topic(), partition, offset, id);
    }
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
    let running = shared.work.lock().running();
    commit_all(consumer, shared, None);
    running as u64
}

/// Commits until nothing is left: what there is to tell of many records may need several commits.
fn commit_all(consumer: &BaseConsumer<Context>, shared: &Shared, of: Option<&[Place]>) {
    while commit_now(consumer, shared, of) {}
}

/// Commits what may be committed now; whether there was something and it is worth going on. One at a time: a position that is
/// on its way is neither told twice nor overtaken by an older one.
fn commit_now(consumer: &BaseConsumer<Context>, shared: &Shared, of: Option<&[Place]>) -> bool {
    let _turn = shared.commit_turn.lock();
    let commits = shared.work.lock().committable(of);
    !commits.is_empty() && commit(consumer, shared, &commits)
}

fn commit(consumer: &BaseConsumer<Context>, shared: &Shared, commits: &[Commit]) -> bool {
    let mut list = TopicPartitionList::with_capacity(commits.len());
    for Commit { place: (topic, partition), position, metadata, .. } in commits {
        let mut element = list.add_partition(topic, *partition);
        drop(element.set_offset(Offset::Offset(*position)));
        if !metadata.is_empty() {
            element.set_metadata(metadata);
        }
    }
    match consumer.commit(&list, CommitMode::Sync) {
        Ok(()) => {
            let mut work = shared.work.lock();
            for commit in commits {
                work.committed(commit);
            }
            true
        }
        Err(error) => {
            one(&shared.counters.commits_failed);
            tracing::warn!(%error, "a commit failed; what it covered is committed again, or comes again");
            let again = is_too_much_told(&error);
            if again {
                tell_no_more(shared);
            }
            again
        }
    }
}

/// A cluster may allow less metadata than Kafka does; a position that cannot be committed would be worse than an untold one.
fn is_too_much_told(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::OffsetMetadataTooLarge)
}

fn tell_no_more(shared: &Shared) {
    tracing::warn!(
        "the cluster takes no metadata of that length: from now on it is not told what became of records"
    );
    shared.work.lock().tell_no_more();
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
