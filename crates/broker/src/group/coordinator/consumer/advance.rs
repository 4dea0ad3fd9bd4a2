//! What a member's word changes: the member itself, the group's epoch, the target assignment, and the member's next step.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymq_model::{TopicId, TopicPartition};

use super::reconcile::Target;
use crate::group::assignor::{AssignedMember, Assignor};
use crate::group::coordinator::turn::Turn;
use crate::group::durable::{ConsumerFact, ConsumerGroup, ConsumerMember};
use crate::group::names::MemberId;
use crate::group::topics::PartitionSet;

/// A member as the log knows it, and as it now describes itself.
pub(super) struct Update {
    /// As applied; a blank one if it is new.
    pub(super) before: ConsumerMember,
    /// The id that it comes back from (static members).
    pub(super) replaces: Option<MemberId>,
    /// With its new description, not yet a step further.
    pub(super) after: ConsumerMember,
    /// What it says it owns; None if it does not say.
    pub(super) owned: Option<PartitionSet>,
}

/// What follows from an update. Without facts nothing changed.
pub(super) struct Advanced {
    pub(super) facts: Vec<ConsumerFact>,
    pub(super) member: ConsumerMember,
}

type Members = BTreeMap<MemberId, Arc<ConsumerMember>>;

impl Turn<'_> {
    pub(super) fn advance(&mut self, update: Update) -> Advanced {
        let Update { before, replaces, after, owned } = update;
        if replaces.is_none() && after == before && self.is_settled(&after) {
            return Advanced { facts: Vec::new(), member: after };
        }
        let group = self.consumer().cloned().unwrap_or_default();
        let mut facts = Vec::new();
        if let Some(old) = &replaces {
            facts.push(ConsumerFact::MemberReplaced { old: old.clone(), new: after.id.clone() });
        }
        let mut members = group.members.clone();
        if let Some(old) = &replaces {
            members.remove(old);
        }
        members.insert(after.id.clone(), Arc::new(after.clone()));

        let subscribes_anew = after.topics != before.topics || after.regex != before.regex;
        let epoch = self.advance_epoch(&group, &members, subscribes_anew, &mut facts);
        let lookup = replaces.as_ref().unwrap_or(&after.id);
        let (target_epoch, target) = if epoch > group.target_epoch {
            let topics = topics_of(&facts).unwrap_or_else(|| group.topics.clone());
            let mut targets = self.new_targets(&group, &members, replaces.as_ref(), &topics);
            let own = targets.remove(&after.id).unwrap_or_default();
            let mut changes: Vec<(MemberId, PartitionSet)> = targets.into_iter().collect();
            changes.push((after.id.clone(), own.clone()));
            changes.retain(|(id, target)| group.targets.get(id).map(Arc::as_ref) != Some(target));
            facts.push(ConsumerFact::TargetAssigned { epoch, changes });
            (epoch, own)
        } else {
            (group.target_epoch, group.target(lookup))
        };
        let target = Target { epoch: target_epoch, partitions: &target, owned: owned.as_ref() };
        let is_other =
            |member: &ConsumerMember| member.id != after.id && Some(&member.id) != replaces.as_ref();
        let is_held =
            |tp: &TopicPartition| group.members.values().any(|member| is_other(member) && member.holds(tp));
        let mut member = target.step(after.clone(), is_held);
        if member.epoch == before.epoch {
            member.previous_epoch = before.previous_epoch;
        }
        if member != before || replaces.is_some() {
            facts.push(fact(&before, &member, group.members.contains_key(&member.id)));
        }
        Advanced { facts, member }
    }

    /// The common heartbeat: the group has its target, and the member has arrived.
    fn is_settled(&self, member: &ConsumerMember) -> bool {
        !self.slot.topics_changed
            && self.consumer().is_some_and(|group| {
                group.epoch == group.target_epoch
                    && member.is_reconciled_to(group.target_epoch)
                    && group.members.contains_key(&member.id)
            })
    }

    /// The epoch rises when a subscription changed, or the topics that are subscribed to.
    fn advance_epoch(
        &mut self,
        group: &ConsumerGroup,
        members: &Members,
        subscribes_anew: bool,
        facts: &mut Vec<ConsumerFact>,
    ) -> i32 {
        // A new group leaves epoch 0 also with a member that names no topic: to members it means that they have not joined.
        let subscribes_anew = subscribes_anew || group.epoch == 0;
        if !subscribes_anew && !self.slot.topics_changed {
            return group.epoch;
        }
        let topics = self.core.subscribed_topics(members.values().map(Arc::as_ref));
        self.slot.topics_changed = false;
        if !subscribes_anew && topics == group.topics {
            return group.epoch;
        }
        let epoch = group.epoch.saturating_add(1);
        facts.push(ConsumerFact::EpochAdvanced { epoch, topics: topics.into_iter().collect() });
        epoch
    }

    fn new_targets(
        &mut self,
        group: &ConsumerGroup,
        members: &Members,
        replaces: Option<&MemberId>,
        topics: &BTreeMap<TopicId, u32>,
    ) -> BTreeMap<MemberId, PartitionSet> {
        let assignor = self.assignor(members);
        let mut input = BTreeMap::new();
        for (id, member) in members {
            let before = match group.targets.get(id) {
                Some(target) => target.as_ref().clone(),
                None => replaces.map(|old| group.target(old)).unwrap_or_default(),
            };
            let order = member.instance.as_ref().map_or(id.as_str(), |instance| instance.as_str()).to_owned();
            let topics = self.core.subscribed(member);
            input.insert(id.clone(), AssignedMember { order, topics, before });
        }
        assignor.assign(&input, topics)
    }

    /// The assignor that most members prefer, or the default. A member may have named one that is not served any more.
    pub(in crate::group::coordinator) fn assignor(&self, members: &Members) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for member in members.values() {
            let named = member.assignor.as_deref().and_then(|name| self.core.options.assignor(name));
            if let Some(assignor) = named {
                *votes.entry(assignor).or_default() += 1;
            }
        }
        let default = self.core.options.default_assignor();
        votes
            .into_iter()
            .max_by_key(|&(assignor, count)| (count, assignor == default))
            .map_or(default, |vote| vote.0)
    }
}

fn topics_of(facts: &[ConsumerFact]) -> Option<BTreeMap<TopicId, u32>> {
    facts.iter().find_map(|fact| match fact {
        ConsumerFact::EpochAdvanced { topics, .. } => Some(topics.iter().copied().collect()),
        _ => None,
    })
}

/// The smallest fact that turns `before` into `after`.
fn fact(before: &ConsumerMember, after: &ConsumerMember, is_known: bool) -> ConsumerFact {
    let described_alike = ConsumerMember {
        epoch: before.epoch,
        previous_epoch: before.previous_epoch,
        state: before.state,
        assigned: before.assigned.clone(),
        revoking: before.revoking.clone(),
        ..after.clone()
    } == *before;
    if !is_known || !described_alike {
        return ConsumerFact::MemberUpserted(Box::new(after.clone()));
    }
    ConsumerFact::MemberAdvanced {
        member: after.id.clone(),
        epoch: after.epoch,
        previous_epoch: after.previous_epoch,
        state: after.state,
        assigned: after.assigned.clone(),
        revoking: after.revoking.clone(),
    }
}
