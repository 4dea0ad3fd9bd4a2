//! Topic administration through the AdminClient.

use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;

use crate::{Outcome, Parameters};

type Admin = AdminClient<DefaultClientContext>;
const TIMEOUT: Duration = Duration::from_secs(60);

fn connect(parameters: &Parameters) -> Result<Admin, rdkafka::error::KafkaError> {
    ClientConfig::new().set("bootstrap.servers", &parameters.bootstrap).create()
}

pub fn create(parameters: &Parameters) -> Outcome {
    let admin = connect(parameters)?;
    let topic = NewTopic::new(&parameters.topic, parameters.partitions, TopicReplication::Fixed(1));
    for result in block_on(admin.create_topics(&[topic], &AdminOptions::new()))? {
        result.map_err(|(name, code)| format!("{name}: {code}"))?;
    }
    until(|| Ok(partitions(&admin, &parameters.topic)? == parameters.partitions as usize))
}

pub fn topic_admin(parameters: &Parameters) -> Outcome {
    let admin = connect(parameters)?;
    let topic = parameters.topic.as_str();
    let options = AdminOptions::new();
    let fresh = NewTopic::new(topic, 3, TopicReplication::Fixed(1)).set("retention.ms", "600000");
    for result in block_on(admin.create_topics(&[fresh], &options))? {
        result.map_err(|(name, code)| format!("{name}: {code}"))?;
    }
    until(|| Ok(partitions(&admin, topic)? == 3))?;
    check(retention(&admin, topic)? == "600000", "retention at creation")?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("retention.ms", "1200000");
    for result in block_on(admin.alter_configs(&[change], &options))? {
        result.map_err(|(_, code)| format!("alter: {code}"))?;
    }
    until(|| Ok(retention(&admin, topic)? == "1200000"))?;
    for result in block_on(admin.create_partitions(&[NewPartitions::new(topic, 5)], &options))? {
        result.map_err(|(name, code)| format!("{name}: {code}"))?;
    }
    until(|| Ok(partitions(&admin, topic)? == 5))?;
    for result in block_on(admin.delete_topics(&[topic], &options))? {
        result.map_err(|(name, code)| format!("{name}: {code}"))?;
    }
    until(|| {
        let all = admin.inner().fetch_metadata(None, TIMEOUT)?;
        Ok(all.topics().iter().all(|each| each.name() != topic))
    })
}

fn partitions(admin: &Admin, topic: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let all = admin.inner().fetch_metadata(None, TIMEOUT)?;
    let found = all.topics().iter().find(|each| each.name() == topic);
    Ok(found.map_or(0, |each| each.partitions().len()))
}

fn retention(admin: &Admin, topic: &str) -> Result<String, Box<dyn std::error::Error>> {
    let options = AdminOptions::new();
    let described = block_on(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options))?;
    let resource = described.into_iter().next().ok_or("no resource described")??;
    let value = resource.get("retention.ms").and_then(|entry| entry.value.clone());
    Ok(value.unwrap_or_default())
}

fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn until(condition: impl Fn() -> Result<bool, Box<dyn std::error::Error>>) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition()? {
        check(Instant::now() < deadline, "not within 120 s")?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
