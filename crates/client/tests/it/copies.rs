//! The copies of failed records: which topics they go to, how long they are kept, and how large they may be.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tallymq_client::{
    Cluster, Consumer, ConsumerBuilder, DeadLetters, HandlerError, Letters, Producer, Received, Record,
    Retry, SendError, StartError,
};

use crate::{
    broker::Broker,
    topic,
    waiting::{until, within},
};

const PAUSE: Duration = Duration::from_millis(50);
const WITHIN: Duration = Duration::from_secs(60);
const DAY_MS: i64 = 24 * 3600 * 1000;
/// What a batch takes beside the value of its only record, of about a mebibyte, without key and headers.
const AROUND_VALUE: usize = 61 + 11;
/// Kafka's default, and ours.
const BATCH_BYTES_MAX: usize = 1_048_588;

async fn send(cluster: Cluster, record: Record) -> Result<(), SendError> {
    let producer = Producer::builder(cluster).sequence_headers(false).start().await.unwrap();
    let sent = producer.send(record).await;
    producer.close(WITHIN).await.unwrap();
    sent.map(drop)
}

/// A consumer whose every attempt fails, and what it saw.
async fn failing(builder: ConsumerBuilder) -> (Consumer, Arc<Mutex<Vec<Received>>>) {
    let seen: Arc<Mutex<Vec<Received>>> = Arc::default();
    let handler_seen = seen.clone();
    let handler = move |record: Received| {
        handler_seen.lock().unwrap().push(record);
        async { Err::<(), _>(HandlerError::retry("on purpose")) }
    };
    (builder.start(handler).await.unwrap(), seen)
}

/// The attempts that one takes to give a record up, with the topics where they were made.
async fn given_up(builder: ConsumerBuilder) -> Vec<(u32, String)> {
    let (consumer, seen) = failing(builder).await;
    until("it is given up", || consumer.counts().dead_lettered == 1).await;
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
    let seen = seen.lock().unwrap();
    seen.iter().map(|record| (record.attempt(), record.topic().to_owned())).collect()
}

fn attempts(topics: &[&str]) -> Vec<(u32, String)> {
    (1..).zip(topics.iter().map(|topic| (*topic).to_owned())).collect()
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_came_by_another_topic_fails_to_the_topics_of_that_one() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    broker.create_topic("orders-fixed", 1);
    send(broker.cluster(), Record::to("orders").value("bad")).await.unwrap();
    let builder = |group: &str, topic: &str| {
        let builder = Consumer::builder(broker.cluster(), group).topic(topic).attempts_max(3);
        builder.retry(Retry::topics([PAUSE]))
    };
    let retry = "orders.billing.retry-1";
    assert_eq!(given_up(builder("billing", "orders")).await, attempts(&["orders", retry, retry]));

    // A consumer of letters begins to count anew, and has topics of its own.
    let letters = "orders.billing.dead";
    let retry = "orders.billing.dead.clerk.retry-1";
    assert_eq!(given_up(builder("clerk", letters)).await, attempts(&[letters, retry, retry]));
    let clerks = DeadLetters::of(broker.cluster(), letters, "clerk").list(10).await.unwrap();
    assert_eq!((clerks.len(), clerks[0].origin().topic.as_str()), (1, "orders"));

    let letters = DeadLetters::of(broker.cluster(), "orders", "billing");
    assert_eq!(letters.redrive(Letters::All, Some("orders-fixed")).await.unwrap(), 1);
    let (fixed, retry) = ("orders-fixed", "orders-fixed.billing.retry-1");
    assert_eq!(given_up(builder("billing", fixed)).await, attempts(&[fixed, retry, retry]));
    let again = DeadLetters::of(broker.cluster(), fixed, "billing").list(10).await.unwrap();
    assert_eq!((again.len(), again[0].origin()), (1, clerks[0].origin()), "where it was first stored");
    assert!(letters.list(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_whose_names_make_the_same_retry_topic_try_their_own_records_only() {
    let broker = Broker::start();
    broker.create_topic("a", 1);
    broker.create_topic("a.b", 1);
    let builder = |group: &str, topic: &str| {
        let builder = Consumer::builder(broker.cluster(), group).topic(topic);
        builder.retry(Retry::topics([PAUSE]))
    };
    let once = |record: Received| async move {
        match record.attempt() {
            _ if record.value().is_none() => Err(HandlerError::give_up("nothing in it")),
            1 => Err(HandlerError::retry("on purpose")),
            _ => Ok(()),
        }
    };
    let owner = builder("b.c", "a").start(once).await.unwrap();
    let other = builder("c", "a.b").start(once).await.unwrap();
    send(broker.cluster(), Record::to("a").value("x")).await.unwrap();
    until("the owner handles it", || owner.counts().handled == 1).await;
    until("the other passes it over", || other.counts().passed_over == 1).await;
    assert_eq!((other.counts().handled, other.counts().failed, owner.counts().passed_over), (0, 0, 0));
    for topic in ["a", "a.b"] {
        send(broker.cluster(), Record::to(topic)).await.unwrap();
    }
    until("both give one up", || owner.counts().dead_lettered + other.counts().dead_lettered == 2).await;
    assert!(within("stop", owner.stop(WITHIN)).await.failure.is_none());
    assert!(within("stop", other.stop(WITHIN)).await.failure.is_none());
    assert_eq!(topic::committed(broker.address(), "c", "a.b.c.retry-1", 1), 1);

    let letters = DeadLetters::of(broker.cluster(), "a", "b.c");
    assert_eq!(letters.list(10).await.unwrap().len(), 1);
    assert_eq!(letters.purge(Letters::All).await.unwrap(), 1);
    assert!(letters.list(10).await.unwrap().is_empty());
    let left = DeadLetters::in_topic(broker.cluster(), "a.b.c.dead").list(10).await.unwrap();
    assert_eq!((left.len(), left[0].group()), (1, Some("c")));

    let both = builder("c", "a.b").topic("a.b.c.retry-1").start(once).await.unwrap_err();
    assert!(matches!(both, StartError::Setting(_)), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_an_old_record_does_not_expire() {
    let broker = Broker::start();
    broker.create_topic_with("t", 1, &["retention.ms=-1"]);
    broker.create_topic_with("young", 1, &["retention.ms=86400000"]);
    let old = Record::to("t").value("old").timestamp_ms(1000);
    send(broker.cluster(), old).await.unwrap();
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").topic("young").attempts_max(2);
    let (consumer, seen) = failing(builder.retry(Retry::topics([PAUSE]))).await;
    until("it is given up", || consumer.counts().dead_lettered == 1).await;
    assert!(
        seen.lock().unwrap().iter().all(|record| record.timestamp_ms() == Some(1000)),
        "the record's own"
    );
    let setting = async |topic: &str, name: &str| topic::setting(broker.address(), topic, name).await;
    for (topic, kept) in [("t.g.retry-1", "-1"), ("young.g.retry-1", "86400050")] {
        assert_eq!(setting(topic, "retention.ms").await, kept, "{topic}");
    }
    for topic in ["t.g.dead", "young.g.dead"] {
        assert_eq!(setting(topic, "retention.ms").await, "-1", "{topic}");
    }
    let is_new = |topic: &str| {
        let records = topic::read(broker.address(), topic);
        records.last().unwrap().timestamp_ms > now_ms() - DAY_MS
    };
    assert!(is_new("t.g.retry-1") && is_new("t.g.dead") && !is_new("t"));
    let letters = DeadLetters::of(broker.cluster(), "t", "g");
    assert_eq!(letters.list(1).await.unwrap()[0].record().timestamp_ms(), Some(1000));
    letters.redrive(Letters::All, None).await.unwrap();
    until("it comes again", || consumer.counts().dead_lettered == 2).await;
    assert!(seen.lock().unwrap().iter().all(|record| record.timestamp_ms() == Some(1000)));
    assert!(is_new("t"), "a topic with retention keeps it");
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_as_large_as_the_broker_takes_can_be_copied() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let cluster = broker.cluster().set("message.max.bytes", "2000000");
    let record = |bytes: usize| Record::to("t").value(vec![b'x'; bytes]);
    let largest = BATCH_BYTES_MAX - AROUND_VALUE;
    assert!(send(cluster.clone(), record(largest + 1)).await.unwrap_err().is_refused());
    send(cluster, record(largest)).await.unwrap();
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").attempts_max(2);
    let seen = given_up(builder.retry(Retry::topics([PAUSE]))).await;
    assert_eq!(seen, attempts(&["t", "t.g.retry-1"]));
    let letters = DeadLetters::of(broker.cluster(), "t", "g").list(10).await.unwrap();
    assert_eq!(letters[0].record().value().map(|value| value.len()), Some(largest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_its_topic_does_not_take_is_counted_for_as_long_as_it_waits() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    broker.create_topic_with("t.g.dead", 1, &["max.message.bytes=2000"]);
    send(broker.cluster(), Record::to("t").value(vec![b'x'; 5000])).await.unwrap();
    send(broker.cluster(), Record::to("t").value("small")).await.unwrap();
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").attempts_max(1);
    let (consumer, _) = failing(builder).await;
    until("one waits, and the other is stored", || {
        let counts = consumer.counts();
        (counts.copies_waiting, counts.dead_lettered) == (1, 1)
    })
    .await;
    broker.set("t.g.dead", "max.message.bytes=20000");
    until("it is stored", || consumer.counts().dead_lettered == 2).await;
    assert_eq!(consumer.counts().copies_waiting, 0);
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
    assert_eq!(topic::committed(broker.address(), "g", "t", 1), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_on_a_level_that_is_no_more_is_tried() {
    let broker = Broker::start();
    for (group, fewer) in [("billing", Retry::topics([PAUSE])), ("ledger", Retry::in_place())] {
        let topic = format!("orders-of-{group}");
        let retry = |level: u32| format!("{topic}.{group}.retry-{level}");
        broker.create_topic(&topic, 1);
        send(broker.cluster(), Record::to(&topic).value("bad")).await.unwrap();
        let builder = || Consumer::builder(broker.cluster(), group).topic(&topic).attempts_max(4);
        let (more, _) = failing(builder().retry(Retry::topics([PAUSE, Duration::from_secs(3600)]))).await;
        until("it waits on the second level", || more.counts().retried == 2).await;
        assert!(within("stop", more.stop(WITHIN)).await.failure.is_none());
        let last = if group == "billing" { retry(1) } else { retry(2) };
        let expected = [(3, retry(2)), (4, last)];
        assert_eq!(given_up(builder().retry(fewer)).await, expected, "{group}");
        let letters = DeadLetters::of(broker.cluster(), &topic, group).list(10).await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(topic::committed(broker.address(), group, &retry(2), 1), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_more_levels_leaves_theirs_to_the_others() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let builder = || Consumer::builder(broker.cluster(), "g").topic("t").attempts_max(3);
    let (stays, seen) = failing(builder()).await;
    let later = async |_: Received| -> Result<(), HandlerError> { Err(HandlerError::not_now("later")) };
    let goes = builder().retry(Retry::topics([PAUSE, PAUSE])).start(later).await.unwrap();
    let record = Record::to("t.g.retry-2").header("tally-attempts", "2").header("tally-group", "g");
    send(broker.cluster(), record).await.unwrap();
    let (put_off, given_up) = (|| goes.counts().put_off > 0, || stays.counts().dead_lettered == 1);
    until("one of them has it", || put_off() || given_up()).await;
    assert!(within("stop", goes.stop(WITHIN)).await.failure.is_none());
    until("it is given up", given_up).await;
    assert_eq!(seen.lock().unwrap().iter().map(Received::attempt).collect::<Vec<_>>(), [3]);
    assert!(within("stop", stays.stop(WITHIN)).await.failure.is_none());
}
