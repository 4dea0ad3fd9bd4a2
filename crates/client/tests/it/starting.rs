//! A consumer that starts while its broker goes away: it waits for it, for a while, instead of ending with an error.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tallymq_client::{Cluster, Consumer, HandlerError, Received};

use crate::{between, topic, waiting::within};

/// The API key of CreateTopics.
const CREATE_TOPICS: [u8; 2] = [0, 19];

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_waits_for_a_broker_that_goes_away_while_it_starts() {
    let left = Arc::new(AtomicUsize::new(0));
    let cut = left.clone();
    let (broker, address) = between::broker_behind(move |frame| {
        frame.starts_with(&CREATE_TOPICS)
            && cut.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    });
    broker.create_topic("orders", 3);
    left.store(2, SeqCst);
    let handler = |_: Received| async { Ok::<(), HandlerError>(()) };
    let builder = Consumer::builder(Cluster::at(&address), "billing").topic("orders");
    let consumer = within("it has started", builder.start(handler)).await.unwrap();
    assert_eq!(left.load(SeqCst), 0);
    assert_eq!(topic::partitions(&address, "orders.billing.dead"), 3);
    assert!(within("stop", consumer.stop(Duration::from_secs(60))).await.failure.is_none());
}
