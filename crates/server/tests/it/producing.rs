//! Produce: acknowledged means durable, answers keep the order of the requests, and a full disk refuses.

use tallymq_gateway::kafka::ErrorCode;

use crate::{
    client::{LATEST, batch, produce, soon},
    disks::TestDisk,
    world::start_on,
};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_survives_a_power_cut_at_that_moment() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    let mut cuts = Vec::new();
    for number in 0..6 {
        let stored = client.produce("t", batch(&number.to_string())).await;
        assert_eq!((stored.error_code, stored.base_offset), (ErrorCode::None, number));
        cuts.push(disk.power_cut(number as u64));
    }
    for (acknowledged, cut) in cuts.iter().enumerate().step_by(2) {
        let after = start_on(cut, &[]).await;
        let read = after.client().await.read_all("t").await;
        let expected: Vec<_> = (0..=acknowledged).map(|number| (number as i64, number.to_string())).collect();
        assert_eq!(read[..expected.len()], expected);
        after.stop().await;
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_no_reader_sees_a_record_before_it_is_synced() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let (mut producer, mut reader) = (broker.client().await, broker.client().await);
    producer.create("t", 1).await;
    disk.hold_syncs();
    producer.send(produce("t", 0, batch("v"))).await;
    disk.wait_for_sync();
    for _ in 0..20 {
        assert_eq!(reader.offset("t", LATEST).await.offset, 0);
        assert!(!producer.has_answer());
    }
    disk.release_syncs();
    assert_eq!(producer.produced().await.base_offset, 0);
    assert_eq!(reader.read_all("t").await, [(0, "v".to_owned())]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_produces_are_stored_and_answered_in_their_order() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    for number in 0..30 {
        let topic = if number % 10 == 9 { "missing" } else { "t" };
        client.send(produce(topic, 0, batch(&number.to_string()))).await;
    }
    let mut next = 0;
    for number in 0..30 {
        let answer = client.produced().await;
        if number % 10 == 9 {
            assert_eq!(answer.error_code, ErrorCode::UnknownTopicOrPartition);
        } else {
            assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::None, next));
            next += 1;
        }
    }
    let values: Vec<_> = client.read_all("t").await.into_iter().map(|(_, value)| value).collect();
    let expected: Vec<_> =
        (0..30).filter(|number| number % 10 != 9).map(|number| number.to_string()).collect();
    assert_eq!(values, expected);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_batch_is_refused_and_the_next_one_is_stored() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    let mut damaged = batch("damaged").to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(client.produce("t", damaged.into()).await.error_code, ErrorCode::CorruptMessage);
    assert_eq!(client.produce("t", batch("whole")).await.base_offset, 0);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_refuses_produce_and_nothing_else() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("disk.reserve.bytes", "1048576")]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    assert_eq!(client.produce("t", batch("first")).await.error_code, ErrorCode::None);
    disk.set_available(1 << 19);
    let mut stored = 1;
    let refused = soon(async {
        loop {
            match client.produce("t", batch("more")).await.error_code {
                ErrorCode::None => stored += 1,
                refused => break refused,
            }
        }
    });
    assert_eq!(refused.await, ErrorCode::KafkaStorageError);
    assert!(broker.0.node().is_disk_nearly_full());
    assert_eq!(client.commit("g", "t", 1).await, ErrorCode::None);
    client.create("another", 1).await;
    assert_eq!(client.read_all("t").await.len(), stored);
    disk.set_available(1 << 30);
    let storing = async {
        while client.produce("t", batch("again")).await.error_code == ErrorCode::KafkaStorageError {}
    };
    soon(storing).await;
    assert_eq!(client.read_all("t").await.len(), stored + 1);
    broker.stop().await;
}
