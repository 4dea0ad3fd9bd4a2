//! Reading: a handler per record, acknowledged only after it returned well.
//!
//! ```text
//!   poll thread ──> tracker, lanes ──> handlers (tokio tasks) ──well──────────> acknowledged
//!     │  ▲            one lane per key     │ failed
//!     │  │ pause, resume                   ├─ again, in place ──────────┐
//!     │  └─ positions below every ◄──┐     ├─ retry topic, later ── copy stored ──> acknowledged
//!     ▼     unfinished record        └─────┴─ dead-letter topic ── copy stored ──> acknowledged
//!   commit
//! ```
//!
//! The poll thread never waits for handlers, so a slow one does not cost the partition. The core (tracker, lanes, policy,
//! bases, copies, seen, told, work) is pure.

mod bases;
mod builder;
pub(crate) mod copies;
mod counts;
mod handler;
mod lanes;
mod left_over;
mod policy;
mod processing;
mod reading;
mod received;
mod seen;
mod told;
mod tracker;
mod work;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::watch;

pub use self::{
    builder::ConsumerBuilder,
    counts::ConsumerCounts,
    handler::{Handler, HandlerError},
    policy::{Retry, dead_letter_topic, retry_topic},
    reading::Stopped,
    received::{Position, Received},
    work::Order,
};
use self::{processing::Shared, reading::Stop};
use crate::{cluster::Cluster, sequence::SequenceCounts};

/// Reads topics as a member of a consumer group. Dropping it stops it without waiting.
///
/// ```no_run
/// use std::time::Duration;
/// use tallymq_client::{Cluster, Consumer, HandlerError, Received, Retry};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let consumer = Consumer::builder(Cluster::at("127.0.0.1:9092"), "billing")
///     .topic("orders")
///     .retry(Retry::topics([Duration::from_secs(5), Duration::from_secs(60)]))
///     .attempts_max(3)
///     .start(async |order: Received| -> Result<(), HandlerError> {
///         let text = std::str::from_utf8(order.value().map_or(&[][..], |value| value))?;
///         println!("{}: {text}", order.position());
///         Ok(())
///     })
///     .await?;
/// tokio::signal::ctrl_c().await?;
/// let stopped = consumer.stop(Duration::from_secs(30)).await;
/// assert_eq!(stopped.abandoned, 0);
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    shared: Arc<Shared>,
    stop: Arc<Stop>,
    end: watch::Receiver<Option<Stopped>>,
}

impl Consumer {
    /// The settings of a member of that group, with their defaults.
    pub fn builder(cluster: Cluster, group: impl Into<String>) -> ConsumerBuilder {
        ConsumerBuilder::new(cluster, group.into())
    }

    /// What it did so far.
    pub fn counts(&self) -> ConsumerCounts {
        let running = self.shared.work.lock().running();
        self.shared.counters.read(running)
    }

    /// What the sequence checks saw so far.
    pub fn sequence_counts(&self) -> SequenceCounts {
        self.shared.watch.counts()
    }

    /// Stops: nothing new begins, handlers at work may finish within that time, what is finished is committed, the rest
    /// is given back to the group.
    pub async fn stop(mut self, within: Duration) -> Stopped {
        *self.stop.within.lock() = within;
        self.stop.asked.store(true, Relaxed);
        self.ended().await
    }

    /// Waits until it has ended: because it was stopped, or because of an error that no retry mends, after which nothing is
    /// handled any more. Nothing else tells of that, so whoever runs a consumer watches this.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tallymq_client::Consumer;
    /// # async fn run(mut consumer: Consumer) -> Result<(), Box<dyn std::error::Error>> {
    /// tokio::select! {
    ///     stopped = consumer.ended() => return Err(format!("the consumer ended: {stopped:?}").into()),
    ///     _ = tokio::signal::ctrl_c() => {}
    /// }
    /// let stopped = consumer.stop(Duration::from_secs(30)).await;
    /// # assert!(stopped.failure.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ended(&mut self) -> Stopped {
        match self.end.wait_for(Option::is_some).await {
            Ok(stopped) => stopped.clone().unwrap_or_default(),
            Err(_) => {
                Stopped { failure: Some("the consumer's thread panicked".into()), ..Stopped::default() }
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.asked.store(true, Relaxed);
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Consumer").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
