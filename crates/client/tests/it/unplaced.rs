//! Records that are spooled before anybody knows their topic, with others behind them that come when it is known.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tallymq_client::{Cluster, Producer, Record, SpoolSettings};

use crate::{between, broker::Broker, topic, waiting::until};

/// The API key of Produce.
const PRODUCE: [u8; 2] = [0, 0];
/// More than the spool sends in one batch.
const UNKNOWN: usize = 300;
const ALL: usize = 340;

/// How far the broker is reached.
const NOT: usize = 0;
const FOR_METADATA: usize = 1;
const WHOLLY: usize = 2;

/// A broker with the topic `t` behind the address, how far it is reached, and how many Produce requests were cut off.
fn broker() -> (Broker, String, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (reached, produced) = (Arc::new(AtomicUsize::new(WHOLLY)), Arc::new(AtomicUsize::new(0)));
    let (reached_now, cut) = (reached.clone(), produced.clone());
    let (broker, address) = between::broker_behind(move |frame| {
        let is_produce = frame.starts_with(&PRODUCE);
        let is_cut = reached_now.load(SeqCst) < if is_produce { WHOLLY } else { FOR_METADATA };
        cut.fetch_add(usize::from(is_cut && is_produce), SeqCst);
        is_cut
    });
    broker.create_topic("t", 1);
    reached.store(NOT, SeqCst);
    (broker, address, reached, produced)
}

async fn start(address: &str, spool: &SpoolSettings) -> Producer {
    let builder = Producer::builder(Cluster::at(address).set("reconnect.backoff.ms", "20"));
    builder.deadline(Duration::from_secs(10)).spool(spool.clone()).start().await.unwrap()
}

/// Every third names its partition.
async fn send(producer: &Producer, numbers: std::ops::Range<usize>) {
    let all = producer.counts().spooled + numbers.len() as u64;
    for number in numbers {
        let record = Record::to("t").key("k").value(number.to_string());
        producer.send_one_way(if number % 3 == 0 { record.partition(0) } else { record });
    }
    until("all are in the spool", || producer.counts().spooled == all).await;
}

async fn later_records_come_behind_under_later_numbers(with_a_restart: bool) {
    let (broker, address, reached, produced) = broker();
    let directory = tempfile::tempdir().unwrap();
    let spool = SpoolSettings::at(directory.path());
    let mut producer = start(&address, &spool).await;
    send(&producer, 0..UNKNOWN).await;
    reached.store(FOR_METADATA, SeqCst);
    until("the first batch has its numbers", || produced.load(SeqCst) > 0).await;
    send(&producer, UNKNOWN..UNKNOWN + 20).await;
    if with_a_restart {
        producer.close(Duration::from_secs(300)).await.unwrap();
        drop(producer);
        producer = start(&address, &spool).await;
    }
    send(&producer, UNKNOWN + 20..ALL).await;
    reached.store(WHOLLY, SeqCst);
    until("the spool is empty", || producer.spool().unwrap().status().waiting == 0).await;
    let records = topic::read(broker.address(), "t");
    // What the closed producer still had in flight may be stored a second time, and then under its old number.
    let mut seen = BTreeSet::new();
    let values = records.iter().map(|record| record.value.parse::<usize>().unwrap());
    let first_seen: Vec<usize> = values.filter(|value| seen.insert(*value)).collect();
    assert_eq!(first_seen, (0..ALL).collect::<Vec<_>>());
    let counts = topic::check(&records).counts();
    assert_eq!(
        (counts.checked - counts.duplicates, counts.missing, counts.late),
        (ALL as u64, 0, 0),
        "{counts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn later_records_come_behind_under_later_numbers_within_a_process() {
    later_records_come_behind_under_later_numbers(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn later_records_come_behind_under_later_numbers_after_a_restart() {
    later_records_come_behind_under_later_numbers(true).await;
}
