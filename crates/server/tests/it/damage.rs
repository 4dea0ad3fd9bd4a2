//! Bytes that are gone from a segment: what they held is lost by name, what is behind is read as ever, and nobody is led over the
//! hole without asking for it.

use tallymq_broker::account::Class;
use tallymq_gateway::kafka::{ErrorCode, records::Compression};
use tallymq_model::TopicId;
use tallymq_storage::disk::{Disk, OpenMode};

use crate::{
    accounts::{alarms, called, classes, five_unread},
    client::{batch, batch_at, fetch, until, values_of},
    disks::TestDisk,
    world::start_on,
};

/// Takes a batch out of a topic's only segment, in which all are of one size.
pub fn cut_out(disk: &TestDisk, topic: TopicId, number: usize) {
    let at = format!("topics/{topic}/0");
    let segment = disk.list(&at).unwrap().into_iter().find(|entry| entry.name.ends_with(".log")).unwrap();
    let file = disk.open(&format!("{at}/{}", segment.name), OpenMode::Write).unwrap();
    let (size, batch_bytes) = (file.size_bytes().unwrap(), batch("0").len());
    let mut bytes = vec![0; size as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes.drain(number * batch_bytes..(number + 1) * batch_bytes);
    file.set_size(bytes.len() as u64).unwrap();
    file.write_at(&[&bytes], 0).unwrap();
}

fn records(numbers: &[i64]) -> Vec<(i64, String)> {
    numbers.iter().map(|number| (*number, number.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_cut_out_is_lost_and_what_is_behind_is_read() {
    let disk = TestDisk::new();
    let topic = five_unread(&disk).await;
    cut_out(&disk, topic, 2);
    let again = start_on(&disk, &[]).await;
    let mut reader = called(&again, "c").await;
    assert_eq!(values_of(&reader.fetch(fetch("t", 0)).await), records(&[0, 1]));
    let refused = reader.fetch(fetch("t", 2)).await;
    assert_eq!(refused.responses[0].partitions[0].error_code, ErrorCode::CorruptMessage);
    assert_eq!(values_of(&reader.fetch(fetch("t", 3)).await), records(&[3, 4]));
    assert_eq!(values_of(&reader.fetch(fetch("t", 4)).await), records(&[4]));
    until(|| classes(&again, "g").contains(&("lost", 1))).await;
    let alarms = alarms(&again);
    assert_eq!(alarms.len(), 1);
    assert_eq!((alarms[0].class, alarms[0].from.0, alarms[0].to.0), (Class::Lost, 2, 3));
    // What comes now is behind the damage, in a file of its own.
    let mut producer = called(&again, "producer").await;
    assert_eq!(producer.produce("t", batch("5")).await.error_code, ErrorCode::None);
    assert_eq!(values_of(&reader.fetch(fetch("t", 3)).await), records(&[3, 4, 5]));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_found_behind_what_was_cut_out_and_the_loss_is_told() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = called(&broker, "c").await;
    client.create("t", 1).await;
    for number in 0..5 {
        let one = batch_at(&[(number * 1_000, "0")], Compression::None);
        assert_eq!(client.produce("t", one).await.error_code, ErrorCode::None);
    }
    assert_eq!(client.commit("g", "t", 0).await, ErrorCode::None);
    let topic = broker.0.node().topic("t").unwrap().id;
    broker.stop().await;
    cut_out(&disk, topic, 2);
    let again = start_on(&disk, &[]).await;
    let mut client = called(&again, "c").await;
    for (at, offset) in [(500, 1), (1_500, 3), (2_500, 3), (3_500, 4)] {
        let found = client.offset("t", at).await;
        assert_eq!(
            (found.error_code, found.offset, found.timestamp),
            (ErrorCode::None, offset, offset * 1_000)
        );
    }
    until(|| classes(&again, "g").contains(&("lost", 1))).await;
    assert_eq!(client.offset("t", 4_500).await.offset, -1, "nothing was lost there");
    again.stop().await;
}
