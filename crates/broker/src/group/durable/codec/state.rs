//! The durable groups as bytes, for checkpoints: version, groups, positions.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tallymq_model::{LeaderEpoch, Offset, Timestamp, TopicId};

use super::STATE_VERSION;
use super::value::*;
use crate::codec::{DecodeError, Parts, Reader};
use crate::group::durable::classic::{ClassicGroup, ClassicPhase};
use crate::group::durable::consumer::ConsumerGroup;
use crate::group::durable::positions::{GroupPositions, Position, Positions};
use crate::group::durable::{GroupState, Groups};
use crate::group::names::MemberId;

impl Groups {
    /// Appends the whole state to `out`.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(STATE_VERSION);
        out.put_length(self.groups.len());
        for (group, state) in &self.groups {
            out.put_text(group.as_str());
            put_group_state(out, state);
        }
        out.put_length(self.positions.groups.len());
        for (group, own) in &self.positions.groups {
            out.put_text(group.as_str());
            put_positions(out, own);
        }
    }

    /// Reads the whole state from the front of `bytes`.
    pub fn decode(bytes: &mut Bytes) -> Result<Groups, DecodeError> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        reader.version("the groups", STATE_VERSION)?;
        let mut groups = BTreeMap::new();
        for _ in 0..reader.count("the groups", 2)? {
            groups.insert(read_group(reader)?, Arc::new(read_group_state(reader)?));
        }
        let mut positions = Positions::default();
        for _ in 0..reader.count("the positions", 2)? {
            positions.groups.insert(read_group(reader)?, read_positions(reader)?);
        }
        Ok(Groups { groups, positions })
    }
}

pub(super) fn put_group_state(out: &mut Parts, state: &GroupState) {
    match state {
        GroupState::Classic(group) => {
            out.put_u8(0);
            put_classic(out, group);
        }
        GroupState::Consumer(group) => {
            out.put_u8(1);
            put_consumer(out, group);
        }
    }
}

pub(super) fn read_group_state(reader: &mut Reader) -> Result<GroupState, DecodeError> {
    match reader.u8("a group's type")? {
        0 => Ok(GroupState::Classic(read_classic(reader)?)),
        1 => Ok(GroupState::Consumer(read_consumer(reader)?)),
        found => Err(DecodeError::Variant { what: "a group's type", found }),
    }
}

fn put_classic(out: &mut Parts, group: &ClassicGroup) {
    out.put_i32(group.generation);
    put_text_option(out, group.protocol_type.as_deref());
    put_text_option(out, group.protocol.as_deref());
    put_text_option(out, group.leader.as_ref().map(MemberId::as_str));
    out.put_u8(match group.phase {
        ClassicPhase::Empty => 0,
        ClassicPhase::RebalanceDue => 1,
        ClassicPhase::Assigning => 2,
        ClassicPhase::Stable => 3,
    });
    let members: Vec<_> = group.members.values().cloned().collect();
    put_arcs(out, &members, put_classic_member);
}

fn read_classic(reader: &mut Reader) -> Result<ClassicGroup, DecodeError> {
    Ok(ClassicGroup {
        generation: reader.i32("a generation")?,
        protocol_type: read_text_option(reader, "a protocol type")?,
        protocol: read_text_option(reader, "a protocol")?,
        leader: read_text_option(reader, "a leader")?.map(MemberId),
        phase: match reader.u8("a group's phase")? {
            0 => ClassicPhase::Empty,
            1 => ClassicPhase::RebalanceDue,
            2 => ClassicPhase::Assigning,
            3 => ClassicPhase::Stable,
            found => {
                return Err(DecodeError::Variant { what: "a group's phase", found });
            }
        },
        members: read_list(reader, "members", read_classic_member)?
            .into_iter()
            .map(|member| (member.id.clone(), Arc::new(member)))
            .collect(),
    })
}

fn put_consumer(out: &mut Parts, group: &ConsumerGroup) {
    out.put_u64(group.revision);
    out.put_i32(group.epoch);
    out.put_i32(group.target_epoch);
    let members: Vec<_> = group.members.values().cloned().collect();
    put_arcs(out, &members, put_consumer_member);
    out.put_length(group.targets.len());
    for (member, target) in &group.targets {
        out.put_text(member.as_str());
        put_partitions(out, target);
    }
    out.put_length(group.topics.len());
    for (topic, partitions) in &group.topics {
        out.put_uuid(topic.0);
        out.put_u32(*partitions);
    }
}

fn read_consumer(reader: &mut Reader) -> Result<ConsumerGroup, DecodeError> {
    let revision = reader.u64("a revision")?;
    let epoch = reader.i32("a group epoch")?;
    let target_epoch = reader.i32("a target epoch")?;
    let members = read_list(reader, "members", read_consumer_member)?;
    let targets =
        read_list(reader, "targets", |reader| Ok((read_member(reader)?, read_partitions(reader)?)))?;
    let topics = read_list(reader, "subscribed topics", |reader| {
        Ok((TopicId(reader.uuid("a topic id")?), reader.u32("a partition count")?))
    })?;
    Ok(ConsumerGroup {
        revision,
        epoch,
        target_epoch,
        members: members.into_iter().map(|member| (member.id.clone(), Arc::new(member))).collect(),
        targets: targets.into_iter().map(|(member, target)| (member, Arc::new(target))).collect(),
        topics: topics.into_iter().collect(),
    })
}

fn put_positions(out: &mut Parts, own: &GroupPositions) {
    out.put_i32(own.generation);
    out.put_length(own.positions.len());
    for (tp, position) in &own.positions {
        out.put_topic_partition(*tp);
        out.put_i64(position.offset.0);
        out.put_i32(position.leader_epoch.0);
        out.put_text(&position.metadata);
        out.put_i64(position.committed_at.0);
        out.put_i32(position.fence);
    }
}

fn read_positions(reader: &mut Reader) -> Result<GroupPositions, DecodeError> {
    let mut own = GroupPositions { generation: reader.i32("a generation")?, positions: BTreeMap::new() };
    for _ in 0..reader.count("positions", 21)? {
        let tp = reader.topic_partition("a committed partition")?;
        let position = Position {
            offset: Offset(reader.i64("a committed offset")?),
            leader_epoch: LeaderEpoch(reader.i32("a leader epoch")?),
            metadata: read_text(reader, "a position's metadata")?,
            committed_at: Timestamp(reader.i64("a commit time")?),
            fence: reader.i32("a position's fence")?,
        };
        if !tallymq_model::planted("commit-not-durable") {
            own.positions.insert(tp, position);
        }
    }
    Ok(own)
}
