//! One command at a time: the log follows the state, and readers are told of what they can read.

use bytes::Bytes;
use tallymq_broker::data::{
    DataCommand, DataOutcome, LogStartReason, MoveLogStart, ProduceRefusal, Produced,
};
use tallymq_model::{BatchHeader, Offset, Timestamp};
use tallymq_storage::{disk::MemoryDisk, log::ReadError};

use crate::batches::{Node, open, produce, tp};

fn move_log_start(to: i64) -> DataCommand {
    let why = LogStartReason::DeleteRecords { by: "test".to_owned() };
    DataCommand::MoveLogStart(MoveLogStart { tp: tp(0), to: Offset(to), why, now: Timestamp(1) })
}

#[test]
fn what_is_applied_can_be_read_at_the_offset_that_the_outcome_says() {
    let mut node = Node::new(MemoryDisk::new());
    assert_eq!(node.apply(open([0, 1])), DataOutcome::Opened(vec![tp(0), tp(1)]));
    for (base, count) in [(0, 3), (3, 1), (4, 5)] {
        let DataOutcome::Produced(Ok(Produced::Appended { base_offset, .. })) =
            node.apply(produce(tp(0), count, None))
        else {
            panic!("appended")
        };
        assert_eq!(base_offset, Offset(base));
    }
    let bytes = Bytes::from(node.bytes(tp(0)));
    let first = BatchHeader::parse(&bytes).unwrap();
    assert_eq!((first.base_offset, first.next_offset()), (Offset(0), Offset(3)));
    assert_eq!(node.replica.view().log(tp(0)).unwrap().log_end(), Offset(9));
    assert_eq!(node.replica.view().log(tp(1)).unwrap().log_end(), Offset(0));
}

#[test]
fn a_duplicate_is_answered_and_not_appended() {
    let mut node = Node::new(MemoryDisk::new());
    node.apply(open([0]));
    node.apply(produce(tp(0), 2, Some(0)));
    let again = node.apply(produce(tp(0), 2, Some(0)));
    let DataOutcome::Produced(Ok(Produced::Duplicate { base_offset, .. })) = again else {
        panic!("{again:?}")
    };
    assert_eq!(base_offset, Offset(0));
    assert_eq!(node.replica.view().log(tp(0)).unwrap().log_end(), Offset(2));
    assert_eq!(node.replica.touched(), [tp(0)], "only the first was an append");
}

#[test]
fn touched_partitions_are_told_once() {
    let mut node = Node::new(MemoryDisk::new());
    node.apply(open([0, 1]));
    assert!(node.replica.touched().is_empty(), "opening appends nothing");
    node.apply(produce(tp(1), 1, None));
    node.apply(produce(tp(1), 1, None));
    node.apply(produce(tp(0), 1, None));
    assert_eq!(node.replica.touched(), [tp(1), tp(0)]);
    assert!(node.replica.touched().is_empty());
}

#[test]
fn a_moved_log_start_hides_what_is_before_it() {
    let mut node = Node::new(MemoryDisk::new());
    node.apply(open([0]));
    (0..4).for_each(|_| drop(node.apply(produce(tp(0), 2, None))));
    assert!(matches!(node.apply(move_log_start(9)), DataOutcome::LogStartMoved(Err(_))));
    assert!(matches!(node.apply(move_log_start(4)), DataOutcome::LogStartMoved(Ok(_))));
    let log = node.replica.view().log(tp(0)).unwrap();
    assert_eq!(log.bounds(), (Offset(4), Offset(8)));
    assert!(matches!(log.read(Offset(3), 100, true), Err(ReadError::OffsetOutOfRange { .. })));
}

#[test]
fn a_closed_partition_is_gone_and_begins_anew() {
    let mut node = Node::new(MemoryDisk::new());
    node.apply(open([0]));
    node.apply(produce(tp(0), 2, None));
    let log = node.replica.view().log(tp(0)).unwrap();
    let closed = node.apply(DataCommand::ClosePartitions { partitions: vec![tp(0), tp(5)] });
    assert_eq!(closed, DataOutcome::Closed(vec![tp(0)]));
    assert!(node.replica.view().log(tp(0)).is_none());
    assert!(matches!(log.read(Offset(0), 100, true), Err(ReadError::Deleted)));
    let refused = DataOutcome::Produced(Err(ProduceRefusal::UnknownPartition));
    assert_eq!(node.apply(produce(tp(0), 1, None)), refused);
}
