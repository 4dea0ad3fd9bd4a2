//! Sending: every record is stored, refused or unknown in the end, and the caller is told which.
//!
//! ```text
//!   send ──> desk: partition, number ──> broker ──stored──────────────────────────> InTopic
//!             │  (in the order of sends)   │ no answer before the deadline
//!             │                            ├──> fallback topic or cluster ─stored─> InFallback
//!             │ something is in the spool  └──> spool, synced ────────────────────> InSpool
//!             └───────────────────────────────────┘  └──resent in order──> broker
//! ```
//!
//! While the spool holds records, new ones go behind them: an outage costs the caller one sync of the local disk, and the
//! order of each partition stays that of the sends.

mod builder;
mod counts;
mod desk;
mod dispatch;
mod job;
mod outcome;
mod resend;
mod verdict;
pub(crate) mod wire;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::{JoinHandle, coop::unconstrained},
};
use uuid::Uuid;

pub use self::{
    builder::ProducerBuilder,
    counts::ProducerCounts,
    outcome::{Refusal, SendError, Stored},
};
use self::{
    dispatch::Core,
    job::{Job, Reply, SendResult},
};
use crate::{cluster::Cluster, record::Record, spool::Spool};

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Sends records. Clones share everything; the last one that goes lets what is on its way end by itself.
///
/// ```no_run
/// use tallymq_client::{Cluster, Producer, Record, SendError, SpoolSettings, Stored};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let producer = Producer::builder(Cluster::at("127.0.0.1:9092"))
///     .spool(SpoolSettings::at("/var/lib/orders/spool"))
///     .start()
///     .await?;
/// match producer.send(Record::to("orders").key("customer-7").value("one book")).await {
///     Ok(Stored::InTopic { partition, offset, .. }) => println!("at {partition}:{offset}"),
///     Ok(_) => println!("safe elsewhere"),
///     Err(SendError::Refused { cause, .. }) => println!("certainly not stored: {cause}"),
///     Err(unknown) => println!("{unknown}"),
/// }
/// producer.close(std::time::Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

struct Handle {
    core: Arc<Core>,
    jobs: Mutex<Option<mpsc::UnboundedSender<Job>>>, // None once closed
    dispatcher: Mutex<Option<JoinHandle<()>>>,       // None once closed
    resender: Mutex<Option<JoinHandle<()>>>,         // None without a spool, and once closed
    line: tokio::sync::Mutex<()>, // sends that wait for room, in the order in which they began
    room: Arc<Semaphore>,
    buffer_bytes_max: usize,
}

/// The producer was closed before all records were settled; what becomes of them, their callers may still be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{unsettled} records are still on their way")]
pub struct Unsettled {
    /// How many.
    pub unsettled: u64,
}

impl Producer {
    /// The settings, with their defaults.
    pub fn builder(cluster: Cluster) -> ProducerBuilder {
        ProducerBuilder::new(cluster)
    }

    /// Sends a record and waits until it is stored, or certainly not, or nobody can say.
    ///
    /// Records are sent in the order in which these futures are first polled. Dropping the future does not call the record
    /// back, unless it still waits for room in the producer's buffer: then the record is not sent, and counts as refused. A
    /// future that was never polled has sent nothing.
    ///
    /// # Errors
    /// [`SendError::Refused`]: it is not stored. [`SendError::Unknown`]: it may be.
    pub async fn send(&self, record: Record) -> Result<Stored, SendError> {
        let bytes = self.bytes(&record);
        let (job, answer) = awaited(record);
        let mut waiting = InLine { producer: self, job: Some(job) };
        // Out of tokio's budget for a task, a lock would say "later" before it has put this send into its line, and sends
        // of one task would overtake each other.
        let in_line = unconstrained(async {
            let _turn = self.handle.line.lock().await;
            let room = self.handle.room.clone().acquire_many_owned(bytes).await;
            if let Ok(room) = room
                && let Some(job) = waiting.job.take()
            {
                self.submit(Job { room: Some(room), ..job });
            }
        });
        drop(tokio::time::timeout(self.handle.core.deadline, in_line).await);
        // If time ran out first, the job is still there.
        drop(waiting);
        answer_of(answer).await
    }

    /// Sends a record; `done` is called with the outcome, on a thread of the runtime, or here if it is refused at once. It must
    /// not block: other records wait behind it. Never waits: if the buffer is full, the record is refused.
    ///
    /// ```no_run
    /// # use tallymq_client::{Producer, Record};
    /// # fn send(producer: &Producer) {
    /// producer.send_with(Record::to("clicks").value("42"), |outcome| {
    ///     if let Err(error) = outcome {
    ///         eprintln!("{error}");
    ///         let record = error.into_record(); // to keep, or to send again
    ///     }
    /// });
    /// # }
    /// ```
    pub fn send_with(&self, record: Record, done: impl FnOnce(Result<Stored, SendError>) + Send + 'static) {
        self.submit_now(record, Reply::Callback(Box::new(done)));
    }

    /// Sends a record and tells nobody what becomes of it, but for [`ProducerCounts::one_way_lost`] and a warning in the
    /// log. It is retried, falls back and is spooled like any other.
    ///
    /// ```no_run
    /// # use tallymq_client::{Producer, Record};
    /// # fn send(producer: &Producer) {
    /// producer.send_one_way(Record::to("heartbeats").value("alive"));
    /// let lost = producer.counts().one_way_lost; // for a metric
    /// # }
    /// ```
    pub fn send_one_way(&self, record: Record) {
        self.submit_now(record, Reply::OneWay);
    }

    /// What it did so far.
    pub fn counts(&self) -> ProducerCounts {
        self.handle.core.counters.read()
    }

    /// Its spool, if it has one.
    ///
    /// ```no_run
    /// # use tallymq_client::{Producer, SpoolError};
    /// # async fn look(producer: &Producer) -> Result<(), SpoolError> {
    /// if let Some(spool) = producer.spool() {
    ///     let status = spool.status();
    ///     println!("{} wait, {} were sent since the start", status.waiting, status.resent);
    ///     for (id, record) in spool.refused().await? {
    ///         println!("the broker will never take {record:?}");
    ///         spool.discard(id).await?; // once a person saw to it
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn spool(&self) -> Option<&Spool> {
        self.handle.core.spool.as_deref()
    }

    /// What it puts into `tally-producer`.
    pub fn instance(&self) -> Uuid {
        self.handle.core.desk.lock().instance
    }

    /// Takes no more records and waits until all that it took are settled. What waits in the spool stays there
    /// for the next producer with that directory.
    ///
    /// # Errors
    /// [`Unsettled`] if that takes longer than `within`.
    pub async fn close(&self, within: Duration) -> Result<(), Unsettled> {
        drop(self.handle.jobs.lock().take());
        let core = &self.handle.core;
        let settled = async {
            loop {
                let changed = core.changed.notified();
                if core.counters.read().unsettled == 0 {
                    return;
                }
                // The limit makes up for a bell that rang between the look and the wait.
                drop(tokio::time::timeout(LOOK_AGAIN, changed).await);
            }
        };
        let result = tokio::time::timeout(within, settled).await;
        let dispatcher = self.handle.dispatcher.lock().take();
        if let (Ok(()), Some(dispatcher)) = (&result, dispatcher) {
            // It has nothing left, and ends.
            drop(dispatcher.await);
        }
        let resender = self.handle.resender.lock().take();
        if let Some(resender) = resender {
            // What it has sent and not struck off is sent again the next time, under its old number.
            resender.abort();
            drop(resender.await);
        }
        // The tasks of the last records may be about to end; the spool is free for the next producer once they have.
        let ended = async {
            let mut looks = tokio::time::interval(LOOK_AGAIN);
            while Arc::strong_count(core) > 1 {
                looks.tick().await;
            }
        };
        if result.is_ok() {
            drop(tokio::time::timeout(within, ended).await);
        }
        result.map_err(|_| Unsettled { unsettled: core.counters.read().unsettled })
    }

    /// How many partitions a topic of its cluster has.
    pub(crate) async fn partitions(&self, topic: &str, within: Duration) -> Option<i32> {
        self.handle.core.wire.partitions(topic, within).await.ok()
    }

    fn submit_now(&self, record: Record, reply: Reply) {
        let room = self.handle.room.clone().try_acquire_many_owned(self.bytes(&record)).ok();
        let full = room.is_none();
        let job = Job { original: record.clone(), record, reply, room };
        if full {
            return self.refuse_for_want_of_room(job);
        }
        self.submit(job);
    }

    fn submit(&self, job: Job) {
        self.handle.core.counters.took();
        let refused = match &*self.handle.jobs.lock() {
            Some(jobs) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = refused {
            self.refuse(job, Refusal::Closed);
        }
    }

    fn refuse(&self, job: Job, cause: Refusal) {
        let error = dispatch::refused(cause, &job);
        self.handle.core.settle(job, Err(error), false);
    }

    fn refuse_for_want_of_room(&self, job: Job) {
        self.handle.core.counters.took();
        self.refuse(job, Refusal::BufferFull { buffer_bytes_max: self.handle.buffer_bytes_max });
    }

    fn bytes(&self, record: &Record) -> u32 {
        record.size_bytes().min(self.handle.buffer_bytes_max) as u32
    }
}

/// A send that waits for room. However its wait ends, in time, too late or because nobody waits with it any more: it is counted.
struct InLine<'a> {
    producer: &'a Producer,
    job: Option<Job>, // until there is room
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.producer.refuse_for_want_of_room(job);
        }
    }
}

fn awaited(record: Record) -> (Job, oneshot::Receiver<SendResult>) {
    let (reply, answer) = oneshot::channel();
    (Job { original: record.clone(), record, reply: Reply::Awaited(reply), room: None }, answer)
}

async fn answer_of(answer: oneshot::Receiver<SendResult>) -> SendResult {
    answer.await.unwrap_or_else(|_| {
        Err(SendError::Unknown { cause: "the producer's runtime ended".into(), record: None })
    })
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(resender) = self.resender.lock().take() {
            resender.abort();
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Producer").field("counts", &self.core.counters.read()).finish_non_exhaustive()
    }
}
