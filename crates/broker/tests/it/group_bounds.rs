//! What clients can make a coordinator keep is bounded, and whoever has to wait in vain is told.

use bytes::Bytes;
use tallymq_broker::group::request::*;
use tallymq_broker::group::response::*;
use tallymq_broker::group::*;

use crate::group_world::*;

fn options() -> CoordinatorOptions {
    CoordinatorOptions { initial_rebalance_delay_ms: 0, ..CoordinatorOptions::default() }
}

#[test]
fn groups_are_bounded_and_existing_ones_go_on() {
    let mut world = World::new(CoordinatorOptions { groups_max: 1, ..options() });
    let first = join(&mut world, "g", "");
    let first = joined(world.ask(Request::Join(first)));
    let second = join(&mut world, "h", "");
    assert_eq!(join_error(world.ask(Request::Join(second))), GroupError::TooManyGroups);
    let native = consumer_heartbeat(&mut world, "h", "m", 0);
    let native = world.ask(Request::ConsumerHeartbeat(native));
    assert_eq!(heartbeat_error(native), GroupError::TooManyGroups);
    let refused = Response::CommitCheck(Err(GroupError::TooManyGroups));
    assert_eq!(world.ask(commit_check("h", "", -1)), refused);
    assert_eq!(world.ask(heartbeat("g", &first.member, 1)), Response::Heartbeat(Ok(())));
    assert_eq!(world.ask(Request::Delete("h".into())), Response::Delete(Err(GroupError::GroupIdNotFound)));
    assert_eq!(world.coordinator.group_count(), 1);
}

#[test]
fn requests_that_wait_for_one_command_are_bounded() {
    let mut world = World::new(CoordinatorOptions { waiting_requests_max: 2, ..options() });
    world.slow = true;
    let first = join(&mut world, "g", "");
    world.send(Request::Join(first));
    let waiting = [world.send(commit_check("g", "", 1)), world.send(commit_check("g", "", 1))];
    let one_more = world.ask(commit_check("g", "", 1));
    assert_eq!(one_more, Response::CommitCheck(Err(GroupError::CoordinatorLoadInProgress)));
    world.apply_all();
    assert!(waiting.iter().all(|token| !world.is_waiting(*token)));
}

#[test]
fn ids_that_were_given_out_are_bounded() {
    let mut world = World::new(CoordinatorOptions { classic_members_max: 2, ..options() });
    let mut ask = || {
        let join = Join { requires_known_id: true, ..join(&mut world, "g", "") };
        join_error(world.ask(Request::Join(join)))
    };
    assert!(matches!(ask(), GroupError::MemberIdRequired(_)));
    assert!(matches!(ask(), GroupError::MemberIdRequired(_)));
    assert_eq!(ask(), GroupError::GroupMaxSizeReached);
}

#[test]
fn what_a_member_brings_is_bounded() {
    let mut world = World::new(CoordinatorOptions {
        member_metadata_bytes_max: 1_000,
        member_assignment_bytes_max: 1_000,
        ..options()
    });
    let is_invalid = |error| matches!(error, GroupError::InvalidRequest(_));
    let big = Join { protocols: protocols(&[("range", &"x".repeat(1_000))]), ..join(&mut world, "g", "") };
    assert!(is_invalid(join_error(world.ask(Request::Join(big)))));
    let many = Join { protocols: protocols(&[("", ""); 20]), ..join(&mut world, "g", "") };
    assert!(is_invalid(join_error(world.ask(Request::Join(many)))));
    let topics = Some(vec!["t".into(); 100]);
    let many = ConsumerHeartbeat { topics, ..consumer_heartbeat(&mut world, "g", "m", 0) };
    assert!(is_invalid(heartbeat_error(world.ask(Request::ConsumerHeartbeat(many)))));
    let first = join(&mut world, "g", "");
    let first = joined(world.ask(Request::Join(first))).member;
    let answer = world.ask(sync("g", &first, 1, &[(&first, &"x".repeat(1_000))]));
    assert!(matches!(answer, Response::Sync(Err(GroupError::InvalidRequest(_)))));
}

/// About as many protocols as a member may name.
fn many_protocols(start: u32) -> Vec<Protocol> {
    let protocol = |n| Protocol { name: format!("{n:05}").into(), metadata: Bytes::new() };
    (start..start + 15_000).map(protocol).collect()
}

/// The same in reverse.
fn reversed(mut protocols: Vec<Protocol>) -> Vec<Protocol> {
    protocols.reverse();
    protocols
}

/// With a look through one list for each name of another this takes minutes, in which no other group is served.
#[test]
fn members_that_name_many_protocols_are_compared_in_no_time() {
    let mut world = World::new(CoordinatorOptions::default());
    let mut waiting = Vec::new();
    for n in 0..5 {
        let protocols = if n == 0 { many_protocols(0) } else { reversed(many_protocols(0)) };
        let many = Join { protocols, ..join(&mut world, "g", "") };
        waiting.push(world.send(Request::Join(many)));
    }
    let stranger = Join { protocols: many_protocols(15_000), ..join(&mut world, "g", "") };
    assert_eq!(join_error(world.ask(Request::Join(stranger))), GroupError::InconsistentGroupProtocol);
    let almost_a_stranger = Join { protocols: many_protocols(14_998), ..join(&mut world, "g", "") };
    waiting.push(world.send(Request::Join(almost_a_stranger)));
    world.advance(60_000);
    for token in waiting {
        // Of the two that all know the last one is before the other to all but two members.
        assert_eq!(joined(world.take(token)).protocol.as_deref(), Some("14999"));
    }
}

#[test]
fn classic_members_of_a_consumer_group_that_name_many_protocols_are_compared_in_no_time() {
    let mut world = World::quick();
    let native = consumer_heartbeat(&mut world, "g", "n", 0);
    done(world.ask(Request::ConsumerHeartbeat(native)));
    for n in 0..5 {
        // What all know is the last that is looked at.
        let protocols = if n == 0 { many_protocols(0) } else { reversed(many_protocols(14_999)) };
        let many = Join { protocols, ..join(&mut world, "g", "") };
        joined(world.ask(Request::Join(many)));
    }
    let stranger = Join { protocols: many_protocols(15_000), ..join(&mut world, "g", "") };
    assert_eq!(join_error(world.ask(Request::Join(stranger))), GroupError::InconsistentGroupProtocol);
}

#[test]
fn a_coordinator_that_gives_up_its_groups_tells_all_who_wait() {
    let mut world = World::quick();
    let first = join(&mut world, "g", "");
    let first = joined(world.ask(Request::Join(first))).member;
    let second = join(&mut world, "g", "");
    world.slow = true;
    let tokens = [
        world.send(Request::Join(second)),
        world.send(leave("g", &first)),
        world.send(commit_check("g", "", 1)),
    ];
    world.coordinator.unload();
    let tick = world.send(commit_check("other", "", 1));
    world.take(tick);
    for token in tokens {
        match world.take(token) {
            Response::Join(Err(error)) | Response::Leave(Err(error)) | Response::CommitCheck(Err(error)) => {
                assert_eq!(error, GroupError::NotCoordinator);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.coordinator.poll_timeout(), None);
    let (command, ticket) = world.log.pop_front().expect("the leave");
    world.coordinator.handle_failed(world.now, ticket);
    assert!(matches!(command, GroupCommand::ClassicMembersLeft { .. }));
}

#[test]
fn a_consumer_group_goes_on_after_a_failed_proposal() {
    let mut world = World::quick();
    world.slow = true;
    let first = consumer_heartbeat(&mut world, "g", "m", 0);
    let token = world.send(Request::ConsumerHeartbeat(first));
    let (_, ticket) = world.log.pop_front().expect("a command");
    world.coordinator.handle_failed(world.now, ticket);
    world.slow = false;
    let again = consumer_heartbeat(&mut world, "g", "m", 0);
    assert_eq!(done(world.ask(Request::ConsumerHeartbeat(again))).assignment.map(|all| all.len()), Some(4));
    assert_eq!(heartbeat_error(world.take(token)), GroupError::CoordinatorNotAvailable);
}

#[test]
fn a_client_that_asks_for_no_time_at_all_does_not_keep_the_clock_busy() {
    let mut world = World::quick();
    let first = Join { instance: Some("i".into()), rebalance_timeout_ms: 0, ..join(&mut world, "g", "") };
    let first = joined(world.ask(Request::Join(first))).member;
    let commands = world.applied.len();
    world.advance(600_000);
    assert!(world.applied.len() <= commands + 4, "{:?}", &world.applied[commands..]);
    assert_eq!(world.coordinator.poll_timeout(), None);
    assert_eq!(world.ask(heartbeat("g", &first, 1)), Response::Heartbeat(Err(GroupError::UnknownMemberId)));
}

#[test]
fn the_empty_group_has_positions_but_no_members() {
    let mut world = World::quick();
    let allowed = Response::CommitCheck(Ok(durable::Fence::None));
    assert_eq!(world.ask(commit_check("", "", -1)), allowed);
    assert!(matches!(world.ask(Request::Describe("".into())), Response::Describe(Ok(_))));
    let first = join(&mut world, "", "");
    assert_eq!(join_error(world.ask(Request::Join(first))), GroupError::InvalidGroupId);
    let described = world.ask(Request::ConsumerDescribe("".into()));
    assert_eq!(described, Response::ConsumerDescribe(Err(GroupError::InvalidGroupId)));
    let entering = consumer_heartbeat(&mut world, "", "m", 0);
    let refused = world.ask(Request::ConsumerHeartbeat(entering));
    assert!(
        matches!(refused, Response::ConsumerHeartbeat(Err(GroupError::InvalidRequest(_)))),
        "{refused:?}"
    );
    assert_eq!(world.ask(Request::Delete("".into())), Response::Delete(Ok(())));
}

#[test]
fn a_command_that_is_applied_after_it_was_given_up_does_no_harm() {
    let mut world = World::quick();
    world.slow = true;
    let first = consumer_heartbeat(&mut world, "g", "m1", 0);
    world.send(Request::ConsumerHeartbeat(first));
    let (command, ticket) = world.log.pop_front().expect("a command");
    world.coordinator.handle_failed(world.now, ticket);
    world.apply_late(command);
    world.slow = false;
    // The coordinator does not know of the first member and would give everything to the second: it is refused, and learns.
    let second = consumer_heartbeat(&mut world, "g", "m2", 0);
    let refused = world.ask(Request::ConsumerHeartbeat(second));
    assert_eq!(heartbeat_error(refused), GroupError::CoordinatorNotAvailable);
    let second = consumer_heartbeat(&mut world, "g", "m2", 0);
    assert_eq!(done(world.ask(Request::ConsumerHeartbeat(second))).assignment, Some(set(&[])));
}
