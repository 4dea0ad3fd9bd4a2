//! Retry topics beyond the levels that are configured: of a setting of before, or of other members. What waits there is
//! acknowledged in the topic that it came from, so that nobody else would ever try it. They are known by their names, and
//! looked for behind each assignment: a member that still had more levels may have gone just then. It handles no record.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use rdkafka::{
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use super::{bases::Bases, reading::Context};

/// How long the broker may take to name its topics. Nothing is read meanwhile.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(10);

/// What a consumer subscribed, and when it is to look what else there is.
pub(super) struct LeftOver {
    subscription: Vec<String>,
    due: Option<Instant>,
}

impl LeftOver {
    /// Beside what is subscribed already.
    pub(super) fn beside(subscription: Vec<String>) -> LeftOver {
        LeftOver { subscription, due: None }
    }

    /// Looks for such topics, if it is time, and subscribes them, too.
    pub(super) fn look(&mut self, consumer: &BaseConsumer<Context>, bases: &Bases) {
        let now = Instant::now();
        if consumer.context().assigned.swap(false, Relaxed) {
            self.due = Some(now);
        }
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = match self.subscribe(consumer, bases) {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(%error, "retry topics beyond the levels are looked for again later");
                Some(Instant::now() + PAUSE)
            }
        };
    }

    fn subscribe(&mut self, consumer: &BaseConsumer<Context>, bases: &Bases) -> Result<(), KafkaError> {
        let metadata = consumer.fetch_metadata(None, TIME_MAX)?;
        let there =
            metadata.topics().iter().filter(|topic| topic.error().is_none()).map(|topic| topic.name());
        let news =
            |topic: &&str| bases.is_retry(topic) && !self.subscription.iter().any(|known| known == topic);
        let found: Vec<String> = there.filter(news).map(str::to_owned).collect();
        if found.is_empty() {
            return Ok(());
        }
        let topics = found.join(", ");
        tracing::warn!(
            topics,
            "there are retry topics beyond the levels that are configured: what waits there is tried, too"
        );
        let all = [&self.subscription[..], &found].concat();
        consumer.subscribe(&all.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.subscription = all;
        Ok(())
    }
}
