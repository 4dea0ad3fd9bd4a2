//! A data group: offsets, epochs, log start, and that a checkpoint loses nothing.

use bytes::Bytes;
use proptest::prelude::*;
use tallymq_broker::data::{
    Batches, DataCommand, DataGroup, DataOutcome, EpochEnd, LogStartMoved, LogStartReason, MoveLogStart,
    MoveLogStartError, OpenPartition, Produce, ProduceRefusal, Produced, TurnedAway,
};
use tallymq_broker::group::durable::{CommitPosition, Fence};
use tallymq_broker::group::{GroupCommand, GroupOutcome};
use tallymq_broker::{ApplyContext, Parts};
use tallymq_model::{LeaderEpoch, LogIndex, Offset, Term, Timestamp};

use crate::batches::{Draft, NOW, tp};

fn open(partition: i32, epoch: i32) -> DataCommand {
    let leader_epoch = LeaderEpoch(epoch);
    DataCommand::OpenPartitions { partitions: vec![OpenPartition { tp: tp(1, partition), leader_epoch }] }
}

fn produce(partition: i32, draft: &Draft) -> DataCommand {
    DataCommand::Produce(Produce {
        tp: tp(1, partition),
        header: draft.header(),
        batch: draft.build(),
        now: NOW,
    })
}

fn move_start(partition: i32, to: i64) -> DataCommand {
    let why = LogStartReason::DeleteRecords { by: "User:somebody".to_owned() };
    DataCommand::MoveLogStart(MoveLogStart { tp: tp(1, partition), to: Offset(to), why, now: NOW })
}

fn commit(group: &str, partitions: &[i32], offset: i64) -> DataCommand {
    let position = |&partition: &i32| CommitPosition {
        partition: tp(1, partition),
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(-1),
        metadata: "words".into(),
        committed_at: NOW,
    };
    let positions = partitions.iter().map(position).collect();
    DataCommand::Group(GroupCommand::CommitPositions {
        group: group.into(),
        fence: Fence::None,
        positions,
        by: Default::default(),
    })
}

fn at(index: u64, term: u64) -> ApplyContext {
    ApplyContext { index: LogIndex(index), term: Term(term) }
}

fn records(count: i32) -> Draft {
    Draft { records: count, ..Draft::default() }
}

fn commands() -> impl Strategy<Value = DataCommand> {
    let batches = (0..4, 0..3_i64, 0..3_i16, prop_oneof![Just(0), 0..8], 1..4).prop_map(
        |(partition, id, epoch, sequence, count)| {
            produce(partition, &Draft::of_producer(id, epoch, sequence, count))
        },
    );
    prop_oneof![
        1 => (0..4, 0..9).prop_map(|(partition, epoch)| open(partition, epoch)),
        1 => (0..4).prop_map(|partition| DataCommand::ClosePartitions { partitions: vec![tp(1, partition)] }),
        8 => batches,
        3 => (0..4, 1..5).prop_map(|(partition, count)| produce(partition, &records(count))),
        2 => (0..4, 0..20_i64).prop_map(|(partition, to)| move_start(partition, to)),
        2 => ("[a-c]", prop::collection::vec(0..4, 0..3), 0..20_i64)
            .prop_map(|(group, partitions, offset)| commit(&group, &partitions, offset)),
        1 => "[a-c]".prop_map(|group| DataCommand::Group(GroupCommand::Created { group: group.as_str().into() })),
        1 => (0..2_i64).prop_map(|ms| DataCommand::ExpireProducers { idle_before: Timestamp(NOW.0 + ms) }),
    ]
}

fn encoded(group: &DataGroup) -> Bytes {
    let mut parts = Parts::new();
    group.encode(&mut parts);
    parts.into_bytes()
}

proptest! {
    #[test]
    fn a_restored_group_goes_on_as_if_nothing_had_happened(
        before in prop::collection::vec(commands(), 0..60),
        after in prop::collection::vec(commands(), 0..60),
    ) {
        let mut group = DataGroup::new();
        group.apply(at(1, 1), &open(0, 0));
        for (index, command) in before.iter().enumerate() {
            group.apply(at(index as u64 + 2, 1 + index as u64 / 20), command);
        }
        let state = encoded(&group);
        let mut rest = state.clone();
        let mut restored = DataGroup::decode(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&restored, &group);
        prop_assert_eq!(encoded(&restored), state, "the same state gives the same bytes");
        for (index, command) in after.iter().enumerate() {
            let context = at(100 + index as u64, 9);
            prop_assert_eq!(restored.apply(context, command), group.apply(context, command));
        }
        prop_assert_eq!(restored, group);
    }

    #[test]
    fn commands_come_back_from_their_bytes(list in prop::collection::vec(commands(), 1..6)) {
        let mut parts = Parts::new();
        for command in &list {
            let before = parts.len();
            command.encode(&mut parts);
            let bytes = parts.len() - before;
            prop_assert!(bytes <= command.size_bytes(), "{bytes} bytes, promised {}", command.size_bytes());
        }
        let mut bytes = parts.into_bytes();
        for command in &list {
            prop_assert_eq!(&DataCommand::decode(&mut bytes).unwrap(), command);
        }
        prop_assert!(bytes.is_empty());
    }

    #[test]
    fn damaged_bytes_are_errors_and_never_a_panic(
        commands in prop::collection::vec(commands(), 1..20),
        flip in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut group = DataGroup::new();
        group.apply(at(1, 1), &open(0, 0));
        let mut parts = Parts::new();
        for command in &commands {
            group.apply(at(2, 1), command);
            command.encode(&mut parts);
        }
        for intact in [parts.into_bytes(), encoded(&group)] {
            let mut damaged = intact.to_vec();
            let position = flip.index(damaged.len());
            damaged[position] ^= 1 << bit;
            let _ = DataGroup::decode(&mut Bytes::from(damaged.clone()));
            let mut rest = Bytes::from(damaged);
            while !rest.is_empty() && DataCommand::decode(&mut rest).is_ok() {}
            let mut short = intact.slice(..cut.index(intact.len()));
            while !short.is_empty() && DataCommand::decode(&mut short).is_ok() {}
        }
        let whole = encoded(&group);
        let mut short = whole.slice(..cut.index(whole.len()));
        prop_assert!(DataGroup::decode(&mut short).is_err(), "a state that is cut short is refused");
    }
}

#[test]
fn offsets_are_assigned_without_a_hole_and_per_partition() {
    let mut group = DataGroup::new();
    group.apply(at(1, 1), &open(0, 0));
    group.apply(at(1, 1), &open(1, 0));
    let mut expected = [0_i64; 2];
    for (index, (partition, count)) in [(0, 3), (1, 1), (0, 1), (0, 10), (1, 2)].into_iter().enumerate() {
        let outcome = group.apply(at(index as u64 + 2, 1), &produce(partition, &records(count)));
        let base_offset = Offset(expected[partition as usize]);
        let appended = Produced::Appended { base_offset, leader_epoch: LeaderEpoch(0), log_start: Offset(0) };
        assert_eq!(outcome, DataOutcome::Produced(Ok(appended)));
        expected[partition as usize] += i64::from(count);
    }
    let gone = group.apply(at(9, 1), &produce(7, &records(1)));
    assert_eq!(gone, DataOutcome::Produced(Err(ProduceRefusal::UnknownPartition)));
}

#[test]
fn opening_and_closing_are_idempotent() {
    let mut group = DataGroup::new();
    assert_eq!(group.apply(at(1, 1), &open(0, 0)), DataOutcome::Opened(vec![tp(1, 0)]));
    group.apply(at(2, 1), &produce(0, &records(5)));
    assert_eq!(group.apply(at(3, 1), &open(0, 0)), DataOutcome::Opened(vec![]));
    assert_eq!(group.partition(tp(1, 0)).unwrap().log_end(), Offset(5));
    let close = DataCommand::ClosePartitions { partitions: vec![tp(1, 0), tp(1, 1)] };
    assert_eq!(group.apply(at(4, 1), &close), DataOutcome::Closed(vec![tp(1, 0)]));
    assert_eq!(group.apply(at(5, 1), &close), DataOutcome::Closed(vec![]));
}

#[test]
fn the_leader_epoch_rises_with_the_term_and_starts_where_the_partition_came_from() {
    let mut group = DataGroup::new();
    group.apply(at(1, 5), &open(0, 0));
    group.apply(at(1, 5), &open(1, 30));
    group.apply(at(2, 5), &produce(0, &records(4)));
    group.apply(at(3, 7), &produce(0, &records(2)));
    group.apply(at(4, 7), &produce(1, &records(2)));
    let first = group.partition(tp(1, 0)).unwrap();
    assert_eq!(first.leader_epoch(Term(7)), LeaderEpoch(2));
    assert_eq!(first.leader_epoch(Term(9)), LeaderEpoch(4));
    let end = |asked: i32| first.epoch_end(LeaderEpoch(asked), Term(9));
    assert_eq!(end(0), EpochEnd { epoch: LeaderEpoch(0), end_offset: Offset(4) });
    assert_eq!(end(1), EpochEnd { epoch: LeaderEpoch(0), end_offset: Offset(4) });
    assert_eq!(end(2), EpochEnd { epoch: LeaderEpoch(2), end_offset: Offset(6) });
    assert_eq!(end(5), EpochEnd { epoch: LeaderEpoch(-1), end_offset: Offset(-1) });
    assert_eq!(group.partition(tp(1, 1)).unwrap().leader_epoch(Term(7)), LeaderEpoch(32));
}

#[test]
fn the_log_start_moves_up_only_and_never_past_the_end() {
    let mut group = DataGroup::new();
    group.apply(at(1, 1), &open(0, 0));
    group.apply(at(2, 1), &produce(0, &records(10)));
    let mut moved = |to: i64| match group.apply(at(3, 1), &move_start(0, to)) {
        DataOutcome::LogStartMoved(outcome) => outcome,
        other => panic!("{other:?}"),
    };
    assert_eq!(moved(4), Ok(LogStartMoved { from: Offset(0), log_start: Offset(4) }));
    assert_eq!(moved(2), Ok(LogStartMoved { from: Offset(4), log_start: Offset(4) }));
    assert_eq!(moved(10), Ok(LogStartMoved { from: Offset(4), log_start: Offset(10) }));
    let out_of_range = MoveLogStartError::OutOfRange { to: Offset(11), log_end: Offset(10) };
    assert_eq!(moved(11), Err(out_of_range));
    assert!(moved(-1).is_err());
    let unknown = group.apply(at(4, 1), &move_start(3, 0));
    assert_eq!(unknown, DataOutcome::LogStartMoved(Err(MoveLogStartError::UnknownPartition)));
}

#[test]
fn epochs_before_the_log_start_are_forgotten() {
    let mut group = DataGroup::new();
    group.apply(at(1, 1), &open(0, 0));
    for term in 1..=3 {
        group.apply(at(1 + term, term), &produce(0, &records(10)));
    }
    group.apply(at(9, 3), &move_start(0, 15));
    let partition = group.partition(tp(1, 0)).unwrap();
    let expected = [(LeaderEpoch(1), Offset(15)), (LeaderEpoch(2), Offset(20))];
    assert_eq!(partition.epochs().entries(), &expected);
    assert_eq!(
        partition.epoch_end(LeaderEpoch(0), Term(3)),
        EpochEnd { epoch: LeaderEpoch(0), end_offset: Offset(15) }
    );
}

#[test]
fn ten_thousand_partitions_with_producers_fit_in_a_small_checkpoint() {
    let mut group = DataGroup::new();
    let partitions =
        (0..10_000).map(|p| OpenPartition { tp: tp(1, p), leader_epoch: LeaderEpoch(0) }).collect();
    group.apply(at(1, 1), &DataCommand::OpenPartitions { partitions });
    for partition in 0..10_000 {
        for sequence in 0..2 {
            group.apply(at(2, 1), &produce(partition, &Draft::of_producer(1, 0, sequence, 1)));
        }
    }
    let state = encoded(&group);
    assert!(state.len() < 10_000 * 80, "{} bytes", state.len());
    assert_eq!(DataGroup::decode(&mut state.clone()).unwrap(), group);
}

#[test]
fn another_format_version_is_refused_by_name() {
    let mut newer = encoded(&DataGroup::new()).to_vec();
    newer[0] = 9;
    let error = DataGroup::decode(&mut Bytes::from(newer)).unwrap_err().to_string();
    assert_eq!(error, "a data group's state has format version 9, this build knows up to 3");
}

#[test]
fn a_commit_names_the_partitions_that_are_not_here() {
    let mut group = DataGroup::new();
    group.apply(at(1, 1), &open(0, 0));
    let committed = group.apply(at(2, 1), &commit("g", &[0, 3], 7));
    let expected = DataOutcome::PositionsCommitted { fenced: vec![], unknown: vec![tp(1, 3)] };
    assert_eq!(committed, expected);
    let position = |group: &DataGroup, partition| {
        group.groups().positions().position(&"g".into(), &tp(1, partition)).map(|position| position.offset)
    };
    assert_eq!(position(&group, 0), Some(Offset(7)));
    assert_eq!(position(&group, 3), None);
    let mut state = encoded(&group);
    assert_eq!(position(&DataGroup::decode(&mut state).unwrap(), 0), Some(Offset(7)));
    group.apply(at(3, 1), &DataCommand::ClosePartitions { partitions: vec![tp(1, 0)] });
    assert_eq!(position(&group, 0), None, "positions go with their topic");
}

#[test]
fn group_commands_are_answered_by_the_groups() {
    let mut group = DataGroup::new();
    let created = GroupCommand::Created { group: "g".into() };
    let outcome = group.apply(at(1, 1), &DataCommand::Group(created));
    assert!(matches!(outcome, DataOutcome::Group(GroupOutcome::Changed(Some(_)))), "{outcome:?}");
    assert_eq!(group.groups().len(), 1);
}

#[test]
fn what_is_not_stored_is_counted_by_why_and_a_checkpoint_keeps_it() {
    let mut group = DataGroup::new();
    group.apply(at(1, 1), &open(0, 0));
    group.apply(at(2, 1), &open(1, 0));
    let sent = [
        (0, 0, 2), // stored
        (0, 0, 2), // the same again
        (0, 2, 3), // stored
        (0, 2, 3), // the same again
        (0, 9, 4), // others are missing before it
        (1, 0, 1), // stored, by its successor
        (0, 5, 5), // fenced
        (0, 5, 1), // fenced
    ];
    for (index, (epoch, sequence, count)) in sent.into_iter().enumerate() {
        group.apply(at(index as u64 + 3, 1), &produce(0, &Draft::of_producer(7, epoch, sequence, count)));
    }
    let expected = TurnedAway {
        duplicates: Batches { batches: 2, records: 5 },
        out_of_order: Batches { batches: 1, records: 4 },
        fenced: Batches { batches: 2, records: 6 },
    };
    let counts = |group: &DataGroup, partition| *group.partition(tp(1, partition)).unwrap().turned_away();
    assert_eq!((counts(&group, 0), counts(&group, 1)), (expected, TurnedAway::default()));
    let mut restored = DataGroup::decode(&mut encoded(&group)).unwrap();
    assert_eq!((counts(&restored, 0), restored.counted_from()), (expected, LogIndex(0)));
    restored.apply(at(20, 1), &produce(0, &Draft::of_producer(7, 1, 0, 1)));
    assert_eq!(counts(&restored, 0).duplicates, Batches { batches: 3, records: 6 });
    restored.count_from_here();
    assert_eq!((counts(&restored, 0), restored.counted_from()), (TurnedAway::default(), LogIndex(20)));
}

/// A state as version 2 had it: without the index from which on is counted, and without the counts.
fn as_version_2(group: &DataGroup) -> Bytes {
    let mut state = encoded(group).to_vec();
    state[0] = 2;
    assert_eq!(state.remove(3), 0, "version, index and term have a byte each, and then this one");
    // One partition, then empty groups and accounts, whose bytes a group without partitions has too.
    let mut empty = DataGroup::new();
    empty.apply(at(group.applied().0, group.term().0), &DataCommand::ExpireProducers { idle_before: NOW });
    let behind = encoded(&empty).len() - 5;
    let counts = state.len() - behind - 1;
    assert_eq!(state.remove(counts), 0, "nothing was turned away");
    state.into()
}

#[test]
fn a_state_without_counts_is_read_and_counts_from_there_on() {
    let mut group = DataGroup::new();
    group.apply(at(1, 1), &open(0, 0));
    group.apply(at(2, 1), &produce(0, &Draft::of_producer(7, 0, 0, 2)));
    let mut old = as_version_2(&group);
    let mut read = DataGroup::decode(&mut old).unwrap();
    assert!(old.is_empty());
    assert_eq!(read.counted_from(), LogIndex(2));
    group.count_from_here();
    assert_eq!(read, group);
    read.apply(at(3, 1), &produce(0, &Draft::of_producer(7, 0, 0, 2)));
    assert_eq!(read.partition(tp(1, 0)).unwrap().turned_away().duplicates.batches, 1);
}
