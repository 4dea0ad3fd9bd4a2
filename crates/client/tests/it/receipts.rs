//! Receipts end to end: what handlers made of records stands in the broker's account, beside what positions say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::Value;
use tallymq_client::{Consumer, ConsumerBuilder, HandlerError, Producer, Received, Record, Retry};

use crate::{
    broker::Broker,
    topic,
    waiting::{until, within},
};

const WITHIN: Duration = Duration::from_secs(60);

/// Values are numbers; those that 5 divides are hopeless.
async fn send(broker: &Broker, numbers: std::ops::Range<usize>) {
    let builder = Producer::builder(broker.cluster()).deadline(Duration::from_secs(300));
    let producer = builder.start().await.unwrap();
    let record = |number: usize| Record::to("t").key(format!("k{number}")).value(number.to_string());
    // Side by side, and stored in this order all the same.
    let outcomes = join_all(numbers.map(|number| producer.send(record(number)))).await;
    assert!(outcomes.into_iter().all(|outcome| outcome.is_ok_and(|stored| stored.by_broker())));
}

async fn digest(record: Received) -> Result<(), HandlerError> {
    let number: usize = std::str::from_utf8(record.value().unwrap()).unwrap().parse().unwrap();
    match number % 5 {
        0 => Err(HandlerError::give_up("divisible by five")),
        _ => Ok(()),
    }
}

fn consumer(broker: &Broker) -> ConsumerBuilder {
    Consumer::builder(broker.cluster(), "g").topic("t").commit_interval(Duration::from_millis(20))
}

/// Processed, dead-lettered, and with a receipt; of one topic.
fn account(broker: &Broker, topic: &str) -> (u64, u64, u64) {
    let report = broker.asked(&["account", "--group", "g", "--topic", topic]);
    assert_eq!(report["balanced"], true, "{report}");
    let row = &report["accounts"][0];
    let count = |class: &str| row["classes"][class].as_u64().unwrap();
    (count("processed"), count("dead_lettered"), row["handled"].as_u64().unwrap())
}

/// What `trace` tells of an offset's way in the group.
fn story(broker: &Broker, place: &str) -> Vec<String> {
    let told = broker.asked(&["trace", "--topic", "t", "--offset", place]);
    let groups = told["records"][0]["groups"].as_array().unwrap_or_else(|| panic!("{told}"));
    let events = groups[0]["events"].as_array().unwrap_or_else(|| panic!("{told}"));
    events.iter().map(|event| event["what"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_words_stand_in_the_account_beside_the_positions() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, 0..40).await;
    let first = consumer(&broker).start(digest).await.unwrap();
    until("all are done with", || first.counts().handled + first.counts().dead_lettered == 40).await;
    assert_eq!(within("stop", first.stop(WITHIN)).await.abandoned, 0);
    assert_eq!(account(&broker, "t"), (32, 8, 32));
    let (handled, dead) = (story(&broker, "0:7"), story(&broker, "0:10"));
    for (story, said) in [(handled, "handled"), (dead, "dead_lettered")] {
        let place = |what: &str| story.iter().position(|one| one == what);
        assert!(place("delivered") < place(said) && place(said).is_some(), "{story:?}");
        assert!(place(said) < place("acknowledged"), "{story:?}");
    }
    broker.kill_and_verify();
    broker.start_again();
    assert_eq!(account(&broker, "t"), (32, 8, 32), "the words are durable");
    assert_eq!(topic::committed(broker.address(), "g", "t", 1), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_on_its_way_through_retry_topics_is_told_of_where_its_way_ends() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, 0..10).await;
    let well = Arc::new(AtomicBool::new(false));
    let handler = move |record: Received| {
        let well = well.clone();
        async move {
            match record.topic() {
                "t" => digest(record.clone()).await.map_err(|_| HandlerError::retry("later")),
                // The first of both recovers.
                _ if !well.swap(true, SeqCst) => Ok(()),
                _ => digest(record).await,
            }
        }
    };
    let builder = consumer(&broker).retry(Retry::topics([Duration::from_millis(10)]));
    let consumer = builder.start(handler).await.unwrap();
    until("all are done with", || consumer.counts().handled + consumer.counts().dead_lettered == 10).await;
    assert_eq!(within("stop", consumer.stop(WITHIN)).await.abandoned, 0);
    assert_eq!(account(&broker, "t"), (10, 0, 8));
    assert_eq!(account(&broker, "t.g.retry-1"), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_in_the_middle_knows_every_outcome_in_the_end() {
    const RECORDS: usize = 600;
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, 0..RECORDS).await;
    let consumer = consumer(&broker).held_max(20).start(digest).await.unwrap();
    let done = || (consumer.counts().handled + consumer.counts().dead_lettered) as usize;
    for round in 1..=2 {
        until("it works", || done() > round * RECORDS / 4).await;
        broker.kill();
        broker.start_again();
    }
    until("all is committed", || topic::committed(broker.address(), "g", "t", 1) == RECORDS as i64).await;
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
    let (_, dead, handled) = account(&broker, "t");
    // What was delivered just before a kill may be unwitnessed; what became of it is known all the same.
    assert_eq!(handled as usize, RECORDS - RECORDS / 5);
    assert!(dead as usize <= RECORDS / 5);
    broker.kill_and_verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_words_than_fit_into_one_commit_go_with_several() {
    const RECORDS: u64 = 2400;
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, 0..RECORDS as usize).await;
    let every_other = async |record: Received| -> Result<(), HandlerError> {
        if record.offset() % 2 == 0 { Ok(()) } else { Err(HandlerError::give_up("odd")) }
    };
    // Nothing is committed before the stop.
    let builder = consumer(&broker).commit_interval(Duration::from_secs(3600)).parallel_max(200);
    let consumer = builder.start(every_other).await.unwrap();
    let done = || consumer.counts().handled + consumer.counts().dead_lettered;
    until("all are done with", || done() == RECORDS).await;
    assert_eq!(within("stop", consumer.stop(WITHIN)).await.abandoned, 0);
    assert_eq!(topic::committed(broker.address(), "g", "t", 1), RECORDS as i64);
    assert_eq!(account(&broker, "t"), (RECORDS / 2, RECORDS / 2, RECORDS / 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_off_with_one_setting() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, 0..10).await;
    let consumer = consumer(&broker).tell_account(false).start(digest).await.unwrap();
    until("all is committed", || topic::committed(broker.address(), "g", "t", 1) == 10).await;
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
    assert_eq!(account(&broker, "t"), (10, 0, 0));
    let report: Value = broker.asked(&["alarms", "list"]);
    assert_eq!(report["alarms"].as_array().map(Vec::len), Some(0), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_takes_no_metadata_is_told_nothing_and_positions_are_committed() {
    let broker = Broker::start_with(&["offset.metadata.max.bytes=8"]);
    broker.create_topic("t", 1);
    send(&broker, 0..10).await;
    let consumer = consumer(&broker).start(digest).await.unwrap();
    until("all is committed", || topic::committed(broker.address(), "g", "t", 1) == 10).await;
    assert!(consumer.counts().commits_failed > 0, "none was refused");
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
    assert_eq!(account(&broker, "t"), (10, 0, 0));
}
