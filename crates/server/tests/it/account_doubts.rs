//! Readers without a group beside members, partitions that a crash left half added, and marks that cost no sync of their own: what
//! is not certain is said to be so, and only where it is not.

use std::time::{Duration, Instant};

use tallymq_broker::account::Mark;
use tallymq_broker::group::GroupId;
use tallymq_broker::metadata::{CreatePartitions, MetadataCommand};
use tallymq_gateway::kafka::ErrorCode;
use tallymq_model::{Offset, PartitionIndex, TopicPartition};
use tallymq_server::node::Node;

use crate::{
    accounts::{alarms, called, classes, classic, consume, exceptional, fill, filled},
    client::{Client, batch, fetch, fetch_partitions, produce, soon, values_of},
    disks::TestDisk,
    world::{Broker, start_on},
};

async fn reads(reader: &mut Client, topic: &str, from: i64) -> usize {
    values_of(&reader.fetch(fetch(topic, from)).await).len()
}

/// Whether any account of a group has a crash window.
fn has_window(broker: &Broker, group: &str, topic: &str) -> bool {
    let node = broker.0.node();
    let (group, topic) = (GroupId::from(group), node.topic(topic).unwrap().id);
    node.data_groups().any(|handle| {
        let state = handle.view.state();
        state
            .account_views(|tp, one| tp.topic == topic && *one == group)
            .any(|(.., view)| view.window.is_some())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_without_a_group_beside_a_member_of_the_same_name_is_no_delivery_to_it() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 10).await;
    fill(&mut producer, "t", 0, 10).await;
    let mut stray = called(&broker, "c").await;
    assert_eq!(reads(&mut stray, "t", 10).await, 10);
    assert_eq!(member.commit("t", 0, 20).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 10), ("unwitnessed", 10)]);
    assert_eq!(alarms(&broker), []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_held_is_not_a_members_only_because_it_commits() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 10).await;
    let mut stray = called(&broker, "c").await;
    assert_eq!(reads(&mut stray, "t", 0).await, 10);
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    assert_eq!(member.commit("t", 0, 0).await, ErrorCode::None);
    assert_eq!(member.commit("t", 0, 10).await, ErrorCode::None);
    assert_eq!(exceptional(&broker, "g"), [(0, 10, Mark::Unwitnessed)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_nobody_claims_are_in_doubt_only_where_they_were() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "s", 2, 10).await;
    producer.create("t", 2).await;
    for partition in 0..2 {
        fill(&mut producer, "t", partition, 5).await;
    }
    fill(&mut producer, "s", 1, 10).await;
    let mut reader = called(&broker, "c").await;
    for (topic, to) in [("s", 0), ("t", 0)] {
        assert_eq!(reader.commit("g", topic, to).await, ErrorCode::None);
    }
    // Six of ten: more would be in doubt than was read otherwise.
    let size = batch("0").len() as i32;
    let mut some = fetch_partitions("s", &[(0, 0), (1, 0)]);
    some.topics[0].partitions.iter_mut().for_each(|one| one.partition_max_bytes = 6 * size);
    assert_eq!(values_of(&reader.fetch(some).await).len(), 6);
    broker.stop().await;
    for _ in 0..2 {
        let again = start_on(&disk, &[]).await;
        assert!(!has_window(&again, "g", "t") && has_window(&again, "g", "s"));
        again.stop().await;
    }
    let again = start_on(&disk, &[]).await;
    let mut reader = called(&again, "c").await;
    for (topic, to) in [("s", 10), ("t", 5)] {
        assert_eq!(reader.commit("g", topic, to).await, ErrorCode::None);
    }
    let mut said = exceptional(&again, "g");
    said.sort_by_key(|(from, to, _)| (*from, *to));
    assert_eq!(said, [(0, 5, Mark::Skipped), (0, 6, Mark::Unwitnessed), (6, 10, Mark::Skipped)]);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_a_crash_left_half_added_are_accounted_for_from_their_beginning() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 5).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 5).await;
    let topic = broker.0.node().topic("t").unwrap().id;
    // The first half of what adding partitions does.
    let grow = MetadataCommand::CreatePartitions(CreatePartitions { topic, count: 4, assigned: None });
    broker.0.node().propose_metadata(grow).await.unwrap();
    let cut = disk.power_cut(1);
    broker.stop().await;
    let again = start_on(&cut, &[]).await;
    let mut producer = called(&again, "producer").await;
    for partition in 1..4 {
        fill(&mut producer, "t", partition, 3).await;
    }
    assert_eq!(classes(&again, "g"), [("pending", 9), ("processed", 5)]);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_here_and_there_without_a_group_makes_no_others_commit_doubtful() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    // More stretches than are remembered one by one, each a record and a gap.
    let records = 120;
    filled(&broker, "t", 1, records).await;
    let mut member = called(&broker, "c").await;
    assert_eq!(member.commit("g", "t", 0).await, ErrorCode::None);
    let mut browser = called(&broker, "browser").await;
    for from in (0..records as i64).step_by(2) {
        let mut one = fetch("t", from);
        one.topics[0].partitions[0].partition_max_bytes = 1;
        assert_eq!(values_of(&browser.fetch(one).await).len(), 1);
    }
    let mut tool = called(&broker, "tool").await;
    assert_eq!(tool.commit("g", "t", records as i64).await, ErrorCode::None);
    assert_eq!(exceptional(&broker, "g"), [(0, records as i64, Mark::Skipped)]);
    assert_eq!(alarms(&broker).len(), 1);
    broker.stop().await;
}

/// Entries of the log of a partition's data group.
fn entries(node: &Node, tp: TopicPartition) -> u64 {
    let mut holders = node.data_groups().filter(|handle| handle.view.log(tp).is_some());
    holders.next().unwrap().group.applied().0
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_ride_with_what_is_written_anyway() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 1).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    assert_eq!(member.commit("t", 0, 0).await, ErrorCode::None);
    let node = broker.0.node().clone();
    let topic = node.topic("t").unwrap().id;
    let tp = TopicPartition { topic, partition: PartitionIndex(0) };
    let before = entries(&node, tp);
    assert_eq!(member.read("t", 0, 0).await, 1);
    let mut produced = 0;
    let began = Instant::now();
    soon(async {
        while !classes(&broker, "g").contains(&("in flight", 1)) {
            producer.send(produce("t", 0, batch("v"))).await;
            assert_eq!(producer.produced().await.error_code, ErrorCode::None);
            produced += 1;
        }
    })
    .await;
    let alone = entries(&node, tp) - before - produced;
    // None, unless so much time went by that it could not wait for a ride any more.
    let waits_at_least = Duration::from_millis(200);
    let excused = began.elapsed().as_millis() / waits_at_least.as_millis();
    assert!(u128::from(alone) <= excused, "{alone} entries without a record: the mark has one of its own");
    assert_eq!(
        node.partition(&node.topic("t").unwrap(), tp).unwrap().1.bounds().1,
        Offset(1 + produced as i64)
    );
    broker.stop().await;
}
