//! A gap made by hand is named, from the record in the log to the application's callback.

use std::sync::{Arc, Mutex};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use tallymq_client::{
    Consumer, HandlerError, Received, Stopped,
    sequence::{Finding, SequenceCheck},
};
use uuid::Uuid;

use crate::{
    broker::Broker,
    waiting::{LIMIT, until, within},
};

/// Sends a record under a number of our choice, as no producer of ours would.
fn send_numbered(address: &str, producer: Uuid, numbers: &[u64]) {
    let client: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    for number in numbers {
        let (producer, number) = (producer.to_string(), number.to_string());
        let headers = OwnedHeaders::new()
            .insert(Header { key: "tally-producer", value: Some(&producer) })
            .insert(Header { key: "tally-seq", value: Some(&number) });
        let record = BaseRecord::to("t").partition(0).key("").payload("x").headers(headers);
        client.send(record).map_err(|(error, _)| error).unwrap();
    }
    client.flush(LIMIT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_numbers_are_named_to_the_callback() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let producer = Uuid::from_u128(77);
    send_numbered(broker.address(), producer, &[0, 1, 4, 5, 5, 3]);
    let findings = Arc::new(Mutex::new(Vec::new()));
    let told = findings.clone();
    let check = SequenceCheck::on().on_finding(move |topic, finding| {
        told.lock().unwrap().push((topic.to_owned(), finding.clone()));
    });
    let handler = async |_: Received| -> Result<(), HandlerError> { Ok(()) };
    let consumer =
        Consumer::builder(broker.cluster(), "g").topic("t").sequences(check).start(handler).await.unwrap();
    until("all are handled", || consumer.counts().handled == 6).await;
    let counts = consumer.sequence_counts();
    assert_eq!((counts.checked, counts.missing, counts.duplicates, counts.late), (6, 2, 1, 1));
    assert!(within("stop", consumer.stop(LIMIT)).await.failure.is_none());
    let findings = findings.lock().unwrap();
    let texts: Vec<String> = findings.iter().map(|(topic, finding)| format!("{topic}: {finding}")).collect();
    assert_eq!(
        texts,
        [
            format!("t: producer {producer} misses 2-3 before offset 0:2"),
            format!("t: number 5 of producer {producer} again at offset 0:4"),
            format!("t: number 3 of producer {producer} only at offset 0:5"),
        ]
    );
    assert!(matches!(&findings[0].1, Finding::Gap { missing, .. } if *missing == (2..=3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_panics_does_not_end_the_reading() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send_numbered(broker.address(), Uuid::from_u128(1), &[0, 9, 10]);
    let check = SequenceCheck::on().on_finding(|_, finding| panic!("on purpose, for {finding}"));
    let handler = async |_: Received| -> Result<(), HandlerError> { Ok(()) };
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").sequences(check);
    let consumer = builder.start(handler).await.unwrap();
    until("all are handled", || consumer.counts().handled == 3).await;
    assert_eq!(consumer.sequence_counts().missing, 8);
    assert_eq!(within("stop", consumer.stop(LIMIT)).await, Stopped::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_setting_turns_it_off() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send_numbered(broker.address(), Uuid::from_u128(1), &[0, 9]);
    let handler = async |_: Received| -> Result<(), HandlerError> { Ok(()) };
    let consumer = Consumer::builder(broker.cluster(), "g")
        .topic("t")
        .sequences(SequenceCheck::off())
        .start(handler)
        .await
        .unwrap();
    until("all are handled", || consumer.counts().handled == 2).await;
    assert_eq!(consumer.sequence_counts().checked, 0);
}
