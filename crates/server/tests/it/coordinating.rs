//! A coordinator of consumer groups that panics: the next one takes over from the log, and members of both protocols go on as who they
//! were. One that has to wait for its log: nobody pays for that with its membership.

use std::time::Duration;

use futures_util::future::join_all;
use tallymq_broker::group::{
    MemberId, Request, Response,
    request::{Client, CommitCheck, Heartbeat, Join, Protocol},
};
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

const SESSION: Duration = Duration::from_secs(6);

/// A member joins a group that is new; its session has begun when the answer comes.
fn first_join() -> Request {
    Request::Join(Join {
        group: "g".into(),
        member: "".into(),
        instance: None,
        client: Client { id: "client".into(), host: "/127.0.0.1".into() },
        session_timeout_ms: SESSION.as_millis() as u32,
        rebalance_timeout_ms: 60_000,
        protocol_type: "test".into(),
        protocols: vec![Protocol { name: "any".into(), metadata: "m".into() }],
        subscription: None,
        fresh_id: "1".into(),
        requires_known_id: false,
        supports_skip_assignment: false,
    })
}

fn heartbeat(member: &MemberId) -> Request {
    Request::Heartbeat(Heartbeat { group: "g".into(), member: member.clone(), instance: None, generation: 1 })
}

/// A commit that makes its group exist, which takes a command.
fn first_commit() -> Request {
    Request::CommitCheck(CommitCheck {
        group: "h".into(),
        member: "".into(),
        instance: None,
        generation: -1,
        transactional: false,
        supports_member_epoch: true,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_that_waits_while_the_log_has_no_room_counts_before_the_session_ends() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("group.min.session.timeout.ms", "1000")]).await;
    let home = broker.0.node().data_groups().next().expect("a data group");
    let Response::Join(Ok(joined)) = soon(home.coordinator.ask(first_join())).await else {
        panic!("not joined")
    };
    let mut rooms = Vec::new();
    while let Some(room) = home.group.room_now(64 << 10).or_else(|| home.group.room_now(0)) {
        rooms.push(room);
    }
    // Behind the request that has to wait for the log, the heartbeat waits behind others: those are heard, too.
    let others = (0..16).map(|_| Request::Describe("g".into()));
    let requests = std::iter::once(first_commit()).chain(others).chain([heartbeat(&joined.member)]);
    let mut answers = Box::pin(join_all(requests.map(|request| home.coordinator.ask(request))));
    let early = tokio::time::timeout(SESSION, answers.as_mut()).await;
    assert!(early.is_err(), "answered while there was no room: {early:?}");
    drop(rooms);
    let answers = soon(answers).await;
    assert_eq!(answers.last(), Some(&Response::Heartbeat(Ok(()))));
    broker.stop().await;
}
