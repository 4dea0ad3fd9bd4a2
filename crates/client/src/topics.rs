//! Creating the topics that failed records need.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
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

/// Creates those that are missing, with as many partitions as the topic that they serve.
pub(crate) async fn create(
    cluster: &Cluster,
    topics: &[(String, Vec<String>)],
    asking: &Producer,
) -> Result<(), StartError> {
    let admin = AdminClient::<DefaultClientContext>::from_config(&cluster.config(&[]))?;
    for (topic, copies) in topics {
        let deadline = Instant::now() + TIME_MAX;
        loop {
            let partitions = asking.partitions(topic, TIME_MAX).await.unwrap_or(DEFAULT);
            match try_to_create(&admin, copies, partitions).await {
                Ok(()) => break,
                // What was made already is there the next time.
                Err(refused) if refused.is_passing && Instant::now() < deadline => sleep(PAUSE).await,
                Err(Refused { topic, cause, .. }) => return Err(StartError::Topic { topic, cause }),
            }
        }
    }
    Ok(())
}

/// Why some were not created.
struct Refused {
    topic: String,
    cause: String,
    /// The broker was away, or did not come to it: it may be there again soon.
    is_passing: bool,
}

async fn try_to_create(
    admin: &AdminClient<DefaultClientContext>,
    names: &[String],
    partitions: i32,
) -> Result<(), Refused> {
    let options = AdminOptions::new().request_timeout(Some(TIME_MAX)).operation_timeout(Some(TIME_MAX));
    let wanted: Vec<NewTopic<'_>> =
        names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(DEFAULT))).collect();
    let results = admin.create_topics(&wanted, &options).await.map_err(|error| {
        let is_passing = matches!(error, KafkaError::AdminOp(code) if is_passing(code));
        Refused { topic: names.join(", "), cause: error.to_string(), is_passing }
    })?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(Refused { topic, cause: code.to_string(), is_passing: is_passing(code) });
            }
        }
    }
    Ok(())
}

/// Of an outage, or of a controller that moves.
fn is_passing(code: RDKafkaErrorCode) -> bool {
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
}
