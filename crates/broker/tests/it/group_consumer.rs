//! Consumer groups (KIP-848), scripted.

use tallymq_broker::group::durable::{Fence, MemberState};
use tallymq_broker::group::request::*;
use tallymq_broker::group::response::*;
use tallymq_broker::group::topics::PartitionSet;
use tallymq_broker::group::*;
use tallymq_model::TopicPartition;

use crate::group_world::*;

fn beat(world: &mut World, member: &str, epoch: i32, owned: Option<&PartitionSet>) -> Response {
    let owned = owned.map(|owned| owned.iter().copied().collect());
    let request = ConsumerHeartbeat { owned, ..consumer_heartbeat(world, "g", member, epoch) };
    world.ask(Request::ConsumerHeartbeat(request))
}

fn join_with(world: &mut World, member: &str, change: impl Fn(&mut ConsumerHeartbeat)) -> Response {
    let mut request = consumer_heartbeat(world, "g", member, 0);
    change(&mut request);
    world.ask(Request::ConsumerHeartbeat(request))
}

fn enter(world: &mut World, member: &str) -> HeartbeatDone {
    done(join_with(world, member, |_| {}))
}

fn all_of_a() -> PartitionSet {
    (0..4).map(|n| tp(1, n)).collect()
}

fn described(world: &mut World) -> ConsumerDescribed {
    match world.ask(Request::ConsumerDescribe("g".into())) {
        Response::ConsumerDescribe(Ok(described)) => described,
        other => panic!("{other:?}"),
    }
}

fn member_of(world: &mut World, id: &str) -> ConsumerDescribedMember {
    described(world)
        .members
        .into_iter()
        .find(|member| member.member.as_str() == id)
        .expect("the member exists")
}

#[test]
fn one_member_gets_everything() {
    let mut world = World::quick();
    let first = enter(&mut world, "m1");
    assert_eq!((first.member_epoch, first.heartbeat_interval_ms), (1, 5_000));
    assert_eq!(first.assignment, Some(all_of_a()));
    let next = done(beat(&mut world, "m1", 1, None));
    assert_eq!((next.member_epoch, next.assignment), (1, None));
    assert_eq!(described(&mut world).state, "Stable");
    assert_eq!(
        world.ask(Request::Describe("g".into())),
        Response::Describe(Err(GroupError::GroupIdNotFound))
    );
}

#[test]
fn partitions_move_only_after_they_were_given_up() {
    let mut world = World::quick();
    enter(&mut world, "m1");
    let second = enter(&mut world, "m2");
    assert_eq!((second.member_epoch, second.assignment), (2, Some(set(&[]))));
    assert_eq!(member_of(&mut world, "m2").state, MemberState::UnreleasedPartitions);
    let told = done(beat(&mut world, "m1", 1, Some(&all_of_a())));
    let keeps = told.assignment.expect("a new assignment");
    assert_eq!((told.member_epoch, keeps.len()), (1, 2));
    assert_eq!(member_of(&mut world, "m1").state, MemberState::UnrevokedPartitions);
    assert_eq!(done(beat(&mut world, "m2", 2, Some(&set(&[])))).assignment, None);
    let released = done(beat(&mut world, "m1", 1, Some(&keeps)));
    assert_eq!((released.member_epoch, released.assignment), (2, None));
    let rest = done(beat(&mut world, "m2", 2, Some(&set(&[])))).assignment.expect("the rest");
    assert_eq!(keeps.union(&rest).copied().collect::<PartitionSet>(), all_of_a());
    assert!(keeps.is_disjoint(&rest));
    assert_eq!(described(&mut world).state, "Stable");
}

#[test]
fn a_member_that_does_not_give_up_in_time_is_removed() {
    let mut world = World::quick();
    enter(&mut world, "m1");
    enter(&mut world, "m2");
    beat(&mut world, "m1", 1, Some(&all_of_a()));
    for _ in 0..7 {
        world.advance(10_000);
        beat(&mut world, "m2", 2, None);
        beat(&mut world, "m1", 1, Some(&all_of_a()));
    }
    assert_eq!(described(&mut world).members.len(), 1);
    let rest = member_of(&mut world, "m2");
    assert_eq!(rest.assignment, all_of_a());
}

#[test]
fn a_member_that_gives_up_in_time_stays_however_slow_the_log_is() {
    let mut world = World::quick();
    enter(&mut world, "m1");
    enter(&mut world, "m2");
    let keeps = done(beat(&mut world, "m1", 1, Some(&all_of_a()))).assignment.expect("what it keeps");
    world.advance(30_000);
    beat(&mut world, "m1", 1, Some(&all_of_a()));
    beat(&mut world, "m2", 2, None);
    world.advance(29_000);
    world.slow = true;
    let owned = Some(keeps.iter().copied().collect());
    let gives_up = ConsumerHeartbeat { owned, ..consumer_heartbeat(&mut world, "g", "m1", 1) };
    let gives_up = world.send(Request::ConsumerHeartbeat(gives_up));
    // Its rebalance timeout ends before the log has what it said.
    world.advance(2_000);
    world.slow = false;
    world.apply_all();
    assert_eq!(done(world.take(gives_up)).member_epoch, 2);
    assert_eq!(described(&mut world).members.len(), 2);
    assert_eq!(member_of(&mut world, "m1").assignment, keeps);
    assert_eq!(done(beat(&mut world, "m1", 2, None)).member_epoch, 2);
}

#[test]
fn a_silent_member_expires_and_its_partitions_move() {
    let mut world = World::quick();
    enter(&mut world, "m1");
    world.advance(30_000);
    enter(&mut world, "m2");
    world.advance(20_000);
    let all = done(beat(&mut world, "m2", 2, Some(&set(&[]))));
    assert_eq!((all.member_epoch, all.assignment), (3, Some(all_of_a())));
    assert_eq!(heartbeat_error(beat(&mut world, "m1", 1, None)), GroupError::UnknownMemberId);
}

#[test]
fn a_group_has_its_own_session_timeout_and_interval() {
    let mut world = World::quick();
    let own = GroupOverrides {
        consumer_session_timeout_ms: Some(1_000),
        consumer_heartbeat_interval_ms: Some(100),
    };
    world.coordinator.set_overrides("g".into(), own);
    assert_eq!(enter(&mut world, "m1").heartbeat_interval_ms, 100);
    world.advance(1_000);
    assert_eq!(described(&mut world).state, "Empty");
    assert_eq!(world.ask(Request::Delete("g".into())), Response::Delete(Ok(())));
}

#[test]
fn epochs_are_fenced_but_for_the_one_before_when_the_answer_was_lost() {
    let mut world = World::quick();
    enter(&mut world, "m1");
    enter(&mut world, "m2");
    let keeps = done(beat(&mut world, "m1", 1, Some(&all_of_a()))).assignment.expect("fewer");
    done(beat(&mut world, "m1", 1, Some(&keeps)));
    // It is at epoch 2 now; the answer was lost, so it still says 1.
    assert_eq!(done(beat(&mut world, "m1", 1, Some(&keeps))).member_epoch, 2);
    assert_eq!(heartbeat_error(beat(&mut world, "m1", 1, Some(&all_of_a()))), GroupError::FencedMemberEpoch);
    assert_eq!(heartbeat_error(beat(&mut world, "m1", 1, None)), GroupError::FencedMemberEpoch);
    assert_eq!(heartbeat_error(beat(&mut world, "m1", 9, None)), GroupError::FencedMemberEpoch);
    // Whoever was fenced joins again under the same id.
    let again = enter(&mut world, "m1");
    assert_eq!((again.member_epoch, again.assignment), (2, Some(keeps)));
}

#[test]
fn leaving_frees_everything_at_once() {
    let mut world = World::quick();
    enter(&mut world, "m1");
    enter(&mut world, "m2");
    assert_eq!(done(beat(&mut world, "m1", -1, None)).member_epoch, -1);
    let all = done(beat(&mut world, "m2", 2, Some(&set(&[]))));
    assert_eq!(all.assignment, Some(all_of_a()));
    assert_eq!(heartbeat_error(beat(&mut world, "m1", -1, None)), GroupError::UnknownMemberId);
}

#[test]
fn requests_that_contradict_the_protocol_are_refused() {
    let mut world = World::quick();
    let refused = |response| matches!(heartbeat_error(response), GroupError::InvalidRequest(_));
    assert!(refused(join_with(&mut world, "m", |request| request.rebalance_timeout_ms = None)));
    assert!(refused(join_with(&mut world, "m", |request| request.owned = Some(vec![tp(1, 0)]))));
    assert!(refused(join_with(&mut world, "m", |request| request.topics = None)));
    assert!(refused(join_with(&mut world, "m", |request| request.instance = Some("".into()))));
    assert!(refused(beat(&mut world, "m", -3, None)));
    assert!(refused(beat(&mut world, "m", -2, None)));
    assert!(refused(beat(&mut world, "", 3, None)));
    assert_eq!(heartbeat_error(beat(&mut world, "m", 3, None)), GroupError::GroupIdNotFound);
    let unknown = join_with(&mut world, "m", |request| request.assignor = Some("best".into()));
    assert_eq!(heartbeat_error(unknown), GroupError::UnsupportedAssignor);
    assert_eq!(world.coordinator.group_count(), 0);
}

/// As Java's client joins with a pattern of its own, which has matched nothing yet.
#[test]
fn a_member_may_join_without_a_topic_and_name_some_later() {
    let mut world = World::quick();
    let first = done(join_with(&mut world, "m", |request| request.topics = Some(vec![])));
    assert_eq!((first.member_epoch, first.assignment), (1, Some(set(&[]))));
    let request = ConsumerHeartbeat {
        topics: Some(vec!["a".into()]),
        owned: None,
        ..consumer_heartbeat(&mut world, "g", "m", 1)
    };
    let next = done(world.ask(Request::ConsumerHeartbeat(request)));
    assert_eq!((next.member_epoch, next.assignment), (2, Some(all_of_a())));
}

#[test]
fn a_regular_expression_matches_whole_names_and_follows_new_topics() {
    let mut world = World::quick();
    let regex = |world: &mut World, pattern: &str| {
        join_with(world, "m", |request| {
            request.topics = None;
            request.regex = Some(pattern.into());
        })
    };
    for bad in ["(", "a{1000000}", &"x".repeat(5_000), "(?=a)"] {
        assert_eq!(heartbeat_error(regex(&mut world, bad)), GroupError::InvalidRegularExpression, "{bad}");
    }
    let first = done(regex(&mut world, "a|c.*"));
    assert_eq!((first.member_epoch, first.assignment.map(|all| all.len())), (1, Some(4)));
    world.change_topics(image(2, &[("a", 1, 4), ("ab", 3, 9), ("cd", 4, 2)]));
    let next = done(beat(&mut world, "m", 1, Some(&all_of_a())));
    assert_eq!((next.member_epoch, next.assignment.map(|all| all.len())), (2, Some(6)));
}

#[test]
fn topics_that_grow_or_go_change_the_assignment_at_the_next_heartbeat() {
    let mut world = World::quick();
    enter(&mut world, "m");
    world.change_topics(image(2, &[("a", 1, 4), ("b", 2, 9)]));
    assert_eq!(done(beat(&mut world, "m", 1, None)).member_epoch, 1, "it is not subscribed to that one");
    world.change_topics(image(3, &[("a", 1, 6)]));
    let grown = done(beat(&mut world, "m", 1, Some(&all_of_a())));
    assert_eq!((grown.member_epoch, grown.assignment.map(|all| all.len())), (2, Some(6)));
    world.change_topics(image(4, &[]));
    let gone = done(beat(&mut world, "m", 2, Some(&set(&[]))));
    assert_eq!((gone.member_epoch, gone.assignment), (3, Some(set(&[]))));
}

#[test]
fn a_topic_change_while_the_coordinator_was_away_is_found_after_a_kill() {
    let mut world = World::quick();
    enter(&mut world, "m");
    world.image = image(7, &[("a", 1, 5)]);
    world.crash();
    let grown = done(beat(&mut world, "m", 1, Some(&all_of_a())));
    assert_eq!((grown.member_epoch, grown.assignment.map(|all| all.len())), (2, Some(5)));
}

fn join_static(world: &mut World, member: &str, epoch: i32) -> Response {
    let request =
        ConsumerHeartbeat { instance: Some("i".into()), ..consumer_heartbeat(world, "g", member, epoch) };
    world.ask(Request::ConsumerHeartbeat(request))
}

#[test]
fn a_static_member_leaves_for_a_while_and_finds_its_partitions_again() {
    let mut world = World::quick();
    done(join_static(&mut world, "m1", 0));
    assert_eq!(heartbeat_error(join_static(&mut world, "m2", 0)), GroupError::UnreleasedInstanceId);
    assert_eq!(heartbeat_error(join_static(&mut world, "m2", 1)), GroupError::FencedInstanceId);
    assert_eq!(heartbeat_error(join_static(&mut world, "m2", -2)), GroupError::FencedInstanceId);
    assert_eq!(done(join_static(&mut world, "m1", -2)).member_epoch, -2);
    let other = enter(&mut world, "m3");
    assert_eq!(other.assignment, Some(set(&[])), "what it left stays its own");
    world.crash();
    let back = done(join_static(&mut world, "m2", 0));
    assert_eq!((back.member_epoch, back.assignment.map(|all| all.len())), (2, Some(2)));
    assert_eq!(heartbeat_error(join_static(&mut world, "m1", 1)), GroupError::FencedInstanceId);
    assert_eq!(described(&mut world).members.len(), 2);
}

#[test]
fn a_static_member_that_is_away_is_not_held_to_the_time_for_giving_up() {
    let mut world = World::quick();
    let first = ConsumerHeartbeat {
        instance: Some("i".into()),
        rebalance_timeout_ms: Some(10_000),
        ..consumer_heartbeat(&mut world, "g", "m1", 0)
    };
    done(world.ask(Request::ConsumerHeartbeat(first)));
    enter(&mut world, "m2");
    beat(&mut world, "m1", 1, Some(&all_of_a()));
    assert_eq!(member_of(&mut world, "m1").state, MemberState::UnrevokedPartitions);
    done(join_static(&mut world, "m1", -2));
    world.advance(20_000);
    assert_eq!(member_of(&mut world, "m1").member_epoch, -2);
    done(join_static(&mut world, "m3", 0));
}

#[test]
fn a_static_member_that_stays_away_is_removed() {
    let mut world = World::quick();
    done(join_static(&mut world, "m1", 0));
    done(join_static(&mut world, "m1", -2));
    world.advance(45_000);
    assert_eq!(described(&mut world).state, "Empty");
}

#[test]
fn a_full_group_takes_nobody_new() {
    let mut world =
        World::new(CoordinatorOptions { consumer_members_max: 1, ..CoordinatorOptions::default() });
    enter(&mut world, "m1");
    assert_eq!(heartbeat_error(join_with(&mut world, "m2", |_| {})), GroupError::GroupMaxSizeReached);
    enter(&mut world, "m1");
}

#[test]
fn commits_and_fetches_are_checked_against_the_member_epoch() {
    let mut world = World::quick();
    enter(&mut world, "m1");
    let commit = |world: &mut World, member: &str, epoch| world.ask(commit_check("g", member, epoch));
    assert_eq!(commit(&mut world, "m1", 1), Response::CommitCheck(Ok(Fence::MemberEpoch(1))));
    assert_eq!(commit(&mut world, "m1", 0), Response::CommitCheck(Err(GroupError::StaleMemberEpoch)));
    assert_eq!(commit(&mut world, "m2", 1), Response::CommitCheck(Err(GroupError::UnknownMemberId)));
    assert_eq!(commit(&mut world, "", -1), Response::CommitCheck(Err(GroupError::UnknownMemberId)));
    let mut fetch = |member: Option<&str>, member_epoch| {
        let member = member.map(MemberId::from);
        world.ask(Request::FetchCheck(FetchCheck { group: "g".into(), member, member_epoch }))
    };
    assert_eq!(fetch(None, -1), Response::FetchCheck(Ok(())));
    assert_eq!(fetch(Some("m1"), 1), Response::FetchCheck(Ok(())));
    assert_eq!(fetch(Some("m1"), 2), Response::FetchCheck(Err(GroupError::StaleMemberEpoch)));
    assert_eq!(fetch(Some("m2"), 2), Response::FetchCheck(Err(GroupError::UnknownMemberId)));
}

#[test]
fn after_a_kill_members_go_on_at_their_epochs_and_a_handover_is_finished() {
    let mut world = World::quick();
    enter(&mut world, "m1");
    enter(&mut world, "m2");
    let keeps = done(beat(&mut world, "m1", 1, Some(&all_of_a()))).assignment.expect("fewer");
    world.crash();
    assert_eq!(
        done(beat(&mut world, "m2", 2, Some(&set(&[])))).assignment,
        None,
        "still held by the other one"
    );
    done(beat(&mut world, "m1", 1, Some(&keeps)));
    world.crash();
    let rest = done(beat(&mut world, "m2", 2, Some(&set(&[])))).assignment.expect("the rest");
    assert!(rest.is_disjoint(&keeps));
    assert_eq!(rest.len() + keeps.len(), 4);
}

#[test]
fn an_assignor_that_the_settings_leave_out_is_refused_and_not_used_any_more() {
    let only = |assignors: &[Assignor]| CoordinatorOptions {
        initial_rebalance_delay_ms: 0,
        consumer_assignors: assignors.to_vec(),
        ..CoordinatorOptions::default()
    };
    let mut world = World::new(only(&[Assignor::Range]));
    let uniform = |request: &mut ConsumerHeartbeat| request.assignor = Some("uniform".into());
    assert_eq!(heartbeat_error(join_with(&mut world, "m1", uniform)), GroupError::UnsupportedAssignor);
    done(join_with(&mut world, "m1", |request| request.assignor = Some("range".into())));
    assert_eq!(described(&mut world).assignor, "range");
    // A start later the settings name another one, and the member is still there with the one that it named.
    world.options = only(&[Assignor::Uniform]);
    world.crash();
    assert_eq!(described(&mut world).assignor, "uniform");
}

#[test]
fn the_assignor_that_most_members_prefer_is_used() {
    let mut world = World::quick();
    let range = |request: &mut ConsumerHeartbeat| {
        request.assignor = Some("range".into());
        request.topics = Some(vec!["a".into(), "b".into()]);
    };
    done(join_with(&mut world, "m1", range));
    done(join_with(&mut world, "m2", range));
    assert_eq!(described(&mut world).assignor, "range");
    let of = |first: i32, end: i32, topic| (first..end).map(move |n| tp(topic, n));
    let target: PartitionSet = of(0, 2, 1).chain(of(0, 2, 2)).collect::<PartitionSet>();
    assert_eq!(member_of(&mut world, "m1").target, target);
    let rest: Vec<TopicPartition> = of(2, 4, 1).chain(of(2, 3, 2)).collect();
    assert_eq!(member_of(&mut world, "m2").target, set(&rest));
}
