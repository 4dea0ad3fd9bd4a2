//! A frame that cannot be accepted closes its own connection, and nobody else's.

use crate::{
    client::{batch, soon},
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
    assert_eq!(broker.0.node().metrics.requests.connections_refused.get(), frames.len() as u64);
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
    soon(async {
        while broker.0.node().metrics.requests.connections.get() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    broker.client().await.create("v", 1).await;
    broker.stop().await;
}
