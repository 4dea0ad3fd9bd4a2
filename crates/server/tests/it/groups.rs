//! Where consumer groups live: reading places none, a limit holds, and what nobody needs is given back.

use tallymq_broker::{data::DataCommand, group::GroupCommand};
use tallymq_gateway::kafka::{
    ErrorCode,
    messages::{
        consumer_group_describe::ConsumerGroupDescribeRequest,
        consumer_group_heartbeat::ConsumerGroupHeartbeatRequest,
        delete_groups::DeleteGroupsRequest,
        describe_groups::DescribeGroupsRequest,
        find_coordinator::FindCoordinatorRequest,
        incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest},
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse},
        leave_group::{LeaveGroupRequest, MemberIdentity},
    },
};
use tallymq_server::node::Dead;

use crate::{
    client::{Client, answer, batch, soon, until},
    disks::TestDisk,
    world::{Broker, start_on},
};

fn places(broker: &Broker) -> Vec<String> {
    let metadata = broker.0.node().metadata_view().state();
    metadata.placed_groups().map(|(group, _)| group.to_owned()).collect()
}

async fn join(client: &mut Client, group: &str, member: &str) -> JoinGroupResponse {
    let protocol = JoinGroupRequestProtocol { name: "any".to_owned(), metadata: "m".into() };
    let request = JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 300_000,
        rebalance_timeout_ms: 300_000,
        member_id: member.to_owned(),
        protocol_type: "test".to_owned(),
        protocols: vec![protocol],
        ..Default::default()
    };
    answer!(client.call(request).await, JoinGroup)
}

/// Joins in both steps (KIP-394), and gives the member's id.
async fn enter(client: &mut Client, group: &str) -> String {
    let first = join(client, group, "").await;
    assert_eq!(first.error_code, ErrorCode::MemberIdRequired);
    let joined = join(client, group, &first.member_id).await;
    assert_eq!(joined.error_code, ErrorCode::None);
    joined.member_id
}

pub async fn leave(client: &mut Client, group: &str, member_id: String) {
    let members = vec![MemberIdentity { member_id, ..Default::default() }];
    let request = LeaveGroupRequest { group_id: group.to_owned(), members, ..Default::default() };
    assert_eq!(answer!(client.call(request).await, LeaveGroup).error_code, ErrorCode::None);
}

pub async fn delete(client: &mut Client, group: &str) -> ErrorCode {
    let request = DeleteGroupsRequest { groups_names: vec![group.to_owned()] };
    answer!(client.call(request).await, DeleteGroups).results[0].error_code
}

/// With which a member enters a group of the new protocol.
fn first_heartbeat(group: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: "m".to_owned(),
        subscribed_topic_names: Some(vec!["t".to_owned()]),
        topic_partitions: Some(Vec::new()),
        rebalance_timeout_ms: 30_000,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_about_a_group_gives_it_no_place() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    let keys = vec!["g".to_owned()];
    client.call(FindCoordinatorRequest { coordinator_keys: keys.clone(), ..Default::default() }).await;
    client.call(DescribeGroupsRequest { groups: keys, ..Default::default() }).await;
    assert_eq!(client.committed("g", "t").await, -1);
    assert_eq!(delete(&mut client, "g").await, ErrorCode::GroupIdNotFound);
    assert_eq!(join(&mut client, "g", "no-such-member").await.error_code, ErrorCode::UnknownMemberId);
    assert_eq!(places(&broker), [""; 0]);
    assert_eq!(client.commit("g", "t", 1).await, ErrorCode::None);
    assert_eq!(places(&broker), ["g"]);
    assert_eq!(delete(&mut client, "g").await, ErrorCode::None);
    assert_eq!(places(&broker), [""; 0]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_beyond_the_limit_are_refused_for_good_and_the_others_go_on() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("group.max.count", "2")]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    assert_eq!(client.commit("a", "t", 1).await, ErrorCode::None);
    let member = enter(&mut client, "b").await;
    let limit = ErrorCode::GroupMaxSizeReached;
    let applied = || broker.0.node().metadata_view().state().applied();
    let before = applied();
    assert_eq!(client.commit("c", "t", 1).await, limit);
    assert_eq!(applied(), before, "a refusal is not worth a command");
    assert_eq!(join(&mut client, "c", "").await.error_code, limit);
    let refused = answer!(client.call(first_heartbeat("c")).await, ConsumerGroupHeartbeat);
    assert_eq!(refused.error_code, limit);
    assert!(refused.error_message.unwrap_or_default().contains("group.max.count"));
    assert_eq!(client.commit("a", "t", 2).await, ErrorCode::None);
    assert_eq!(join(&mut client, "b", &member).await.error_code, ErrorCode::None);
    assert_eq!(delete(&mut client, "a").await, ErrorCode::None);
    assert_eq!(client.commit("c", "t", 1).await, ErrorCode::None);
    assert_eq!(places(&broker), ["b", "c"]);
    let endless = "x".repeat(2_000);
    assert_eq!(client.commit(&endless, "t", 1).await, ErrorCode::InvalidGroupId);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_nobody_needs_makes_room_for_another_group() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("group.max.count", "3")]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    assert_eq!(client.commit("with-position", "t", 1).await, ErrorCode::None);
    let member = enter(&mut client, "left").await;
    leave(&mut client, "left", member).await;
    enter(&mut client, "joined").await;
    assert_eq!(places(&broker).len(), 3);
    // Being refused is what makes the broker look for room.
    soon(async { while client.commit("new", "t", 1).await == ErrorCode::GroupMaxSizeReached {} }).await;
    assert_eq!(places(&broker), ["joined", "new", "with-position"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_never_came_to_be_gives_its_place_back_and_one_that_is_joined_does_not() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    let refused =
        JoinGroupRequest { group_id: "refused".to_owned(), session_timeout_ms: 1, ..Default::default() };
    let refused = answer!(client.call(refused).await, JoinGroup);
    assert_eq!(refused.error_code, ErrorCode::InvalidSessionTimeout);
    let waiting = join(&mut client, "waiting", "").await;
    assert_eq!(waiting.error_code, ErrorCode::MemberIdRequired);
    assert_eq!(broker.0.node().forget_dead_groups(Dead::Unused).await, 1);
    assert_eq!(places(&broker), ["waiting"]);
    assert_eq!(join(&mut client, "waiting", &waiting.member_id).await.error_code, ErrorCode::None);
    assert_eq!(broker.0.node().forget_dead_groups(Dead::Unused).await, 0);
    broker.stop().await;
}

/// The first step of a deletion, as if the broker had stopped behind it.
async fn begin_deletion(broker: &Broker, group: &str) {
    let command = DataCommand::Group(GroupCommand::Deleted { group: group.into() });
    broker.0.node().home_of(group).expect("placed").propose(command).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_a_stop_interrupted_is_finished_at_the_next_start() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    client.create("t", 4).await;
    client.produce("t", batch("v")).await;
    for group in ["deleted", "kept"] {
        assert_eq!(client.commit(group, "t", 1).await, ErrorCode::None);
    }
    begin_deletion(&broker, "deleted").await;
    let cut = disk.power_cut(1);
    broker.stop().await;
    let again = start_on(&cut, &[]).await;
    assert_eq!(places(&again), ["kept"]);
    let mut client = again.client().await;
    assert_eq!(client.committed("deleted", "t").await, -1);
    assert_eq!(client.committed("kept", "t").await, 1);
    assert_eq!(delete(&mut client, "deleted").await, ErrorCode::GroupIdNotFound);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_interrupted_is_finished_while_the_broker_runs() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("offsets.retention.check.interval.ms", "1")]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    assert_eq!(client.commit("g", "t", 1).await, ErrorCode::None);
    begin_deletion(&broker, "g").await;
    until(|| places(&broker).is_empty()).await;
    assert_eq!(client.committed("g", "t").await, -1);
    broker.stop().await;
}

async fn set_interval(client: &mut Client, value: Option<&str>) {
    let config = AlterableConfig {
        name: "consumer.heartbeat.interval.ms".to_owned(),
        config_operation: if value.is_some() { 0 } else { 1 },
        value: value.map(str::to_owned),
    };
    let resource =
        AlterConfigsResource { resource_type: 32, resource_name: "g".to_owned(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let altered = answer!(client.call(request).await, IncrementalAlterConfigs);
    assert_eq!(altered.responses[0].error_code, ErrorCode::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_own_settings_count_until_they_are_taken_back() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("group.consumer.min.heartbeat.interval.ms", "1000")]).await;
    let mut client = broker.client().await;
    client.create("t", 1).await;
    let mut epoch = 0;
    for (set, expected) in [(None, 5_000), (Some("7000"), 7_000), (None, 5_000), (Some("8000"), 8_000)] {
        set_interval(&mut client, set).await;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: "g".to_owned(),
            member_id: "m".to_owned(),
            member_epoch: epoch,
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: (epoch == 0).then(|| vec!["t".to_owned()]),
            topic_partitions: (epoch == 0).then(Vec::new),
            ..Default::default()
        };
        let beaten = answer!(client.call(request).await, ConsumerGroupHeartbeat);
        assert_eq!(beaten.error_code, ErrorCode::None, "{:?}", beaten.error_message);
        assert_eq!(beaten.heartbeat_interval_ms, expected);
        epoch = beaten.member_epoch;
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_consumer_protocol_only_classic_groups_are_served() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("group.coordinator.rebalance.protocols", "classic")]).await;
    let mut client = broker.client().await;
    let refused = answer!(client.call(first_heartbeat("g")).await, ConsumerGroupHeartbeat);
    assert_eq!(refused.error_code, ErrorCode::UnsupportedVersion);
    let describe = ConsumerGroupDescribeRequest { group_ids: vec!["g".to_owned()], ..Default::default() };
    let described = answer!(client.call(describe).await, ConsumerGroupDescribe);
    assert_eq!(described.groups[0].error_code, ErrorCode::UnsupportedVersion);
    assert!(places(&broker).is_empty());
    enter(&mut client, "g").await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_assignors_of_the_settings_are_served() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("group.consumer.assignors", " range")]).await;
    let mut client = broker.client().await;
    for (assignor, expected) in [("uniform", ErrorCode::UnsupportedAssignor), ("range", ErrorCode::None)] {
        let server_assignor = Some(assignor.to_owned());
        let heartbeat = ConsumerGroupHeartbeatRequest { server_assignor, ..first_heartbeat("g") };
        let answered = answer!(client.call(heartbeat).await, ConsumerGroupHeartbeat);
        assert_eq!(answered.error_code, expected, "{assignor}");
    }
    broker.stop().await;
}
