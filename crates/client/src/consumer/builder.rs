//! How a consumer is set up.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use rdkafka::{config::FromClientConfigAndContext, consumer::BaseConsumer, consumer::Consumer as _};
use tokio::{runtime::Handle, sync::watch};

use super::{
    Consumer,
    bases::Bases,
    counts::Counters,
    handler::{self, Handler},
    policy::{self, Retry},
    processing::Shared,
    reading::{self, Context, Settings, Stop},
    work::{Order, Work},
};
use crate::{
    cluster::{Cluster, StartError},
    producer::Producer,
    receipt::{CountingReceipts, ReceiptSink},
    sequence::{SequenceCheck, SequenceWatch},
    topics::{self, CopyTopics},
};

/// The settings of a [`Consumer`]; each has a default.
#[must_use = "call start"]
pub struct ConsumerBuilder {
    cluster: Cluster,
    group: String,
    topics: Vec<String>,
    order: Order,
    retry: Retry,
    attempts_max: u32,
    parallel_max: usize,
    held_max: usize,
    commit_interval: Duration,
    revoke_wait: Duration,
    create_topics: bool,
    sequences: SequenceCheck,
    receipts: Arc<dyn ReceiptSink>,
    tell_account: bool,
}

impl ConsumerBuilder {
    pub(super) fn new(cluster: Cluster, group: String) -> ConsumerBuilder {
        ConsumerBuilder {
            cluster,
            group,
            topics: Vec::new(),
            order: Order::Key,
            retry: Retry::in_place(),
            attempts_max: 5,
            parallel_max: 16,
            held_max: 500,
            commit_interval: Duration::from_millis(200),
            revoke_wait: Duration::from_secs(20),
            create_topics: true,
            sequences: SequenceCheck::on(),
            receipts: Arc::new(CountingReceipts::default()),
            tell_account: true,
        }
    }

    /// Adds a topic to read.
    pub fn topic(mut self, topic: impl Into<String>) -> ConsumerBuilder {
        self.topics.push(topic.into());
        self
    }

    /// In which order records are handled. [`Order::Key`].
    pub fn order(mut self, order: Order) -> ConsumerBuilder {
        self.order = order;
        self
    }

    /// How failed records are tried again. [`Retry::in_place`].
    pub fn retry(mut self, retry: Retry) -> ConsumerBuilder {
        self.retry = retry;
        self
    }

    /// After so many attempts a record goes to the dead letters; [`HandlerError::not_now`](crate::HandlerError::not_now) is none. 5.
    pub fn attempts_max(mut self, attempts_max: u32) -> ConsumerBuilder {
        self.attempts_max = attempts_max;
        self
    }

    /// How many handlers work at a time. 16.
    pub fn parallel_max(mut self, parallel_max: usize) -> ConsumerBuilder {
        self.parallel_max = parallel_max;
        self
    }

    /// How many unfinished records are held per partition before it is read no further for a while. 500.
    pub fn held_max(mut self, held_max: usize) -> ConsumerBuilder {
        self.held_max = held_max;
        self
    }

    /// How often positions are committed. 200 ms.
    pub fn commit_interval(mut self, commit_interval: Duration) -> ConsumerBuilder {
        self.commit_interval = commit_interval;
        self
    }

    /// How long the handlers of a partition that goes to another consumer may take to finish. 20 s; it has to stay below
    /// the group's `max.poll.interval.ms`.
    pub fn revoke_wait(mut self, revoke_wait: Duration) -> ConsumerBuilder {
        self.revoke_wait = revoke_wait;
        self
    }

    /// Whether missing retry and dead-letter topics are created at the start. They are.
    pub fn create_topics(mut self, create_topics: bool) -> ConsumerBuilder {
        self.create_topics = create_topics;
        self
    }

    /// Whether and how sequence numbers are checked. [`SequenceCheck::on`].
    pub fn sequences(mut self, sequences: SequenceCheck) -> ConsumerBuilder {
        self.sequences = sequences;
        self
    }

    /// Who takes the receipts. They are counted only.
    pub fn receipts(mut self, receipts: Arc<dyn ReceiptSink>) -> ConsumerBuilder {
        self.receipts = receipts;
        self
    }

    /// Whether commits tell the broker's account what became of the records that they pass: handled, or in the dead-letter
    /// topic. It is a short text in their metadata, which clusters without an account keep and ignore. They do.
    pub fn tell_account(mut self, tell_account: bool) -> ConsumerBuilder {
        self.tell_account = tell_account;
        self
    }

    /// Joins the group and begins to read. A group without positions begins at the earliest record, unless
    /// `auto.offset.reset` of the cluster's properties says otherwise.
    ///
    /// # Errors
    /// [`StartError`]: a property librdkafka does not know, a topic that cannot be created (also because no broker was there for 15
    /// seconds), no tokio runtime, strict order with retry topics.
    pub async fn start(self, handler: impl Handler) -> Result<Consumer, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        self.check()?;
        // Copies carry the number of their origin and none of their own.
        let copies = Producer::builder(self.cluster.for_copies()).sequence_headers(false).start().await?;
        if self.create_topics {
            topics::create(&self.cluster, &self.copy_topics(), &copies).await?;
        }
        let shared = Arc::new(Shared {
            group: self.group.clone(),
            bases: Bases::new(&self.topics, &self.group),
            work: Mutex::new(self.work()),
            commit_turn: Mutex::new(()),
            ended: Condvar::new(),
            handler: handler::forget_type(handler),
            retry: self.retry.clone(),
            attempts_max: self.attempts_max,
            copies,
            receipts: self.receipts.clone(),
            watch: SequenceWatch::new(self.sequences.clone()),
            counters: Counters::default(),
            runtime,
        });
        let (revoke_wait, assigned) = (self.revoke_wait, AtomicBool::new(false));
        let context = Context { shared: shared.clone(), revoke_wait, assigned };
        let consumer = BaseConsumer::from_config_and_context(&self.config(), context)?;
        let subscription = self.subscription();
        consumer.subscribe(&subscription.iter().map(String::as_str).collect::<Vec<_>>())?;
        let (commit_interval, checked) = (self.commit_interval, self.topics.clone());
        let settings = Settings { commit_interval, checked, subscription };
        let (stop, (ended, end)) = (Arc::new(Stop::default()), watch::channel(None));
        let (thread_shared, thread_stop) = (shared.clone(), stop.clone());
        std::thread::Builder::new()
            .name("tallymq-consumer".into())
            .spawn(move || {
                let stopped = reading::run(consumer, &thread_shared, &settings, &thread_stop);
                ended.send_replace(Some(stopped));
            })
            .map_err(|_| StartError::Setting("the system has no thread left"))?;
        Ok(Consumer { shared, stop, end })
    }

    fn check(&self) -> Result<(), StartError> {
        if self.topics.is_empty() {
            return Err(StartError::Setting("a consumer needs a topic"));
        }
        if self.retry_topics().any(|retry| self.topics.contains(&retry)) {
            return Err(StartError::Setting("a topic cannot also be the retry topic of another one"));
        }
        if self.attempts_max == 0 {
            return Err(StartError::Setting("attempts_max must be at least 1"));
        }
        match &self.retry {
            Retry::Topics { .. } if self.order == Order::Partition => Err(StartError::Setting(
                "strict order needs Retry::InPlace: a retry topic lets later records pass",
            )),
            _ => Ok(()),
        }
    }

    fn work(&self) -> Work {
        let mut work = Work::new(self.order, self.parallel_max, self.held_max);
        if !self.tell_account {
            work.tell_no_more();
        }
        work
    }

    fn config(&self) -> rdkafka::ClientConfig {
        let mut config = self.cluster.config(&[
            ("group.id", self.group.clone()),
            ("enable.auto.commit", "false".into()),
            ("enable.auto.offset.store", "false".into()),
        ]);
        if config.get("auto.offset.reset").is_none() {
            config.set("auto.offset.reset", "earliest");
        }
        config
    }

    fn levels(&self) -> &[Duration] {
        match &self.retry {
            Retry::Topics { levels } => levels,
            Retry::InPlace { .. } => &[],
        }
    }

    fn retry_topics(&self) -> impl Iterator<Item = String> {
        self.copy_topics().into_iter().flat_map(|copies| copies.retry).map(|(topic, _)| topic)
    }

    fn subscription(&self) -> Vec<String> {
        self.topics.iter().cloned().chain(self.retry_topics()).collect()
    }

    /// Each topic with those that its copies need.
    fn copy_topics(&self) -> Vec<CopyTopics> {
        let retry = |topic: &str| {
            let levels = self.levels().iter().enumerate();
            levels.map(|(level, pause)| (policy::retry_topic(topic, &self.group, level), *pause)).collect()
        };
        let copies = |topic: &String| CopyTopics {
            topic: topic.clone(),
            retry: retry(topic),
            dead: policy::dead_letter_topic(topic, &self.group),
        };
        self.topics.iter().map(copies).collect()
    }
}
