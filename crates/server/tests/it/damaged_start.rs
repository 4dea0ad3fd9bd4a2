//! Groups whose records were damaged before they came: they account for them all the same, and what cannot be read from their
//! start on is lost for them by name, whoever came upon it before.

use tallymq_broker::{account::Class, group::GroupId};
use tallymq_gateway::kafka::ErrorCode;
use tallymq_model::TopicId;

use crate::{
    accounts::{alarms, called, classes, classic, filled},
    client::{fetch, until},
    consumers::Member,
    damage::cut_out,
    disks::TestDisk,
    world::{Broker, start_on},
};

/// Five records of topic `t` that no group has ever asked for, on the disk of a broker that was stopped.
async fn five_unasked(disk: &TestDisk) -> TopicId {
    let broker = start_on(disk, &[]).await;
    filled(&broker, "t", 1, 5).await;
    let topic = broker.0.node().topic("t").unwrap().id;
    broker.stop().await;
    topic
}

async fn refused(member: &mut Member, offset: i64) {
    let fetched = member.client.fetch(fetch("t", offset)).await;
    assert_eq!(fetched.responses[0].partitions[0].error_code, ErrorCode::CorruptMessage);
}

/// The losses of a group: from, to.
fn lost(broker: &Broker, group: &str) -> Vec<(i64, i64)> {
    let group = GroupId::from(group);
    let alarms = alarms(broker);
    let its = alarms.iter().filter(|alarm| alarm.group == group && alarm.class == Class::Lost);
    its.map(|alarm| (alarm.from.0, alarm.to.0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_begins_on_damage_has_lost_it() {
    let disk = TestDisk::new();
    let topic = five_unasked(&disk).await;
    cut_out(&disk, topic, 0);
    let broker = start_on(&disk, &[]).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    refused(&mut member, 0).await;
    until(|| classes(&broker, "g") == [("lost", 1), ("pending", 4)]).await;
    assert_eq!(lost(&broker, "g"), [(0, 1)]);
    assert_eq!(member.read("t", 0, 1).await, 4);
    assert_eq!(member.commit("t", 0, 5).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("lost", 1), ("processed", 4)]);
    assert_eq!(lost(&broker, "g"), [(0, 1)], "told once");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_known_is_lost_for_whoever_comes_later() {
    let disk = TestDisk::new();
    let topic = five_unasked(&disk).await;
    cut_out(&disk, topic, 2);
    let broker = start_on(&disk, &[]).await;
    let mut first = classic(&broker, "c", "g", ("t", &[0])).await;
    refused(&mut first, 2).await;
    until(|| classes(&broker, "g") == [("lost", 1), ("pending", 2)]).await;
    // It has not come to the damage yet.
    let mut second = classic(&broker, "d", "h", ("t", &[0])).await;
    assert_eq!(second.read("t", 0, 0).await, 2);
    until(|| classes(&broker, "h") == [("in flight", 2), ("lost", 1), ("pending", 2)]).await;
    assert_eq!(lost(&broker, "h"), [(2, 3)]);
    // Its position is behind it.
    let mut third = called(&broker, "e").await;
    assert_eq!(third.commit("i", "t", 3).await, ErrorCode::None);
    assert_eq!(third.commit("j", "t", 1).await, ErrorCode::None);
    until(|| classes(&broker, "j") == [("lost", 1), ("pending", 3)]).await;
    assert_eq!(classes(&broker, "i"), [("pending", 2)]);
    assert_eq!((lost(&broker, "g"), lost(&broker, "i")), (vec![(2, 3)], vec![]));
    broker.stop().await;
}
