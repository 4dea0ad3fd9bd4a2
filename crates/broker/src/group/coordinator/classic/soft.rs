//! The soft half of a classic group: the members of the generation that is forming, and who waits for what.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use crate::group::coordinator::protocols::named_by_all;
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

    /// Protocols that all members support, each with its place in the list of the member that came first.
    fn common_protocols(&self) -> BTreeMap<&Text, usize> {
        let mut by_arrival: Vec<&Working> = self.members.values().collect();
        by_arrival.sort_by_key(|member| member.order);
        named_by_all(by_arrival.into_iter().map(|member| &*member.record.protocols))
    }

    /// Whether a member with these protocols may join.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if protocol_type.is_empty() || protocols.is_empty() {
            return false;
        }
        if self.members.is_empty() {
            return true;
        }
        let members = self.members.values().map(|member| &*member.record.protocols);
        self.protocol_type.as_deref() == Some(protocol_type)
            && !named_by_all(iter::once(protocols).chain(members)).is_empty()
    }

    /// The protocol with the most votes: each member votes for the first of its own that all support. Of those with as many,
    /// the one that the member that came first prefers.
    pub(in crate::group::coordinator) fn select_protocol(&self) -> Option<Text> {
        let common = self.common_protocols();
        let mut votes: BTreeMap<&Text, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut own = member.record.protocols.iter().map(|protocol| &protocol.name);
            if let Some(vote) = own.find(|name| common.contains_key(*name)) {
                *votes.entry(vote).or_default() += 1;
            }
        }
        let votes = |name: &Text| votes.get(name).copied().unwrap_or(0);
        let most = common.into_iter().max_by_key(|(name, place)| (votes(name), Reverse(*place)));
        most.map(|(name, _)| name.clone())
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
