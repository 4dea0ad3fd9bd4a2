//! A log that loses its end, as after a power cut under `flush = async`: its offsets are given to other records, which are handled,
//! and the application is told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tallymq_client::{
    Consumer, HandlerError, Producer, Received, Record,
    sequence::{Finding, SequenceCheck},
};

use crate::{
    broker::Broker,
    topic,
    waiting::{until, within},
};

const WITHIN: Duration = Duration::from_secs(60);

async fn send(broker: &Broker, values: &[String]) {
    let producer = Producer::builder(broker.cluster()).start().await.unwrap();
    for value in values {
        drop(producer.send(Record::to("t").value(value.clone())).await.unwrap());
    }
}

fn values(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name} {number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_under_offsets_that_were_read_before_are_handled_and_told_of() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, &values("kept", 10)).await;
    let handled: Arc<Mutex<Vec<String>>> = Arc::default();
    let told: Arc<Mutex<Vec<(String, Finding)>>> = Arc::default();
    let (handler_handled, check_told) = (handled.clone(), told.clone());
    let handler = move |record: Received| {
        let value = String::from_utf8(record.value().unwrap().to_vec()).unwrap();
        handler_handled.lock().unwrap().push(value);
        async { Ok::<(), HandlerError>(()) }
    };
    let check = SequenceCheck::off().on_finding(move |topic, finding| {
        check_told.lock().unwrap().push((topic.to_owned(), finding.clone()));
    });
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").sequences(check);
    let consumer = builder.start(handler).await.unwrap();
    until("the first are handled", || consumer.counts().handled == 10).await;
    until("their position is committed", || topic::committed(broker.address(), "g", "t", 1) == 10).await;

    broker.kill();
    let backup = broker.backup();
    broker.start_again();
    send(&broker, &values("lost", 10)).await;
    until("the next are handled", || consumer.counts().handled == 20).await;
    broker.kill();
    broker.restore(&backup);
    // Fewer than were lost: none is at an offset that the consumer has not read before.
    send(&broker, &values("new", 5)).await;
    until("the new ones are handled", || consumer.counts().handled == 25).await;
    let expected = [values("kept", 10), values("lost", 10), values("new", 5)].concat();
    let mut seen = handled.lock().unwrap().clone();
    seen.sort();
    let mut sorted = expected;
    sorted.sort();
    assert_eq!(seen, sorted, "each once");
    assert_eq!(consumer.counts().truncations, 1);
    // Not only when it stops: then there is one try, and the group may not know its member yet since it lost its end as well.
    until("their position is committed", || topic::committed(broker.address(), "g", "t", 1) == 15).await;
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
    assert_eq!(
        *told.lock().unwrap(),
        [("t".to_owned(), Finding::Truncated { partition: 0, from: 10, to: 20 })]
    );
}
