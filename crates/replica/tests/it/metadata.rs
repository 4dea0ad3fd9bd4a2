//! The metadata replica: its checkpoint is its state, and readers see every change.

use tallymq_broker::{
    ApplyContext,
    metadata::{MetadataCommand, MetadataOutcome},
};
use tallymq_model::{LogIndex, NodeId, ProducerId, Term};
use tallymq_replica::MetadataReplica;

fn apply(replica: &mut MetadataReplica, index: u64, command: MetadataCommand) -> MetadataOutcome {
    replica.apply(ApplyContext { index: LogIndex(index), term: Term(1) }, &command)
}

fn first_id(outcome: MetadataOutcome) -> ProducerId {
    match outcome {
        MetadataOutcome::ProducerIds(Ok(block)) => block.first,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_restored_replica_hands_out_no_producer_id_again() {
    let mut replica = MetadataReplica::new();
    apply(&mut replica, 1, MetadataCommand::Bootstrap { cluster_id: "c".to_owned(), data_groups: 2 });
    let first = first_id(apply(&mut replica, 2, MetadataCommand::AllocateProducerIds { node: NodeId(1) }));
    let checkpoint = replica.checkpoint().concat();
    let mut restored = MetadataReplica::new();
    restored.restore(checkpoint.into()).unwrap();
    assert_eq!(&*restored.view().state(), &*replica.view().state());
    let second = first_id(apply(&mut restored, 3, MetadataCommand::AllocateProducerIds { node: NodeId(1) }));
    assert!(second > first, "{second} after {first}");
}

#[test]
fn the_version_rises_with_every_command_and_restore() {
    let mut replica = MetadataReplica::new();
    let view = replica.view();
    let start = view.version();
    apply(&mut replica, 1, MetadataCommand::Bootstrap { cluster_id: "c".to_owned(), data_groups: 1 });
    assert_eq!(view.version(), start + 1);
    assert_eq!(view.state().cluster_id(), Some("c"));
    let checkpoint = replica.checkpoint().concat();
    replica.restore(checkpoint.into()).unwrap();
    assert_eq!(view.version(), start + 2);
    assert!(replica.restore(vec![9, 9].into()).is_err());
    assert_eq!(view.state().cluster_id(), Some("c"), "a state that is refused changes nothing");
}
