//! Commands as bytes: version, variant, fields.

use bytes::Bytes;
use tallymq_model::TopicId;

use super::COMMAND_VERSION;
use super::state::{put_group_state, read_group_state};
use super::value::*;
use crate::account::Committer;
use crate::codec::{DecodeError, Parts, Reader};
use crate::group::durable::command::{ClassicGeneration, ConsumerFact, GroupCommand};
use crate::group::names::MemberId;
use crate::group::request::SyncAssignment;

impl GroupCommand {
    /// Appends the command to `out`.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(COMMAND_VERSION);
        match self {
            GroupCommand::Created { group } => put_head(out, 0, group.as_str()),
            GroupCommand::ClassicRebalanced { group, formed } => {
                put_head(out, 1, group.as_str());
                put_generation(out, formed);
            }
            GroupCommand::ClassicAssigned { group, generation, assignments } => {
                put_head(out, 2, group.as_str());
                out.put_i32(*generation);
                put_list(out, assignments, |out, (given, partitions)| {
                    out.put_text(given.member.as_str());
                    out.put_bytes(&given.assignment);
                    put_partitions(out, partitions);
                });
            }
            GroupCommand::ClassicMembersLeft { group, members } => {
                put_head(out, 3, group.as_str());
                put_list(out, members, |out, member| out.put_text(member.as_str()));
            }
            GroupCommand::ClassicMemberReplaced { group, old, member, rebalance } => {
                put_head(out, 4, group.as_str());
                out.put_text(old.as_str());
                put_classic_member(out, member);
                out.put_bool(*rebalance);
            }
            GroupCommand::ConsumerChanged { group, base, facts } => {
                put_head(out, 5, group.as_str());
                out.put_u64(*base);
                put_list(out, facts, put_fact);
            }
            GroupCommand::TypeChanged { group, state } => {
                put_head(out, 6, group.as_str());
                put_group_state(out, state);
            }
            GroupCommand::Deleted { group } => put_head(out, 7, group.as_str()),
            GroupCommand::CommitPositions { group, fence, positions, by } => {
                put_head(out, 8, group.as_str());
                put_fence(out, *fence);
                put_list(out, positions, put_commit);
                by.encode(out);
            }
            GroupCommand::DeletePositions { group, partitions } => {
                put_head(out, 9, group.as_str());
                out.put_option(partitions.as_deref(), |out, partitions| {
                    put_list(out, partitions, |out, tp| out.put_topic_partition(*tp));
                });
            }
        }
    }

    /// Reads one command from the front of `bytes`.
    pub fn decode(bytes: &mut Bytes) -> Result<GroupCommand, DecodeError> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let version = reader.version("a group command", COMMAND_VERSION)?;
        let variant = reader.u8("a group command")?;
        let group = read_group(reader)?;
        Ok(match variant {
            0 => GroupCommand::Created { group },
            1 => GroupCommand::ClassicRebalanced { group, formed: Box::new(read_generation(reader)?) },
            2 => GroupCommand::ClassicAssigned {
                group,
                generation: reader.i32("a generation")?,
                assignments: read_list(reader, "assignments", |reader| {
                    let member = read_member(reader)?;
                    let assignment = read_blob(reader, "an assignment")?;
                    let given = SyncAssignment { member, assignment, partitions: Vec::new() };
                    Ok((given, read_partitions(reader)?))
                })?,
            },
            3 => GroupCommand::ClassicMembersLeft {
                group,
                members: read_list(reader, "members", read_member)?,
            },
            4 => GroupCommand::ClassicMemberReplaced {
                group,
                old: read_member(reader)?,
                member: Box::new(read_classic_member(reader)?),
                rebalance: reader.bool("a replaced member")?,
            },
            5 => GroupCommand::ConsumerChanged {
                group,
                base: reader.u64("a revision")?,
                facts: read_list(reader, "facts", read_fact)?,
            },
            6 => GroupCommand::TypeChanged { group, state: Box::new(read_group_state(reader)?) },
            7 => GroupCommand::Deleted { group },
            8 => GroupCommand::CommitPositions {
                group,
                fence: read_fence(reader)?,
                positions: read_list(reader, "positions", read_commit)?,
                by: if version < 2 { Committer::default() } else { Committer::decode(reader)? },
            },
            9 => GroupCommand::DeletePositions {
                group,
                partitions: reader.option("deleted positions", |reader| {
                    read_list(reader, "deleted positions", |reader| reader.topic_partition("a partition"))
                })?,
            },
            found => {
                return Err(DecodeError::Variant { what: "a group command", found });
            }
        })
    }
}

fn put_head(out: &mut Parts, variant: u8, group: &str) {
    out.put_u8(variant);
    out.put_text(group);
}

fn put_generation(out: &mut Parts, formed: &ClassicGeneration) {
    out.put_i32(formed.generation);
    put_text_option(out, formed.protocol_type.as_deref());
    put_text_option(out, formed.protocol.as_deref());
    put_text_option(out, formed.leader.as_ref().map(MemberId::as_str));
    put_list(out, &formed.members, put_classic_member);
}

fn read_generation(reader: &mut Reader) -> Result<ClassicGeneration, DecodeError> {
    Ok(ClassicGeneration {
        generation: reader.i32("a generation")?,
        protocol_type: read_text_option(reader, "a protocol type")?,
        protocol: read_text_option(reader, "a protocol")?,
        leader: read_text_option(reader, "a leader")?.map(MemberId),
        members: read_list(reader, "members", read_classic_member)?,
    })
}

fn put_fact(out: &mut Parts, fact: &ConsumerFact) {
    match fact {
        ConsumerFact::EpochAdvanced { epoch, topics } => {
            out.put_u8(0);
            out.put_i32(*epoch);
            put_list(out, topics, |out, (topic, partitions)| {
                out.put_uuid(topic.0);
                out.put_u32(*partitions);
            });
        }
        ConsumerFact::TargetAssigned { epoch, changes } => {
            out.put_u8(1);
            out.put_i32(*epoch);
            put_list(out, changes, |out, (member, target)| {
                out.put_text(member.as_str());
                put_partitions(out, target);
            });
        }
        ConsumerFact::MemberUpserted(member) => {
            out.put_u8(2);
            put_consumer_member(out, member);
        }
        ConsumerFact::MemberAdvanced { member, epoch, previous_epoch, state, assigned, revoking } => {
            out.put_u8(3);
            out.put_text(member.as_str());
            out.put_i32(*epoch);
            out.put_i32(*previous_epoch);
            put_state(out, *state);
            put_partitions(out, assigned);
            put_partitions(out, revoking);
        }
        ConsumerFact::MemberReplaced { old, new } => {
            out.put_u8(4);
            out.put_text(old.as_str());
            out.put_text(new.as_str());
        }
        ConsumerFact::MemberLeft(member) => {
            out.put_u8(5);
            out.put_text(member.as_str());
        }
    }
}

fn read_fact(reader: &mut Reader) -> Result<ConsumerFact, DecodeError> {
    Ok(match reader.u8("a fact")? {
        0 => ConsumerFact::EpochAdvanced {
            epoch: reader.i32("a group epoch")?,
            topics: read_list(reader, "subscribed topics", |reader| {
                Ok((TopicId(reader.uuid("a topic id")?), reader.u32("a partition count")?))
            })?,
        },
        1 => ConsumerFact::TargetAssigned {
            epoch: reader.i32("a group epoch")?,
            changes: read_list(reader, "targets", |reader| {
                Ok((read_member(reader)?, read_partitions(reader)?))
            })?,
        },
        2 => ConsumerFact::MemberUpserted(Box::new(read_consumer_member(reader)?)),
        3 => ConsumerFact::MemberAdvanced {
            member: read_member(reader)?,
            epoch: reader.i32("a member epoch")?,
            previous_epoch: reader.i32("a member epoch")?,
            state: read_state(reader)?,
            assigned: read_partitions(reader)?,
            revoking: read_partitions(reader)?,
        },
        4 => ConsumerFact::MemberReplaced { old: read_member(reader)?, new: read_member(reader)? },
        5 => ConsumerFact::MemberLeft(read_member(reader)?),
        found => {
            return Err(DecodeError::Variant { what: "a fact", found });
        }
    })
}
