//! Static members of classic groups (KIP-345, KIP-814), scripted.

use tallymq_broker::group::request::*;
use tallymq_broker::group::response::*;
use tallymq_broker::group::*;

use crate::group_world::*;

fn join_static(world: &mut World, member: &str, instance: &str) -> Join {
    Join { instance: Some(instance.into()), ..join(world, "g", member) }
}

/// One static member, stable at generation 1.
fn stable_one(world: &mut World) -> MemberId {
    let first = join_static(world, "", "i");
    let leader = joined(world.ask(Request::Join(first))).member;
    assert_eq!(synced(world.ask(sync("g", &leader, 1, &[(&leader, "all")]))), opaque("all"));
    leader
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_fences_its_old_id() {
    let mut world = World::quick();
    let old = stable_one(&mut world);
    let back = join_static(&mut world, "", "i");
    let back = joined(world.ask(Request::Join(back)));
    assert_ne!(back.member, old);
    assert_eq!((back.generation, back.skip_assignment), (1, true));
    assert_eq!(back.leader, back.member);
    assert_eq!(synced(world.ask(sync("g", &back.member, 1, &[]))), opaque("all"));

    let stale =
        Heartbeat { group: "g".into(), member: old.clone(), instance: Some("i".into()), generation: 1 };
    assert_eq!(world.ask(Request::Heartbeat(stale)), Response::Heartbeat(Err(GroupError::FencedInstanceId)));
    let stale = join_static(&mut world, old.as_str(), "i");
    assert_eq!(join_error(world.ask(Request::Join(stale))), GroupError::FencedInstanceId);
    world.crash();
    assert_eq!(world.ask(heartbeat("g", &back.member, 1)), Response::Heartbeat(Ok(())));
    assert_eq!(world.ask(heartbeat("g", &old, 1)), Response::Heartbeat(Err(GroupError::UnknownMemberId)));
}

#[test]
fn a_leader_that_cannot_skip_the_assignment_is_told_that_another_one_leads() {
    let mut world = World::quick();
    let old = stable_one(&mut world);
    let back = Join { supports_skip_assignment: false, ..join_static(&mut world, "", "i") };
    let back = joined(world.ask(Request::Join(back)));
    assert_eq!((back.leader, back.skip_assignment, back.members.len()), (old, false, 0));
}

#[test]
fn a_static_member_with_another_protocol_makes_the_group_rebalance() {
    let mut world = World::quick();
    stable_one(&mut world);
    let back =
        Join { protocols: protocols(&[("range", ""), ("sticky", "")]), ..join_static(&mut world, "", "i") };
    assert_eq!(joined(world.ask(Request::Join(back))).generation, 1);
    let only =
        Join { protocols: protocols(&[("sticky", ""), ("range", "")]), ..join_static(&mut world, "", "i") };
    let only = joined(world.ask(Request::Join(only)));
    assert_eq!((only.generation, only.protocol.as_deref()), (2, Some("sticky")));
}

#[test]
fn the_old_id_that_still_waits_is_fenced() {
    let mut world = World::quick();
    let first = stable_one(&mut world);
    let other = join(&mut world, "g", "");
    let other = world.send(Request::Join(other));
    let other_static = join_static(&mut world, "", "j");
    let waits = world.send(Request::Join(other_static));
    let takes_over = join_static(&mut world, "", "j");
    let takes_over = world.send(Request::Join(takes_over));
    assert_eq!(join_error(world.take(waits)), GroupError::FencedInstanceId);
    let rejoin = join_static(&mut world, first.as_str(), "i");
    assert_eq!(joined(world.ask(Request::Join(rejoin))).members.len(), 3);
    assert_eq!(joined(world.take(takes_over)).generation, 2);
    assert_eq!(joined(world.take(other)).generation, 2);
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id() {
    let mut world = World::quick();
    stable_one(&mut world);
    let by_instance = |instance: &str, member: &str| {
        Request::Leave(Leave {
            group: "g".into(),
            members: vec![Leaving { member: member.into(), instance: Some(instance.into()) }],
        })
    };
    let Response::Leave(Ok(lefts)) = world.ask(by_instance("none", "")) else { panic!("refused") };
    assert_eq!(lefts[0].result, Err(GroupError::UnknownMemberId));
    let Response::Leave(Ok(lefts)) = world.ask(by_instance("i", "other")) else { panic!("refused") };
    assert_eq!(lefts[0].result, Err(GroupError::FencedInstanceId));
    let Response::Leave(Ok(lefts)) = world.ask(by_instance("i", "")) else { panic!("refused") };
    assert_eq!(lefts[0].result, Ok(()));
    assert_eq!(world.ask(Request::Delete("g".into())), Response::Delete(Ok(())));
}

#[test]
fn a_static_member_whose_sync_outlasts_its_session_expires_after_the_next_rebalance() {
    let mut world = World::quick();
    let first = join(&mut world, "g", "");
    let leader = joined(world.ask(Request::Join(first))).member;
    let other = join_static(&mut world, "", "i");
    let waiting = world.send(Request::Join(other));
    let again = join(&mut world, "g", leader.as_str());
    assert_eq!(joined(world.ask(Request::Join(again))).generation, 2);
    let other = joined(world.take(waiting)).member;
    let waiting = world.send(sync("g", &other, 2, &[]));
    for _ in 0..2 {
        world.advance(6_000);
        assert_eq!(world.ask(heartbeat("g", &leader, 2)), Response::Heartbeat(Ok(())));
    }
    assert!(world.is_waiting(waiting), "whoever waits is alive");
    world.ask(leave("g", &leader));
    assert_eq!(world.take(waiting), Response::Sync(Err(GroupError::RebalanceInProgress)));
    let members = |world: &mut World| match world.ask(Request::Describe("g".into())) {
        Response::Describe(Ok(described)) => described.members.len(),
        other => panic!("{other:?}"),
    };
    world.advance(9_000);
    assert_eq!(members(&mut world), 1, "it has a whole session to join again");
    world.advance(2_000);
    assert_eq!(members(&mut world), 0);
    assert_eq!(world.coordinator.poll_timeout(), None);
}
