//! Losses and healthy days as people live them: each record ends in the class that it belongs to, by offset, with its alarm.

use tallymq_broker::account::{
    AccountCommand, AccountOutcome, AlarmCause, Class, CloseReason, Committer, Happening, Mark, OpenFrom,
    ReceiptOutcome, Witness,
};
use tallymq_broker::data::{DataCommand, OpenPartition};
use tallymq_broker::group::GroupCommand;
use tallymq_broker::group::durable::Fence;
use tallymq_model::{LeaderEpoch, Offset};

use crate::account_world::{World, who};
use crate::batches::tp;

/// Ten records, of which group `g` has read and committed four.
fn four_of_ten() -> World {
    let mut world = World::new(1);
    world.produce(0, 10);
    world.deliver("g", 0, 0, 4);
    world.commit("g", 0, 4);
    assert_eq!(world.classes("g"), [("pending", 6), ("processed", 4)]);
    world
}

fn finish(world: &World) {
    world.assert_balanced();
}

#[test]
fn a_healthy_day_is_all_processed_and_raises_nothing() {
    let mut world = World::new(1);
    for round in 0..100 {
        world.produce(0, 10);
        world.deliver("g", 0, round * 10, round * 10 + 10);
        assert_eq!(world.view("g", 0).classes.of(Class::InFlight), 10);
        world.commit("g", 0, round * 10 + 10);
    }
    assert_eq!(world.classes("g"), [("processed", 1000)]);
    let view = world.view("g", 0);
    assert_eq!((view.settled_to, view.position), (Offset(1000), Some(Offset(1000))));
    assert!(world.alarms().is_empty() && view.exceptional.is_empty());
    finish(&world);
}

#[test]
fn a_seek_to_the_end_and_a_commit_is_skipped_with_name_and_offsets() {
    let mut world = four_of_ten();
    world.commit("g", 0, 10);
    assert_eq!(world.classes("g"), [("processed", 4), ("skipped", 6)]);
    assert_eq!(world.exceptional("g"), [(4, 10, Class::Skipped)]);
    let alarms = world.alarms();
    assert_eq!(alarms.len(), 1);
    let alarm = alarms[0];
    assert_eq!((alarm.tp, alarm.group.as_str(), alarm.class), (tp(1, 0), "g", Class::Skipped));
    assert_eq!((alarm.from, alarm.to, alarm.records), (Offset(4), Offset(10), 6));
    assert_eq!(alarm.cause, AlarmCause::Commit { to: Offset(10) });
    assert_eq!(
        (alarm.who.member(), alarm.who.client_id(), alarm.who.address()),
        ("member-1", "client-1", "10.0.0.7")
    );
    assert!(alarm.at.0 > 1_000 && !alarm.in_crash_window);
    finish(&world);
}

#[test]
fn a_commit_past_some_unread_records_names_only_those() {
    let mut world = four_of_ten();
    world.deliver("g", 0, 6, 8);
    world.commit("g", 0, 10);
    assert_eq!(world.exceptional("g"), [(4, 6, Class::Skipped), (8, 10, Class::Skipped)]);
    assert_eq!(world.classes("g"), [("processed", 6), ("skipped", 4)]);
    finish(&world);
}

#[test]
fn deliveries_out_of_order_close_their_gaps() {
    let mut world = World::new(1);
    world.produce(0, 10);
    world.deliver("g", 0, 0, 2);
    for (from, to) in [(8, 10), (4, 6), (2, 4), (5, 9)] {
        world.deliver("g", 0, from, to);
    }
    assert_eq!(world.classes("g"), [("in flight", 10)]);
    world.commit("g", 0, 10);
    assert_eq!(world.classes("g"), [("processed", 10)]);
    finish(&world);
}

#[test]
fn a_reset_while_the_group_sleeps_is_skipped_by_the_tool() {
    let mut world = four_of_ten();
    world.reset("g", 0, 10);
    assert_eq!(world.exceptional("g"), [(4, 10, Class::Skipped)]);
    assert_eq!(world.alarms()[0].who.member(), "");
    finish(&world);
}

#[test]
fn retention_before_reading_is_expired_unread() {
    let mut world = four_of_ten();
    world.deliver("g", 0, 4, 5);
    world.expire(0, 8);
    assert_eq!(
        world.classes("g"),
        [("pending", 2), ("in flight", 1), ("processed", 4), ("expired unread", 3)]
    );
    assert_eq!(world.exceptional("g"), [(5, 8, Class::ExpiredUnread)]);
    assert_eq!(world.alarms()[0].cause, AlarmCause::RetentionTime);
    world.commit("g", 0, 10);
    assert_eq!(
        world.classes("g"),
        [("processed", 5), ("expired unread", 3), ("skipped", 2)],
        "the member had 4"
    );
    finish(&world);
}

#[test]
fn deleted_records_are_purged_and_no_alarm() {
    let mut world = four_of_ten();
    world.purge(0, 8);
    assert_eq!(world.classes("g"), [("pending", 2), ("processed", 4), ("purged", 4)]);
    assert!(world.alarms().is_empty());
    let by = world.journal.iter().find_map(|(_, event)| match &event.what {
        Happening::LogStart { why, .. } => Some(format!("{why:?}")),
        _ => None,
    });
    assert!(by.unwrap().contains("User:somebody"));
    finish(&world);
}

#[test]
fn a_deleted_topic_purges_the_rest_and_leaves_a_last_statement() {
    let mut world = four_of_ten();
    world.deliver("g", 0, 4, 6);
    world.apply(DataCommand::ClosePartitions { partitions: vec![tp(1, 0)] });
    assert!(world.data.accounts().is_empty());
    let (_, last) = world.journal.last().unwrap();
    let Happening::Closed { why: CloseReason::TopicDeleted, statement } = &last.what else {
        panic!("{last:?}")
    };
    let ledger = tallymq_broker::account::Ledger { log_start: Offset(0), log_end: Offset(10), appended: 10 };
    let view = statement.view(ledger);
    let count = |class| view.classes.of(class);
    assert_eq!((count(Class::Processed), count(Class::InFlight), count(Class::Purged)), (4, 2, 4));
    assert_eq!(view.imbalances, []);
    finish(&world);
}

#[test]
fn a_crash_between_delivery_and_commit_is_unwitnessed_and_not_skipped() {
    let mut world = four_of_ten();
    // 4 to 8 were delivered, and their marks died with the leader.
    world.crash();
    world.produce(0, 5);
    world.commit("g", 0, 8);
    assert_eq!(world.classes("g"), [("pending", 7), ("processed", 4), ("unwitnessed", 4)]);
    assert!(world.alarms().is_empty());
    assert_eq!(world.view("g", 0).window.unwrap().below, Offset(10));
    // The window ends where the log ended: beyond, nothing can be missing.
    world.commit("g", 0, 15);
    assert_eq!(world.exceptional("g"), [(4, 10, Class::Unwitnessed), (10, 15, Class::Skipped)]);
    finish(&world);
}

#[test]
fn what_is_delivered_again_after_a_crash_is_processed() {
    let mut world = four_of_ten();
    world.crash();
    world.deliver("g", 0, 4, 10);
    world.commit("g", 0, 10);
    assert_eq!(world.classes("g"), [("processed", 10)]);
    finish(&world);
}

#[test]
fn a_clean_stop_leaves_no_window_and_holds_for_one_start() {
    let mut world = four_of_ten();
    world.stop();
    world.crash();
    assert_eq!(world.view("g", 0).window, None);
    world.crash();
    assert_eq!(
        world.view("g", 0).window.unwrap().below,
        Offset(10),
        "the second time there was no clean stop"
    );
    let mut world = four_of_ten();
    world.stop();
    world.deliver("g", 0, 4, 5);
    world.crash();
    assert!(world.view("g", 0).window.is_some(), "deliveries came after the last word");
    finish(&world);
}

#[test]
fn retention_in_a_crash_window_is_a_loss_that_says_so() {
    let mut world = four_of_ten();
    world.crash();
    world.expire(0, 8);
    assert_eq!(world.exceptional("g"), [(4, 8, Class::ExpiredUnread)]);
    assert!(world.alarms()[0].in_crash_window);
    finish(&world);
}

#[test]
fn groups_that_cannot_be_told_apart_are_unwitnessed() {
    let mut world = World::new(1);
    world.produce(0, 10);
    for group in ["a", "b"] {
        world.deliver_witnessed(group, 0, (0, 10), Witness::Possible);
    }
    assert_eq!(world.classes("a"), [("in flight", 10)]);
    assert_eq!(world.view("b", 0).possible, 10);
    world.commit("a", 0, 10);
    assert_eq!(world.classes("a"), [("unwitnessed", 10)]);
    world.expire(0, 4);
    assert_eq!(world.exceptional("b"), [(0, 4, Class::Unwitnessed)], "nobody knows whether b had them");
    assert!(world.alarms().is_empty());
    finish(&world);
}

#[test]
fn possible_becomes_certain_by_a_delivery_that_is() {
    let mut world = World::new(1);
    world.produce(0, 10);
    world.deliver_witnessed("g", 0, (0, 10), Witness::Possible);
    world.deliver("g", 0, 0, 7);
    world.commit("g", 0, 10);
    assert_eq!(world.classes("g"), [("processed", 7), ("unwitnessed", 3)]);
    finish(&world);
}

#[test]
fn going_back_moves_nothing_and_counts_redeliveries() {
    let mut world = four_of_ten();
    world.commit("g", 0, 2);
    assert_eq!(world.classes("g"), [("pending", 6), ("processed", 4)]);
    assert_eq!(world.view("g", 0).position, Some(Offset(2)));
    world.deliver("g", 0, 2, 6);
    assert_eq!(world.view("g", 0).tallies.redelivered, 2);
    world.commit("g", 0, 6);
    assert_eq!(world.classes("g"), [("pending", 4), ("processed", 6)]);
    assert!(world.alarms().is_empty());
    finish(&world);
}

#[test]
fn skipped_and_then_read_is_a_loss_made_good() {
    let mut world = four_of_ten();
    world.commit("g", 0, 10);
    world.reset("g", 0, 4);
    world.deliver("g", 0, 4, 8);
    assert_eq!(world.classes("g"), [("processed", 4), ("skipped", 6)], "not before it is acknowledged");
    world.commit("g", 0, 8);
    assert_eq!(world.classes("g"), [("processed", 8), ("skipped", 2)]);
    assert_eq!(world.view("g", 0).tallies.recovered, 4);
    assert_eq!(world.alarms().len(), 1, "the alarm stays until a person has seen it");
    finish(&world);
}

#[test]
fn unreadable_records_are_lost_unless_they_were_read_before() {
    let mut world = four_of_ten();
    world.deliver("g", 0, 4, 5);
    world.lose(0, 3, 7);
    assert_eq!(world.exceptional("g"), [(5, 7, Class::Lost)]);
    assert_eq!(world.alarms()[0].cause, AlarmCause::Unreadable { why: "bad checksum".into() });
    finish(&world);
}

#[test]
fn a_late_commit_of_a_fenced_member_is_refused_and_counted() {
    let mut world = World::new(1);
    world.produce(0, 10);
    world.deliver("g", 0, 0, 4);
    world.commit_at_generation("g", 0, 4, 7);
    world.commit_at_generation("g", 0, 10, 6);
    let view = world.view("g", 0);
    assert_eq!((view.position, view.tallies.refused), (Some(Offset(4)), 1));
    assert_eq!(world.classes("g"), [("pending", 6), ("processed", 4)]);
    // One that the coordinator refused never was a commit command.
    let by = Committer { who: who("member-2"), kind: tallymq_broker::account::CommitterKind::Member };
    let (positions, at) = (vec![(tp(1, 0), Offset(10))], world.now());
    world.account(AccountCommand::Refused { group: "g".into(), positions, by, at });
    assert_eq!(world.view("g", 0).tallies.refused, 2);
    finish(&world);
}

#[test]
fn control_records_are_withdrawn_and_never_skipped() {
    let mut world = World::new(1);
    world.produce(0, 4);
    world.deliver("g", 0, 0, 4);
    world.produce_control(0);
    world.produce(0, 2);
    world.commit("g", 0, 5);
    assert_eq!(world.classes("g"), [("pending", 2), ("processed", 4), ("withdrawn", 1)]);
    assert!(world.alarms().is_empty());
    finish(&world);
}

#[test]
fn a_dead_letter_is_no_loss_and_a_receipt_counts_beside_the_equation() {
    let mut world = four_of_ten();
    world.deliver("g", 0, 4, 10);
    world.receipt("g", 0, (0, 8), ReceiptOutcome::Handled);
    world.receipt("g", 0, (6, 8), ReceiptOutcome::Handled);
    world.receipt("g", 0, (8, 9), ReceiptOutcome::DeadLettered);
    world.commit("g", 0, 10);
    assert_eq!(world.classes("g"), [("processed", 9), ("dead-lettered", 1)]);
    assert_eq!(world.view("g", 0).handled, 8);
    finish(&world);
}

#[test]
fn an_account_opens_at_the_first_position_that_the_group_takes() {
    let mut world = World::new(1);
    world.produce(0, 10);
    // It starts at the end, and gets nothing yet.
    world.deliver("latest", 0, 10, 10);
    world.commit("first-commit", 0, 7);
    world.produce(0, 2);
    assert_eq!((world.view("latest", 0).opened_at, world.view("latest", 0).stored), (Offset(10), 2));
    assert_eq!(
        (world.view("first-commit", 0).opened_at, world.view("first-commit", 0).stored),
        (Offset(7), 5)
    );
    world.commit("latest", 0, 12);
    assert_eq!(world.exceptional("latest"), [(10, 12, Class::Skipped)]);
    finish(&world);
}

#[test]
fn an_account_that_is_asked_for_knows_nothing_of_what_was_passed_before() {
    let mut world = World::new(2);
    world.produce(0, 10);
    world.produce(1, 10);
    world.purge(0, 2);
    world.commit_by("g", 0, 6, Fence::None, Committer::default());
    assert!(!world.has_account("g", 0), "a commit from before accounts opens none");
    assert_eq!(world.open("g", &[0, 1], OpenFrom::Earliest), AccountOutcome::Opened { accounts: 2 });
    assert_eq!(world.open("g", &[0, 1], OpenFrom::Earliest), AccountOutcome::Opened { accounts: 0 });
    assert_eq!(world.view("g", 0).opened_at, Offset(2));
    assert_eq!(world.classes("g"), [("pending", 4), ("unwitnessed", 4)]);
    assert_eq!(world.view("g", 1).classes.of(Class::Pending), 10);
    finish(&world);
}

#[test]
fn partitions_added_later_are_accounted_for_from_the_beginning() {
    let mut world = four_of_ten();
    let open = OpenPartition { tp: tp(1, 1), leader_epoch: LeaderEpoch(0) };
    world.apply(DataCommand::OpenPartitions { partitions: vec![open] });
    world.produce(1, 3);
    assert_eq!(world.view("g", 1).opened_at, Offset(0));
    world.commit("g", 1, 3);
    assert_eq!(world.view("g", 1).classes.of(Class::Skipped), 3);
    finish(&world);
}

#[test]
fn accounts_end_with_their_group_and_with_their_positions() {
    let mut world = four_of_ten();
    world.deliver("other", 0, 0, 2);
    world.delete_positions("g", Some(vec![tp(1, 0)]));
    assert!(!world.has_account("g", 0) && world.has_account("other", 0));
    let Happening::Closed { why, .. } = &world.journal.last().unwrap().1.what else { panic!() };
    assert_eq!(*why, CloseReason::PositionDeleted);
    world.apply(DataCommand::Group(GroupCommand::Created { group: "other".into() }));
    world.apply(DataCommand::Group(GroupCommand::Deleted { group: "other".into() }));
    assert!(world.data.accounts().is_empty());
    finish(&world);
}

#[test]
fn a_position_beyond_the_log_end_skips_what_it_passed_with_the_next_commit() {
    let mut world = four_of_ten();
    world.commit("g", 0, 20);
    assert_eq!(world.exceptional("g"), [(4, 10, Class::Skipped)]);
    world.produce(0, 15);
    assert_eq!(world.view("g", 0).classes.of(Class::Pending), 15);
    world.deliver("g", 0, 20, 25);
    world.commit("g", 0, 25);
    assert_eq!(world.exceptional("g"), [(4, 20, Class::Skipped)]);
    finish(&world);
}

#[test]
fn alarms_stay_over_the_end_of_the_group_until_somebody_acknowledges_them() {
    let mut world = four_of_ten();
    world.commit("g", 0, 10);
    world.delete_positions("g", None);
    world.restart();
    let id = world.alarms()[0].id;
    let at = world.now();
    let acknowledge = |ids| AccountCommand::AcknowledgeAlarms { ids, by: who("person"), at };
    assert_eq!(world.account(acknowledge(Some(vec![id + 1]))), AccountOutcome::Acknowledged { alarms: 0 });
    assert_eq!(world.account(acknowledge(Some(vec![id]))), AccountOutcome::Acknowledged { alarms: 1 });
    assert!(world.alarms().is_empty());
    finish(&world);
}

#[test]
fn switched_off_accounts_end_and_open_anew_without_a_false_alarm() {
    let mut world = four_of_ten();
    let at = world.now();
    world.account(AccountCommand::Switch { on: false, at });
    assert!(world.data.accounts().is_empty());
    world.deliver("g", 0, 4, 5);
    world.commit("g", 0, 8);
    assert!(world.data.accounts().is_empty() && !world.data.accounts().is_on());
    world.restart();
    world.account(AccountCommand::Switch { on: true, at });
    world.deliver("g", 0, 8, 10);
    world.commit("g", 0, 10);
    assert_eq!(world.classes("g"), [("processed", 2)]);
    assert!(world.alarms().is_empty());
    finish(&world);
}

#[test]
fn a_commit_that_changes_nothing_is_not_in_the_journal() {
    let mut world = four_of_ten();
    let events = world.journal.len();
    (0..10).for_each(|_| world.commit("g", 0, 4));
    assert_eq!(world.journal.len(), events);
    world.commit("g", 0, 3);
    assert_eq!(world.journal.len(), events + 1);
    finish(&world);
}

#[test]
fn hostile_numbers_move_nothing_that_is_not_there() {
    let mut world = four_of_ten();
    world.deliver("g", 0, -5, 3);
    world.deliver("g", 0, 9, 2);
    world.deliver("g", 0, 8, i64::MAX);
    world.commit("g", 0, -7);
    world.lose(0, i64::MIN, i64::MAX);
    world.receipt("g", 0, (i64::MIN, i64::MAX), ReceiptOutcome::DeadLettered);
    world.receipt("g", 0, (0, i64::MAX), ReceiptOutcome::Handled);
    world.open("late", &[0], OpenFrom::Offset(Offset(i64::MAX)));
    world.open("early", &[0], OpenFrom::Offset(Offset(i64::MIN)));
    assert_eq!(world.view("late", 0).opened_at, Offset(10));
    assert_eq!(world.view("early", 0).opened_at, Offset(0));
    assert_eq!(world.classes("g"), [("pending", 4), ("in flight", 2), ("processed", 4)]);
    assert!(world.view("g", 0).exceptional.iter().all(|interval| interval.mark != Mark::Lost));
    finish(&world);
}
