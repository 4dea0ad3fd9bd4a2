//! Creating the topics that failed records need, so that a copy is kept as long as it is worth something and no copy is too
//! large for them.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use tokio::time::{Instant, sleep};

use crate::{
    cluster::{Cluster, StartError},
    producer::Producer,
};

/// As long as a broker may take to say how many partitions a topic has, or to create one, and as it may be away meanwhile.
const TIME_MAX: Duration = Duration::from_secs(15);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// The broker's own default.
const DEFAULT: i32 = -1;
/// A copy has more headers than its original, and may be less compressed. Nobody else writes there, so the bound is generous.
const MESSAGE_BYTES_MAX: &str = "67108864";
/// No bound, of time or bytes.
const FOR_EVER: &str = "-1";

/// A topic, and those for the copies of its failed records.
pub(crate) struct CopyTopics {
    pub(crate) topic: String,
    /// With how long a record waits there.
    pub(crate) retry: Vec<(String, Duration)>,
    pub(crate) dead: String,
}

/// Creates those that are missing, with as many partitions as the topic that they serve.
pub(crate) async fn create(
    cluster: &Cluster,
    topics: &[CopyTopics],
    asking: &Producer,
) -> Result<(), StartError> {
    let admin = Admin::start(cluster)?;
    for copies in topics {
        let deadline = Instant::now() + TIME_MAX;
        let mut limits = Limits::Generous;
        loop {
            let partitions = asking.partitions(&copies.topic, TIME_MAX).await.unwrap_or(DEFAULT);
            match admin.try_to_create(copies, partitions, limits).await {
                Ok(()) => break,
                // What was made already is there the next time.
                Err(refused) if refused.is_passing() && Instant::now() < deadline => sleep(PAUSE).await,
                Err(refused) if refused.is_of_settings() && limits == Limits::Generous => {
                    let Refused { topic, cause, .. } = refused;
                    tracing::warn!(topic, cause, "the cluster's own max.message.bytes has to do for copies");
                    limits = Limits::Clusters;
                }
                Err(Refused { topic, cause, .. }) => return Err(StartError::Topic { topic, cause }),
            }
        }
    }
    Ok(())
}

/// How large a copy may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limits {
    Generous,
    /// Some clusters allow no topic more.
    Clusters,
}

/// Why some were not created.
struct Refused {
    topic: String,
    cause: String,
    code: Option<RDKafkaErrorCode>,
}

impl Refused {
    fn new(topic: String, error: &KafkaError) -> Refused {
        let code = match error {
            KafkaError::AdminOp(code) => Some(*code),
            _ => None,
        };
        Refused { topic, cause: error.to_string(), code }
    }

    /// Of an outage, or of a controller that moves: the broker may be there again soon.
    fn is_passing(&self) -> bool {
        self.code.is_some_and(|code| {
            matches!(
                code,
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::BrokerNotAvailable
                    | RDKafkaErrorCode::NetworkException
                    | RDKafkaErrorCode::NotController
            )
        })
    }

    fn is_of_settings(&self) -> bool {
        let codes = [RDKafkaErrorCode::InvalidConfig, RDKafkaErrorCode::PolicyViolation];
        self.code.is_some_and(|code| codes.contains(&code))
    }
}

struct Admin {
    client: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

impl Admin {
    fn start(cluster: &Cluster) -> Result<Admin, StartError> {
        let client = AdminClient::from_config(&cluster.config(&[]))?;
        let options = AdminOptions::new().request_timeout(Some(TIME_MAX)).operation_timeout(Some(TIME_MAX));
        Ok(Admin { client, options })
    }

    async fn try_to_create(
        &self,
        copies: &CopyTopics,
        partitions: i32,
        limits: Limits,
    ) -> Result<(), Refused> {
        let kept_ms = match copies.retry.is_empty() {
            true => None,
            false => self.retention_ms(&copies.topic).await?,
        };
        let kept = |pause: &Duration| kept_ms.map(|kept_ms| kept_through(kept_ms, *pause).to_string());
        let retry: Vec<_> = copies.retry.iter().map(|(topic, pause)| (topic, kept(pause))).collect();
        let mut wanted: Vec<NewTopic<'_>> =
            retry.iter().map(|(topic, kept)| new_topic(topic, partitions, limits, kept.as_deref())).collect();
        wanted.push(new_topic(&copies.dead, partitions, limits, Some(FOR_EVER)));
        let names = || wanted.iter().map(|topic| topic.name).collect::<Vec<_>>().join(", ");
        let results = self.client.create_topics(&wanted, &self.options).await;
        for result in results.map_err(|error| Refused::new(names(), &error))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(Refused { topic, cause: code.to_string(), code: Some(code) });
                }
            }
        }
        Ok(())
    }

    /// How long a topic keeps its records, -1 for ever; None if the cluster does not say.
    async fn retention_ms(&self, topic: &str) -> Result<Option<i64>, Refused> {
        let asked = self.client.describe_configs([&ResourceSpecifier::Topic(topic)], &self.options).await;
        let described = match asked.map_err(|error| Refused::new(topic.to_owned(), &error)) {
            Err(refused) if refused.is_passing() => return Err(refused),
            described => described.unwrap_or_default(),
        };
        let said = described.into_iter().next().and_then(Result::ok);
        let value = said.and_then(|config| config.get("retention.ms")?.value.clone());
        Ok(value.and_then(|value| value.parse().ok()))
    }
}

/// A copy is kept as long as its original would have been kept, had it come when the copy may be tried.
fn kept_through(kept_ms: i64, pause: Duration) -> i64 {
    match kept_ms {
        ..0 => kept_ms,
        _ => kept_ms.saturating_add(pause.as_millis().min(i64::MAX as u128) as i64),
    }
}

/// Without `kept_ms`, records are kept as long as the cluster's default says.
fn new_topic<'a>(name: &'a str, partitions: i32, limits: Limits, kept_ms: Option<&'a str>) -> NewTopic<'a> {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(DEFAULT));
    // A cluster's default may be another one; compaction would take all letters but the last of a key.
    let topic = topic.set("cleanup.policy", "delete").set("retention.bytes", FOR_EVER);
    let topic = kept_ms.into_iter().fold(topic, |topic, kept_ms| topic.set("retention.ms", kept_ms));
    match limits {
        Limits::Generous => topic.set("max.message.bytes", MESSAGE_BYTES_MAX),
        Limits::Clusters => topic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_kept_through_its_pause_and_as_long_as_its_topic_keeps_records() {
        assert_eq!(kept_through(1000, Duration::from_millis(500)), 1500);
        assert_eq!(kept_through(-1, Duration::from_millis(500)), -1);
        assert_eq!(kept_through(i64::MAX, Duration::MAX), i64::MAX);
    }
}
