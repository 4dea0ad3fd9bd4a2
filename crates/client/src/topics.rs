//! Creating the topics that failed records need.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    types::RDKafkaErrorCode,
};

use crate::{
    cluster::{Cluster, StartError},
    producer::Producer,
};

/// As long as a broker may take to say how many partitions a topic has, or to create one.
const TIME_MAX: Duration = Duration::from_secs(15);
/// The broker's own default.
const DEFAULT: i32 = -1;

/// Creates those that are missing, with as many partitions as the topic that they serve.
pub(crate) async fn create(
    cluster: &Cluster,
    topics: &[(String, Vec<String>)],
    asking: &Producer,
) -> Result<(), StartError> {
    let admin = AdminClient::<DefaultClientContext>::from_config(&cluster.config(&[]))?;
    let options = AdminOptions::new().request_timeout(Some(TIME_MAX)).operation_timeout(Some(TIME_MAX));
    for (topic, copies) in topics {
        let partitions = asking.partitions(topic, TIME_MAX).await.unwrap_or(DEFAULT);
        let wanted: Vec<NewTopic<'_>> = copies
            .iter()
            .map(|copy| NewTopic::new(copy, partitions, TopicReplication::Fixed(DEFAULT)))
            .collect();
        let failed = |cause: String| StartError::Topic { topic: copies.join(", "), cause };
        let results =
            admin.create_topics(&wanted, &options).await.map_err(|error| failed(error.to_string()))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(StartError::Topic { topic, cause: code.to_string() }),
            }
        }
    }
    Ok(())
}
