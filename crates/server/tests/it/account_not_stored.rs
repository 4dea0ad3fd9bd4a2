//! The account's producers' side: batches that were sent and not stored are counted by why, and what the log decided counts on behind a
//! restart and a crash.

use bytes::Bytes;
use tallymq_gateway::kafka::{
    ErrorCode,
    records::{BatchOptions, Producer, Record, build_batch},
};
use tallymq_model::Timestamp;
use tallymq_server::books::{AccountFilter, NotStored, accounts};

use crate::{
    client::{Client, batch},
    disks::TestDisk,
    world::{Broker, start_on},
};

fn by(epoch: i16, base_sequence: i32, records: usize) -> Bytes {
    let one =
        Record { timestamp: Timestamp(1_000), value: Some(Bytes::from_static(b"v")), ..Record::default() };
    let producer = Some(Producer { id: 7, epoch, base_sequence });
    build_batch(&vec![one; records], &BatchOptions { producer, ..BatchOptions::default() })
}

async fn sent(client: &mut Client, batch: Bytes) -> ErrorCode {
    client.produce("t", batch).await.error_code
}

/// What of a topic was not stored, as the report says it for the whole topic and for its first partition.
fn not_stored(broker: &Broker, topic: &str, group: Option<&str>) -> Vec<NotStored> {
    let filter =
        AccountFilter { topic: Some(topic.to_owned()), group: group.map(str::to_owned), partitions_max: 9 };
    let report = accounts(broker.0.node(), &filter);
    let of_topic = report.not_stored.iter().map(|row| (row.topic.as_str(), row.counts));
    let of_topic: Vec<_> = of_topic.collect();
    let of_partitions = report.not_stored.iter().flat_map(|row| &row.partitions);
    let of_partitions: Vec<_> = of_partitions.map(|row| (row.partition, row.counts)).collect();
    assert!(of_topic.iter().all(|(name, _)| *name == topic) && of_partitions.iter().all(|(at, _)| *at == 0));
    of_topic
        .iter()
        .map(|(_, counts)| *counts)
        .chain(of_partitions.iter().map(|(_, counts)| *counts))
        .collect()
}

/// Duplicates, fenced, out of order, as batches and records; refused since start.
fn figures(counts: &NotStored) -> [u64; 7] {
    let NotStored { duplicates, fenced, out_of_order, refused_since_start } = counts;
    let [one, two, three] = [duplicates, fenced, out_of_order].map(|kind| [kind.batches, kind.records]);
    [one[0], one[1], two[0], two[1], three[0], three[1], *refused_since_start]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_stored_is_counted_by_why_and_outlives_restarts() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    for topic in ["t", "other"] {
        client.create(topic, 1).await;
    }
    assert_eq!(sent(&mut client, by(0, 0, 3)).await, ErrorCode::None);
    assert!(not_stored(&broker, "t", None).is_empty(), "nothing yet");
    for _ in 0..2 {
        assert_eq!(sent(&mut client, by(0, 0, 3)).await, ErrorCode::None, "a repeat is answered well");
    }
    assert_eq!(sent(&mut client, by(0, 9, 2)).await, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(sent(&mut client, by(1, 0, 1)).await, ErrorCode::None);
    assert_eq!(sent(&mut client, by(0, 3, 5)).await, ErrorCode::InvalidProducerEpoch);
    let mut broken = batch("v").to_vec();
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(sent(&mut client, broken.into()).await, ErrorCode::CorruptMessage);
    let counted = not_stored(&broker, "t", None);
    assert_eq!(counted.iter().map(figures).collect::<Vec<_>>(), [[2, 6, 1, 5, 1, 2, 1]; 2]);
    assert!(not_stored(&broker, "other", None).is_empty() && not_stored(&broker, "t", Some("g")).is_empty());
    let cut = disk.power_cut(1);
    broker.stop().await;
    for disk in [&disk, &cut] {
        let again = start_on(disk, &[]).await;
        let mut client = again.client().await;
        assert_eq!(sent(&mut client, by(1, 0, 1)).await, ErrorCode::None);
        let counted = not_stored(&again, "t", None);
        assert_eq!(counted.iter().map(figures).collect::<Vec<_>>(), [[3, 7, 1, 5, 1, 2, 0]; 2]);
        again.stop().await;
    }
}
