//! A record that no attempt helps: retry topics, the dead-letter topic, and back.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tallymq_client::{
    Cluster, Consumer, DeadLetter, DeadLetterError, DeadLetters, HandlerError, Letters, Producer, Received,
    Record, Retry, sequence::SequenceId,
};

use crate::{
    broker::Broker,
    topic,
    waiting::{until, within},
};

const PAUSE: Duration = Duration::from_millis(300);
const WITHIN: Duration = Duration::from_secs(60);

/// A consumer that fails on values that begin with "bad" until it is told to be well, and what it saw.
struct Clinic {
    consumer: Consumer,
    well: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Clinic {
    async fn open(cluster: Cluster) -> Clinic {
        let (well, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (handler_well, handler_seen) = (well.clone(), seen.clone());
        let handler = move |record: Received| {
            let (well, seen) = (handler_well.clone(), handler_seen.clone());
            async move {
                seen.lock().unwrap().push(record.clone());
                let value = record.value().unwrap();
                match value.as_ref() {
                    b"hopeless" => Err(HandlerError::give_up("not even a try")),
                    bad if bad.starts_with(b"bad") && !well.load(SeqCst) => {
                        Err(HandlerError::retry(format!("cannot digest attempt {}", record.attempt())))
                    }
                    _ => Ok(()),
                }
            }
        };
        let consumer = Consumer::builder(cluster, "billing")
            .topic("orders")
            .retry(Retry::topics([PAUSE, PAUSE]))
            .attempts_max(3)
            .start(handler)
            .await
            .unwrap();
        Clinic { consumer, well, seen }
    }

    fn attempts_of(&self, value: &str) -> Vec<(u32, String)> {
        let seen = self.seen.lock().unwrap();
        let of_value = seen.iter().filter(|record| record.value().unwrap().as_ref() == value.as_bytes());
        of_value.map(|record| (record.attempt(), record.topic().to_owned())).collect()
    }
}

async fn send(broker: &Broker, values: &[&str]) {
    let producer = Producer::builder(broker.cluster()).start().await.unwrap();
    for value in values {
        let record = Record::to("orders").key("customer").value(value.to_string()).header("trace", "t1");
        let _ = producer.send(record).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_record_ends_in_the_dead_letters_with_its_story_and_comes_back() {
    let broker = Broker::start();
    broker.create_topic("orders", 2);
    let clinic = Clinic::open(broker.cluster()).await;
    let letters = DeadLetters::of(broker.cluster(), "orders", "billing");
    assert!(letters.list(10).await.unwrap().is_empty());
    send(&broker, &["one", "bad", "hopeless", "two"]).await;
    until("two letters", || clinic.consumer.counts().dead_lettered == 2).await;
    let topics = ["orders", "orders.billing.retry-1", "orders.billing.retry-2"];
    let expected: Vec<(u32, String)> = (1..).zip(topics.map(str::to_owned)).collect();
    assert_eq!(clinic.attempts_of("bad"), expected);
    let times: Vec<i64> = {
        let seen = clinic.seen.lock().unwrap();
        seen.iter().filter_map(|record| record.header("tally-failed-at")).map(number).collect()
    };
    assert!(times[1] - times[0] >= PAUSE.as_millis() as i64, "{times:?}");
    until("the others are handled as well", || clinic.consumer.counts().handled == 2).await;

    let origin = |value: &str| {
        let records = topic::read(broker.address(), "orders");
        records.into_iter().find(|record| record.value == value).unwrap()
    };
    let listed = letters.list(10).await.unwrap();
    assert_eq!(listed.len(), 2);
    let bad = listed.iter().find(|letter| letter.record().value().unwrap().as_ref() == b"bad").unwrap();
    assert_eq!((bad.cause(), bad.attempts(), bad.group()), ("cannot digest attempt 3", 3, Some("billing")));
    let stored = origin("bad");
    assert_eq!((bad.origin().topic.as_str(), bad.origin().offset), ("orders", stored.offset));
    assert_eq!(bad.record().sequence(), SequenceId::of(&stored.headers));
    assert_eq!(bad.record().key().unwrap().as_ref(), b"customer");
    assert_eq!(bad.record().header("trace").unwrap().as_ref(), b"t1");
    let hopeless = listed.iter().find(|letter| letter.cause() == "not even a try").unwrap();
    assert_eq!(hopeless.attempts(), 1);

    clinic.well.store(true, SeqCst);
    let (partition, offset) = (bad.position().partition, bad.position().offset);
    assert_eq!(letters.show(partition, offset).await.unwrap().cause(), bad.cause());
    assert_eq!(letters.redrive(Letters::One { partition, offset }, None).await.unwrap(), 1);
    until("it is handled", || clinic.consumer.counts().handled == 3).await;
    let back = clinic.seen.lock().unwrap().last().unwrap().clone();
    assert_eq!((back.attempt(), back.origin(), back.topic()), (1, bad.origin(), "orders"));
    assert_eq!(clinic.consumer.sequence_counts().duplicates, 0, "a copy is no duplicate");

    let settled = letters.redrive(Letters::One { partition, offset }, None).await.unwrap_err();
    assert!(matches!(settled, DeadLetterError::NoLetter { .. }), "{settled}");
    assert_eq!(letters.list(10).await.unwrap().len(), 1);
    let (partition, offset) = (hopeless.position().partition, hopeless.position().offset);
    assert_eq!(letters.purge(Letters::One { partition, offset }).await.unwrap(), 1);
    assert!(letters.list(10).await.unwrap().is_empty());
    assert!(!topic::read(broker.address(), letters.topic()).is_empty());
    assert_eq!(letters.purge(Letters::All).await.unwrap(), 0);
    assert!(topic::read(broker.address(), letters.topic()).is_empty());
    assert!(within("stop", clinic.consumer.stop(WITHIN)).await.failure.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_of_letters_gets_no_notes_and_none_of_its_own_letters_is_hidden() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let clinic = Clinic::open(broker.cluster()).await;
    send(&broker, &["hopeless", "hopeless"]).await;
    until("two letters", || clinic.consumer.counts().dead_lettered == 2).await;
    let letters = DeadLetters::of(broker.cluster(), "orders", "billing");
    assert_eq!(letters.purge(Letters::One { partition: 0, offset: 0 }).await.unwrap(), 1);

    let builder = Consumer::builder(broker.cluster(), "clerk").topic(letters.topic());
    let helpless = async |_: Received| -> Result<(), HandlerError> { Err(HandlerError::give_up("no idea")) };
    let clerk = builder.start(helpless).await.unwrap();
    until("all is read", || {
        let counts = clerk.counts();
        counts.passed_over + counts.dead_lettered == 3
    })
    .await;
    assert_eq!((clerk.counts().passed_over, clerk.counts().dead_lettered), (1, 2));
    let clerks = DeadLetters::of(broker.cluster(), letters.topic(), "clerk");
    assert_eq!(clerks.list(10).await.unwrap().len(), 2);

    // Copies of notes were made once.
    let producer = Producer::builder(broker.cluster()).sequence_headers(false).start().await.unwrap();
    let copy = Record::to(clerks.topic()).header("tally-settles", "0").header("tally-origin-topic", "orders");
    drop(producer.send(copy).await.unwrap());
    assert_eq!(clerks.list(10).await.unwrap().len(), 3);
    assert!(within("stop", clerk.stop(WITHIN)).await.failure.is_none());
    assert_eq!(topic::committed(broker.address(), "clerk", letters.topic(), 1), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_cannot_be_stored_keeps_its_record_unacknowledged() {
    let mut broker = Broker::start();
    broker.create_topic("orders", 1);
    send(&broker, &["hopeless", "one"]).await;
    let clinic = Clinic::open(broker.cluster()).await;
    until("it was stored", || clinic.consumer.counts().dead_lettered == 1).await;
    send(&broker, &["bad 2", "bad 3"]).await;
    let has_failed = |value: &str| !clinic.attempts_of(value).is_empty();
    until("both failed", || has_failed("bad 2") && has_failed("bad 3")).await;
    broker.kill();
    broker.start_again();
    let letters = DeadLetters::of(broker.cluster(), "orders", "billing");
    // What was not yet acknowledged may have ended there twice.
    let all = ["bad 2", "bad 3", "hopeless"].map(str::to_owned).into();
    within("both are dead letters", async { while values_of(&letters).await != all {} }).await;
    let missing = DeadLetters::in_topic(broker.cluster(), "no.such.topic").list(1).await.unwrap_err();
    assert!(matches!(missing, DeadLetterError::NoTopic(_)), "{missing}");
}

async fn values_of(letters: &DeadLetters) -> BTreeSet<String> {
    let value = |letter: &DeadLetter| String::from_utf8(letter.record().value().unwrap().to_vec()).unwrap();
    letters.list(100).await.unwrap().iter().map(value).collect()
}

fn number(value: &bytes::Bytes) -> i64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}
