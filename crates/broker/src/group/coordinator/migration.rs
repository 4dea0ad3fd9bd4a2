//! A group changes its type (KIP-848): empty groups freely, others online if the policy lets them. The epoch is kept, so
//! that a commit's fence goes on rising.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::turn::Turn;
use crate::group::coordinator::classic::soft::ClassicSoft;
use crate::group::durable::{
    ClassicFacet, ClassicGroup, ClassicMember, ClassicPhase, ConsumerGroup, ConsumerMember, GroupCommand,
    GroupState, MemberAssignment,
};
use crate::group::error::GroupError;
use crate::group::names::MemberId;
use crate::group::request::Subscription;
use crate::group::topics::PartitionSet;

impl Turn<'_> {
    /// An empty consumer group becomes a classic one.
    pub(super) fn as_empty_classic(&self) -> GroupCommand {
        let generation = self.consumer().map_or(0, |group| group.epoch);
        self.type_changed(GroupState::Classic(ClassicGroup { generation, ..ClassicGroup::default() }))
    }

    /// A classic group becomes a consumer group, with its members if it has any.
    pub(super) fn as_consumer_group(&self) -> Result<GroupCommand, GroupError> {
        let soft = &self.slot.classic;
        let options = &self.core.options;
        let may_upgrade = options.migration.allows_upgrade()
            && soft.uses_consumer_protocol()
            && soft.members.len() <= options.consumer_members_max;
        if !soft.members.is_empty() && !may_upgrade {
            return Err(GroupError::GroupIdNotFound);
        }
        let fresh = ClassicGroup::default();
        let group = upgraded(self.classic().unwrap_or(&fresh));
        Ok(self.type_changed(GroupState::Consumer(group)))
    }

    /// The consumer group becomes a classic one without these members, if the last one of its own protocol is among them, or
    /// was replaced, and the policy lets it.
    pub(super) fn downgrade_without(&self, gone: &[MemberId]) -> Option<GroupCommand> {
        let group = self.consumer()?;
        let options = &self.core.options;
        let is_native = |id: &MemberId| group.members.get(id).is_some_and(|member| member.classic.is_none());
        let is_last = group.is_all_classic_without(gone) && (gone.is_empty() || gone.iter().any(is_native));
        let count = group.members.keys().filter(|id| !gone.contains(id)).count();
        if !is_last || !options.migration.allows_downgrade() || count > options.classic_members_max {
            return None;
        }
        Some(self.type_changed(GroupState::Classic(downgraded(group, gone))))
    }

    fn type_changed(&self, state: GroupState) -> GroupCommand {
        GroupCommand::TypeChanged { group: self.group.clone(), state: Box::new(state) }
    }
}

/// The members keep their generation as their epoch, and what they were assigned last.
fn upgraded(classic: &ClassicGroup) -> ConsumerGroup {
    let mut taken = PartitionSet::new();
    let mut group = ConsumerGroup {
        epoch: classic.generation,
        target_epoch: classic.generation,
        ..ConsumerGroup::default()
    };
    for (id, member) in &classic.members {
        // A classic leader may have assigned a partition twice; from now on it has one holder.
        let assigned: PartitionSet =
            member.assignment.partitions.iter().filter(|tp| taken.insert(**tp)).copied().collect();
        let subscription = member.subscription.clone().unwrap_or_default();
        let mut topics = subscription.topics;
        topics.sort();
        topics.dedup();
        let upgraded = ConsumerMember {
            instance: member.instance.clone(),
            rack: subscription.rack,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            topics,
            epoch: classic.generation,
            previous_epoch: classic.generation,
            assigned: assigned.clone(),
            classic: Some(ClassicFacet {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            }),
            ..ConsumerMember::new(id.clone())
        };
        group.targets.insert(id.clone(), Arc::new(assigned));
        group.members.insert(id.clone(), Arc::new(upgraded));
    }
    group
}

/// The members keep what they hold, and have to join again under the group's epoch as their generation.
fn downgraded(group: &ConsumerGroup, gone: &[MemberId]) -> ClassicGroup {
    let mut members = BTreeMap::new();
    for (id, member) in group.members.iter().filter(|(id, _)| !gone.contains(id)) {
        let Some(classic) = &member.classic else { continue };
        let subscription = Subscription {
            topics: member.topics.clone(),
            rack: member.rack.clone(),
            ..Subscription::default()
        };
        let downgraded = ClassicMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout_ms: classic.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            protocols: classic.protocols.clone(),
            subscription: Some(subscription),
            assignment: MemberAssignment { opaque: None, partitions: member.assigned.clone() },
        };
        members.insert(id.clone(), Arc::new(downgraded));
    }
    let mut classic = ClassicGroup {
        generation: group.epoch,
        protocol_type: Some("consumer".into()),
        protocol: None,
        leader: members.keys().next().cloned(),
        members,
        phase: ClassicPhase::RebalanceDue,
    };
    classic.protocol = ClassicSoft::from_durable(&classic).select_protocol();
    classic
}
