//! Bounds of the accounts: what there is no room for is merged, counted and said; the equation comes out all the same.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tallymq_broker::account::{Class, Mark, RUNS_MAX, ReceiptOutcome, Witness};
use tallymq_model::Offset;

use crate::account_world::World;
use crate::batches::tp;

fn runs(world: &World) -> usize {
    let ledger = world.data.ledger(tp(1, 0)).unwrap();
    world.data.accounts().account(tp(1, 0), &"g".into()).unwrap().intervals(ledger).count()
}

#[test]
fn interleaved_deliveries_become_possible_and_never_processed() {
    let mut world = World::new(1);
    world.produce(0, 10_000);
    world.deliver("g", 0, 0, 0);
    (0..5_000).for_each(|at| world.deliver("g", 0, at * 2, at * 2 + 1));
    assert!(runs(&world) <= RUNS_MAX + 1, "{} runs", runs(&world));
    let view = world.view("g", 0);
    assert!(view.tallies.merged_records > 5_000 && view.possible > 5_000);
    world.commit("g", 0, 10_000);
    let view = world.view("g", 0);
    let truly_delivered = 5_000;
    assert!(view.classes.of(Class::Processed) <= truly_delivered);
    assert!(view.classes.of(Class::Skipped) <= truly_delivered);
    assert!(view.classes.of(Class::Unwitnessed) > 5_000);
    world.assert_balanced();
    world.restart();
}

#[test]
fn old_losses_become_counts_and_none_is_forgotten() {
    let mut world = World::new(1);
    world.produce(0, 10_000);
    world.deliver("g", 0, 0, 0);
    for at in 0..2_500 {
        world.deliver("g", 0, at * 4, at * 4 + 3);
        world.commit("g", 0, at * 4 + 4);
    }
    assert!(runs(&world) <= RUNS_MAX + 1);
    let view = world.view("g", 0);
    assert_eq!(view.classes.of(Class::Skipped), 2_500);
    assert_eq!(view.classes.of(Class::Processed), 7_500);
    let listed: i64 = view.exceptional.iter().map(|interval| interval.to.0 - interval.from.0).sum();
    assert!(listed > 400 && view.settled_to > Offset(7_000));
    assert_eq!(view.tallies.runs_folded + listed as u64, 2_500);
    assert_eq!(view.tallies.merged_records, 0, "nothing but offsets was given up");
    assert_eq!(world.alarms().iter().map(|alarm| alarm.records).sum::<u64>(), 2_500);
    world.assert_balanced();
    world.restart();
}

#[test]
fn losses_between_open_runs_stay_losses() {
    let mut world = World::new(1);
    world.produce(0, 10_000);
    // Possible, lost, possible, lost: nothing can be folded from the front.
    world.deliver("g", 0, 0, 10_000);
    world.deliver("h", 0, 0, 0);
    for at in 0..3_000 {
        world.deliver_witnessed("h", 0, (at * 3, at * 3 + 1), Witness::Exact);
        world.lose(0, at * 3 + 1, at * 3 + 3);
    }
    let view = world.view("h", 0);
    assert_eq!(view.classes.of(Class::Lost), 6_000);
    assert_eq!(view.imbalances, []);
    assert_eq!(view.tallies.merged_records, view.classes.of(Class::Unwitnessed));
    assert!(view.exceptional.len() <= RUNS_MAX);
    world.commit("h", 0, 10_000);
    let view = world.view("h", 0);
    assert_eq!(view.classes.of(Class::Lost), 6_000);
    assert_eq!(view.classes.of(Class::Processed) + view.classes.of(Class::Unwitnessed), 3_000);
    assert_eq!(view.classes.of(Class::Skipped), 1_000);
    assert_eq!(world.view("g", 0).classes.of(Class::InFlight), 10_000, "what was delivered is not lost");
    world.assert_balanced();
    world.restart();
}

#[derive(Clone, Debug)]
enum Scattered {
    Deliver(i64, i64, Witness),
    Lose(i64),
    DeadLetter(i64),
    Commit(i64),
    Expire(i64),
}

fn scattered() -> impl Strategy<Value = Scattered> {
    let at = || 0..8_000_i64;
    prop_oneof![
        3_000 => (at(), 1..3_i64).prop_map(|(from, length)| Scattered::Deliver(from, length, Witness::Exact)),
        300 => (at(), 1..4_i64).prop_map(|(from, length)| Scattered::Deliver(from, length, Witness::Possible)),
        300 => at().prop_map(Scattered::Lose),
        300 => at().prop_map(Scattered::DeadLetter),
        6 => at().prop_map(Scattered::Commit),
        3 => (0..4_000_i64).prop_map(Scattered::Expire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_merged_nothing_is_processed_that_was_not_delivered(
        steps in prop::collection::vec(scattered(), 3_000..5_000),
    ) {
        let mut world = World::new(1);
        world.produce(0, 8_000);
        world.deliver("g", 0, 0, 0);
        let mut delivered = BTreeSet::new();
        for step in steps {
            match step {
                Scattered::Deliver(from, length, witness) => {
                    world.deliver_witnessed("g", 0, (from, from + length), witness);
                    if witness == Witness::Exact {
                        delivered.extend(from..(from + length).min(8_000));
                    }
                }
                Scattered::Lose(at) => world.lose(0, at, at + 1),
                Scattered::DeadLetter(at) => world.receipt("g", 0, (at, at + 1), ReceiptOutcome::DeadLettered),
                Scattered::Commit(to) => world.commit("g", 0, to),
                Scattered::Expire(to) => world.expire(0, to),
            }
            prop_assert!(runs(&world) <= RUNS_MAX + 1);
        }
        let view = world.view("g", 0);
        prop_assert!(view.tallies.merged_records + view.tallies.runs_folded > 0, "the bound was met");
        prop_assert!(view.classes.of(Class::Processed) <= delivered.len() as u64);
        world.assert_balanced();
        world.restart();
        world.commit("g", 0, 8_000);
        let view = world.view("g", 0);
        prop_assert!(view.classes.of(Class::Processed) <= delivered.len() as u64);
        let alarmed: u64 = world.alarms().iter().map(|alarm| alarm.records).sum();
        let losses: u64 = Class::ALL.iter().filter(|class| class.is_loss()).map(|class| view.classes.of(*class)).sum();
        prop_assert!(losses <= alarmed && alarmed <= losses + view.tallies.recovered);
        world.assert_balanced();
    }
}

#[test]
fn a_thousand_groups_on_a_hundred_partitions_are_small() {
    let mut world = World::new(100);
    for partition in 0..100 {
        world.produce(partition, 20);
    }
    let before = world.encoded().len();
    for group in 0..1_000 {
        for partition in 0..100 {
            world.deliver(&format!("group-{group}"), partition, 0, 10);
            world.commit(&format!("group-{group}"), partition, 5);
        }
    }
    assert_eq!(world.data.accounts().len(), 100_000);
    let each = (world.encoded().len() - before) / 100_000;
    // Name and position of the group are a part of it.
    assert!(each < 100, "{each} bytes per account and position");
    world.restart();
    let ledger = world.data.ledger(tp(1, 7)).unwrap();
    for (_, account) in world.data.accounts().of_partition(tp(1, 7)) {
        let marks: Vec<Mark> = account.intervals(ledger).map(|interval| interval.mark).collect();
        assert_eq!(marks, [Mark::InFlight, Mark::Pending]);
    }
}

#[test]
fn scattered_receipts_are_forgotten_by_one_rule_in_balance_and_journal() {
    let mut world = World::new(1);
    world.produce(0, 3_000);
    world.deliver("g", 0, 0, 3_000);
    // From above, so that what is forgotten is asked for again below it.
    for at in (0..1_000).rev() {
        world.receipt("g", 0, (at * 3, at * 3 + 1), ReceiptOutcome::Handled);
    }
    let handled = world.view("g", 0).handled;
    assert!((256..1_000).contains(&handled), "a lower bound: {handled}");
    world.assert_balanced();
    world.restart();
    let (_, end) = world.data.journal_bounds();
    world.trim(end);
    world.receipt("g", 0, (0, 3_000), ReceiptOutcome::Handled);
    world.assert_balanced();
    assert!(world.view("g", 0).handled > handled && world.view("g", 0).handled <= 3_000);
}
