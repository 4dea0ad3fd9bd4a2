//! The journal against the balance: a planted difference is named, a trimmed journal still proves the books, and an older
//! state without accounts opens.

use bytes::Bytes;
use tallymq_broker::Parts;
use tallymq_broker::account::recompute::{self, AccountId, Difference};
use tallymq_broker::account::{
    AccountCommand, AccountOutcome, Class, Committer, CommitterKind, Happening, Mark, ReceiptOutcome, Who,
};
use tallymq_broker::data::{DataCommand, DataGroup, DataOutcome, OpenPartition};
use tallymq_broker::group::durable::{CommitPosition, Fence};
use tallymq_broker::group::{GroupCommand, GroupId};
use tallymq_model::{LeaderEpoch, Offset, Timestamp};

use crate::account_world::World;
use crate::batches::tp;

fn busy() -> World {
    let mut world = World::new(2);
    for round in 0..30_i64 {
        world.produce(0, 10);
        world.produce(1, 10);
        world.deliver("g", 0, round * 10, round * 10 + 10);
        world.deliver("h", 1, round * 10, round * 10 + 8);
        world.commit("g", 0, round * 10 + 10);
        world.commit("h", 1, round * 10 + 9);
    }
    world.assert_balanced();
    world
}

fn id(group: &str, partition: i32) -> AccountId {
    AccountId { tp: tp(1, partition), group: group.into() }
}

fn before_end(journal: &[(Offset, tallymq_broker::account::JournalEvent)]) -> Offset {
    journal.last().expect("events").0
}

fn compare(world: &World, journal: &[(Offset, tallymq_broker::account::JournalEvent)]) -> Vec<Difference> {
    recompute::compare(journal, world.data.accounts(), |tp| world.data.ledger(tp))
}

#[test]
fn a_changed_delivery_is_named_to_the_offset() {
    let world = busy();
    let mut journal = world.journal.clone();
    let delivery = journal.iter_mut().rev().find_map(|(_, event)| match &mut event.what {
        Happening::Delivered { to, .. } if event.group == Some("h".into()) => Some(to),
        _ => None,
    });
    *delivery.unwrap() = Offset(297);
    let account = || id("h", 1);
    let expected = [
        Difference::Class { account: account(), class: Class::Processed, balance: 240, journal: 239 },
        Difference::Class { account: account(), class: Class::Skipped, balance: 59, journal: 60 },
        Difference::Mark {
            account: account(),
            offset: Offset(297),
            balance: Mark::Processed,
            journal: Mark::Skipped,
        },
    ];
    let differences = compare(&world, &journal);
    assert_eq!(differences[..2], expected[..2]);
    assert!(differences[2..].iter().all(|one| matches!(one, Difference::Mark { .. })), "{differences:?}");
}

#[test]
fn missing_events_and_accounts_are_named() {
    let world = busy();
    let mut journal = world.journal.clone();
    let gap = journal.remove(20).0;
    assert!(compare(&world, &journal).contains(&Difference::Gap { expected: gap, found: gap.plus(1) }));

    let without_opening: Vec<_> = world
        .journal
        .iter()
        .filter(|(_, event)| {
            event.group != Some("g".into()) || !matches!(event.what, Happening::Opened { .. })
        })
        .cloned()
        .collect();
    let differences = compare(&world, &without_opening);
    assert!(
        differences
            .iter()
            .any(|one| matches!(one, Difference::NotOpened { account, .. } if *account == id("g", 0)))
    );
    assert!(differences.contains(&Difference::NotInJournal { account: id("g", 0) }));

    let mut smaller = busy();
    smaller.delete_positions("g", None);
    let differences = compare(&smaller, &world.journal);
    assert_eq!(differences, [Difference::NotInBalance { account: id("g", 0) }]);
    assert!(differences[0].to_string().contains("group g in partition"));
}

#[test]
fn a_trimmed_journal_still_proves_the_books() {
    let mut world = busy();
    for _ in 0..5 {
        let (start, end) = world.data.journal_bounds();
        world.trim(Offset((start.0 + 2 * end.0) / 3));
        world.assert_balanced();
        world.commit("g", 0, 150);
        world.deliver("h", 1, 100, 110);
        world.assert_balanced();
    }
    let (start, end) = world.data.journal_bounds();
    assert!(start > Offset(100) && end.0 - start.0 < 60, "{start} to {end}");
    assert_eq!(world.journal.first().unwrap().0, start);
    let trimmed = |(_, event): &&(Offset, tallymq_broker::account::JournalEvent)| {
        matches!(event.what, Happening::Trimmed { .. })
    };
    assert!(world.journal.iter().any(|one| trimmed(&one)), "what is gone is said");
}

#[test]
fn a_statement_that_the_events_do_not_give_is_named_where_it_stands() {
    let mut world = busy();
    let trim_at = world.journal[5].0;
    let before = world.journal.clone();
    world.trim(trim_at);
    let mut journal = before;
    let last = before_end(&journal);
    journal.extend(world.journal.iter().filter(|(offset, _)| *offset > last).cloned());
    assert_eq!(compare(&world, &journal), []);
    let Happening::Committed { passed, .. } = &mut journal
        .iter_mut()
        .rev()
        .find(|(_, event)| matches!(event.what, Happening::Committed { .. }))
        .unwrap()
        .1
        .what
    else {
        panic!("just found")
    };
    *passed = Offset(298);
    let differences = compare(&world, &journal);
    assert!(matches!(differences[0], Difference::Statement { .. }), "{differences:?}");
    assert!(differences[0].to_string().contains("the statement at journal offset"));
}

#[test]
fn a_state_of_version_1_opens_without_accounts() {
    // version, applied, term, one partition with three records, no group, no position
    let mut state = Parts::new();
    state.put_u8(1);
    [7, 1, 1].into_iter().for_each(|number| state.put_u64(number));
    state.put_topic_partition(tp(1, 0));
    [0, 3, 0].into_iter().for_each(|number| state.put_i64(number));
    state.put_u64(1);
    state.put_length(1);
    [0, 0].into_iter().for_each(|number| state.put_i64(number));
    [0, 0].into_iter().for_each(|number| state.put_u64(number));
    state.put_u8(1);
    [0, 0].into_iter().for_each(|number| state.put_u64(number));
    let mut bytes = state.into_bytes();
    let old = DataGroup::decode(&mut bytes).unwrap();
    assert!(bytes.is_empty() && old.accounts().is_empty() && old.accounts().is_on());
    let ledger = old.ledger(tp(1, 0)).unwrap();
    assert_eq!((ledger.log_end, ledger.appended), (Offset(3), 3));
    assert_eq!(old.journal_bounds(), (Offset(0), Offset(0)));
}

#[test]
fn a_commit_of_version_1_comes_back_with_nobody_behind_it() {
    let position = CommitPosition {
        partition: tp(1, 0),
        offset: Offset(4),
        leader_epoch: LeaderEpoch(-1),
        metadata: "".into(),
        committed_at: Timestamp(5),
    };
    let by = Committer { kind: CommitterKind::Member, who: Who::new("", "", "") };
    let (group, positions) = ("g".into(), vec![position]);
    let command = GroupCommand::CommitPositions { group, fence: Fence::None, positions, by };
    let mut parts = Parts::new();
    command.encode(&mut parts);
    let mut old = parts.into_bytes().to_vec();
    old[0] = 1;
    old.truncate(old.len() - 4);
    let mut bytes = Bytes::from(old);
    let GroupCommand::CommitPositions { by, positions, .. } = GroupCommand::decode(&mut bytes).unwrap()
    else {
        panic!("a commit")
    };
    assert!(bytes.is_empty());
    assert_eq!((by, positions[0].offset), (Committer::default(), Offset(4)));
}

#[test]
fn a_receipt_that_only_one_book_has_is_named_and_one_said_twice_is_written_once() {
    let mut world = busy();
    let events = world.journal.len();
    for _ in 0..3 {
        world.receipt("g", 0, (0, 300), ReceiptOutcome::Handled);
        world.receipt("h", 1, (240, 250), ReceiptOutcome::DeadLettered);
    }
    assert_eq!(
        world.journal.len(),
        events + 3,
        "two receipts, and what one of them settled; nothing is new in the others"
    );
    world.receipt("g", 0, (290, 310), ReceiptOutcome::Handled);
    assert_eq!(world.journal.len(), events + 3, "there is no record behind the log's end");
    world.assert_balanced();
    let is_receipt = |event: &Happening| matches!(event, Happening::Receipt { .. });
    let mut journal = world.journal.clone();
    let receipt = journal.iter_mut().find(|(_, event)| is_receipt(&event.what)).unwrap();
    let Happening::Receipt { from, .. } = &mut receipt.1.what else { panic!() };
    *from = Offset(1);
    let account = id("g", 0);
    assert_eq!(compare(&world, &journal), [Difference::Handled { account, balance: 300, journal: 299 }]);
}

#[test]
fn accounts_that_were_stated_in_steps_need_no_more_of_a_trim() {
    let mut world = busy();
    let to = world.journal.last().unwrap().0;
    let which = |group: &str, partition| (tp(1, partition), GroupId::from(group));
    let steps = [vec![which("g", 0), which("nobody", 0)], vec![which("h", 1)]];
    for (accounts, expected) in steps.into_iter().zip([1, 1]) {
        let at = world.now();
        let outcome = world.account(AccountCommand::StateAccounts { accounts, at });
        assert_eq!(outcome, AccountOutcome::Noted { accounts: expected });
    }
    world.assert_balanced();
    let stated_by = world.data.journal_bounds().1;
    world.trim(to);
    world.assert_balanced();
    assert_eq!(world.data.journal_bounds(), (to, stated_by.plus(1)), "only the trim itself is said");
}

#[test]
fn reads_in_doubt_are_no_loss_and_what_is_behind_them_is() {
    let mut world = World::new(2);
    world.produce(0, 10);
    world.produce(1, 10);
    world.commit("g", 0, 0);
    world.commit("g", 1, 0);
    let at = world.now();
    let below = vec![(tp(1, 0), Offset(6)), (tp(1, 7), Offset(6))];
    world.account(AccountCommand::ReadsInDoubt { below, at });
    world.account(AccountCommand::MarksComplete { at });
    world.account(AccountCommand::MarksMayBeMissing { at });
    let smaller = vec![(tp(1, 0), Offset(2))];
    world.account(AccountCommand::ReadsInDoubt { below: smaller, at });
    world.commit("g", 0, 10);
    world.commit("g", 1, 10);
    world.assert_balanced();
    let classes = |partition| {
        let account = world.data.accounts().account(tp(1, partition), &"g".into()).unwrap();
        let counts = account.classes(world.data.ledger(tp(1, partition)).unwrap());
        (counts.of(Class::Unwitnessed), counts.of(Class::Skipped))
    };
    assert_eq!((classes(0), classes(1)), ((6, 4), (0, 10)));
}

#[test]
fn added_partitions_are_accounted_for_by_groups_that_have_their_accounts_elsewhere() {
    let mut world = World::new(1);
    world.produce(0, 3);
    world.commit("g", 0, 1);
    let open = |number| OpenPartition { tp: tp(1, number), leader_epoch: LeaderEpoch(0) };
    let (partitions, at) = (vec![open(0), open(1)], world.now());
    let groups = vec![GroupId::from("elsewhere"), "g".into()];
    let outcome = world.apply(DataCommand::AddPartitions { partitions, groups, at });
    assert_eq!(outcome, DataOutcome::Opened(vec![tp(1, 1)]));
    world.produce(1, 5);
    let pending = |group: &str, partition| {
        let account = world.data.accounts().account(tp(1, partition), &group.into())?;
        Some(account.classes(world.data.ledger(tp(1, partition)).unwrap()).of(Class::Pending))
    };
    assert_eq!((pending("g", 1), pending("elsewhere", 1), pending("elsewhere", 0)), (Some(5), Some(5), None));
    world.assert_balanced();
}
