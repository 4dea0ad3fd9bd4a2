//! Recorded bytes, round trips, and bytes that are not what they should be.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, Bytes};
use openraft::{BasicNode, EntryPayload};
use proptest::prelude::*;
use tallymq_model::{LogIndex, NodeId, Term};

use super::*;
use crate::{
    Command, EntryId, Parts,
    batch::Batch,
    batch::joined,
    raft::{Entry, Membership, StoredMembership, Vote, engine_log_id},
};

#[derive(Clone, Debug, PartialEq)]
struct Number(u16);

impl Command for Number {
    fn encode(&self, out: &mut Parts) {
        out.append(&self.0.to_be_bytes());
    }
    fn decode(bytes: &mut Bytes) -> Result<Number, DecodeError> {
        bytes.try_get_u16().map(Number).map_err(|_| DecodeError::new("short"))
    }
    fn size_bytes(&self) -> usize {
        2
    }
}

const AT: EntryId = EntryId { term: Term(3), index: LogIndex(0x0102) };

fn entry(payload: EntryPayload<Batch, NodeId, BasicNode>) -> Entry {
    Entry { log_id: engine_log_id(AT), payload }
}

fn membership() -> Membership {
    let nodes = BTreeMap::from([(NodeId(1), BasicNode::new("a:1")), (NodeId(2), BasicNode::new(""))]);
    Membership::new(vec![BTreeSet::from([NodeId(1)]), BTreeSet::from([NodeId(1), NodeId(2)])], nodes).unwrap()
}

fn commands(numbers: &[u16]) -> Bytes {
    let mut header = BatchHeader::default();
    let mut parts = Parts::new();
    for number in numbers {
        header.push(2);
        Number(*number).encode(&mut parts);
    }
    joined([vec![header.encode()], parts.into_parts()].concat())
}

fn decode_commands(mut bytes: Bytes) -> Result<Vec<Number>, DecodeError> {
    BatchHeader::decode_commands(&mut bytes)
}

const PREFIX: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 2];

#[test]
fn entries_have_the_recorded_bytes() {
    let blank = joined(encode_entry(&entry(EntryPayload::Blank)));
    assert_eq!(blank[..], [&[1, 0][..], &PREFIX].concat());

    let two = joined(encode_entry(&entry(EntryPayload::Normal(Batch::stored(commands(&[0x0a0b, 0x0c0d]))))));
    let body = [0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0x0a, 0x0b, 0x0c, 0x0d];
    assert_eq!(two[..], [&[1, 1][..], &PREFIX, &body].concat());

    let members = joined(encode_entry(&entry(EntryPayload::Membership(membership()))));
    let configs = [0, 2, 0, 1, 0, 0, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    let nodes = [0, 2, 0, 0, 0, 1, 0, 3, b'a', b':', b'1', 0, 0, 0, 2, 0, 0];
    assert_eq!(members[..], [&[1, 2][..], &PREFIX, &configs, &nodes].concat());
    assert_eq!(decode_entry(members, AT).unwrap().payload.get_membership_of(), Some(membership()));
}

trait MembershipOf {
    fn get_membership_of(self) -> Option<Membership>;
}

impl MembershipOf for EntryPayload<Batch, NodeId, BasicNode> {
    fn get_membership_of(self) -> Option<Membership> {
        if let EntryPayload::Membership(membership) = self { Some(membership) } else { None }
    }
}

#[test]
fn votes_and_checkpoint_headers_have_the_recorded_bytes() {
    let vote = Vote::new_committed(7, NodeId(2));
    let vote_bytes = [1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 1];
    assert_eq!(encode_vote(&vote)[..], vote_bytes);
    assert_eq!(decode_vote(encode_vote(&vote)).unwrap(), vote);

    let header = CheckpointHeader { vote: None, membership: StoredMembership::default() };
    assert_eq!(header.encode()[..], [1, 0, 0, 0, 0, 0, 0]);
    let membership = StoredMembership::new(Some(engine_log_id(AT)), membership());
    let header = CheckpointHeader { vote: Some(vote), membership };
    let bytes = header.encode();
    assert_eq!(bytes[..], [&[1, 14][..], &vote_bytes, &[1], &PREFIX, &bytes[33..]].concat());
    let read = CheckpointHeader::decode(bytes).unwrap();
    assert_eq!((read.vote, read.membership), (header.vote, header.membership));
}

#[test]
fn an_entry_is_refused_in_another_place_and_in_an_unknown_format() {
    let bytes = joined(encode_entry(&entry(EntryPayload::Blank)));
    assert!(decode_entry(bytes.clone(), AT).is_ok());
    assert!(decode_entry(bytes.clone(), EntryId { term: Term(4), ..AT }).is_err());
    assert!(decode_entry(bytes.clone(), EntryId { index: LogIndex(5), ..AT }).is_err());
    for (position, value) in [(0, 2), (1, 3)] {
        let mut changed = bytes.to_vec();
        changed[position] = value;
        assert!(decode_entry(changed.into(), AT).is_err());
    }
}

#[test]
fn a_huge_count_allocates_nothing() {
    assert!(decode_commands(Bytes::from_static(&[0xff; 8])).is_err());
    assert!(decode_commands(Bytes::from_static(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff])).is_err());
}

proptest! {
    #[test]
    fn commands_come_back(numbers in prop::collection::vec(any::<u16>(), 0..200)) {
        let read = decode_commands(commands(&numbers)).unwrap();
        prop_assert_eq!(read, numbers.into_iter().map(Number).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_an_error_or_a_value_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut entry = [&[1, 2][..], &PREFIX].concat();
        entry.extend_from_slice(&bytes);
        let _ = decode_entry(entry.into(), AT);
        let _ = decode_entry(bytes.clone().into(), AT);
        let _ = decode_vote(bytes.clone().into());
        let _ = CheckpointHeader::decode(bytes.clone().into());
        let _ = decode_commands(bytes.into());
    }

    #[test]
    fn a_cut_is_never_taken_for_the_whole(numbers in prop::collection::vec(any::<u16>(), 1..20), cut in any::<prop::sample::Index>()) {
        let whole = commands(&numbers);
        let cut = whole.slice(..cut.index(whole.len()));
        prop_assert!(decode_commands(cut).is_err());
    }
}
