//! One record's way: handler, then acknowledged; or tried again, copied to a retry topic, copied to the dead letters. A
//! copy is acknowledged by its broker before the original is. It decides nothing about positions.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::FutureExt;
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

use super::{
    bases::Bases,
    copies::{self, Failure},
    counts::{Counters, Held, one},
    handler::{AnyHandler, HandlerError},
    policy::{self, Next, Retry},
    received::Received,
    work::{Job, Lane, Work},
};
use crate::{
    dead_letters::DeadLetters,
    headers,
    planted::planted,
    producer::Producer,
    receipt::{Outcome, Receipt, ReceiptSink},
    record::Record,
    sequence::SequenceWatch,
};

/// Between attempts to store a copy.
const COPY_PAUSE: Duration = Duration::from_millis(500);
/// Apart by so much, so that a copy that is refused does not take others of its batch along for ever: as many places, and a step.
const COPY_PLACES: u32 = 16;
const COPY_STEP: Duration = Duration::from_millis(35);

/// What the reading thread and the handlers' tasks share.
pub(super) struct Shared {
    pub(super) group: String,
    pub(super) bases: Bases,
    pub(super) work: Mutex<Work>,
    /// Held by who commits, from looking at positions to the answer.
    pub(super) commit_turn: Mutex<()>,
    /// Rings when a handler ended.
    pub(super) ended: Condvar,
    pub(super) handler: AnyHandler,
    pub(super) retry: Retry,
    pub(super) attempts_max: u32,
    pub(super) copies: Producer,
    pub(super) receipts: Arc<dyn ReceiptSink>,
    pub(super) watch: SequenceWatch,
    pub(super) counters: Counters,
    pub(super) runtime: Handle,
}

/// What became of a record.
enum End {
    /// With its outcome; None if it goes on as a copy in a retry topic, which will have one.
    Acknowledged(Option<Outcome>),
    GivenBack,
}

impl Shared {
    /// Starts every handler that may start.
    pub(super) fn start_ready(self: &Arc<Shared>) {
        loop {
            let Some((lane, job)) = self.work.lock().start() else { return };
            let shared = self.clone();
            self.runtime.spawn(async move { shared.process(lane, job).await });
        }
    }

    /// Whether the record is another group's to try again: the names of topics and groups can make the same retry topic.
    fn is_foreign(&self, received: &Received) -> bool {
        let group = headers::text(received.headers(), headers::GROUP);
        self.bases.is_retry(received.topic()) && group.is_some_and(|group| group != self.group)
    }

    /// Lets a job run, once it is due.
    pub(super) fn schedule(self: &Arc<Shared>, job: Job) {
        if self.is_foreign(&job.received) || is_note(&job.received) {
            one(&self.counters.passed_over);
            self.work.lock().acknowledge(&job);
            return;
        }
        let is_retry = self.bases.is_retry(job.received.topic());
        let due_ms: Option<i64> = headers::number(job.received.headers(), headers::RETRY_AT);
        let due_ms = due_ms.filter(|_| is_retry).unwrap_or(0);
        let longest_ms = policy::longest_pause(&self.retry).as_millis().min(i64::MAX as u128) as i64;
        let wait_ms = due_ms.saturating_sub(now_ms()).min(longest_ms);
        if wait_ms <= 0 {
            self.work.lock().queue(job);
            return;
        }
        let shared = self.clone();
        let mut lost = job.lost.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait_ms as u64)) => {
                    shared.work.lock().queue(job);
                    shared.start_ready();
                }
                _ = lost.wait_for(|lost| *lost) => one(&shared.counters.given_back),
            }
        });
    }

    async fn process(self: Arc<Shared>, lane: Lane, mut job: Job) {
        if planted("ack-before-handler") {
            self.work.lock().acknowledge(&job);
        }
        if planted("receipt-before-handler") {
            self.work.lock().tell(&job, Outcome::Handled);
        }
        let end = self.attempts(&mut job).await;
        {
            let mut work = self.work.lock();
            match end {
                End::Acknowledged(outcome) => {
                    // In this order: a commit that passes the record has to say what became of it.
                    outcome.into_iter().for_each(|outcome| work.tell(&job, outcome));
                    work.acknowledge(&job);
                }
                End::GivenBack => one(&self.counters.given_back),
            }
            work.end(&lane, &job);
        }
        self.ended.notify_all();
        self.start_ready();
    }

    async fn attempts(&self, job: &mut Job) -> End {
        let mut put_off = 0;
        loop {
            if *job.lost.borrow() {
                return End::GivenBack;
            }
            let Err(error) = self.attempt(job.received.clone()).await else {
                one(&self.counters.handled);
                self.receipt(&job.received, Outcome::Handled);
                return End::Acknowledged(Some(Outcome::Handled));
            };
            let attempt = job.received.attempt();
            let position = job.received.position();
            if error.is_not_now() {
                one(&self.counters.put_off);
                put_off += 1;
                tracing::warn!(%position, put_off, cause = error.cause(), "a record is put off");
                if !pause(policy::not_now_pause(&self.retry, put_off), job).await {
                    return End::GivenBack;
                }
                continue;
            }
            put_off = 0;
            one(&self.counters.failed);
            tracing::warn!(%position, attempt, cause = error.cause(), "a handler failed");
            // Its next owner handles it, and would copy it once more.
            if !self.work.lock().holds(job) {
                return End::GivenBack;
            }
            let failure = Failure { group: &self.group, cause: error.cause(), at_ms: now_ms() };
            match policy::after_failure(&self.retry, self.attempts_max, attempt, error.gives_up()) {
                Next::Again { after } => {
                    if !pause(after, job).await {
                        return End::GivenBack;
                    }
                    job.received = job.received.next_attempt();
                }
                Next::RetryTopic { level, after } => {
                    let topic = policy::retry_topic(self.bases.of(job.received.topic()), &self.group, level);
                    let copy = copies::for_retry(&job.received, &failure, topic, after);
                    if !self.store_copy(copy, job).await {
                        return End::GivenBack;
                    }
                    one(&self.counters.retried);
                    return End::Acknowledged(None);
                }
                Next::DeadLetter => {
                    let topic = policy::dead_letter_topic(self.bases.of(job.received.topic()), &self.group);
                    let copy = copies::for_dead_letters(&job.received, &failure, topic);
                    if !self.store_copy(copy, job).await {
                        return End::GivenBack;
                    }
                    one(&self.counters.dead_lettered);
                    self.receipt(&job.received, Outcome::DeadLettered);
                    return End::Acknowledged(Some(Outcome::DeadLettered));
                }
            }
        }
    }

    async fn attempt(&self, received: Received) -> Result<(), HandlerError> {
        let handled = AssertUnwindSafe(async { (self.handler)(received).await }).catch_unwind().await;
        handled.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(HandlerError::retry(format!("the handler panicked: {text}")))
        })
    }

    /// Until it is stored, or the record is not ours any more: false.
    async fn store_copy(&self, copy: Record, job: &mut Job) -> bool {
        let mut waiting = None;
        loop {
            match self.copies.send(copy.clone()).await {
                Ok(_) => return true,
                Err(error) => {
                    waiting.get_or_insert_with(|| Held::by(&self.counters.copies_waiting));
                    tracing::error!(topic = copy.topic(), %error, "a failed record cannot be copied yet")
                }
            }
            let place = job.received.offset() as u32 % COPY_PLACES;
            if !pause(COPY_PAUSE + COPY_STEP * place, job).await {
                return false;
            }
        }
    }

    fn receipt(&self, received: &Received, outcome: Outcome) {
        let origin = received.origin();
        one(&self.counters.receipts);
        let receipt = Receipt {
            group: self.group.clone(),
            topic: origin.topic,
            partition: origin.partition,
            offset: origin.offset,
            sequence: received.sequence(),
            attempts: received.attempt(),
            outcome,
            at_ms: now_ms(),
        };
        // The record is done with, whatever the sink makes of it.
        if catch_unwind(AssertUnwindSafe(|| self.receipts.handled(receipt))).is_err() {
            tracing::error!(position = %received.position(), "the receipt sink panicked");
        }
    }
}

/// Whether it only says what became of a letter of its topic, and is nothing to handle.
fn is_note(received: &Received) -> bool {
    DeadLetters::is_name_of(received.topic()) && headers::settles(received.headers()).is_some()
}

/// False if the record is not ours any more before that time is over.
async fn pause(time: Duration, job: &mut Job) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        _ = job.lost.wait_for(|lost| *lost) => false,
    }
}

pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
