//! Creates topics.

use std::error::Error;
use std::time::Duration;

use futures_executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::json;

use crate::Measured;
use crate::clock::{now_ns, seconds};

type Admin = AdminClient<DefaultClientContext>;

/// Seconds until created and until every partition has a leader.
pub fn create(bootstrap: &str, topic: &str, partitions: i32, config: &[String]) -> Measured {
    let begin = now_ns();
    let admin = request(bootstrap, topic, partitions, config)?;
    let created = now_ns() - begin;
    let deadline = now_ns() + 120_000_000_000;
    while led(&admin, topic)? < partitions as usize {
        if now_ns() > deadline {
            return Err(format!("{topic}: not every partition has a leader after 120 s").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(json!({"created_s": seconds(created), "led_s": seconds(now_ns() - begin)}))
}

/// Sends the request and waits for its answer only.
pub fn request(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    config: &[String],
) -> Result<Admin, Box<dyn Error>> {
    let admin: Admin = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let mut fresh = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for pair in config {
        let (key, value) = pair.split_once('=').ok_or("--config wants KEY=VALUE")?;
        fresh = fresh.set(key, value);
    }
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(60)));
    for result in block_on(admin.create_topics(&[fresh], &options))? {
        result.map_err(|(name, code)| format!("{name}: {code}"))?;
    }
    Ok(admin)
}

fn led(admin: &Admin, topic: &str) -> Result<usize, Box<dyn Error>> {
    let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let found = metadata.topics().iter().find(|each| each.name() == topic);
    let partitions = found.map_or(&[][..], |each| each.partitions());
    Ok(partitions.iter().filter(|each| each.leader() >= 0 && each.error().is_none()).count())
}
