//! An orderly stop answers what is in flight, takes nothing new, and leaves nothing to repair.

use tokio::net::TcpStream;

use crate::{
    client::{batch, fetch, produce, soon, until},
    disks::TestDisk,
    world::start_on,
};
use tallymq_gateway::kafka::messages::fetch::FetchRequest;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_is_in_flight_and_closes() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let address = broker.address();
    let mut client = broker.client().await;
    client.create("t", 1).await;
    let received = || broker.0.node().metrics.requests.received_bytes.get();
    let before = received();
    disk.hold_syncs();
    for number in 0..5 {
        client.send(produce("t", 0, batch(&number.to_string()))).await;
    }
    disk.wait_for_sync();
    until(|| received() > before).await;
    let stopping = tokio::spawn(broker.stop());
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    disk.release_syncs();
    // The broker may have begun to stop before it read the last requests; what it took it answers, in order.
    assert_eq!(client.produced().await.base_offset, 0);
    soon(stopping).await.unwrap();
    let again = start_on(&disk, &[]).await;
    assert!(!again.client().await.read_all("t").await.is_empty());
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_fetch_that_waits_for_minutes() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let (mut waiting, mut other) = (broker.client().await, broker.client().await);
    other.create("t", 1).await;
    waiting.send(FetchRequest { max_wait_ms: 300_000, min_bytes: 1, ..fetch("t", 0) }).await;
    other.produce("t", batch("v")).await;
    waiting.receive().await;
    waiting.send(FetchRequest { max_wait_ms: 300_000, min_bytes: 1, ..fetch("t", 1) }).await;
    soon(broker.stop()).await;
}
