//! Changes of topics whose clients are gone before they are done: each is done whole. Settings of topics likewise.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt;
use tallymq_broker::metadata::Topic;
use tallymq_gateway::kafka::{
    Request,
    client_codec::encode_request,
    messages::{
        create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic},
        create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest},
        delete_topics::DeleteTopicsRequest,
        incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest},
    },
    session::{Session, SessionLimits},
};
use tallymq_server::{
    kafka::KafkaCalls,
    net::connection::{Calls, Peer},
};
use tokio::sync::watch;

use crate::{
    client::{batch, until},
    disks::TestDisk,
    world::{Broker, start_on},
};

const SEGMENT_BYTES: u32 = 2 << 20;

/// Begins a call, and forgets it before anything of it is on the disk.
fn give_up(disk: &TestDisk, broker: &Broker, version: i16, request: impl Into<Request>) {
    let frame = encode_request(version, 1, None, &request.into()).unwrap().concat();
    let limits =
        SessionLimits { frame_bytes_max: 1 << 20, requests_in_flight_max: 1, bytes_in_flight_max: 1 << 20 };
    let call = Session::new(limits).handle_input(&mut BytesMut::from(&frame[..]));
    let peer = Peer { client: broker.address(), local: broker.address(), connection: 1 };
    let calls = Arc::new(KafkaCalls::new(broker.0.node().clone()));
    let (_gone, is_gone) = watch::channel(false);
    disk.hold_syncs();
    let step = calls.begin(peer, &is_gone, call.unwrap().unwrap());
    assert!(step.now_or_never().is_none(), "it waits for the disk");
    disk.release_syncs();
}

/// Whether the topic has so many partitions, all of them take records, and their segments are of this size.
fn is_whole(broker: &Broker, name: &str, partitions: usize, segment_bytes: u32) -> bool {
    let node = broker.0.node();
    let is_set = |topic: &Topic| {
        let mut logs = topic.topic_partitions().map(|(tp, _)| node.partition(topic, tp));
        logs.all(|found| found.is_some_and(|(_, log)| log.options().segment_bytes_max == segment_bytes))
    };
    node.topic(name).is_some_and(|topic| topic.partitions.len() == partitions && is_set(&topic))
}

fn create(name: &str, partitions: i32) -> CreateTopicsRequest {
    let value = Some(SEGMENT_BYTES.to_string());
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: vec![CreatableTopicConfig { name: "segment.bytes".to_owned(), value }],
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_whose_creator_is_gone_takes_records() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    give_up(&disk, &broker, 5, create("t", 3));
    until(|| is_whole(&broker, "t", 3, SEGMENT_BYTES)).await;
    let stored = broker.client().await.produce("t", batch("v")).await;
    assert_eq!(stored.base_offset, 0);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_whose_adder_is_gone_take_records() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    broker.client().await.call(create("t", 1)).await;
    let topic = CreatePartitionsTopic { name: "t".to_owned(), count: 4, assignments: None };
    let grow = CreatePartitionsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    give_up(&disk, &broker, 1, grow);
    until(|| is_whole(&broker, "t", 4, SEGMENT_BYTES)).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_topic_whose_deleter_is_gone() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    broker.client().await.call(create("t", 3)).await;
    let delete = DeleteTopicsRequest { topic_names: vec!["t".to_owned()], ..Default::default() };
    give_up(&disk, &broker, 5, delete);
    let node = broker.0.node();
    until(|| node.topic("t").is_none() && node.data_groups().all(|handle| handle.view.logs().is_empty()))
        .await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_whose_changer_is_gone_reach_the_logs() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    broker.client().await.create("t", 2).await;
    let value = Some(SEGMENT_BYTES.to_string());
    let config = AlterableConfig { name: "segment.bytes".to_owned(), config_operation: 0, value };
    let resource =
        AlterConfigsResource { resource_type: 2, resource_name: "t".to_owned(), configs: vec![config] };
    let alter = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    give_up(&disk, &broker, 1, alter);
    until(|| is_whole(&broker, "t", 2, SEGMENT_BYTES)).await;
    broker.stop().await;
}
