//! Outcomes of sends: stored, refused, unknown, in a fallback; through a kill -9 of the broker.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::Duration,
};

use futures_util::future::join_all;
use tallymq_client::{
    Cluster, Header, Producer, Record, Refusal, SendError, SpoolSettings, Stored, partition::partition_of_key,
};

use crate::{
    broker::Broker,
    topic,
    waiting::{until, within},
};

const SHORT: Duration = Duration::from_millis(700);
/// Enough for the first record of all, before which a broker syncs twice, also on a slow disk.
const FIRST: Duration = Duration::from_secs(12);
const LONG: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn stored_records_stand_where_the_outcome_says() {
    let broker = Broker::start();
    broker.create_topic("t", 3);
    let producer = Producer::builder(broker.cluster()).start().await.unwrap();
    let mut places = Vec::new();
    for number in 0..30 {
        let key = format!("key {}", number % 7);
        let record = Record::to("t").key(key.clone()).value(number.to_string()).header("own", "x");
        let Stored::InTopic { partition, offset, sequence } = producer.send(record).await.unwrap() else {
            panic!("not in its topic");
        };
        assert_eq!(partition, partition_of_key(key.as_bytes(), 3));
        assert_eq!(sequence.unwrap().producer, producer.instance());
        places.push((partition, offset, number.to_string()));
    }
    let records = topic::read(broker.address(), "t");
    let found: BTreeSet<_> =
        records.iter().map(|record| (record.partition, record.offset, record.value.clone())).collect();
    assert_eq!(found, places.into_iter().collect());
    let counts = topic::check(&records).counts();
    assert_eq!((counts.checked, counts.missing, counts.duplicates, counts.late), (30, 0, 0, 0));
    assert!(records.iter().all(|record| record.headers[0].name == "own"));
    assert_eq!(producer.counts().stored, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_of_one_task_keep_the_order_in_which_they_began() {
    const RECORDS: usize = 2000;
    let broker = Broker::start();
    broker.create_topic("t", 1);
    // One has room for all of them, the other for a few at a time.
    for (round, buffer_bytes_max) in [64 << 20, 5000].into_iter().enumerate() {
        let builder = Producer::builder(broker.cluster()).deadline(LONG);
        let producer = builder.buffer_bytes_max(buffer_bytes_max).start().await.unwrap();
        let value = |number: usize| (round * RECORDS + number).to_string();
        let sends = (0..RECORDS).map(|number| producer.send(Record::to("t").value(value(number))));
        let outcomes = join_all(sends).await;
        assert!(outcomes.into_iter().all(|outcome| outcome.unwrap().by_broker()));
    }
    let records = topic::read(broker.address(), "t");
    let numbers: Vec<usize> = records.iter().map(|record| record.value.parse().unwrap()).collect();
    assert_eq!(numbers, (0..2 * RECORDS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_is_called_so_and_leaves_no_gap() {
    let broker = Broker::start();
    broker.create_topic_with("small", 1, &["max.message.bytes=1000"]);
    let producer = Producer::builder(broker.cluster()).start().await.unwrap();
    for number in 0..3 {
        let _ = producer.send(Record::to("small").value(number.to_string())).await.unwrap();
        let large = Record::to("small").value(vec![b'x'; 5000]);
        let error = producer.send(large.clone()).await.unwrap_err();
        assert!(matches!(&error, SendError::Refused { cause: Refusal::Rejected(_), .. }), "{error:?}");
        assert_eq!(error.into_record(), Some(large), "as it was given");
    }
    let _ = producer.send(Record::to("small").value("last")).await.unwrap();
    let missing = producer.send(Record::to("nowhere").value("x")).await.unwrap_err();
    assert!(
        matches!(&missing, SendError::Refused { cause: Refusal::NoTopic(topic), .. } if topic == "nowhere")
    );
    let records = topic::read(broker.address(), "small");
    assert_eq!(records.len(), 4);
    assert_eq!(topic::check(&records).counts().missing, 0);
    assert_eq!(producer.counts().refused, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_nothing_is_lost_in_silence() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    let producer = Producer::builder(broker.cluster()).deadline(FIRST).start().await.unwrap();
    let _ = producer.send(Record::to("t").value("there")).await.unwrap();
    broker.kill();
    let told = Arc::new(Mutex::new(Vec::new()));
    let callback = told.clone();
    producer.send_with(Record::to("t").value("a"), move |outcome| callback.lock().unwrap().push(outcome));
    producer.send_one_way(Record::to("t").value("b"));
    producer.send_one_way(Record::to("t").value("c"));
    let error = producer.send(Record::to("t").value("d")).await.unwrap_err();
    assert!(matches!(error, SendError::Unknown { .. }), "it may have been sent: {error:?}");
    producer.close(LONG).await.unwrap();
    assert!(told.lock().unwrap().pop().unwrap().is_err());
    let counts = producer.counts();
    assert_eq!((counts.sent, counts.stored, counts.unsettled, counts.one_way_lost), (5, 1, 0, 2));
    let closed = producer.send(Record::to("t").value("e")).await.unwrap_err();
    assert!(matches!(closed, SendError::Refused { cause: Refusal::Closed, .. }));
    // A producer that never saw a broker cannot have stored anything, and knows it.
    let stranger = Producer::builder(broker.cluster()).deadline(SHORT).start().await.unwrap();
    let error = stranger.send(Record::to("t").value("f")).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { cause: Refusal::Unreachable(_), .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_refuses_at_once() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    let builder = Producer::builder(broker.cluster()).deadline(LONG).buffer_bytes_max(1000);
    let producer = builder.start().await.unwrap();
    let _ = producer.send(Record::to("t").value("0")).await.unwrap();
    broker.kill();
    let told = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        let told = told.clone();
        producer.send_with(Record::to("t").value(vec![0; 600]), move |outcome| {
            told.lock().unwrap().push(outcome)
        });
    }
    let first: Vec<_> = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(first.len(), 2, "the first waits for its verdict");
    let full = |outcome: &Result<Stored, SendError>| {
        matches!(outcome, Err(SendError::Refused { cause: Refusal::BufferFull { .. }, .. }))
    };
    assert!(first.iter().all(full));
    broker.start_again();
    within("it ends", producer.close(LONG)).await.unwrap();
    assert!(matches!(told.lock().unwrap()[..], [Ok(Stored::InTopic { offset: 1, .. })]), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fallback_cluster_takes_what_the_first_does_not() {
    let (mut first, second) = (Broker::start(), Broker::start());
    first.create_topic("t", 1);
    second.create_topic("t.rescue", 2);
    let producer = Producer::builder(first.cluster())
        .deadline(FIRST)
        .fallback_cluster_topic(Cluster::at(second.address()), "t.rescue")
        .start()
        .await
        .unwrap();
    let mut expected = Vec::new();
    // The first record of all may take longer than that.
    while let Stored::InFallback { .. } = producer.send(Record::to("t").key("k").value("0")).await.unwrap() {
        expected.push("0");
    }
    expected.extend(["1", "2", "3", "4"]);
    first.kill();
    for number in 1..5 {
        let stored = producer.send(Record::to("t").key("k").value(number.to_string())).await.unwrap();
        assert!(
            matches!(&stored, Stored::InFallback { fallback: 0, topic, .. } if topic == "t.rescue"),
            "{stored:?}"
        );
    }
    let rescued = topic::read(second.address(), "t.rescue");
    let values: Vec<&str> = rescued.iter().map(|record| record.value.as_str()).collect();
    assert_eq!(values, expected);
    assert_eq!(topic::check(&rescued).counts().missing, 0, "numbers count per cluster");
    first.start_again();
    until("the first cluster is used again", || producer.counts().in_fallback >= 4).await;
    loop {
        if let Stored::InTopic { .. } = producer.send(Record::to("t").value("back")).await.unwrap() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_topic_of_the_fallback_cluster_takes_what_the_first_does_not() {
    let (mut first, second) = (Broker::start(), Broker::start());
    first.create_topic("t", 1);
    second.create_topic("t", 1);
    first.kill();
    let producer = Producer::builder(first.cluster())
        .deadline(LONG)
        .fallback_cluster(Cluster::at(second.address()))
        .start()
        .await
        .unwrap();
    for number in 0..3 {
        let stored = producer.send(Record::to("t").value(number.to_string())).await.unwrap();
        assert!(
            matches!(&stored, Stored::InFallback { fallback: 0, topic, offset, .. } if topic == "t" && *offset == number),
            "{stored:?}"
        );
    }
    let rescued = topic::read(second.address(), "t");
    assert_eq!(rescued.iter().map(|record| record.value.as_str()).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert!(rescued.iter().all(|record| {
        record.headers.iter().any(|header| *header == Header::new("tally-origin-topic", "t"))
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_is_dropped_while_it_waits_for_room_is_not_sent_and_counted() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    let builder = Producer::builder(broker.cluster()).deadline(LONG).buffer_bytes_max(1000);
    let producer = builder.start().await.unwrap();
    let _ = producer.send(Record::to("t").value("0")).await.unwrap();
    broker.kill();
    // It fills the buffer until its broker comes back.
    producer.send_with(Record::to("t").value(vec![b'1'; 1000]), |outcome| drop(outcome.unwrap()));
    drop(producer.send(Record::to("t").value("never polled")));
    {
        let waiting = std::pin::pin!(producer.send(Record::to("t").value("dropped")));
        assert!(waiting.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let counts = producer.counts();
    assert_eq!((counts.sent, counts.refused, counts.unsettled), (3, 1, 1));
    broker.start_again();
    let stored = within("there is room again", producer.send(Record::to("t").value("last"))).await.unwrap();
    assert!(matches!(stored, Stored::InTopic { offset: 2, .. }), "{stored:?}");
    within("it ends", producer.close(LONG)).await.unwrap();
    let counts = producer.counts();
    assert_eq!((counts.sent, counts.stored, counts.refused, counts.unsettled), (4, 3, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_in_the_middle_loses_nothing_and_no_order() {
    let mut broker = Broker::start();
    broker.create_topic("t", 2);
    let spool = tempfile::tempdir().unwrap();
    let producer = Producer::builder(broker.cluster())
        .deadline(FIRST)
        .spool(SpoolSettings::at(spool.path()))
        .start()
        .await
        .unwrap();
    let failed = Arc::new(Mutex::new(Vec::new()));
    let mut sent = 0;
    let mut send = |count: usize| {
        for _ in 0..count {
            let failed = failed.clone();
            producer.send_with(
                Record::to("t").key(format!("k{}", sent % 5)).value(sent.to_string()),
                move |outcome| {
                    if let Err(error) = outcome {
                        failed.lock().unwrap().push(error);
                    }
                },
            );
            sent += 1;
        }
    };
    send(2000);
    until("half of them are stored", || producer.counts().stored > 500).await;
    broker.kill();
    send(1000);
    until("the outage reaches the spool", || producer.counts().spooled > 0).await;
    send(1000);
    until("all have an outcome", || producer.counts().unsettled == 0).await;
    broker.start_again();
    until("the spool is empty", || producer.spool().unwrap().status().waiting == 0).await;
    send(100);
    until("all have an outcome", || producer.counts().unsettled == 0).await;
    until("the spool is empty", || producer.spool().unwrap().status().waiting == 0).await;
    assert!(failed.lock().unwrap().is_empty(), "{failed:?}");
    let records = topic::read(broker.address(), "t");
    let values: BTreeSet<usize> = records.iter().map(|record| record.value.parse().unwrap()).collect();
    assert_eq!(values.len(), sent);
    let counts = topic::check(&records).counts();
    assert_eq!((counts.missing, counts.late), (0, 0), "{counts:?}");
    // What was in flight when the broker died may be stored twice, and then under its old number.
    assert_eq!(counts.checked - counts.duplicates, sent as u64);
    assert!(producer.spool().unwrap().status().resent > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_panics_costs_no_other_record() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let producer = Producer::builder(broker.cluster()).start().await.unwrap();
    // A topic that is known is not asked for again behind the missing one, of which a busy broker may say nothing in time.
    let _ = producer.send(Record::to("t").value("known")).await.unwrap();
    // One is refused where partitions are given, the other answered by the broker.
    producer.send_with(Record::to("missing").value("x"), |_| panic!("on purpose"));
    producer.send_with(Record::to("t").value("0"), |_| panic!("on purpose"));
    let stored = within("it sends on", producer.send(Record::to("t").value("1"))).await.unwrap();
    assert!(matches!(stored, Stored::InTopic { partition: 0, offset: 2, .. }), "{stored:?}");
    within("it ends", producer.close(LONG)).await.unwrap();
    let counts = producer.counts();
    assert_eq!((counts.sent, counts.stored, counts.refused, counts.unsettled), (4, 3, 1, 0));
}
