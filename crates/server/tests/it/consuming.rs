//! Fetch: waiting for records, sessions, and topics that a client makes by asking for them.

use tallymq_gateway::kafka::{
    ErrorCode,
    messages::{
        fetch::FetchRequest,
        metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse},
    },
};

use crate::{
    client::{Client, answer, batch, fetch, fetch_partitions, produce, until, values_of},
    disks::TestDisk,
    world::start_on,
};

const FIVE_MINUTES_MS: i32 = 300_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_waits_is_woken_by_the_record_it_waits_for() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let (mut producer, mut consumer) = (broker.client().await, broker.client().await);
    producer.create("t", 1).await;
    for offset in 0..10 {
        let waiting = FetchRequest { max_wait_ms: FIVE_MINUTES_MS, min_bytes: 1, ..fetch("t", offset) };
        consumer.send(waiting).await;
        producer.produce("t", batch(&offset.to_string())).await;
        let fetched = answer!(consumer.receive().await, Fetch);
        assert_eq!(values_of(&fetched), [(offset, offset.to_string())]);
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_nobody_wakes_answers_when_its_time_is_over() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    let fetched = client.fetch(FetchRequest { max_wait_ms: 30, min_bytes: 1, ..fetch("t", 0) }).await;
    assert!(values_of(&fetched).is_empty());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answers_memory_is_given_back_when_it_has_left_although_the_next_request_waits() {
    const BUDGET_BYTES: usize = 64 << 20;
    let disk = TestDisk::new();
    let budget = BUDGET_BYTES.to_string();
    let broker = start_on(&disk, &[("fetch.buffer.bytes", budget.as_str())]).await;
    let (mut producer, mut consumer) = (broker.client().await, broker.client().await);
    producer.create("t", 1).await;
    let large = "x".repeat(400_000);
    for _ in 0..2 {
        assert_eq!(producer.produce("t", batch(&large)).await.error_code, ErrorCode::None);
    }
    consumer.send(fetch("t", 0)).await;
    consumer.send(FetchRequest { max_wait_ms: FIVE_MINUTES_MS, min_bytes: 1, ..fetch("t", 2) }).await;
    assert_eq!(values_of(&answer!(consumer.receive().await, Fetch)).len(), 2);
    until(|| broker.0.node().fetch_budget.try_hold(BUDGET_BYTES).is_some()).await;
    producer.produce("t", batch("v")).await;
    assert_eq!(values_of(&answer!(consumer.receive().await, Fetch)).len(), 1);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_does_not_wait_for_more_than_one_fetch_takes() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("fetch.max.bytes", "1024")]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    for _ in 0..2 {
        client.produce("t", batch(&"x".repeat(600))).await;
    }
    let greedy = |bytes: i32, most: i32| FetchRequest {
        max_wait_ms: FIVE_MINUTES_MS,
        min_bytes: bytes,
        max_bytes: most,
        ..fetch("t", 0)
    };
    // Both are more than the broker gives, and only one whole batch is.
    assert_eq!(values_of(&client.fetch(greedy(1 << 20, i32::MAX)).await).len(), 1);
    assert_eq!(values_of(&client.fetch(greedy(i32::MAX, 1 << 20)).await).len(), 1);
    // More than the client itself takes.
    let all = client.fetch(FetchRequest { max_wait_ms: 0, ..greedy(1, 1 << 20) }).await;
    let bytes = all.responses[0].partitions[0].records.clone().unwrap_or_default().into_contiguous().len();
    assert_eq!(values_of(&client.fetch(greedy(1 << 20, bytes as i32)).await).len(), 1);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_takes_sixteen_mebibytes_at_most_and_waits_for_no_more() {
    const TAKEN: i32 = 16 << 20;
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("message.max.bytes", "8388608"), ("wal.bytes", "134217728")]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    for _ in 0..5 {
        let stored = client.produce("t", batch(&"x".repeat(5 << 20))).await;
        assert_eq!(stored.error_code, ErrorCode::None);
    }
    let mut greedy = FetchRequest {
        max_wait_ms: FIVE_MINUTES_MS,
        min_bytes: TAKEN + 1,
        max_bytes: i32::MAX,
        ..fetch("t", 0)
    };
    greedy.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    assert_eq!(values_of(&client.fetch(greedy).await).len(), 3);
    broker.stop().await;
}

fn session(id: i32, epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let mut request =
        FetchRequest { session_id: id, session_epoch: epoch, ..fetch_partitions("t", partitions) };
    request.topics.retain(|topic| !topic.partitions.is_empty());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_session_answers_only_what_is_new() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 3).await;
    let whole = client.fetch(session(0, 0, &[(0, 0), (1, 0), (2, 0)])).await;
    assert_eq!(whole.responses[0].partitions.len(), 3);
    let id = whole.session_id;
    assert!(id > 0);
    assert!(client.fetch(session(id, 1, &[])).await.responses.is_empty(), "nothing is new");
    client.send(produce("t", 1, batch("v"))).await;
    client.produced().await;
    let news = client.fetch(session(id, 2, &[])).await;
    let partitions: Vec<_> = news.responses[0].partitions.iter().map(|one| one.partition_index).collect();
    assert_eq!((partitions, values_of(&news)), (vec![1], vec![(0, "v".to_owned())]));
    assert!(client.fetch(session(id, 3, &[(1, 1)])).await.responses.is_empty(), "its position moved on");
    let overtaken = client.fetch(session(id, 3, &[])).await;
    assert_eq!(overtaken.error_code, ErrorCode::InvalidFetchSessionEpoch);
    let unknown = client.fetch(session(id ^ 0x55, 1, &[])).await;
    assert_eq!(unknown.error_code, ErrorCode::FetchSessionIdNotFound);
    broker.stop().await;
}

async fn metadata(client: &mut Client, topic: &str, may_create: bool) -> MetadataResponse {
    let topic = MetadataRequestTopic { name: Some(topic.to_owned()), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: may_create,
        ..Default::default()
    };
    answer!(client.call(request).await, Metadata)
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_makes_a_topic_that_takes_records_at_once() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("num.partitions", "3")]).await;
    let mut client = broker.client().await;
    let unknown = metadata(&mut client, "t", false).await;
    assert_eq!(unknown.topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
    let made = metadata(&mut client, "t", true).await;
    assert_eq!((made.topics[0].error_code, made.topics[0].partitions.len()), (ErrorCode::None, 3));
    assert_eq!(made.brokers[0].port, i32::from(broker.address().port()));
    assert_eq!(client.produce("t", batch("v")).await.error_code, ErrorCode::None);
    let refused = metadata(&mut client, "no/name", true).await;
    assert_eq!(refused.topics[0].error_code, ErrorCode::InvalidTopicException);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_automatic_creation_a_missing_topic_stays_missing() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("auto.create.topics.enable", "false")]).await;
    let mut client = broker.client().await;
    let missing = metadata(&mut client, "t", true).await;
    assert_eq!(missing.topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
    assert!(broker.0.node().topic("t").is_none());
    broker.stop().await;
}
