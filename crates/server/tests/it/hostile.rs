//! A frame that cannot be accepted closes its own connection, and nobody else's.

use futures_util::future::join_all;
use tallymq_gateway::kafka::messages::fetch::FetchRequest;

use crate::{
    client::{batch, fetch, soon, until},
    disks::TestDisk,
    world::start_on,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_frame_closes_one_connection_only() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("socket.request.max.bytes", "1048576")]).await;
    let mut normal = broker.client().await;
    normal.create("t", 1).await;
    let produce_v2: &[u8] = &[0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff];
    let frames: [&[u8]; 8] = [
        // Lengths: negative, more than 2 GiB, one byte above what is accepted, too short for a header.
        &[0xff, 0xff, 0xff, 0xff],
        &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 3],
        &[0, 0x10, 0, 1, 0, 3],
        &[0, 0, 0, 1, 0],
        // An API that does not exist, and a version that is not served.
        &[0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        produce_v2,
        // Metadata with a list of 2^31 - 1 topics, and another protocol altogether.
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    for (number, frame) in frames.into_iter().enumerate() {
        let mut hostile = broker.client().await;
        hostile.send_bytes(frame).await;
        hostile.closed().await;
        assert_eq!(normal.produce("t", batch("v")).await.base_offset, number as i64);
    }
    // The last one is counted behind its end.
    until(|| broker.0.node().metrics.requests.connections_refused.get() == frames.len() as u64).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_limit_is_closed_and_its_place_is_given_back() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("max.connections", "1")]).await;
    let mut first = broker.client().await;
    first.create("t", 1).await;
    broker.client().await.closed().await;
    first.create("u", 1).await;
    first.send_bytes(&[0xff; 4]).await;
    first.closed().await;
    // The place is free as soon as the broker has noticed that the first one is gone.
    until(|| broker.0.node().metrics.requests.connections.get() == 0).await;
    broker.client().await.create("v", 1).await;
    broker.stop().await;
}

/// More large requests at a time than there is memory for: each waits for all of its own, and none has a part that it keeps.
#[tokio::test(flavor = "multi_thread")]
async fn large_requests_beyond_the_memory_for_them_are_read_one_after_the_other() {
    let disk = TestDisk::new();
    let settings = [
        ("request.buffer.bytes", "16777216"),
        ("socket.request.max.bytes", "16777216"),
        ("message.max.bytes", "8388608"),
        ("wal.bytes", "268435456"),
    ];
    let broker = start_on(&disk, &settings).await;
    let mut admin = broker.client().await;
    admin.create("t", 1).await;
    let value = "x".repeat(7 << 20);
    let sending = (0..8).map(|_| async {
        let mut client = broker.client().await;
        client.produce("t", batch(&value)).await.base_offset
    });
    let mut offsets = soon(join_all(sending)).await;
    offsets.sort_unstable();
    assert_eq!(offsets, (0..8).collect::<Vec<i64>>());
    broker.stop().await;
}

/// Whoever waits for records and leaves gives its place back at once, and not when the wait is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_waits_is_not_waited_for() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut waiting = broker.client().await;
    waiting.create("t", 1).await;
    waiting.send(FetchRequest { max_wait_ms: 300_000, min_bytes: 1, ..fetch("t", 0) }).await;
    // It has arrived when the next request of another connection is answered and this one is not.
    broker.client().await.create("u", 1).await;
    drop(waiting);
    until(|| broker.0.node().metrics.requests.connections.get() == 0).await;
    broker.stop().await;
}
