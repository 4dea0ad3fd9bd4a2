//! Fallbacks, with brokers that do not answer all that they are asked: a topic of the same cluster as the first, and a cluster that
//! may have taken what it says nothing of.

use std::time::Duration;

use tallymq_client::{Cluster, Producer, ProducerBuilder, Record, SendError, SpoolSettings, Stored};

use crate::{between, topic, waiting::within};

/// The API key of Produce.
const PRODUCE: [u8; 2] = [0, 0];

#[tokio::test(flavor = "multi_thread")]
async fn the_fallback_topic_takes_what_the_first_does_not() {
    // A topic's name has its length before it, as two bytes or, plus one, as a varint; a header's value is written otherwise.
    let is_of_first = |frame: &[u8]| {
        let names = frame.windows(8).any(|window| window == b"\0\x06orders");
        frame.starts_with(&PRODUCE) && (names || frame.windows(7).any(|window| window == b"\x07orders"))
    };
    let (broker, address) = between::broker_behind(is_of_first);
    broker.create_topic("orders", 1);
    broker.create_topic("rescued", 2);
    let producer = Producer::builder(Cluster::at(&address).set("reconnect.backoff.ms", "20"))
        .deadline(Duration::from_secs(12))
        .fallback_topic("rescued")
        .start()
        .await
        .unwrap();
    for number in 0..3 {
        let record = Record::to("orders").key("k").value(number.to_string());
        let stored = within("it has an outcome", producer.send(record)).await.unwrap();
        assert!(
            matches!(&stored, Stored::InFallback { fallback: 0, topic, .. } if topic == "rescued"),
            "{stored:?}"
        );
    }
    assert_eq!(producer.counts().in_fallback, 3);
    let rescued = topic::read(broker.address(), "rescued");
    assert_eq!(rescued.iter().map(|record| record.value.as_str()).collect::<Vec<_>>(), ["0", "1", "2"]);
    for record in &rescued {
        let header = |name: &str| record.headers.iter().find(|header| header.name == name).unwrap();
        assert_eq!(header("tally-origin-topic").value.as_deref(), Some(&b"orders"[..]));
    }
    assert_eq!(topic::check(&rescued).counts().missing, 0, "its numbers are of that topic");
    assert!(topic::read(broker.address(), "orders").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_does_not_answer_may_have_stored_the_record() {
    // The record is on its way there, and then nobody knows.
    let (second, address) = between::broker_behind(|frame| frame.starts_with(&PRODUCE));
    second.create_topic("t", 1);
    let builder = Producer::builder(Cluster::at("127.0.0.1:1"))
        .deadline(Duration::from_secs(5))
        .fallback_cluster(Cluster::at(&address).set("reconnect.backoff.ms", "20"));
    let directory = tempfile::tempdir().unwrap();
    let too_small = builder.clone().spool(SpoolSettings::at(directory.path()).bytes_max(1));
    let is_unknown = async |builder: ProducerBuilder| {
        let producer = builder.start().await.unwrap();
        let record = Record::to("t").value("x");
        let error = within("it has an outcome", producer.send(record.clone())).await.unwrap_err();
        assert!(matches!(error, SendError::Unknown { .. }), "{error:?}");
        assert_eq!(error.into_record(), Some(record));
    };
    tokio::join!(is_unknown(builder), is_unknown(too_small));
}
