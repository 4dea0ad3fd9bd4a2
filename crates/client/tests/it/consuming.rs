//! Handlers: acknowledged only when they returned well, in order within a key, through rebalances and kills.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tallymq_client::{
    Consumer, CountingReceipts, HandlerError, Order, Producer, Receipt, ReceiptSink, Received, Record, Retry,
    StartError, Stopped,
};
use tokio::sync::{Notify, Semaphore};

use crate::{
    broker::Broker,
    topic,
    waiting::{pass, until, within},
};

const WITHIN: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(300);

async fn send(broker: &Broker, topic: &str, records: impl IntoIterator<Item = (String, String)>) {
    let producer = Producer::builder(broker.cluster()).deadline(LONG).start().await.unwrap();
    for (key, value) in records {
        producer.send_with(Record::to(topic).key(key).value(value), |outcome| drop(outcome.unwrap()));
    }
    producer.close(LONG).await.unwrap();
    let counts = producer.counts();
    assert_eq!(counts.stored, counts.sent);
}

fn text(record: &Received) -> String {
    String::from_utf8(record.value().unwrap().to_vec()).unwrap()
}

fn key(record: &Received) -> String {
    String::from_utf8(record.key().unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_handler_did_not_return_comes_again() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, "t", (0..20).map(|number| (format!("k{number}"), number.to_string()))).await;
    let stuck = async |record: Received| -> Result<(), HandlerError> {
        if text(&record) == "5" {
            std::future::pending::<()>().await;
        }
        Ok(())
    };
    let first = Consumer::builder(broker.cluster(), "g").topic("t").start(stuck).await.unwrap();
    until("all others are handled", || first.counts().handled == 19).await;
    let stopped = within("stop", first.stop(Duration::ZERO)).await;
    assert_eq!(stopped.abandoned, 1);
    assert_eq!(topic::committed(broker.address(), "g", "t", 1), 5, "below the lowest unfinished");

    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let handler_seen = seen.clone();
    let handler = move |record: Received| {
        let seen = handler_seen.clone();
        async move {
            seen.lock().unwrap().insert(record.offset());
            Ok(())
        }
    };
    let receipts = Arc::new(CountingReceipts::default());
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").receipts(receipts.clone());
    let second = builder.start(handler).await.unwrap();
    until("the rest is handled", || seen.lock().unwrap().len() == 15).await;
    assert_eq!(*seen.lock().unwrap(), (5..20).collect());
    assert_eq!(within("stop", second.stop(WITHIN)).await.abandoned, 0);
    assert_eq!(receipts.handled_count(), 15);
    assert_eq!(topic::committed(broker.address(), "g", "t", 1), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_keep_every_keys_order_while_they_share_and_part() {
    const KEYS: usize = 12;
    const RECORDS: usize = 3000;
    let broker = Broker::start();
    broker.create_topic("t", 4);
    let numbered = |number: usize| (format!("k{}", number % KEYS), number.to_string());
    send(&broker, "t", (0..RECORDS).map(numbered)).await;
    let handled: Arc<Mutex<HashMap<String, Vec<usize>>>> = Arc::default();
    let busy: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let handler = {
        let (handled, busy) = (handled.clone(), busy.clone());
        move |record: Received| {
            let (handled, busy) = (handled.clone(), busy.clone());
            async move {
                let key = key(&record);
                assert!(busy.lock().unwrap().insert(key.clone()), "two handlers with the same key");
                for _ in 0..record.offset() % 7 {
                    tokio::task::yield_now().await;
                }
                handled.lock().unwrap().entry(key.clone()).or_default().push(text(&record).parse().unwrap());
                busy.lock().unwrap().remove(&key);
                Ok(())
            }
        }
    };
    let builder = || Consumer::builder(broker.cluster(), "g").topic("t").held_max(40);
    let first = builder().start(handler.clone()).await.unwrap();
    until("the first works", || first.counts().handled > 200).await;
    let second = builder().start(handler.clone()).await.unwrap();
    let mut sent = RECORDS;
    let all = || handled.lock().unwrap().values().flatten().collect::<BTreeSet<_>>().len();
    let works = || second.counts().handled > 200;
    let second_works = async {
        // The first may be through with all of them before the second has its share.
        while !works() {
            send(&broker, "t", (sent..sent + RECORDS).map(numbered)).await;
            sent += RECORDS;
            until("they are handled", || works() || all() == sent).await;
        }
    };
    within("the second works", second_works).await;
    assert_eq!(within("stop", first.stop(WITHIN)).await.abandoned, 0);
    send(&broker, "t", (sent..sent + RECORDS).map(numbered)).await;
    sent += RECORDS;
    until("all are handled", || all() == sent).await;
    assert_eq!(within("stop", second.stop(WITHIN)).await.abandoned, 0);
    assert_eq!(topic::committed(broker.address(), "g", "t", 4), sent as i64);
    for (key, numbers) in handled.lock().unwrap().iter() {
        // Redelivery begins again below; first sights rise.
        let mut highest = None;
        for number in numbers {
            let expected = highest.map_or(*number % KEYS, |highest: usize| highest + KEYS);
            assert!(*number <= expected, "{key}: {number} came before {expected}");
            highest = highest.max(Some(*number));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_full_when_it_went_is_read_on_when_it_comes_back() {
    const RECORDS: u64 = 60;
    let broker = Broker::start();
    broker.create_topic("t", 2);
    send(&broker, "t", (0..RECORDS).map(|number| (format!("k{number}"), number.to_string()))).await;
    let (open, handled) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(BTreeSet::new())));
    let handler = {
        let (open, handled) = (open.clone(), handled.clone());
        move |record: Received| {
            let (open, handled) = (open.clone(), handled.clone());
            async move {
                open.acquire().await?.forget();
                handled.lock().unwrap().insert(text(&record));
                Ok(())
            }
        }
    };
    let builder = || {
        let builder = Consumer::builder(broker.cluster(), "g").topic("t").parallel_max(2);
        builder.held_max(4).revoke_wait(Duration::from_millis(50))
    };
    let first = builder().start(handler.clone()).await.unwrap();
    until("both partitions are full", || first.counts().received >= 8).await;
    // It takes both partitions from the first, and one comes back.
    let second = builder().start(handler).await.unwrap();
    until("the second has one", || second.counts().received >= 4).await;
    open.add_permits(10 * RECORDS as usize);
    until("all are handled", || handled.lock().unwrap().len() as u64 == RECORDS).await;
    assert!(first.counts().handled > 4, "nothing came back to the first");
    assert_eq!(within("stop", first.stop(WITHIN)).await.abandoned, 0);
    assert_eq!(within("stop", second.stop(WITHIN)).await.abandoned, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_after_its_partition_went_is_left_to_the_next_owner() {
    let broker = Broker::start();
    broker.create_topic("t", 2);
    let producer = Producer::builder(broker.cluster()).start().await.unwrap();
    for partition in 0..2 {
        drop(producer.send(Record::to("t").partition(partition).value("0")).await.unwrap());
    }
    let (open, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(0)));
    let handler = {
        let (open, begun) = (open.clone(), begun.clone());
        move |_: Received| {
            let (open, begun) = (open.clone(), begun.clone());
            async move {
                if begun.fetch_add(1, SeqCst) < 2 {
                    open.acquire().await?.forget();
                    return Err(HandlerError::give_up("too late"));
                }
                Ok(())
            }
        }
    };
    let builder = || {
        let builder = Consumer::builder(broker.cluster(), "g").topic("t");
        builder.revoke_wait(Duration::from_millis(50))
    };
    let first = builder().start(handler.clone()).await.unwrap();
    until("both are at work", || begun.load(SeqCst) == 2).await;
    // It takes both partitions from the first, and one comes back.
    let second = builder().start(handler).await.unwrap();
    until("the second has one", || second.counts().handled == 1).await;
    open.add_permits(2);
    until("both of the first have ended", || {
        let counts = first.counts();
        counts.given_back + counts.dead_lettered == 2
    })
    .await;
    assert_eq!((first.counts().dead_lettered, first.counts().failed), (0, 2));
    until("the one that came back is handled", || first.counts().handled == 1).await;
    assert_eq!(within("stop", first.stop(WITHIN)).await.abandoned, 0);
    assert_eq!(within("stop", second.stop(WITHIN)).await.abandoned, 0);
    assert!(topic::read(broker.address(), "t.g.dead").is_empty());
    assert_eq!(topic::committed(broker.address(), "g", "t", 2), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_order_tries_again_in_place() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, "t", (0..6).map(|number| (format!("k{number}"), number.to_string()))).await;
    let log: Arc<Mutex<Vec<(String, u32)>>> = Arc::default();
    let handler_log = log.clone();
    let handler = move |record: Received| {
        let log = handler_log.clone();
        async move {
            log.lock().unwrap().push((text(&record), record.attempt()));
            match text(&record).as_str() {
                "2" if record.attempt() == 1 => Err(HandlerError::retry("not yet")),
                "2" if record.attempt() == 2 => panic!("not yet either"),
                _ => Ok(()),
            }
        }
    };
    let in_place = Retry::InPlace { first: Duration::from_millis(5), max: Duration::from_secs(1) };
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").order(Order::Partition);
    let refused = builder.retry(Retry::topics([WITHIN])).start(handler.clone()).await.unwrap_err();
    assert!(matches!(refused, StartError::Setting(_)));
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").order(Order::Partition).retry(in_place);
    let consumer = builder.start(handler).await.unwrap();
    until("all are handled", || consumer.counts().handled == 6).await;
    let expected = [("0", 1), ("1", 1), ("2", 1), ("2", 2), ("2", 3), ("3", 1), ("4", 1), ("5", 1)];
    assert_eq!(*log.lock().unwrap(), expected.map(|(value, attempt)| (value.to_owned(), attempt)));
    assert_eq!(consumer.counts().failed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_off_comes_again_and_is_no_attempt() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, "t", [("k".to_owned(), "0".to_owned()), ("k".to_owned(), "1".to_owned())]).await;
    let log: Arc<Mutex<Vec<(String, u32)>>> = Arc::default();
    let handler_log = log.clone();
    let handler = move |record: Received| {
        let log = handler_log.clone();
        async move {
            log.lock().unwrap().push((text(&record), record.attempt()));
            match log.lock().unwrap().len() {
                1..=7 => Err(HandlerError::not_now("the database is away")),
                8 => Err(HandlerError::retry("no luck")),
                9 => Err(HandlerError::not_now("away again")),
                _ => Ok(()),
            }
        }
    };
    let in_place = Retry::InPlace { first: Duration::from_millis(5), max: Duration::from_millis(20) };
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").retry(in_place).attempts_max(2);
    let consumer = builder.start(handler).await.unwrap();
    until("both are handled", || consumer.counts().handled == 2).await;
    let expected = [vec![("0", 1); 8], vec![("0", 2); 2], vec![("1", 1)]].concat();
    let expected: Vec<_> = expected.into_iter().map(|(value, attempt)| (value.to_owned(), attempt)).collect();
    assert_eq!(*log.lock().unwrap(), expected);
    let counts = consumer.counts();
    assert_eq!((counts.put_off, counts.failed, counts.dead_lettered), (8, 1, 0));
    assert_eq!(within("stop", consumer.stop(WITHIN)).await, Stopped::default());
    assert_eq!(topic::committed(broker.address(), "g", "t", 1), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_put_off_when_the_consumer_stops_comes_again() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, "t", [("k".to_owned(), "0".to_owned())]).await;
    let hour = Duration::from_secs(3600);
    let builder = Consumer::builder(broker.cluster(), "g").topic("t");
    let builder = builder.retry(Retry::InPlace { first: hour, max: hour });
    let away = async |_: Received| -> Result<(), HandlerError> { Err(HandlerError::not_now("away")) };
    let consumer = builder.start(away).await.unwrap();
    until("it is put off", || consumer.counts().put_off == 1).await;
    assert_eq!(within("stop", consumer.stop(WITHIN)).await, Stopped::default());
    let builder = Consumer::builder(broker.cluster(), "g").topic("t");
    let well = async |_: Received| -> Result<(), HandlerError> { Ok(()) };
    let consumer = builder.start(well).await.unwrap();
    until("it is handled", || consumer.counts().handled == 1).await;
    assert_eq!(within("stop", consumer.stop(WITHIN)).await, Stopped::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_in_the_middle_costs_no_record() {
    const RECORDS: usize = 3000;
    let mut broker = Broker::start();
    broker.create_topic("t", 3);
    send(&broker, "t", (0..RECORDS).map(|number| (format!("k{number}"), number.to_string()))).await;
    let times: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let handler_times = times.clone();
    let handler = move |record: Received| {
        let times = handler_times.clone();
        async move {
            *times.lock().unwrap().entry(text(&record)).or_default() += 1;
            Ok(())
        }
    };
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").held_max(20);
    let consumer = builder.commit_interval(Duration::from_millis(20)).start(handler).await.unwrap();
    for round in 1..=3 {
        until("it works", || times.lock().unwrap().len() > round * RECORDS / 8).await;
        broker.kill();
        broker.start_again();
    }
    until("all are handled", || times.lock().unwrap().len() == RECORDS).await;
    // Not only when it stops: then there is one try, and the consumer may not have found the broker again.
    until("all is committed", || topic::committed(broker.address(), "g", "t", 3) == RECORDS as i64).await;
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handler_does_not_lose_its_partition() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, "t", (0..3).map(|number| (format!("k{number}"), number.to_string()))).await;
    let (release, started) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
    let (handler_release, handler_started) = (release.clone(), started.clone());
    let handler = move |record: Received| {
        let (release, started) = (handler_release.clone(), handler_started.clone());
        async move {
            started.fetch_add(1, SeqCst);
            if text(&record) == "0" {
                release.notified().await;
            }
            Ok(())
        }
    };
    // The least that the broker allows: a consumer that does not poll for so long is put out of the group.
    let cluster = broker.cluster().set("session.timeout.ms", "6000").set("max.poll.interval.ms", "6000");
    let builder = Consumer::builder(cluster, "g").topic("t").parallel_max(1).held_max(1);
    let consumer = builder.start(handler).await.unwrap();
    until("the slow one has begun", || started.load(SeqCst) == 1).await;
    pass(Duration::from_secs(8)).await;
    assert_eq!(started.load(SeqCst), 1, "one at a time, and none came again");
    release.notify_one();
    until("all are handled", || consumer.counts().handled == 3).await;
    assert!(within("stop", consumer.stop(WITHIN)).await.failure.is_none());
    assert_eq!(started.load(SeqCst), 3);
    assert_eq!(topic::committed(broker.address(), "g", "t", 1), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_sink_that_panics_holds_nothing_up() {
    struct Clumsy;
    impl ReceiptSink for Clumsy {
        fn handled(&self, receipt: Receipt) {
            panic!("on purpose, for {receipt:?}");
        }
    }
    let broker = Broker::start();
    broker.create_topic("t", 1);
    send(&broker, "t", (0..5).map(|number| ("k".to_owned(), number.to_string()))).await;
    let builder = Consumer::builder(broker.cluster(), "g").topic("t").receipts(Arc::new(Clumsy));
    let consumer = builder.start(async |_: Received| -> Result<(), HandlerError> { Ok(()) }).await.unwrap();
    until("all of the key are handled", || consumer.counts().handled == 5).await;
    assert_eq!(within("stop", consumer.stop(WITHIN)).await, Stopped::default());
    assert_eq!(topic::committed(broker.address(), "g", "t", 1), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_time_from_another_clock_holds_no_record_back() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let producer = Producer::builder(broker.cluster()).start().await.unwrap();
    let record = Record::to("t").value("0").header("tally-retry-at", i64::MAX.to_string());
    drop(producer.send(record).await.unwrap());
    for retry in [Retry::in_place(), Retry::topics([Duration::from_millis(50)])] {
        let builder = Consumer::builder(broker.cluster(), format!("{retry:?}").len().to_string()).topic("t");
        let handler = async |_: Received| -> Result<(), HandlerError> { Ok(()) };
        let consumer = builder.retry(retry).start(handler).await.unwrap();
        until("it is handled", || consumer.counts().handled == 1).await;
        assert_eq!(within("stop", consumer.stop(WITHIN)).await, Stopped::default());
    }
}
