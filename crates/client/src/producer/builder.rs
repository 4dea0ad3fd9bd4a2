//! How a producer is set up.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::{
    Handle, Producer,
    counts::Counters,
    desk::Desk,
    dispatch::{self, Core, FallbackRoute},
    resend,
    wire::Wire,
};
use crate::{
    cluster::{Cluster, StartError},
    spool::{Spool, SpoolSettings},
};

/// The settings of a [`Producer`]; each has a default. Fallbacks are tried in the order in which they are given, the spool at
/// the end.
///
/// ```no_run
/// use std::time::Duration;
/// use tallymq_client::{Cluster, Producer, SpoolSettings, StartError};
///
/// # async fn start() -> Result<(), StartError> {
/// let producer = Producer::builder(Cluster::at("127.0.0.1:9092"))
///     .deadline(Duration::from_secs(10))
///     .fallback_topic("orders-later")
///     .fallback_cluster(Cluster::at("127.0.0.1:9093"))
///     .spool(SpoolSettings::at("/var/lib/orders/spool").bytes_max(256 << 20))
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "call start"]
pub struct ProducerBuilder {
    cluster: Cluster,
    deadline: Duration,
    retries_max: u32,
    buffer_bytes_max: usize,
    numbered: bool,
    fallbacks: Vec<Fallback>,
    spool: Option<SpoolSettings>,
}

#[derive(Debug, Clone)]
enum Fallback {
    Topic(String),
    Cluster(Cluster, Option<String>),
}

impl ProducerBuilder {
    pub(super) fn new(cluster: Cluster) -> ProducerBuilder {
        ProducerBuilder {
            cluster,
            deadline: Duration::from_secs(30),
            retries_max: i32::MAX as u32,
            buffer_bytes_max: 64 * 1024 * 1024,
            numbered: true,
            fallbacks: Vec::new(),
            spool: None,
        }
    }

    /// How long a broker has to acknowledge a record, resends included; then the next fallback has its turn. 30 s. The first
    /// record of a topic waits no longer than 5 s for its partitions, since others wait behind it: then it goes to the fallbacks or
    /// into the spool, or ends as [`Refusal::Unreachable`](crate::Refusal::Unreachable).
    pub fn deadline(mut self, deadline: Duration) -> ProducerBuilder {
        self.deadline = deadline;
        self
    }

    /// How often a request is sent again within the deadline. A resend is stored once. As often as time allows.
    pub fn retries_max(mut self, retries_max: u32) -> ProducerBuilder {
        self.retries_max = retries_max;
        self
    }

    /// How many bytes of records may wait for their answers. 64 MiB.
    pub fn buffer_bytes_max(mut self, buffer_bytes_max: usize) -> ProducerBuilder {
        self.buffer_bytes_max = buffer_bytes_max;
        self
    }

    /// Whether records carry `tally-producer` and `tally-seq`. They do.
    pub fn sequence_headers(mut self, on: bool) -> ProducerBuilder {
        self.numbered = on;
        self
    }

    /// When the broker does not answer: this topic of the same cluster.
    pub fn fallback_topic(mut self, topic: impl Into<String>) -> ProducerBuilder {
        self.fallbacks.push(Fallback::Topic(topic.into()));
        self
    }

    /// When the broker does not answer: the same topic of another cluster.
    pub fn fallback_cluster(mut self, cluster: Cluster) -> ProducerBuilder {
        self.fallbacks.push(Fallback::Cluster(cluster, None));
        self
    }

    /// When the broker does not answer: this topic of another cluster.
    pub fn fallback_cluster_topic(mut self, cluster: Cluster, topic: impl Into<String>) -> ProducerBuilder {
        self.fallbacks.push(Fallback::Cluster(cluster, Some(topic.into())));
        self
    }

    /// When no fallback answers either: the local disk.
    pub fn spool(mut self, spool: SpoolSettings) -> ProducerBuilder {
        self.spool = Some(spool);
        self
    }

    /// Opens the spool and starts the producer. No broker needs to be there yet.
    ///
    /// # Errors
    /// [`StartError`]: a property librdkafka does not know, a spool in use, no tokio runtime.
    pub async fn start(self) -> Result<Producer, StartError> {
        if self.buffer_bytes_max == 0 || self.deadline.is_zero() {
            return Err(StartError::Setting("buffer_bytes_max and deadline must be more than zero"));
        }
        let spool = match self.spool.clone() {
            None => None,
            Some(settings) => {
                let opened = tokio::task::spawn_blocking(move || Spool::open(&settings)).await;
                Some(Arc::new(opened.map_err(|_| StartError::NoRuntime)??))
            }
        };
        let core = Arc::new(self.core(spool.clone())?);
        let (jobs, queue) = mpsc::unbounded_channel();
        let dispatcher = tokio::spawn(dispatch::run(core.clone(), queue));
        let resender = spool.map(|spool| tokio::spawn(resend::run(core.clone(), spool)));
        // A semaphore counts at most so many permits.
        let buffer_bytes_max = self.buffer_bytes_max.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let room = Arc::new(Semaphore::new(buffer_bytes_max));
        let handle = Handle {
            core,
            jobs: Mutex::new(Some(jobs)),
            dispatcher: Mutex::new(Some(dispatcher)),
            resender: Mutex::new(resender),
            line: tokio::sync::Mutex::default(),
            room,
            buffer_bytes_max,
        };
        Ok(Producer { handle: Arc::new(handle) })
    }

    fn core(&self, spool: Option<Arc<Spool>>) -> Result<Core, StartError> {
        let wire = Arc::new(Wire::new(&self.cluster, self.deadline, self.retries_max)?);
        let mut fallbacks = Vec::new();
        for (at, fallback) in self.fallbacks.iter().enumerate() {
            fallbacks.push(match fallback {
                Fallback::Topic(topic) => FallbackRoute {
                    wire: wire.clone(),
                    topic: Some(topic.clone()),
                    lane_prefix: String::new(),
                },
                Fallback::Cluster(cluster, topic) => FallbackRoute {
                    wire: Arc::new(Wire::new(cluster, self.deadline, self.retries_max)?),
                    topic: topic.clone(),
                    lane_prefix: format!("{at}/"),
                },
            });
        }
        let mut desk = Desk::new(self.numbered);
        if let Some(spool) = spool.as_ref().filter(|spool| spool.waiting() > 0) {
            desk.resume(spool.unplaced_at_open().clone());
        }
        Ok(Core {
            desk: Mutex::new(desk),
            wire,
            fallbacks,
            spool,
            counters: Counters::default(),
            deadline: self.deadline,
            changed: Notify::new(),
        })
    }
}
