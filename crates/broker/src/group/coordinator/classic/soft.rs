//! The soft half of a classic group: the members of the generation that is forming, and who waits for what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::group::coordinator::slot::Replies;
use crate::group::durable::{ClassicGroup, ClassicMember, ClassicPhase};
use crate::group::error::GroupError;
use crate::group::names::{InstanceId, MemberId, Text, Token};
use crate::group::request::Protocol;
use crate::group::response::Response;

/// Kafka's states, but for `Dead`, which is the absence of the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::group::coordinator) enum Phase {
    #[default]
    Empty,
    /// Waits for joins; an initial rebalance waits for its delay even if all have joined.
    Preparing {
        initial: bool,
    },
    /// Waits for the leader's assignment.
    Completing,
    Stable,
}

/// A member of the generation that is forming, or of the current one.
#[derive(Clone, Debug)]
pub(in crate::group::coordinator) struct Working {
    pub(in crate::group::coordinator) record: ClassicMember,
    pub(in crate::group::coordinator) join: Option<Token>,
    /// The waiting join may be told to skip the assignment.
    pub(in crate::group::coordinator) sync: Option<Token>,
    /// Was never told of a generation.
    pub(in crate::group::coordinator) is_new: bool,
    /// Order of arrival.
    pub(in crate::group::coordinator) order: u64,
}

/// The soft half of a classic group.
#[derive(Debug, Default)]
pub(in crate::group::coordinator) struct ClassicSoft {
    pub(in crate::group::coordinator) phase: Phase,
    pub(in crate::group::coordinator) generation: i32,
    pub(in crate::group::coordinator) protocol_type: Option<Text>,
    pub(in crate::group::coordinator) protocol: Option<Text>,
    pub(in crate::group::coordinator) leader: Option<MemberId>,
    pub(in crate::group::coordinator) members: BTreeMap<MemberId, Working>,
    /// Ids that were given out, whose members have not joined with them yet.
    pub(in crate::group::coordinator) pending: BTreeSet<MemberId>,
    /// Members that have not synced yet.
    pub(in crate::group::coordinator) unsynced: BTreeSet<MemberId>,
    /// A member joined since the initial delay was set.
    pub(in crate::group::coordinator) new_member_added: bool,
    /// What is left of the initial delay's extensions, in milliseconds.
    pub(in crate::group::coordinator) initial_remaining_ms: u32,
    last_order: u64,
}

impl ClassicSoft {
    pub(in crate::group::coordinator) fn from_durable(group: &ClassicGroup) -> ClassicSoft {
        let mut soft = ClassicSoft {
            phase: match group.phase {
                ClassicPhase::Empty => Phase::Empty,
                ClassicPhase::RebalanceDue => Phase::Stable,
                ClassicPhase::Assigning => Phase::Completing,
                ClassicPhase::Stable => Phase::Stable,
            },
            generation: group.generation,
            protocol_type: group.protocol_type.clone(),
            protocol: group.protocol.clone(),
            leader: group.leader.clone(),
            ..ClassicSoft::default()
        };
        for member in group.members.values() {
            soft.add(ClassicMember::clone(member), None, false);
        }
        soft
    }

    /// Whether nothing would be lost without it.
    pub(in crate::group::coordinator) fn is_unused(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    pub(super) fn add(&mut self, record: ClassicMember, join: Option<Token>, is_new: bool) {
        self.last_order += 1;
        let order = self.last_order;
        self.members.insert(record.id.clone(), Working { record, join, sync: None, is_new, order });
    }

    pub(super) fn static_member(&self, instance: &InstanceId) -> Option<&Working> {
        self.members.values().find(|member| member.record.instance.as_ref() == Some(instance))
    }

    /// Checks that a member is the one that it says it is.
    pub(super) fn check_member(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            let own = self.static_member(instance).ok_or(GroupError::UnknownMemberId)?;
            if own.record.id != *member {
                return Err(GroupError::FencedInstanceId);
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(GroupError::UnknownMemberId) }
    }

    pub(super) fn waiting_joins(&self) -> usize {
        self.members.values().filter(|member| member.join.is_some()).count()
    }

    pub(super) fn have_all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.join.is_some())
    }

    /// The longest rebalance timeout of all members.
    pub(super) fn rebalance_timeout_ms(&self) -> u32 {
        self.members.values().map(|member| member.record.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// Protocols that all members support.
    fn common_protocols(&self) -> Vec<&Text> {
        let mut by_arrival: Vec<&Working> = self.members.values().collect();
        by_arrival.sort_by_key(|member| member.order);
        let Some(first) = by_arrival.first() else {
            return Vec::new();
        };
        let names = first.record.protocols.iter().map(|protocol| &protocol.name);
        names.filter(|name| by_arrival.iter().all(|member| member.record.supports(name))).collect()
    }

    /// Whether a member with these protocols may join.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if protocol_type.is_empty() || protocols.is_empty() {
            return false;
        }
        if self.members.is_empty() {
            return true;
        }
        let common = self.common_protocols();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| common.contains(&&protocol.name))
    }

    /// The protocol with the most votes: each member votes for the first of its own that all support.
    pub(in crate::group::coordinator) fn select_protocol(&self) -> Option<Text> {
        let common = self.common_protocols();
        let mut votes: Vec<(usize, &Text)> = common.iter().map(|name| (0, *name)).collect();
        for member in self.members.values() {
            let own = member.record.protocols.iter().find(|protocol| common.contains(&&protocol.name));
            if let Some(vote) = own.and_then(|own| votes.iter_mut().find(|(_, name)| **name == own.name)) {
                vote.0 += 1;
            }
        }
        let most = votes.iter().map(|(count, _)| *count).max()?;
        votes.into_iter().find(|(count, _)| *count == most).map(|(_, name)| name.clone())
    }

    /// Whether all members use the embedded consumer protocol and could be understood.
    pub(in crate::group::coordinator) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
            && self.members.values().all(|member| member.record.subscription.is_some())
    }

    /// The refusals for all who wait for a join or sync; nobody waits afterwards.
    pub(in crate::group::coordinator) fn refuse_waiting(&mut self, error: &GroupError) -> Replies {
        let mut replies = Vec::new();
        for member in self.members.values_mut() {
            replies.extend(member.join.take().map(|token| (token, Response::Join(Err(error.clone())))));
            replies.extend(member.sync.take().map(|token| (token, Response::Sync(Err(error.clone())))));
        }
        replies
    }

    /// The durable records of all members, each with the assignment that it has in `applied`.
    pub(super) fn records(&self, applied: Option<&ClassicGroup>) -> Vec<ClassicMember> {
        let before =
            |id: &MemberId| applied?.members.get(id).map(Arc::as_ref).map(|member| member.assignment.clone());
        let record = |member: &Working| {
            let assignment = before(&member.record.id).unwrap_or_default();
            ClassicMember { assignment, ..member.record.clone() }
        };
        self.members.values().map(record).collect()
    }
}
