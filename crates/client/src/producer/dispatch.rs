//! The way of a record: in the order of the sends each gets its partition and number at the desk and goes out, or behind
//! those in the spool; what the broker does not answer goes to the fallbacks, then to the spool.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    counts::Counters,
    desk::Desk,
    job::{Job, SendResult},
    outcome::{Refusal, SendError, Stored},
    wire::{Attempt, NoMetadata, NotQueued, Wire},
};
use crate::{
    headers,
    record::Record,
    sequence::SequenceId,
    spool::{Spool, SpoolError},
};

/// Asking for metadata takes no longer, whatever the deadline: others wait behind it.
const METADATA_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a full queue is left alone.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// Where a record goes that the broker does not answer.
pub(super) struct FallbackRoute {
    pub(super) wire: Arc<Wire>,
    /// Another topic than the record's.
    pub(super) topic: Option<String>,
    /// Numbers are counted per cluster, too: what its lanes are prefixed with.
    pub(super) lane_prefix: String,
}

/// What the producer's tasks share.
pub(super) struct Core {
    pub(super) desk: Mutex<Desk>,
    pub(super) wire: Arc<Wire>,
    pub(super) fallbacks: Vec<FallbackRoute>,
    pub(super) spool: Option<Arc<Spool>>,
    pub(super) counters: Counters,
    pub(super) deadline: Duration,
    /// Rings when a record is settled.
    pub(super) changed: Notify,
}

/// Takes records until the last handle is gone.
pub(super) async fn run(core: Arc<Core>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        core.dispatch(job).await;
    }
}

type SpoolAnswer = oneshot::Receiver<Result<(), SpoolError>>;

/// What the desk decided.
enum Way {
    Out(oneshot::Receiver<Attempt>),
    IntoSpool(Result<SpoolAnswer, SpoolError>),
    Elsewhere(Failure),
    Ended(Refusal),
    QueueFull,
    AskPartitions,
}

/// Why no broker is known to have the record.
struct Failure {
    cause: String,
    /// It went out, to its broker or to a fallback's, and one of them may have it all the same.
    sent: bool,
    /// It went out to its broker, so it has its number.
    placed: bool,
}

impl Failure {
    fn before_sending(cause: impl Into<String>) -> Failure {
        Failure { cause: cause.into(), sent: false, placed: false }
    }
}

/// What became of a record at a fallback.
enum Tried {
    Stored(Stored),
    NotTaken,
    Unknown(String),
}

impl Core {
    async fn dispatch(self: &Arc<Core>, mut job: Job) {
        loop {
            match self.decide(&mut job) {
                Way::Out(verdict) => {
                    let core = self.clone();
                    tokio::spawn(async move { core.await_verdict(job, verdict).await });
                    return;
                }
                Way::IntoSpool(answer) => {
                    let core = self.clone();
                    tokio::spawn(async move {
                        let failure = Failure::before_sending("");
                        let result = await_spool(answer, failure, job.original.clone()).await;
                        core.settle(job, result, false);
                    });
                    return;
                }
                Way::Elsewhere(failure) => return self.leave(job, failure),
                Way::Ended(cause) => {
                    let result = Err(refused(cause, &job));
                    self.settle(job, result, false);
                    return;
                }
                Way::QueueFull => tokio::time::sleep(QUEUE_PAUSE).await,
                Way::AskPartitions => {
                    let within = self.deadline.min(METADATA_TIME_MAX);
                    match self.wire.partitions(&job.record.topic, within).await {
                        Ok(_) => {}
                        Err(NoMetadata::Missing(_)) => {
                            let result = Err(refused(Refusal::NoTopic(job.record.topic.clone()), &job));
                            self.settle(job, result, false);
                            return;
                        }
                        Err(NoMetadata::Unreachable(cause)) => {
                            if self.note_unreachable() {
                                return self.leave(job, Failure::before_sending(cause));
                            }
                        }
                    }
                }
            }
        }
    }

    /// One look at the desk. Its lock is held until the record has its place in a queue: that is the order.
    fn decide(self: &Arc<Core>, job: &mut Job) -> Way {
        let mut desk = self.desk.lock();
        if desk.spooling
            && let Some(spool) = &self.spool
        {
            return Way::IntoSpool(self.append(spool, &mut desk, &mut job.record, false));
        }
        let known = self.wire.known_partitions(&job.record.topic);
        let lane = job.record.topic.clone();
        // With a spool, a record with a partition of its own waits for the topic too: it would be out under its number when
        // others go into the spool without one, and come behind them if it fails.
        let can_place = known.is_some() || (job.record.partition.is_some() && self.spool.is_none());
        // Without fallbacks, a record that can be queued may still be in time for a broker that comes back.
        let elsewhere_first = !self.fallbacks.is_empty() || !can_place;
        if elsewhere_first && desk.resting(Instant::now()) {
            desk.unsettled += 1;
            return Way::Elsewhere(Failure::before_sending("the broker does not answer"));
        }
        if !can_place {
            return Way::AskPartitions;
        }
        desk.place(&mut job.record, &lane, known);
        match self.wire.enqueue(&job.record) {
            Ok(verdict) => {
                desk.unsettled += 1;
                Way::Out(verdict)
            }
            Err(not_queued) => {
                desk.withdraw(&job.record, &lane);
                job.record = job.original.clone();
                match not_queued {
                    NotQueued::Full => Way::QueueFull,
                    NotQueued::Ended(Attempt::NoTopic(topic)) => Way::Ended(Refusal::NoTopic(topic)),
                    NotQueued::Ended(Attempt::Refused(cause)) => Way::Ended(Refusal::Rejected(cause)),
                    NotQueued::Ended(Attempt::Unknown(cause)) => {
                        desk.unsettled += 1;
                        Way::Elsewhere(Failure::before_sending(cause))
                    }
                    NotQueued::Ended(Attempt::Stored { .. }) => unreachable!("it was not queued"),
                }
            }
        }
    }

    async fn await_verdict(self: Arc<Core>, job: Job, verdict: oneshot::Receiver<Attempt>) {
        let attempt = self.wire.verdict(verdict).await;
        let result = match attempt {
            Attempt::Stored { partition, offset } => {
                self.desk.lock().answered();
                Ok(Stored::InTopic { partition, offset, sequence: SequenceId::of(&job.record.headers) })
            }
            Attempt::Unknown(cause) => {
                self.desk.lock().failed(Instant::now());
                return self.elsewhere(job, Failure { cause, sent: true, placed: true }).await;
            }
            Attempt::Refused(cause) => Err(self.withdrawn(Refusal::Rejected(cause), &job)),
            Attempt::NoTopic(topic) => Err(self.withdrawn(Refusal::NoTopic(topic), &job)),
        };
        self.settle(job, result, true);
    }

    fn withdrawn(&self, cause: Refusal, job: &Job) -> SendError {
        self.desk.lock().withdraw(&job.record, &job.record.topic);
        refused(cause, job)
    }

    /// Notes that the broker was not reached. True if the record that found out goes its own way now, and false if the spool
    /// holds others by now that it has to queue behind.
    fn note_unreachable(&self) -> bool {
        let mut desk = self.desk.lock();
        desk.failed(Instant::now());
        desk.unsettled += u64::from(!desk.spooling);
        !desk.spooling
    }

    /// Without fallbacks to try, a record has its place in the spool before the next one is looked at: that is the order.
    fn leave(self: &Arc<Core>, job: Job, failure: Failure) {
        if self.fallbacks.is_empty() {
            tokio::spawn(self.clone().into_spool(job, failure));
        } else {
            tokio::spawn(self.clone().elsewhere(job, failure));
        }
    }

    /// The fallbacks in their order, then the spool, then the truth.
    async fn elsewhere(self: Arc<Core>, job: Job, mut failure: Failure) {
        for (at, fallback) in self.fallbacks.iter().enumerate() {
            match self.try_fallback(at, fallback, &job.record).await {
                Tried::Stored(stored) => return self.settle(job, Ok(stored), true),
                Tried::NotTaken => {}
                Tried::Unknown(cause) => {
                    failure.cause = format!("{}; fallback {at}: {cause}", failure.cause);
                    failure.sent = true;
                }
            }
        }
        self.into_spool(job, failure).await;
    }

    /// The spool, then the truth. The record has its place there when this returns, and its outcome when the future ends.
    fn into_spool(self: Arc<Core>, mut job: Job, failure: Failure) -> impl Future<Output = ()> {
        let answer = self.spool.as_ref().map(|spool| {
            let mut desk = self.desk.lock();
            self.append(spool, &mut desk, &mut job.record, failure.placed)
        });
        async move {
            let result = match answer {
                Some(answer) => await_spool(answer, failure, job.original.clone()).await,
                None => Err(given_up(failure, &job)),
            };
            self.settle(job, result, true);
        }
    }

    /// Puts a record behind those in the spool. If there is no room, a number that it got for that goes to the next one.
    fn append(
        &self,
        spool: &Spool,
        desk: &mut Desk,
        record: &mut Record,
        placed: bool,
    ) -> Result<SpoolAnswer, SpoolError> {
        let known = self.wire.known_partitions(&record.topic);
        let placed_now = !placed && desk.place_for_spool(record, known);
        let answer = spool.append(record.clone());
        if answer.is_ok() {
            desk.spooled(record);
        } else if placed_now {
            desk.withdraw(record, &record.topic);
        }
        answer
    }

    async fn try_fallback(&self, at: usize, fallback: &FallbackRoute, record: &Record) -> Tried {
        let mut copy = record.clone();
        if let Some(topic) = &fallback.topic {
            copy.topic.clone_from(topic);
        }
        let id = SequenceId::of(&copy.headers);
        headers::put(&mut copy.headers, headers::ORIGIN_TOPIC, Some(record.topic.clone()));
        headers::put(&mut copy.headers, headers::ORIGIN_PRODUCER, id.map(|id| id.producer.to_string()));
        headers::put(&mut copy.headers, headers::ORIGIN_SEQUENCE, id.map(|id| id.number.to_string()));
        copy.partition = None;
        let within = self.deadline.min(METADATA_TIME_MAX);
        let Ok(partitions) = fallback.wire.partitions(&copy.topic, within).await else {
            return Tried::NotTaken;
        };
        let lane = format!("{}{}", fallback.lane_prefix, copy.topic);
        let verdict = {
            let mut desk = self.desk.lock();
            desk.place(&mut copy, &lane, Some(partitions));
            match fallback.wire.enqueue(&copy) {
                Ok(verdict) => verdict,
                Err(_) => {
                    desk.withdraw(&copy, &lane);
                    return Tried::NotTaken;
                }
            }
        };
        match fallback.wire.verdict(verdict).await {
            Attempt::Stored { partition, offset } => {
                Tried::Stored(Stored::InFallback { fallback: at, topic: copy.topic, partition, offset })
            }
            Attempt::Refused(_) | Attempt::NoTopic(_) => {
                self.desk.lock().withdraw(&copy, &lane);
                Tried::NotTaken
            }
            Attempt::Unknown(cause) => Tried::Unknown(cause),
        }
    }

    /// The end of a record: counted, told, and its room given back.
    pub(super) fn settle(&self, job: Job, result: SendResult, was_out: bool) {
        self.counters.settled(&result, job.reply.is_one_way());
        drop(job.room);
        job.reply.tell(result);
        if was_out {
            self.desk.lock().unsettled -= 1;
        }
        self.changed.notify_waiters();
    }
}

async fn await_spool(
    answer: Result<SpoolAnswer, SpoolError>,
    failure: Failure,
    record: Record,
) -> SendResult {
    let answer = match answer {
        Ok(answer) => answer.await.unwrap_or(Err(SpoolError::Closed)),
        Err(error) => Err(error),
    };
    match answer {
        Ok(()) => Ok(Stored::InSpool),
        Err(error) if failure.sent => {
            let cause = format!("{}; {error}", failure.cause);
            Err(SendError::Unknown { cause, record: Some(Box::new(record)) })
        }
        Err(error) => Err(SendError::Refused { cause: Refusal::Spool(error), record: Box::new(record) }),
    }
}

fn given_up(failure: Failure, job: &Job) -> SendError {
    if failure.sent {
        return SendError::Unknown { cause: failure.cause, record: Some(Box::new(job.original.clone())) };
    }
    refused(Refusal::Unreachable(failure.cause), job)
}

pub(super) fn refused(cause: Refusal, job: &Job) -> SendError {
    SendError::Refused { cause, record: Box::new(job.original.clone()) }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
