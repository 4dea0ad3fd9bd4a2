//! The accounts' journal as a log: written behind, in the checkpoint, cut and written again after a crash, trimmed, and hidden
//! from everybody who looks for partitions.

use tallymq_broker::account::{Happening, journal};
use tallymq_broker::data::DataCommand;
use tallymq_broker::{Parts, Reader};
use tallymq_model::Offset;
use tallymq_replica::{RestoreError, decode_data_checkpoint};
use tallymq_storage::disk::MemoryDisk;
use tallymq_storage::log::scan;

use crate::batches::{GROUP, Node, commit, deliver, open, produce, tp, trim};

fn busy() -> Node {
    let mut node = Node::new(MemoryDisk::new());
    node.apply(open([0]));
    for round in 0..20 {
        node.apply(produce(tp(0), 2, None));
        node.apply(deliver("g", tp(0), round * 2, round * 2 + 1));
        node.apply(commit("g", tp(0), round * 2 + 2));
    }
    node
}

#[test]
fn the_journal_is_the_same_after_a_crash_behind_or_before_the_checkpoint() {
    let mut node = busy();
    let checkpoint = node.checkpoint();
    let at = node.index;
    let more = [produce(tp(0), 2, None), deliver("g", tp(0), 40, 41), commit("g", tp(0), 42)];
    more.iter().for_each(|command| drop(node.apply(command.clone())));
    node.write_all();
    for seed in 0..20 {
        let mut restored = Node::new(node.disk.power_cut(seed));
        restored.replica.restore(checkpoint.clone()).unwrap();
        restored.index = at;
        assert_eq!(restored.journal()[..], node.journal()[..restored.journal().len()]);
        more.iter().for_each(|command| drop(restored.apply(command.clone())));
        assert_eq!(restored.journal(), node.journal());
        restored.write_all();
        assert_eq!(restored.journal(), node.journal());
        assert_eq!(restored.journal().len(), 1 + 21 * 3, "opened; delivered, committed, skipped each time");
    }
}

#[test]
fn without_a_checkpoint_the_journal_comes_again_from_nothing() {
    let mut node = busy();
    node.write_all();
    let mut again = Node::new(node.disk.power_cut(5));
    again.apply(open([0]));
    assert!(again.replica.view().journal().is_none());
    for round in 0..20 {
        again.apply(produce(tp(0), 2, None));
        again.apply(deliver("g", tp(0), round * 2, round * 2 + 1));
        again.apply(commit("g", tp(0), round * 2 + 2));
    }
    assert_eq!(again.journal(), node.journal());
    again.write_all();
    assert_eq!(again.journal(), node.journal());
}

#[test]
fn a_trim_hides_the_oldest_events_and_survives_a_restart() {
    let mut node = busy();
    node.apply(trim(Offset(30)));
    let (start, end) = node.replica.state().journal_bounds();
    assert_eq!(node.replica.view().journal().unwrap().bounds(), (start, end));
    assert_eq!(start, Offset(30));
    node.apply(trim(Offset(10)));
    node.apply(trim(Offset(i64::MAX)));
    let (start, end) = node.replica.state().journal_bounds();
    assert_eq!(
        (start, end.0 - start.0),
        (Offset(63), 2),
        "a statement and the trim itself are behind the last one"
    );
    let checkpoint = node.checkpoint();
    let mut restored = Node::new(node.disk.power_cut(1));
    restored.replica.restore(checkpoint).unwrap();
    assert_eq!(restored.journal(), node.journal());
    let kinds: Vec<_> = restored.journal().into_iter().map(|(_, event)| event.what).collect();
    assert!(
        matches!(kinds[..], [Happening::Statement(_), Happening::Trimmed { to: Offset(63) }]),
        "{kinds:?}"
    );
}

#[test]
fn nobody_who_looks_for_partitions_finds_the_journal() {
    let mut node = busy();
    let at = journal::partition(GROUP);
    assert!(node.replica.view().log(at).is_none() && node.replica.state().partition(at).is_none());
    assert_eq!(node.replica.view().logs().len(), 1);
    assert!(!node.replica.touched().contains(&at));
    // A command that names it all the same does nothing to it.
    node.apply(DataCommand::ClosePartitions { partitions: vec![at] });
    node.apply(produce(at, 1, None));
    let journal = node.journal();
    node.write_all();
    assert_eq!(node.journal(), journal);
    assert!(scan::partitions(&node.disk).unwrap().contains(&at), "it has files like any other");
    let swept = node.store.sweep(&[GROUP], |_| false).unwrap();
    assert_eq!(swept, 0, "and they are not left over");
}

#[test]
fn a_checkpoint_whose_journal_is_missing_is_refused() {
    let mut node = busy();
    let full = node.checkpoint();
    let at = journal::partition(GROUP);
    let (state, positions) = decode_data_checkpoint(full.clone()).unwrap();
    assert_eq!(positions[&at].log_end, state.journal_bounds().1);
    // The state's length, the state, then two positions; the journal's is left out.
    let mut reader = full.clone();
    let mut reader = Reader::new(&mut reader);
    let head = (reader.u8("version").unwrap(), reader.bytes("state").unwrap());
    let mut parts = Parts::new();
    parts.put_u8(head.0);
    parts.put_bytes(&head.1);
    assert_eq!(reader.u64("positions").unwrap(), 2);
    parts.put_length(1);
    for _ in 0..2 {
        let found = reader.topic_partition("partition").unwrap();
        let position = reader.bytes("position").unwrap();
        if found != at {
            parts.put_topic_partition(found);
            parts.put_bytes(&position);
        }
    }
    let mut other = Node::new(MemoryDisk::new());
    let error = other.replica.restore(parts.into_bytes()).unwrap_err();
    assert!(matches!(error, RestoreError::Mismatch(found) if found == at), "{error}");
}
