//! The values that commands and states share. Metadata is copied out of the input, so that a small value never keeps a
//! whole log entry in memory.

use std::sync::Arc;

use bytes::Bytes;
use tallymq_model::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};

use crate::codec::{DecodeError, Parts, Reader};
use crate::group::durable::classic::{ClassicMember, MemberAssignment};
use crate::group::durable::consumer::{ClassicFacet, ConsumerMember, MemberState};
use crate::group::durable::positions::{CommitPosition, Fence};
use crate::group::names::{GroupId, InstanceId, MemberId, Text};
use crate::group::request::{Protocol, Subscription};
use crate::group::topics::PartitionSet;

pub(super) fn read_text(reader: &mut Reader, what: &'static str) -> Result<Text, DecodeError> {
    Ok(Text::from(reader.text(what)?))
}

pub(super) fn read_group(reader: &mut Reader) -> Result<GroupId, DecodeError> {
    Ok(GroupId(read_text(reader, "a group id")?))
}

pub(super) fn read_member(reader: &mut Reader) -> Result<MemberId, DecodeError> {
    Ok(MemberId(read_text(reader, "a member id")?))
}

pub(super) fn read_blob(reader: &mut Reader, what: &'static str) -> Result<Bytes, DecodeError> {
    Ok(Bytes::copy_from_slice(&reader.bytes(what)?))
}

pub(super) fn put_list<T>(out: &mut Parts, items: &[T], put: impl Fn(&mut Parts, &T)) {
    out.put_length(items.len());
    for item in items {
        put(out, item);
    }
}

/// Reads a list whose elements take at least one byte each. Grows with what was really read.
pub(super) fn read_list<T>(
    reader: &mut Reader,
    what: &'static str,
    read: impl Fn(&mut Reader) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.count(what, 1)?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(read(reader)?);
    }
    Ok(items)
}

pub(super) fn put_text_option(out: &mut Parts, text: Option<&str>) {
    out.put_option(text, |out, text| out.put_text(text));
}

pub(super) fn read_text_option(reader: &mut Reader, what: &'static str) -> Result<Option<Text>, DecodeError> {
    reader.option(what, |reader| read_text(reader, what))
}

fn put_instance(out: &mut Parts, instance: Option<&InstanceId>) {
    put_text_option(out, instance.map(InstanceId::as_str));
}

fn read_instance(reader: &mut Reader) -> Result<Option<InstanceId>, DecodeError> {
    Ok(read_text_option(reader, "an instance id")?.map(InstanceId))
}

/// Partitions grouped by topic, because a topic's id is most of a partition's bytes.
pub(super) fn put_partitions(out: &mut Parts, partitions: &PartitionSet) {
    let mut topics: Vec<(TopicId, Vec<PartitionIndex>)> = Vec::new();
    for tp in partitions {
        match topics.last_mut() {
            Some((topic, indexes)) if *topic == tp.topic => indexes.push(tp.partition),
            _ => topics.push((tp.topic, vec![tp.partition])),
        }
    }
    put_list(out, &topics, |out, (topic, indexes)| {
        out.put_uuid(topic.0);
        put_list(out, indexes, |out, index| out.put_i32(index.0));
    });
}

pub(super) fn read_partitions(reader: &mut Reader) -> Result<PartitionSet, DecodeError> {
    let what = "a set of partitions";
    let mut all = PartitionSet::new();
    for _ in 0..reader.count(what, 17)? {
        let topic = TopicId(reader.uuid(what)?);
        for _ in 0..reader.count(what, 1)? {
            all.insert(TopicPartition { topic, partition: PartitionIndex(reader.i32(what)?) });
        }
    }
    Ok(all)
}

fn put_protocols(out: &mut Parts, protocols: &[Protocol]) {
    put_list(out, protocols, |out, protocol| {
        out.put_text(&protocol.name);
        out.put_bytes(&protocol.metadata);
    });
}

fn read_protocols(reader: &mut Reader) -> Result<Vec<Protocol>, DecodeError> {
    read_list(reader, "protocols", |reader| {
        let name = read_text(reader, "a protocol name")?;
        Ok(Protocol { name, metadata: read_blob(reader, "protocol metadata")? })
    })
}

/// `owned` is not kept: it is only true in the request that carries it.
fn put_subscription(out: &mut Parts, subscription: &Subscription) {
    put_list(out, &subscription.topics, |out, topic| out.put_text(topic));
    out.put_option(subscription.generation, Parts::put_i32);
    put_text_option(out, subscription.rack.as_deref());
}

fn read_subscription(reader: &mut Reader) -> Result<Subscription, DecodeError> {
    let topics = read_list(reader, "subscribed topics", |reader| read_text(reader, "a topic name"))?;
    let generation = reader.option("a subscription's generation", |reader| reader.i32("a generation"))?;
    Ok(Subscription { topics, owned: Vec::new(), generation, rack: read_text_option(reader, "a rack")? })
}

pub(super) fn put_classic_member(out: &mut Parts, member: &ClassicMember) {
    out.put_text(member.id.as_str());
    put_instance(out, member.instance.as_ref());
    out.put_text(&member.client_id);
    out.put_text(&member.client_host);
    out.put_u32(member.session_timeout_ms);
    out.put_u32(member.rebalance_timeout_ms);
    put_protocols(out, &member.protocols);
    out.put_option(member.subscription.as_ref(), put_subscription);
    out.put_option(member.assignment.opaque.as_ref(), Parts::put_bytes);
    put_partitions(out, &member.assignment.partitions);
}

pub(super) fn read_classic_member(reader: &mut Reader) -> Result<ClassicMember, DecodeError> {
    Ok(ClassicMember {
        id: read_member(reader)?,
        instance: read_instance(reader)?,
        client_id: read_text(reader, "a client id")?,
        client_host: read_text(reader, "a client host")?,
        session_timeout_ms: reader.u32("a session timeout")?,
        rebalance_timeout_ms: reader.u32("a rebalance timeout")?,
        protocols: read_protocols(reader)?,
        subscription: reader.option("a subscription", read_subscription)?,
        assignment: MemberAssignment {
            opaque: reader.option("an assignment", |reader| read_blob(reader, "an assignment"))?,
            partitions: read_partitions(reader)?,
        },
    })
}

pub(super) fn put_consumer_member(out: &mut Parts, member: &ConsumerMember) {
    out.put_text(member.id.as_str());
    put_instance(out, member.instance.as_ref());
    put_text_option(out, member.rack.as_deref());
    out.put_text(&member.client_id);
    out.put_text(&member.client_host);
    out.put_u32(member.rebalance_timeout_ms);
    put_list(out, &member.topics, |out, topic| out.put_text(topic));
    put_text_option(out, member.regex.as_deref());
    put_text_option(out, member.assignor.as_deref());
    out.put_i32(member.epoch);
    out.put_i32(member.previous_epoch);
    put_state(out, member.state);
    put_partitions(out, &member.assigned);
    put_partitions(out, &member.revoking);
    out.put_option(member.classic.as_ref(), |out, classic| {
        out.put_u32(classic.session_timeout_ms);
        put_protocols(out, &classic.protocols);
    });
}

pub(super) fn read_consumer_member(reader: &mut Reader) -> Result<ConsumerMember, DecodeError> {
    Ok(ConsumerMember {
        id: read_member(reader)?,
        instance: read_instance(reader)?,
        rack: read_text_option(reader, "a rack")?,
        client_id: read_text(reader, "a client id")?,
        client_host: read_text(reader, "a client host")?,
        rebalance_timeout_ms: reader.u32("a rebalance timeout")?,
        topics: read_list(reader, "subscribed topics", |reader| read_text(reader, "a topic name"))?,
        regex: read_text_option(reader, "a regular expression")?,
        assignor: read_text_option(reader, "an assignor")?,
        epoch: reader.i32("a member epoch")?,
        previous_epoch: reader.i32("a member epoch")?,
        state: read_state(reader)?,
        assigned: read_partitions(reader)?,
        revoking: read_partitions(reader)?,
        classic: reader.option("a classic member", |reader| {
            let session_timeout_ms = reader.u32("a session timeout")?;
            Ok(ClassicFacet { session_timeout_ms, protocols: read_protocols(reader)? })
        })?,
    })
}

pub(super) fn put_state(out: &mut Parts, state: MemberState) {
    out.put_u8(match state {
        MemberState::Stable => 0,
        MemberState::UnrevokedPartitions => 1,
        MemberState::UnreleasedPartitions => 2,
    });
}

pub(super) fn read_state(reader: &mut Reader) -> Result<MemberState, DecodeError> {
    match reader.u8("a member's state")? {
        0 => Ok(MemberState::Stable),
        1 => Ok(MemberState::UnrevokedPartitions),
        2 => Ok(MemberState::UnreleasedPartitions),
        found => Err(DecodeError::Variant { what: "a member's state", found }),
    }
}

pub(super) fn put_fence(out: &mut Parts, fence: Fence) {
    match fence {
        Fence::None => out.put_u8(0),
        Fence::Generation(generation) => {
            out.put_u8(1);
            out.put_i32(generation);
        }
        Fence::MemberEpoch(epoch) => {
            out.put_u8(2);
            out.put_i32(epoch);
        }
    }
}

pub(super) fn read_fence(reader: &mut Reader) -> Result<Fence, DecodeError> {
    match reader.u8("a fence")? {
        0 => Ok(Fence::None),
        1 => Ok(Fence::Generation(reader.i32("a generation")?)),
        2 => Ok(Fence::MemberEpoch(reader.i32("a member epoch")?)),
        found => Err(DecodeError::Variant { what: "a fence", found }),
    }
}

pub(super) fn put_commit(out: &mut Parts, commit: &CommitPosition) {
    out.put_topic_partition(commit.partition);
    out.put_i64(commit.offset.0);
    out.put_i32(commit.leader_epoch.0);
    out.put_text(&commit.metadata);
    out.put_i64(commit.committed_at.0);
}

pub(super) fn read_commit(reader: &mut Reader) -> Result<CommitPosition, DecodeError> {
    Ok(CommitPosition {
        partition: reader.topic_partition("a committed partition")?,
        offset: Offset(reader.i64("a committed offset")?),
        leader_epoch: LeaderEpoch(reader.i32("a leader epoch")?),
        metadata: read_text(reader, "a position's metadata")?,
        committed_at: Timestamp(reader.i64("a commit time")?),
    })
}

pub(super) fn put_arcs<T>(out: &mut Parts, items: &[Arc<T>], put: impl Fn(&mut Parts, &T)) {
    put_list(out, items, |out, item| put(out, item));
}
