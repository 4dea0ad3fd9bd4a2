//! Groups that change their type (KIP-848), scripted: empty ones freely, others online by policy.

use tallymq_broker::group::durable::Fence;
use tallymq_broker::group::request::*;
use tallymq_broker::group::response::*;
use tallymq_broker::group::topics::NamedPartitions;
use tallymq_broker::group::*;

use crate::group_world::*;

fn classic_join(world: &mut World, member: &str, owned: &[NamedPartitions]) -> Join {
    let subscription =
        Subscription { topics: vec!["a".into()], owned: owned.to_vec(), ..Subscription::default() };
    Join { subscription: Some(subscription), ..join(world, "g", member) }
}

fn assigning(member: &MemberId, partitions: &[i32]) -> Request {
    let given = SyncAssignment {
        member: member.clone(),
        assignment: "bytes".into(),
        partitions: vec![named("a", partitions)],
    };
    let Request::Sync(sync) = sync("g", member, 1, &[]) else { unreachable!() };
    Request::Sync(Sync { assignments: vec![given], ..sync })
}

/// One classic member of the embedded consumer protocol, stable, with all of topic `a`.
fn classic_one(world: &mut World) -> MemberId {
    let first = classic_join(world, "", &[]);
    let member = joined(world.ask(Request::Join(first))).member;
    assert_eq!(synced(world.ask(assigning(&member, &[0, 1, 2, 3]))), opaque("bytes"));
    member
}

fn enter(world: &mut World, member: &str) -> Response {
    let request = consumer_heartbeat(world, "g", member, 0);
    world.ask(Request::ConsumerHeartbeat(request))
}

fn beat(world: &mut World, member: &str, epoch: i32) -> Response {
    let request = ConsumerHeartbeat { owned: Some(vec![]), ..consumer_heartbeat(world, "g", member, epoch) };
    world.ask(Request::ConsumerHeartbeat(request))
}

fn kind(world: &World) -> &'static str {
    match world.groups.group(&"g".into()).map(|group| group.as_ref()) {
        Some(GroupState::Classic(_)) => "classic",
        Some(GroupState::Consumer(_)) => "consumer",
        None => "none",
    }
}

/// A classic member hands half of its partitions to a new consumer-protocol member, cooperatively.
fn upgraded_pair(world: &mut World, kill: bool) -> MemberId {
    let classic = classic_one(world);
    let native = done(enter(world, "n"));
    assert_eq!((native.member_epoch, native.assignment), (2, Some(set(&[]))));
    assert_eq!(kind(world), "consumer");
    if kill {
        world.crash();
    }
    let rebalance = Response::Heartbeat(Err(GroupError::RebalanceInProgress));
    assert_eq!(world.ask(heartbeat("g", &classic, 1)), rebalance);
    // It still owns all: it is told to keep half, at its old generation.
    let again = classic_join(world, classic.as_str(), &[named("a", &[0, 1, 2, 3])]);
    let again = joined(world.ask(Request::Join(again)));
    assert_eq!((again.generation, again.leader.as_str()), (1, ""));
    let Assignment::Partitions(keeps) = synced(world.ask(sync("g", &classic, 1, &[]))) else {
        panic!("opaque")
    };
    assert_eq!(keeps[0].partitions.len(), 2);
    assert_eq!(done(beat(world, "n", 2)).assignment, None);
    if kill {
        world.crash();
    }
    assert_eq!(world.ask(heartbeat("g", &classic, 1)), rebalance);
    let again = classic_join(world, classic.as_str(), &keeps);
    assert_eq!(joined(world.ask(Request::Join(again))).generation, 2);
    assert_eq!(synced(world.ask(sync("g", &classic, 2, &[]))), Assignment::Partitions(keeps));
    assert_eq!(done(beat(world, "n", 2)).assignment.map(|rest| rest.len()), Some(2));
    assert_eq!(world.ask(heartbeat("g", &classic, 2)), Response::Heartbeat(Ok(())));
    classic
}

#[test]
fn a_classic_group_is_upgraded_online_and_partitions_are_handed_over() {
    let mut world = World::quick();
    let classic = upgraded_pair(&mut world, false);
    let commit = world.ask(commit_check("g", classic.as_str(), 2));
    assert_eq!(commit, Response::CommitCheck(Ok(Fence::MemberEpoch(2))));
    let stale = world.ask(commit_check("g", classic.as_str(), 1));
    assert_eq!(stale, Response::CommitCheck(Err(GroupError::IllegalGeneration)));
}

#[test]
fn an_upgrade_survives_kills_in_its_middle() {
    upgraded_pair(&mut World::quick(), true);
}

#[test]
fn the_group_goes_back_when_its_last_native_member_leaves() {
    let mut world = World::quick();
    let classic = upgraded_pair(&mut world, false);
    assert_eq!(done(beat(&mut world, "n", -1)).member_epoch, -1);
    assert_eq!(kind(&world), "classic");
    assert_eq!(
        world.ask(heartbeat("g", &classic, 2)),
        Response::Heartbeat(Err(GroupError::RebalanceInProgress))
    );
    world.crash();
    let again = classic_join(&mut world, classic.as_str(), &[]);
    let again = joined(world.ask(Request::Join(again)));
    assert_eq!((again.generation, &again.leader), (3, &classic));
}

#[test]
fn it_also_goes_back_when_its_last_native_member_falls_silent() {
    let mut world = World::quick();
    let classic = upgraded_pair(&mut world, false);
    for _ in 0..6 {
        world.advance(8_000);
        world.ask(heartbeat("g", &classic, 2));
    }
    assert_eq!(kind(&world), "classic");
}

#[test]
fn the_policy_decides_which_way_is_open() {
    for (policy, up, down) in [
        (MigrationPolicy::Upgrade, true, false),
        (MigrationPolicy::Downgrade, false, true),
        (MigrationPolicy::Disabled, false, false),
    ] {
        let options =
            CoordinatorOptions { migration: policy, initial_rebalance_delay_ms: 0, ..Default::default() };
        let mut world = World::new(options.clone());
        classic_one(&mut world);
        match enter(&mut world, "n") {
            Response::ConsumerHeartbeat(Ok(_)) => assert!(up, "{policy:?}"),
            other => {
                assert!(!up, "{policy:?}");
                assert_eq!(heartbeat_error(other), GroupError::GroupIdNotFound);
            }
        }
        let mut world = World::new(options);
        done(enter(&mut world, "n"));
        let classic = classic_join(&mut world, "", &[]);
        joined(world.ask(Request::Join(classic)));
        done(beat(&mut world, "n", -1));
        assert_eq!(kind(&world), if down { "classic" } else { "consumer" }, "{policy:?}");
    }
}

#[test]
fn an_empty_group_of_either_type_becomes_the_other_and_keeps_its_epoch() {
    let mut world = World::quick();
    let classic = classic_one(&mut world);
    world.ask(leave("g", &classic));
    let native = done(enter(&mut world, "n"));
    assert_eq!((kind(&world), native.member_epoch), ("consumer", 3));
    done(beat(&mut world, "n", -1));
    let again = classic_join(&mut world, "", &[]);
    let again = joined(world.ask(Request::Join(again)));
    assert_eq!((kind(&world), again.generation), ("classic", 5));
}

#[test]
fn members_who_wait_when_the_type_changes_are_told_to_join_again() {
    let mut world = World::new(CoordinatorOptions::default());
    let first = classic_join(&mut world, "", &[]);
    let first = world.send(Request::Join(first));
    done(enter(&mut world, "n"));
    assert_eq!(join_error(world.take(first)), GroupError::RebalanceInProgress);
}

#[test]
fn classic_members_are_asked_for_their_id_and_leave_by_their_own_api() {
    let mut world = World::quick();
    done(enter(&mut world, "n"));
    let first = Join { requires_known_id: true, ..classic_join(&mut world, "", &[]) };
    let GroupError::MemberIdRequired(id) = join_error(world.ask(Request::Join(first))) else {
        panic!("no id")
    };
    let again = Join { requires_known_id: true, ..classic_join(&mut world, id.as_str(), &[]) };
    joined(world.ask(Request::Join(again)));
    let Response::Leave(Ok(lefts)) = world.ask(leave("g", &"n".into())) else { panic!("refused") };
    assert_eq!(lefts[0].result, Err(GroupError::UnknownMemberId), "a native member does not use this one");
    let Response::Leave(Ok(lefts)) = world.ask(leave("g", &id)) else { panic!("refused") };
    assert_eq!(lefts[0].result, Ok(()));
    let stranger = Join { protocol_type: "connect".into(), ..classic_join(&mut world, "", &[]) };
    assert_eq!(join_error(world.ask(Request::Join(stranger))), GroupError::InconsistentGroupProtocol);
}

#[test]
fn a_classic_member_that_does_not_sync_or_join_again_is_removed() {
    let mut world = World::quick();
    done(enter(&mut world, "n"));
    let first = Join { session_timeout_ms: 300_000, ..classic_join(&mut world, "", &[]) };
    let member = joined(world.ask(Request::Join(first))).member;
    for _ in 0..6 {
        world.advance(10_000);
        beat(&mut world, "n", 1);
    }
    assert_eq!(world.ask(heartbeat("g", &member, 2)), Response::Heartbeat(Err(GroupError::UnknownMemberId)));
}

#[test]
fn a_static_classic_member_takes_over_from_a_native_one() {
    let mut world = World::quick();
    let native =
        ConsumerHeartbeat { instance: Some("i".into()), ..consumer_heartbeat(&mut world, "g", "n", 0) };
    done(world.ask(Request::ConsumerHeartbeat(native)));
    let classic = Join { instance: Some("i".into()), ..classic_join(&mut world, "", &[]) };
    let classic = joined(world.ask(Request::Join(classic)));
    assert_eq!(kind(&world), "classic");
    let stale = consumer_heartbeat(&mut world, "g", "n", 1);
    assert_eq!(heartbeat_error(world.ask(Request::ConsumerHeartbeat(stale))), GroupError::GroupIdNotFound);
    assert_eq!(
        world.ask(heartbeat("g", &classic.member, classic.generation)),
        Response::Heartbeat(Err(GroupError::RebalanceInProgress))
    );
}
