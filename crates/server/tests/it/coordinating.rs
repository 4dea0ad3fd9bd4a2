//! A coordinator of consumer groups that panics: the next one takes over from the log, and members of both protocols go on as who they
//! were.

use tallymq_gateway::kafka::{
    ErrorCode,
    messages::{
        consumer_group_heartbeat::ConsumerGroupHeartbeatRequest, heartbeat::HeartbeatRequest,
        sync_group::SyncGroupRequest,
    },
};

use crate::{
    accounts::{called, classes, classic, consume, fill, filled},
    client::{answer, soon},
    consumers::{Member, join_request},
    disks::TestDisk,
    world::{Broker, start_on},
};

/// The next request of any group breaks its coordinator.
fn break_coordinators(broker: &Broker) {
    broker.0.node().data_groups().for_each(|handle| handle.coordinator.break_at_next_request());
}

async fn beat(member: &mut Member, by_consumer_protocol: bool) -> ErrorCode {
    let (group_id, member_id) = (member.group.clone(), member.id.clone());
    if by_consumer_protocol {
        let member_epoch = member.generation;
        let beat = ConsumerGroupHeartbeatRequest { group_id, member_id, member_epoch, ..Default::default() };
        return answer!(member.speaker.call(beat).await, ConsumerGroupHeartbeat).error_code;
    }
    let generation_id = member.generation;
    let beat = HeartbeatRequest { group_id, member_id, generation_id, ..Default::default() };
    answer!(member.speaker.call(beat).await, Heartbeat).error_code
}

/// Beats until it is answered well; how often it was told to look for the coordinator again.
async fn beat_until_well(member: &mut Member, by_consumer_protocol: bool) -> usize {
    soon(async {
        for told in 0.. {
            match beat(member, by_consumer_protocol).await {
                ErrorCode::None => return told,
                code => assert_eq!(code, ErrorCode::NotCoordinator),
            }
        }
        unreachable!("it never ends otherwise")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_both_protocols_go_on_behind_a_coordinator_that_panicked() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut old = classic(&broker, "old", "g", ("t", &[0])).await;
    let (speaker, client) = (called(&broker, "new").await, called(&broker, "new").await);
    let mut new = Member::consumer(speaker, client, "h", "t").await;
    for member in [&mut old, &mut new] {
        consume(member, "t", 0, 10).await;
    }
    for round in 1..=2 {
        for (member, is_new) in [(&mut old, false), (&mut new, true)] {
            break_coordinators(&broker);
            assert_eq!(beat(member, is_new).await, ErrorCode::NotCoordinator);
            beat_until_well(member, is_new).await;
        }
        fill(&mut producer, "t", 0, 5).await;
        let end = 10 + 5 * round;
        for (member, is_new) in [(&mut old, false), (&mut new, true)] {
            // The other group's data group is broken still, if it is another one.
            beat_until_well(member, is_new).await;
            consume(member, "t", end - 5, end).await;
        }
    }
    for group in ["g", "h"] {
        assert_eq!(classes(&broker, group), [("processed", 20)]);
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_rebalance_is_told_to_ask_again_and_joins_then() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 2, 10).await;
    let mut one = classic(&broker, "one", "g", ("t", &[0, 1])).await;
    let mut waiting = called(&broker, "other").await;
    let unnamed = answer!(waiting.call(join_request("g", "t", "")).await, JoinGroup);
    assert_eq!(unnamed.error_code, ErrorCode::MemberIdRequired);
    waiting.send(join_request("g", "t", &unnamed.member_id)).await;
    soon(async { while beat(&mut one, false).await != ErrorCode::RebalanceInProgress {} }).await;
    break_coordinators(&broker);
    assert_eq!(beat(&mut one, false).await, ErrorCode::NotCoordinator);
    assert_eq!(answer!(waiting.receive().await, JoinGroup).error_code, ErrorCode::NotCoordinator);
    beat_until_well(&mut one, false).await;
    let (speaker, client) = (waiting, called(&broker, "other").await);
    let mut other = Member::beside(&mut one, speaker, client, "t").await;
    let (one_id, other_id) = (one.id.clone(), other.id.clone());
    one.sync_all("t", &[(&one_id, &[1]), (&other_id, &[0])]).await;
    let (member_id, generation_id) = (other_id, other.generation);
    let mine = SyncGroupRequest {
        group_id: "g".to_owned(),
        member_id,
        generation_id,
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        ..Default::default()
    };
    let synced = answer!(other.speaker.call(mine).await, SyncGroup);
    assert!(synced.error_code == ErrorCode::None && !synced.assignment.is_empty());
    consume(&mut other, "t", 0, 10).await;
    assert_eq!(classes(&broker, "g"), [("processed", 10)]);
    broker.stop().await;
}
