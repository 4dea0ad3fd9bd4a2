//! DescribeGroups, ConsumerGroupDescribe, ListGroups, DeleteGroups.

use bytes::Bytes;

use super::Coordinator;
use super::classic::soft::{Phase, Working};
use super::slot::{Slot, Then};
use super::turn::Turn;
use crate::group::durable::{ConsumerGroup, ConsumerMember, GroupCommand, GroupState, MemberAssignment};
use crate::group::error::GroupError;
use crate::group::names::Token;
use crate::group::request::Request;
use crate::group::response::{
    ConsumerDescribed, ConsumerDescribedMember, Described, DescribedMember, Listed, Response,
};

impl Turn<'_> {
    pub(super) fn describe(&self) -> Result<Described, GroupError> {
        let soft = &self.slot.classic;
        if self.consumer().is_some() || (self.slot.durable.is_none() && soft.is_unused()) {
            return Err(GroupError::GroupIdNotFound);
        }
        let is_stable = soft.phase == Phase::Stable;
        let protocol = soft.protocol.clone().filter(|_| is_stable).unwrap_or_else(|| "".into());
        Ok(Described {
            state: classic_state(soft.phase),
            protocol_type: soft.protocol_type.clone().unwrap_or_else(|| "".into()),
            members: soft
                .members
                .values()
                .map(|member| self.described(member, is_stable.then_some(&protocol)))
                .collect(),
            protocol,
        })
    }

    fn described(&self, member: &Working, protocol: Option<&crate::group::Text>) -> DescribedMember {
        let record = &member.record;
        let nothing = MemberAssignment { opaque: Some(Bytes::new()), ..MemberAssignment::default() };
        let applied = self.classic().and_then(|group| group.members.get(&record.id));
        let assignment = applied.filter(|_| protocol.is_some()).map_or(&nothing, |own| &own.assignment);
        DescribedMember {
            member: record.id.clone(),
            instance: record.instance.clone(),
            client_id: record.client_id.clone(),
            client_host: record.client_host.clone(),
            metadata: protocol.map(|protocol| record.metadata(protocol)).unwrap_or_default(),
            assignment: self.assignment(assignment),
        }
    }

    pub(super) fn consumer_describe(&self) -> Result<ConsumerDescribed, GroupError> {
        let group = self.consumer().ok_or(GroupError::GroupIdNotFound)?;
        let described = |member: &ConsumerMember| ConsumerDescribedMember {
            member: member.id.clone(),
            instance: member.instance.clone(),
            rack: member.rack.clone(),
            member_epoch: member.epoch,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: member.topics.clone(),
            regex: member.regex.clone(),
            assignment: member.assigned.clone(),
            target: group.target(&member.id),
            classic: member.classic.is_some(),
            state: member.state,
        };
        Ok(ConsumerDescribed {
            state: consumer_state(group),
            group_epoch: group.epoch,
            assignment_epoch: group.target_epoch,
            assignor: self.assignor(&group.members).name(),
            members: group.members.values().map(|member| described(member)).collect(),
        })
    }

    pub(super) fn delete(&mut self, token: Token) {
        let refused = match &self.slot.durable {
            None if self.slot.classic.is_unused() => Some(GroupError::GroupIdNotFound),
            None => Some(GroupError::NonEmptyGroup),
            Some(group) if !group.is_empty() || !self.slot.classic.members.is_empty() => {
                Some(GroupError::NonEmptyGroup)
            }
            Some(_) => None,
        };
        if let Some(error) = refused {
            return self.reply(token, Response::Delete(Err(error)));
        }
        let command = GroupCommand::Deleted { group: self.group.clone() };
        let replies = vec![(token, Response::Delete(Ok(())))];
        self.propose(command, Then::TypeChanged { retry: None, replies });
    }
}

impl Coordinator {
    pub(super) fn list(&self, request: &Request) -> Vec<Listed> {
        let Request::List(filter) = request else {
            return Vec::new();
        };
        let passes = |allowed: &[crate::group::Text], own: &str| {
            allowed.is_empty() || allowed.iter().any(|one| one.eq_ignore_ascii_case(own))
        };
        let all = self.slots.iter().filter_map(|(group, slot)| listed(group, slot));
        all.filter(|one| passes(&filter.states, one.state) && passes(&filter.types, one.group_type)).collect()
    }
}

fn listed(group: &crate::group::GroupId, slot: &Slot) -> Option<Listed> {
    let consumer = match slot.durable.as_deref() {
        Some(GroupState::Consumer(consumer)) => Some(consumer),
        None if slot.classic.is_unused() => return None,
        _ => None,
    };
    Some(Listed {
        group: group.clone(),
        protocol_type: match consumer {
            Some(_) => "consumer".into(),
            None => slot.classic.protocol_type.clone().unwrap_or_else(|| "".into()),
        },
        state: consumer.map_or_else(|| classic_state(slot.classic.phase), consumer_state),
        group_type: if consumer.is_some() { "consumer" } else { "classic" },
    })
}

fn classic_state(phase: Phase) -> &'static str {
    match phase {
        Phase::Empty => "Empty",
        Phase::Preparing { .. } => "PreparingRebalance",
        Phase::Completing => "CompletingRebalance",
        Phase::Stable => "Stable",
    }
}

fn consumer_state(group: &ConsumerGroup) -> &'static str {
    if group.members.is_empty() {
        "Empty"
    } else if group.epoch > group.target_epoch {
        "Assigning"
    } else if group.members.values().all(|member| member.is_reconciled_to(group.target_epoch)) {
        "Stable"
    } else {
        "Reconciling"
    }
}
