//! Committed positions: fenced where they are applied, kept until their group or topic is gone.

use bytes::Bytes;
use proptest::prelude::*;
use tallymq_broker::group::durable::{CommitPosition, Fence};
use tallymq_broker::group::{GroupCommand, GroupOutcome, Groups};
use tallymq_broker::{ApplyContext, Parts};
use tallymq_model::{LeaderEpoch, LogIndex, Offset, Term, Timestamp, TopicPartition};

use crate::group_world::{topic_id, tp};

const AT: ApplyContext = ApplyContext { index: LogIndex(1), term: Term(1) };

fn commit(groups: &mut Groups, fence: Fence, partition: TopicPartition, offset: i64) -> Vec<TopicPartition> {
    let position = CommitPosition {
        partition,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(3),
        metadata: "words".into(),
        committed_at: Timestamp(7),
    };
    let command = GroupCommand::CommitPositions {
        group: "g".into(),
        fence,
        positions: vec![position],
        by: Default::default(),
    };
    match groups.apply(AT, command) {
        GroupOutcome::PositionsCommitted { fenced } => fenced,
        other => panic!("{other:?}"),
    }
}

fn offset(groups: &Groups, partition: TopicPartition) -> Option<i64> {
    groups.positions().position(&"g".into(), &partition).map(|position| position.offset.0)
}

#[test]
fn a_commit_of_an_older_generation_is_fenced_in_every_partition() {
    let mut groups = Groups::new();
    assert_eq!(commit(&mut groups, Fence::Generation(2), tp(1, 0), 10), []);
    assert_eq!(commit(&mut groups, Fence::Generation(1), tp(1, 0), 20), [tp(1, 0)]);
    assert_eq!(commit(&mut groups, Fence::Generation(1), tp(1, 1), 20), [tp(1, 1)]);
    assert_eq!((offset(&groups, tp(1, 0)), offset(&groups, tp(1, 1))), (Some(10), None));
    assert_eq!(commit(&mut groups, Fence::Generation(2), tp(1, 1), 5), []);
}

#[test]
fn member_epochs_are_fenced_per_partition_because_members_are_at_different_ones() {
    let mut groups = Groups::new();
    assert_eq!(commit(&mut groups, Fence::MemberEpoch(6), tp(1, 0), 10), []);
    assert_eq!(commit(&mut groups, Fence::MemberEpoch(5), tp(1, 1), 10), []);
    assert_eq!(commit(&mut groups, Fence::MemberEpoch(5), tp(1, 0), 20), [tp(1, 0)]);
    assert_eq!(offset(&groups, tp(1, 0)), Some(10));
}

#[test]
fn an_administrator_commits_without_a_fence_and_opens_none() {
    let mut groups = Groups::new();
    commit(&mut groups, Fence::Generation(4), tp(1, 0), 10);
    assert_eq!(commit(&mut groups, Fence::None, tp(1, 0), 3), []);
    assert_eq!(offset(&groups, tp(1, 0)), Some(3));
    assert_eq!(commit(&mut groups, Fence::Generation(3), tp(1, 0), 20), [tp(1, 0)]);
}

#[test]
fn a_deleted_group_may_begin_again_and_a_deleted_topic_takes_its_positions_along() {
    let mut groups = Groups::new();
    commit(&mut groups, Fence::Generation(9), tp(1, 0), 10);
    commit(&mut groups, Fence::Generation(9), tp(2, 0), 10);
    let some =
        GroupCommand::DeletePositions { group: "g".into(), partitions: Some(vec![tp(1, 0), tp(1, 5)]) };
    assert_eq!(groups.apply(AT, some), GroupOutcome::PositionsDeleted { count: 1 });
    assert_eq!(commit(&mut groups, Fence::Generation(1), tp(1, 0), 1), [tp(1, 0)]);
    groups.topic_deleted(topic_id(2));
    assert_eq!(offset(&groups, tp(2, 0)), None);
    commit(&mut groups, Fence::Generation(9), tp(1, 0), 10);
    let all = GroupCommand::DeletePositions { group: "g".into(), partitions: None };
    assert_eq!(groups.apply(AT, all), GroupOutcome::PositionsDeleted { count: 1 });
    assert_eq!(commit(&mut groups, Fence::Generation(1), tp(1, 0), 1), []);
}

#[test]
fn positions_survive_a_checkpoint_with_their_fences() {
    let mut groups = Groups::new();
    commit(&mut groups, Fence::Generation(4), tp(1, 0), 10);
    commit(&mut groups, Fence::MemberEpoch(6), tp(1, 1), 11);
    let mut parts = Parts::new();
    groups.encode(&mut parts);
    let mut again = Groups::decode(&mut parts.into_bytes()).expect("a checkpoint decodes");
    assert_eq!(again, groups);
    assert_eq!(commit(&mut again, Fence::Generation(3), tp(1, 0), 20), [tp(1, 0)]);
    assert_eq!(commit(&mut again, Fence::MemberEpoch(5), tp(1, 1), 20), [tp(1, 1)]);
}

proptest! {
    #[test]
    fn hostile_bytes_are_errors_and_never_a_panic(mut raw: Vec<u8>) {
        let _ = Groups::decode(&mut Bytes::from(raw.clone()));
        let _ = GroupCommand::decode(&mut Bytes::from(raw.clone()));
        raw.insert(0, 1);
        let _ = Groups::decode(&mut Bytes::from(raw.clone()));
        let _ = GroupCommand::decode(&mut Bytes::from(raw.clone()));
        raw.insert(1, raw.len() as u8 % 10);
        let _ = GroupCommand::decode(&mut Bytes::from(raw));
    }
}
