//! Checkpoints: what is restored and then brought up to date is what would be there without a crash, and a checkpoint
//! whose state and logs do not belong together is refused.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use tallymq_broker::account::JournalEvent;
use tallymq_broker::account::recompute::{self, Difference};
use tallymq_broker::data::{DataCommand, DataOutcome, LogStartReason, MoveLogStart};
use tallymq_model::{Offset, Timestamp};
use tallymq_replica::RestoreError;
use tallymq_storage::disk::MemoryDisk;

use crate::batches::{Node, commit, deliver, open, produce, tp, trim};

fn commands() -> impl Strategy<Value = DataCommand> {
    let sequence = prop_oneof![Just(None), (0..12).prop_map(Some)];
    prop_oneof![
        6 => (0..4, 1..6, sequence).prop_map(|(partition, count, sequence)| produce(tp(partition), count, sequence)),
        1 => (0..4).prop_map(|partition| open([partition])),
        1 => (0..4).prop_map(|partition| DataCommand::ClosePartitions { partitions: vec![tp(partition)] }),
        1 => (0..4, 0..20_i64).prop_map(|(partition, to)| {
            let why = LogStartReason::RetentionTime;
            DataCommand::MoveLogStart(MoveLogStart { tp: tp(partition), to: Offset(to), why, now: Timestamp(0) })
        }),
        3 => (0..4, "[gh]", 0..20_i64, 0..5_i64)
            .prop_map(|(partition, group, from, length)| deliver(&group, tp(partition), from, from + length)),
        2 => (0..4, "[gh]", 0..25_i64).prop_map(|(partition, group, to)| commit(&group, tp(partition), to)),
        1 => (0..30_i64).prop_map(|to| trim(Offset(to))),
    ]
}

/// Commands before a checkpoint, between it and the crash, and after.
fn phases() -> impl Strategy<Value = [Vec<DataCommand>; 3]> {
    let list = |most| prop::collection::vec(commands(), 0..most);
    (list(40), list(40), list(20)).prop_map(|(before, between, after)| {
        // a topic's identity is never used again, so neither is a partition that was closed
        let mut closed = BTreeSet::new();
        [before, between, after].map(|mut phase| {
            phase.retain(|command| match command {
                DataCommand::ClosePartitions { partitions } => {
                    closed.extend(partitions.iter().copied());
                    true
                }
                DataCommand::OpenPartitions { partitions } => !closed.contains(&partitions[0].tp),
                _ => true,
            });
            phase
        })
    })
}

fn content(node: &Node) -> Vec<(i32, Offset, Vec<u8>)> {
    let log_start = |number| node.replica.view().log(tp(number)).map(|log| log.log_start());
    let open = (0..4).filter_map(|number| Some((number, log_start(number)?)));
    open.map(|(number, log_start)| (number, log_start, node.bytes(tp(number)))).collect()
}

fn differences(node: &Node, journal: &[(Offset, JournalEvent)]) -> Vec<Difference> {
    let state = node.replica.state();
    recompute::compare(journal, state.accounts(), |tp| state.ledger(tp))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_crash_after_a_checkpoint_changes_nothing(
        [before, between, after] in phases(),
        seed in any::<u64>(),
    ) {
        let mut node = Node::new(MemoryDisk::new());
        node.apply(open([0, 1]));
        before.into_iter().for_each(|command| drop(node.apply(command)));
        let at = node.index;
        let checkpoint = node.checkpoint();
        // Some of what comes later is written to the segments, and is not synced.
        let outcomes: Vec<_> = between.iter().map(|command| node.apply(command.clone())).collect();
        let _ = node.writer.step();

        let mut restored = Node::new(node.disk.power_cut(seed));
        restored.replica.restore(checkpoint).unwrap();
        restored.index = at;
        let again: Vec<_> = between.iter().map(|command| restored.apply(command.clone())).collect();
        prop_assert_eq!(again, outcomes);
        for command in after {
            prop_assert_eq!(restored.apply(command.clone()), node.apply(command));
        }
        prop_assert_eq!(&*restored.replica.state(), &*node.replica.state());
        prop_assert_eq!(content(&restored), content(&node));
        prop_assert_eq!(restored.journal(), node.journal());
        restored.write_all();
        node.write_all();
        prop_assert_eq!(content(&restored), content(&node));
        let journal = restored.journal();
        prop_assert_eq!(&journal, &node.journal());
        prop_assert_eq!(differences(&restored, &journal), vec![]);
        prop_assert!(restored.store.damages().is_empty());
    }
}

#[test]
fn a_retry_after_a_restore_is_a_duplicate() {
    let mut node = Node::new(MemoryDisk::new());
    node.apply(open([0]));
    let first = node.apply(produce(tp(0), 2, Some(0)));
    assert!(matches!(first, DataOutcome::Produced(Ok(_))));
    let checkpoint = node.checkpoint();
    let mut restored = Node::new(node.disk.power_cut(1));
    restored.replica.restore(checkpoint).unwrap();
    restored.index = node.index;
    restored.apply(produce(tp(0), 2, Some(0)));
    assert_eq!(restored.replica.view().log(tp(0)).unwrap().log_end(), Offset(2));
}

#[test]
fn a_checkpoint_begun_before_a_command_does_not_hold_it() {
    let mut node = Node::new(MemoryDisk::new());
    node.apply(open([0]));
    node.apply(produce(tp(0), 2, None));
    let pending = node.replica.begin_checkpoint();
    node.apply(produce(tp(0), 3, None));
    node.write_all();
    let checkpoint: Bytes = pending.finish().unwrap().concat().into();
    let mut restored = Node::new(node.disk.power_cut(3));
    restored.replica.restore(checkpoint).unwrap();
    assert_eq!(restored.replica.view().log(tp(0)).unwrap().log_end(), Offset(2));
    restored.index = node.index;
    restored.apply(produce(tp(0), 3, None));
    assert_eq!(restored.bytes(tp(0)), node.bytes(tp(0)));
}

#[test]
fn state_and_logs_that_do_not_belong_together_are_refused() {
    let mut node = Node::new(MemoryDisk::new());
    node.apply(open([0]));
    let empty = node.checkpoint();
    node.apply(produce(tp(0), 2, None));
    let full = node.checkpoint();
    // The states are of equal length but for what the records added; take one's state and the other's positions.
    let state = |checkpoint: &Bytes| 2 + usize::from(checkpoint[1]);
    let mixed = [&full[..state(&full)], &empty[state(&empty)..]].concat();
    let mut other = Node::new(MemoryDisk::new());
    assert!(
        matches!(other.replica.restore(mixed.into()), Err(RestoreError::Mismatch(partition)) if partition == tp(0))
    );
    for cut in 0..full.len() {
        assert!(other.replica.restore(full.slice(..cut)).is_err(), "cut to {cut} bytes");
    }
}
