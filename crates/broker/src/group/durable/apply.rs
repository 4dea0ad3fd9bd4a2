//! Applies commands. The same commands in the same order give the same state and outcomes on every node.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tallymq_model::{TopicId, TopicPartition};

use super::classic::{ClassicGroup, ClassicMember, ClassicPhase, MemberAssignment};
use super::command::{ClassicGeneration, CommandRefused, ConsumerFact, GroupCommand};
use super::consumer::{ConsumerGroup, ConsumerMember};
use super::{GroupState, Groups};
use crate::ApplyContext;
use crate::group::names::{GroupId, MemberId};
use crate::group::request::SyncAssignment;
use crate::group::topics::PartitionSet;

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupOutcome {
    /// The group as it is now; None if it is gone.
    Changed(Option<Arc<GroupState>>),
    /// Nothing.
    Refused {
        /// Why.
        why: CommandRefused,
        /// The group as it is; None if there is none.
        state: Option<Arc<GroupState>>,
    },
    /// Positions were committed, but for these partitions, where a newer generation or epoch has been seen.
    PositionsCommitted {
        /// Partitions whose commit was refused.
        fenced: Vec<TopicPartition>,
    },
    /// Positions were deleted.
    PositionsDeleted {
        /// How many there were.
        count: usize,
    },
}

impl Groups {
    /// Applies one command.
    pub fn apply(&mut self, _at: ApplyContext, command: GroupCommand) -> GroupOutcome {
        match command {
            GroupCommand::CommitPositions { group, fence, positions, by: _ } => {
                GroupOutcome::PositionsCommitted { fenced: self.positions.commit(&group, fence, positions) }
            }
            GroupCommand::DeletePositions { group, partitions } => {
                GroupOutcome::PositionsDeleted { count: self.positions.delete(&group, partitions.as_deref()) }
            }
            command => {
                let group = command.group().clone();
                match self.change(command) {
                    Ok(()) => GroupOutcome::Changed(self.groups.get(&group).cloned()),
                    Err(why) => GroupOutcome::Refused { why, state: self.groups.get(&group).cloned() },
                }
            }
        }
    }

    /// A topic is gone: its positions go. Groups learn of it from their coordinator.
    pub fn topic_deleted(&mut self, topic: TopicId) {
        self.positions.drop_topic(topic);
    }

    fn change(&mut self, command: GroupCommand) -> Result<(), CommandRefused> {
        match command {
            GroupCommand::Created { group } => {
                let fresh = || Arc::new(GroupState::Classic(ClassicGroup::default()));
                self.groups.entry(group).or_insert_with(fresh);
            }
            GroupCommand::ClassicRebalanced { group, formed } => {
                self.classic_or_new(&group)?.form(*formed)?
            }
            GroupCommand::ClassicAssigned { group, generation, assignments } => {
                let classic = self.classic(&group)?;
                classic.assign(generation, assignments)?;
            }
            GroupCommand::ClassicMembersLeft { group, members } => self.classic(&group)?.leave(&members),
            GroupCommand::ClassicMemberReplaced { group, old, member, rebalance } => {
                self.classic(&group)?.replace(&old, *member, rebalance);
            }
            GroupCommand::ConsumerChanged { group, base, facts } => {
                let consumer = self.consumer_or_new(&group, base)?;
                consumer.revision += 1;
                for fact in facts {
                    consumer.apply(fact);
                }
            }
            GroupCommand::TypeChanged { group, state } => {
                if self.groups.get(&group).is_some_and(|before| before.epoch() > state.epoch()) {
                    return Err(CommandRefused::StaleGeneration);
                }
                self.groups.insert(group, Arc::new(*state));
            }
            GroupCommand::Deleted { group } => {
                let state = self.groups.get(&group).ok_or(CommandRefused::NoSuchGroup)?;
                if !state.is_empty() {
                    return Err(CommandRefused::NotEmpty);
                }
                self.groups.remove(&group);
            }
            GroupCommand::CommitPositions { .. } | GroupCommand::DeletePositions { .. } => {}
        }
        Ok(())
    }

    fn classic(&mut self, group: &GroupId) -> Result<&mut ClassicGroup, CommandRefused> {
        match self.groups.get_mut(group).map(Arc::make_mut) {
            Some(GroupState::Classic(classic)) => Ok(classic),
            _ => Err(CommandRefused::NoSuchGroup),
        }
    }

    fn classic_or_new(&mut self, group: &GroupId) -> Result<&mut ClassicGroup, CommandRefused> {
        let fresh = || Arc::new(GroupState::Classic(ClassicGroup::default()));
        self.groups.entry(group.clone()).or_insert_with(fresh);
        self.classic(group)
    }

    fn consumer_or_new(&mut self, group: &GroupId, base: u64) -> Result<&mut ConsumerGroup, CommandRefused> {
        let is_stale = match self.groups.get(group).map(Arc::as_ref) {
            Some(GroupState::Consumer(consumer)) => consumer.revision != base,
            Some(GroupState::Classic(_)) => return Err(CommandRefused::NoSuchGroup),
            None => base != 0,
        };
        if is_stale {
            return Err(CommandRefused::StaleGeneration);
        }
        let fresh = || Arc::new(GroupState::Consumer(ConsumerGroup::default()));
        match Arc::make_mut(self.groups.entry(group.clone()).or_insert_with(fresh)) {
            GroupState::Consumer(consumer) => Ok(consumer),
            GroupState::Classic(_) => Err(CommandRefused::NoSuchGroup),
        }
    }
}

impl ClassicGroup {
    fn form(&mut self, formed: ClassicGeneration) -> Result<(), CommandRefused> {
        let planted = tallymq_model::planted("generation-not-durable");
        if formed.generation <= self.generation && !planted {
            return Err(CommandRefused::StaleGeneration);
        }
        let members = formed.members.into_iter().map(|member| (member.id.clone(), Arc::new(member)));
        let members: BTreeMap<_, _> = members.collect();
        *self = ClassicGroup {
            generation: if planted { self.generation } else { formed.generation },
            protocol_type: formed.protocol_type,
            protocol: formed.protocol,
            leader: formed.leader,
            phase: if members.is_empty() { ClassicPhase::Empty } else { ClassicPhase::Assigning },
            members,
        };
        Ok(())
    }

    fn assign(
        &mut self,
        generation: i32,
        assignments: Vec<(SyncAssignment, PartitionSet)>,
    ) -> Result<(), CommandRefused> {
        let planted = tallymq_model::planted("generation-not-durable");
        if (generation != self.generation && !planted) || self.phase != ClassicPhase::Assigning {
            return Err(CommandRefused::StaleGeneration);
        }
        for member in self.members.values_mut() {
            let nothing = MemberAssignment { opaque: Some(Bytes::new()), partitions: PartitionSet::new() };
            Arc::make_mut(member).assignment = nothing;
        }
        for (given, partitions) in assignments {
            if let Some(member) = self.members.get_mut(&given.member) {
                let assignment = MemberAssignment { opaque: Some(given.assignment), partitions };
                Arc::make_mut(member).assignment = assignment;
            }
        }
        self.phase = ClassicPhase::Stable;
        Ok(())
    }

    fn leave(&mut self, members: &[MemberId]) {
        for member in members {
            self.members.remove(member);
        }
        if self.leader.as_ref().is_some_and(|leader| !self.members.contains_key(leader)) {
            self.leader = None;
        }
        self.phase = ClassicPhase::RebalanceDue;
    }

    fn replace(&mut self, old: &MemberId, mut member: ClassicMember, rebalance: bool) {
        if let Some(before) = self.members.remove(old) {
            member.assignment = before.assignment.clone();
        }
        if self.leader.as_ref() == Some(old) {
            self.leader = Some(member.id.clone());
        }
        self.members.insert(member.id.clone(), Arc::new(member));
        if rebalance {
            self.phase = ClassicPhase::RebalanceDue;
        }
    }
}

impl ConsumerGroup {
    fn apply(&mut self, fact: ConsumerFact) {
        match fact {
            ConsumerFact::EpochAdvanced { epoch, topics } => {
                self.epoch = self.epoch.max(epoch);
                self.topics = topics.into_iter().collect();
            }
            ConsumerFact::TargetAssigned { epoch, changes } => {
                self.target_epoch = self.target_epoch.max(epoch);
                for (member, target) in changes {
                    self.targets.insert(member, Arc::new(target));
                }
            }
            ConsumerFact::MemberUpserted(member) => {
                self.members.insert(member.id.clone(), Arc::new(*member));
            }
            ConsumerFact::MemberAdvanced { member, epoch, previous_epoch, state, assigned, revoking } => {
                if let Some(own) = self.members.get_mut(&member) {
                    let before = Arc::make_mut(own);
                    *before =
                        ConsumerMember { epoch, previous_epoch, state, assigned, revoking, ..before.clone() };
                }
            }
            ConsumerFact::MemberReplaced { old, new } => {
                self.members.remove(&old);
                if let Some(target) = self.targets.remove(&old) {
                    self.targets.insert(new, target);
                }
            }
            ConsumerFact::MemberLeft(member) => {
                self.members.remove(&member);
                self.targets.remove(&member);
            }
        }
    }
}
