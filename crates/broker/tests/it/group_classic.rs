//! Classic groups, scripted: each test is a conversation whose answers are those of Kafka's coordinator.

use tallymq_broker::group::request::*;
use tallymq_broker::group::response::*;
use tallymq_broker::group::*;

use crate::group_world::*;

/// Two members, stable at generation 2; gives back their ids, the leader first.
fn stable_pair(world: &mut World) -> (MemberId, MemberId) {
    let first = join(world, "g", "");
    let leader = joined(world.ask(Request::Join(first)));
    assert_eq!((leader.generation, &leader.leader), (1, &leader.member));
    let second = join(world, "g", "");
    let waiting = world.send(Request::Join(second));
    assert_eq!(
        world.ask(heartbeat("g", &leader.member, 1)),
        Response::Heartbeat(Err(GroupError::RebalanceInProgress))
    );
    let again = join(world, "g", leader.member.as_str());
    let leader = joined(world.ask(Request::Join(again)));
    let follower = joined(world.take(waiting));
    assert_eq!((leader.generation, follower.generation), (2, 2));
    assert_eq!(leader.members.len(), 2);
    assert!(follower.members.is_empty());
    assert_eq!(follower.leader, leader.member);
    let follower_sync = world.send(sync("g", &follower.member, 2, &[]));
    let given = [(&leader.member, "one"), (&follower.member, "two")];
    assert_eq!(synced(world.ask(sync("g", &leader.member, 2, &given))), opaque("one"));
    assert_eq!(synced(world.take(follower_sync)), opaque("two"));
    (leader.member, follower.member)
}

fn described(world: &mut World) -> Described {
    match world.ask(Request::Describe("g".into())) {
        Response::Describe(Ok(described)) => described,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_members_join_sync_and_stay() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    for member in [&leader, &follower] {
        assert_eq!(world.ask(heartbeat("g", member, 2)), Response::Heartbeat(Ok(())));
    }
    let described = described(&mut world);
    assert_eq!((described.state, &*described.protocol), ("Stable", "range"));
    assert_eq!(
        world.ask(heartbeat("g", &leader, 1)),
        Response::Heartbeat(Err(GroupError::IllegalGeneration))
    );
    assert_eq!(
        world.ask(heartbeat("g", &"nobody".into(), 2)),
        Response::Heartbeat(Err(GroupError::UnknownMemberId))
    );
}

#[test]
fn the_initial_delay_is_extended_while_members_come_and_bounded_by_the_rebalance_timeout() {
    let mut world = World::new(CoordinatorOptions::default());
    let first = join(&mut world, "g", "");
    let first = world.send(Request::Join(first));
    world.advance(2_000);
    let second = join(&mut world, "g", "");
    let second = world.send(Request::Join(second));
    world.advance(2_000);
    assert!(world.is_waiting(first) && world.is_waiting(second));
    world.advance(2_000);
    assert_eq!(joined(world.take(first)).members.len() + joined(world.take(second)).members.len(), 2);

    let mut world = World::new(CoordinatorOptions::default());
    let join_quickly = |world: &mut World| {
        let join = Join { rebalance_timeout_ms: 10_000, ..join(world, "g", "") };
        world.send(Request::Join(join))
    };
    let first = join_quickly(&mut world);
    for _ in 0..10 {
        world.advance(1_000);
        join_quickly(&mut world);
    }
    assert!(!world.is_waiting(first));
}

#[test]
fn a_dynamic_member_is_asked_to_come_back_with_its_id() {
    let mut world = World::quick();
    let first = Join { requires_known_id: true, ..join(&mut world, "g", "") };
    let GroupError::MemberIdRequired(id) = join_error(world.ask(Request::Join(first))) else {
        panic!("no id")
    };
    assert!(world.applied.is_empty());
    let again = Join { requires_known_id: true, ..join(&mut world, "g", id.as_str()) };
    assert_eq!(joined(world.ask(Request::Join(again))).member, id);
}

#[test]
fn an_id_that_nobody_comes_back_with_expires_and_leaves_nothing() {
    let mut world = World::quick();
    let first = Join { requires_known_id: true, ..join(&mut world, "g", "") };
    let GroupError::MemberIdRequired(id) = join_error(world.ask(Request::Join(first))) else {
        panic!("no id")
    };
    world.advance(10_000);
    assert_eq!(world.coordinator.group_count(), 0);
    assert_eq!(world.coordinator.poll_timeout(), None);
    let again = join(&mut world, "g", id.as_str());
    assert_eq!(join_error(world.ask(Request::Join(again))), GroupError::UnknownMemberId);
}

#[test]
fn a_silent_member_expires_and_the_others_rebalance() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    world.advance(6_000);
    assert_eq!(world.ask(heartbeat("g", &follower, 2)), Response::Heartbeat(Ok(())));
    world.advance(6_000);
    assert_eq!(
        world.ask(heartbeat("g", &follower, 2)),
        Response::Heartbeat(Err(GroupError::RebalanceInProgress))
    );
    assert_eq!(world.ask(heartbeat("g", &leader, 2)), Response::Heartbeat(Err(GroupError::UnknownMemberId)));
    let again = join(&mut world, "g", follower.as_str());
    let alone = joined(world.ask(Request::Join(again)));
    assert_eq!((alone.generation, &alone.leader, alone.members.len()), (3, &follower, 1));
}

#[test]
fn a_member_that_does_not_join_again_in_time_is_left_behind() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    let rejoin = join(&mut world, "g", leader.as_str());
    let waiting = world.send(Request::Join(rejoin));
    for _ in 0..10 {
        world.advance(6_000);
        let answer = world.ask(heartbeat("g", &follower, 2));
        if !world.is_waiting(waiting) {
            assert_eq!(answer, Response::Heartbeat(Err(GroupError::UnknownMemberId)));
        }
    }
    assert_eq!(joined(world.take(waiting)).members.len(), 1);
}

#[test]
fn a_leader_that_does_not_sync_is_removed_and_waiting_followers_rejoin() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    let rejoin = join(&mut world, "g", leader.as_str());
    let first = world.send(Request::Join(rejoin));
    let rejoin = join(&mut world, "g", follower.as_str());
    assert_eq!(joined(world.ask(Request::Join(rejoin))).generation, 3);
    assert_eq!(joined(world.take(first)).generation, 3);
    let waiting = world.send(sync("g", &follower, 3, &[]));
    for _ in 0..10 {
        world.advance(6_000);
        world.ask(heartbeat("g", &leader, 3));
    }
    assert_eq!(world.take(waiting), Response::Sync(Err(GroupError::RebalanceInProgress)));
    assert_eq!(world.ask(heartbeat("g", &leader, 3)), Response::Heartbeat(Err(GroupError::UnknownMemberId)));
}

#[test]
fn an_unchanged_follower_gets_the_current_generation_and_a_changed_one_a_new_one() {
    let mut world = World::quick();
    let (_, follower) = stable_pair(&mut world);
    let again = join(&mut world, "g", follower.as_str());
    assert_eq!(joined(world.ask(Request::Join(again))).generation, 2);
    assert_eq!(synced(world.ask(sync("g", &follower, 2, &[]))), opaque("two"));
    let changed =
        Join { protocols: protocols(&[("range", "other")]), ..join(&mut world, "g", follower.as_str()) };
    let waiting = world.send(Request::Join(changed));
    assert!(world.is_waiting(waiting));
    assert_eq!(described(&mut world).state, "PreparingRebalance");
}

#[test]
fn the_protocol_with_the_most_votes_wins_among_those_that_all_support() {
    let mut world = World::new(CoordinatorOptions::default());
    let lists: [&[(&str, &str)]; 3] = [
        &[("sticky", "1"), ("range", "1")],
        &[("range", "2"), ("sticky", "2")],
        &[("rare", "3"), ("range", "3"), ("sticky", "3")],
    ];
    let mut waiting = Vec::new();
    for list in lists {
        let join = Join { protocols: protocols(list), ..join(&mut world, "g", "") };
        waiting.push(world.send(Request::Join(join)));
    }
    let stranger = Join { protocols: protocols(&[("rare", "4")]), ..join(&mut world, "g", "") };
    assert_eq!(join_error(world.ask(Request::Join(stranger))), GroupError::InconsistentGroupProtocol);
    let connect = Join { protocol_type: "connect".into(), ..join(&mut world, "g", "") };
    assert_eq!(join_error(world.ask(Request::Join(connect))), GroupError::InconsistentGroupProtocol);
    world.advance(10_000);
    for token in waiting {
        assert_eq!(joined(world.take(token)).protocol.as_deref(), Some("range"));
    }
}

#[test]
fn a_protocol_that_one_member_names_twice_is_not_that_of_two() {
    let mut world = World::new(CoordinatorOptions::default());
    let lists: [&[(&str, &str)]; 3] = [
        &[("x", ""), ("x", ""), ("z", ""), ("y", ""), ("z", "")],
        &[("y", ""), ("y", ""), ("z", ""), ("x", "")],
        &[("w", ""), ("w", ""), ("z", ""), ("y", "")],
    ];
    let mut waiting = Vec::new();
    for list in lists {
        let join = Join { protocols: protocols(list), ..join(&mut world, "g", "") };
        waiting.push(world.send(Request::Join(join)));
    }
    let stranger = Join { protocols: protocols(&[("x", ""), ("w", "")]), ..join(&mut world, "g", "") };
    assert_eq!(join_error(world.ask(Request::Join(stranger))), GroupError::InconsistentGroupProtocol);
    world.advance(10_000);
    for token in waiting {
        assert_eq!(joined(world.take(token)).protocol.as_deref(), Some("z"));
    }
}

#[test]
fn of_protocols_with_as_many_votes_the_first_members_favourite_wins() {
    let mut world = World::new(CoordinatorOptions::default());
    let lists: [&[(&str, &str)]; 2] = [&[("b", ""), ("a", "")], &[("a", ""), ("b", "")]];
    let mut waiting = Vec::new();
    for list in lists {
        let join = Join { protocols: protocols(list), ..join(&mut world, "g", "") };
        waiting.push(world.send(Request::Join(join)));
    }
    world.advance(10_000);
    for token in waiting {
        assert_eq!(joined(world.take(token)).protocol.as_deref(), Some("b"));
    }
}

#[test]
fn a_member_leaves_and_its_group_rebalances() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    let Response::Leave(Ok(lefts)) = world.ask(leave("g", &leader)) else { panic!("not left") };
    assert_eq!(lefts[0].result, Ok(()));
    assert_eq!(
        world.ask(heartbeat("g", &follower, 2)),
        Response::Heartbeat(Err(GroupError::RebalanceInProgress))
    );
    world.ask(leave("g", &follower));
    assert_eq!(described(&mut world).state, "Empty");
    assert_eq!(world.coordinator.poll_timeout(), None);
    let next = join(&mut world, "g", "");
    assert_eq!(joined(world.ask(Request::Join(next))).generation, 4);
}

#[test]
fn nothing_is_answered_before_it_is_durable() {
    let mut world = World::quick();
    world.slow = true;
    let first = join(&mut world, "g", "");
    let first = world.send(Request::Join(first));
    assert!(world.is_waiting(first) && world.log.len() == 1);
    let check = world.send(commit_check("g", "", -1));
    assert!(world.is_waiting(check), "decisions wait for the command in the log");
    world.apply_all();
    let joined = joined(world.take(first));
    assert_eq!(world.take(check), Response::CommitCheck(Err(GroupError::UnknownMemberId)));
    let synced = world.send(sync("g", &joined.member, 1, &[(&joined.member, "all")]));
    let beat = world.send(heartbeat("g", &joined.member, 1));
    assert!(world.is_waiting(synced) && world.is_waiting(beat));
    world.apply_all();
    assert!(!world.is_waiting(synced) && !world.is_waiting(beat));
    let left = world.send(leave("g", &joined.member));
    assert!(world.is_waiting(left));
    world.apply_all();
    assert!(!world.is_waiting(left));
}

#[test]
fn a_failed_proposal_refuses_all_who_wait_and_the_group_goes_on() {
    let mut world = World::quick();
    world.slow = true;
    let first = join(&mut world, "g", "");
    let token = world.send(Request::Join(first));
    let (_, ticket) = world.log.pop_front().expect("a command");
    world.coordinator.handle_failed(world.now, ticket);
    world.slow = false;
    let again = join(&mut world, "g", "");
    assert_eq!(joined(world.ask(Request::Join(again))).generation, 1);
    assert_eq!(join_error(world.take(token)), GroupError::CoordinatorNotAvailable);
}

#[test]
fn after_a_kill_the_same_members_go_on_at_the_same_generation() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    world.advance(9_000);
    world.ask(heartbeat("g", &leader, 2));
    world.crash();
    world.advance(9_000);
    for member in [&leader, &follower] {
        assert_eq!(world.ask(heartbeat("g", member, 2)), Response::Heartbeat(Ok(())));
    }
    assert_eq!(synced(world.ask(sync("g", &follower, 2, &[]))), opaque("two"));
    let fence = world.ask(commit_check("g", follower.as_str(), 2));
    assert_eq!(fence, Response::CommitCheck(Ok(durable::Fence::Generation(2))));
}

#[test]
fn a_kill_between_join_and_sync_keeps_ids_and_generation() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    let rejoin = join(&mut world, "g", leader.as_str());
    world.send(Request::Join(rejoin));
    let rejoin = join(&mut world, "g", follower.as_str());
    assert_eq!(joined(world.ask(Request::Join(rejoin))).generation, 3);
    world.crash();
    // The leader's answer was lost: it joins again with the same id and gets the same generation and members.
    let rejoin = join(&mut world, "g", leader.as_str());
    let again = joined(world.ask(Request::Join(rejoin)));
    assert_eq!((again.generation, again.members.len()), (3, 2));
    let waiting = world.send(sync("g", &follower, 3, &[]));
    assert_eq!(synced(world.ask(sync("g", &leader, 3, &[(&follower, "f")]))), opaque(""));
    assert_eq!(synced(world.take(waiting)), opaque("f"));
}

#[test]
fn a_kill_after_a_leave_makes_the_rest_join_again_with_their_ids() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    world.ask(leave("g", &leader));
    world.crash();
    assert_eq!(
        world.ask(heartbeat("g", &follower, 2)),
        Response::Heartbeat(Err(GroupError::RebalanceInProgress))
    );
    let rejoin = join(&mut world, "g", follower.as_str());
    let alone = joined(world.ask(Request::Join(rejoin)));
    assert_eq!((alone.generation, alone.member), (3, follower));
}

#[test]
fn a_group_is_full_and_a_session_timeout_out_of_bounds_is_refused() {
    let options =
        CoordinatorOptions { initial_rebalance_delay_ms: 0, classic_members_max: 1, ..Default::default() };
    let mut world = World::new(options);
    let first = join(&mut world, "g", "");
    joined(world.ask(Request::Join(first)));
    let second = join(&mut world, "g", "");
    assert_eq!(join_error(world.ask(Request::Join(second))), GroupError::GroupMaxSizeReached);
    let short = Join { session_timeout_ms: 10, ..join(&mut world, "h", "") };
    assert_eq!(join_error(world.ask(Request::Join(short))), GroupError::InvalidSessionTimeout);
    let nameless = join(&mut world, "", "");
    assert_eq!(join_error(world.ask(Request::Join(nameless))), GroupError::InvalidGroupId);
}

#[test]
fn commits_are_checked_against_member_and_generation() {
    let mut world = World::quick();
    let created = world.ask(commit_check("g", "", -1));
    assert_eq!(created, Response::CommitCheck(Ok(durable::Fence::None)));
    assert_eq!(described(&mut world).state, "Empty");
    let (leader, _) = stable_pair(&mut world);
    let refused = |error| Response::CommitCheck(Err(error));
    assert_eq!(world.ask(commit_check("g", leader.as_str(), 1)), refused(GroupError::IllegalGeneration));
    assert_eq!(world.ask(commit_check("g", "nobody", 2)), refused(GroupError::UnknownMemberId));
    assert_eq!(world.ask(commit_check("g", "", -1)), refused(GroupError::UnknownMemberId));
    assert_eq!(world.ask(commit_check("none", "m", 3)), refused(GroupError::IllegalGeneration));
}

#[test]
fn groups_are_listed_by_state_and_type_and_deleted_when_empty() {
    let mut world = World::quick();
    let (leader, follower) = stable_pair(&mut world);
    let list = |world: &mut World, state: &str, kind: &str| {
        let texts = |text: &str| {
            if text.is_empty() { vec![] } else { vec![text.into()] }
        };
        match world.ask(Request::List(List { states: texts(state), types: texts(kind) })) {
            Response::List(listed) => {
                assert!(listed.iter().all(|one| one.group_type == "classic"), "Kafka writes the types small");
                listed.len()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list(&mut world, "", ""), 1);
    assert_eq!(list(&mut world, "stable", "classic"), 1);
    assert_eq!(list(&mut world, "Empty", ""), 0);
    assert_eq!(list(&mut world, "", "consumer"), 0);
    assert_eq!(world.ask(Request::Delete("g".into())), Response::Delete(Err(GroupError::NonEmptyGroup)));
    world.ask(leave("g", &leader));
    world.ask(leave("g", &follower));
    assert_eq!(world.ask(Request::Delete("g".into())), Response::Delete(Ok(())));
    assert_eq!(world.ask(Request::Delete("g".into())), Response::Delete(Err(GroupError::GroupIdNotFound)));
    assert_eq!(world.coordinator.group_count(), 0);
    let anew = join(&mut world, "g", "");
    assert_eq!(joined(world.ask(Request::Join(anew))).generation, 1);
}
