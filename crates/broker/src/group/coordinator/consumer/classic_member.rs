//! Classic members inside a consumer group (KIP-848, online migration): their joins, syncs and heartbeats are served from
//! the group's target assignment. A member's epoch is its generation.

use std::iter;
use std::sync::Arc;

use super::advance::Update;
use super::heartbeat::sorted;
use crate::group::coordinator::protocols::named_by_all;
use crate::group::coordinator::slot::{ConsumerChange, Then};
use crate::group::coordinator::timers::Timer;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::{ClassicFacet, ConsumerGroup, ConsumerMember, MemberState};
use crate::group::error::GroupError;
use crate::group::names::{InstanceId, MemberId, Text, Token};
use crate::group::request::{Heartbeat, Join, Protocol, Sync};
use crate::group::response::{Assignment, Joined, Response, Synced};
use crate::group::topics::PartitionSet;

const CONSUMER: &str = "consumer";

impl Turn<'_> {
    pub(in crate::group::coordinator) fn join_consumer(&mut self, token: Token, join: Join) {
        let update = match self.join_update(&join) {
            Ok(update) => update,
            Err(error) => return self.reply(token, Response::Join(Err(error))),
        };
        let gone: Vec<MemberId> = update.replaces.iter().cloned().collect();
        let check_downgrade = !gone.is_empty();
        let advanced = self.advance(update);
        let member = advanced.member;
        let joined = Joined {
            member: member.id.clone(),
            generation: member.epoch,
            protocol_type: Some(CONSUMER.into()),
            protocol: join.protocols.first().map(|protocol| protocol.name.clone()),
            leader: "".into(),
            members: Vec::new(),
            skip_assignment: false,
        };
        let reply = (token, Response::Join(Ok(joined)));
        if advanced.facts.is_empty() {
            self.start_consumer_session(&member);
            self.await_member_sync(&member);
            return self.reply(reply.0, reply.1);
        }
        let seen = Some(member.id);
        let change =
            ConsumerChange { replies: vec![reply], seen, moved: true, gone, joined: true, check_downgrade };
        let command = self.changed(advanced.facts);
        self.propose(command, Then::Consumer(Box::new(change)));
    }

    fn join_update(&self, join: &Join) -> Result<Update, GroupError> {
        let group = self.consumer().ok_or(GroupError::UnknownMemberId)?;
        let is_known = group.members.contains_key(&join.member);
        let own = join.instance.as_ref().and_then(|instance| group.static_member(instance));
        if !is_known && own.is_none() && group.members.len() >= self.core.options.consumer_members_max {
            return Err(GroupError::GroupMaxSizeReached);
        }
        let subscription = join.subscription.as_ref().ok_or(GroupError::InconsistentGroupProtocol)?;
        if &*join.protocol_type != CONSUMER || !group.supports_classic(&join.protocols) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        let id = if join.member.is_empty() { MemberId(join.fresh_id.clone()) } else { join.member.clone() };
        let (before, replaces) = group.joining(join, &id)?;
        let fresh_start = replaces.is_some();
        let mut after = ConsumerMember {
            id,
            instance: join.instance.clone().or(before.instance.clone()),
            rack: subscription.rack.clone().or(before.rack.clone()),
            client_id: join.client.id.clone(),
            client_host: join.client.host.clone(),
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            topics: sorted(&subscription.topics),
            regex: None,
            classic: Some(ClassicFacet {
                session_timeout_ms: join.session_timeout_ms,
                protocols: join.protocols.clone(),
            }),
            ..before.clone()
        };
        if fresh_start {
            let revoking = PartitionSet::new();
            after =
                ConsumerMember { epoch: 0, previous_epoch: 0, state: MemberState::Stable, revoking, ..after };
        }
        let owned = Some(self.core.topics.resolved(&subscription.owned));
        Ok(Update { before, replaces, after, owned })
    }

    fn classic_member(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
        generation: i32,
    ) -> Result<Arc<ConsumerMember>, GroupError> {
        let group = self.consumer().ok_or(GroupError::UnknownMemberId)?;
        let member = match instance {
            None => group.members.get(id).ok_or(GroupError::UnknownMemberId)?,
            Some(instance) => group.static_member(instance).ok_or(GroupError::UnknownMemberId)?,
        };
        if member.id != *id {
            return Err(GroupError::FencedInstanceId);
        }
        if member.classic.is_none() {
            return Err(GroupError::UnknownMemberId);
        }
        if member.epoch != generation {
            return Err(GroupError::IllegalGeneration);
        }
        Ok(member.clone())
    }

    pub(in crate::group::coordinator) fn sync_consumer(&mut self, sync: &Sync) -> Result<Synced, GroupError> {
        let member = self.classic_member(&sync.member, sync.instance.as_ref(), sync.generation)?;
        let protocol =
            member.classic.as_ref().and_then(|classic| classic.protocols.first()).map(|one| &one.name);
        let is_other_type = sync.protocol_type.as_deref().is_some_and(|given| given != CONSUMER);
        if is_other_type || (sync.protocol.is_some() && sync.protocol.as_ref() != protocol) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        let group_epoch = self.consumer().map_or(0, |group| group.epoch);
        if group_epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
            self.await_member_join(&member);
            return Err(GroupError::RebalanceInProgress);
        }
        self.cancel_timer(Timer::MemberSync(member.id.clone()));
        self.start_consumer_session(&member);
        let name: Option<Text> = protocol.cloned();
        Ok(Synced {
            protocol_type: Some(CONSUMER.into()),
            protocol: name,
            assignment: Assignment::Partitions(self.core.topics.named(&member.assigned)),
        })
    }

    pub(in crate::group::coordinator) fn heartbeat_consumer_classic(
        &mut self,
        heartbeat: &Heartbeat,
    ) -> Result<(), GroupError> {
        let member =
            self.classic_member(&heartbeat.member, heartbeat.instance.as_ref(), heartbeat.generation)?;
        self.start_consumer_session(&member);
        let has_to_join = self.consumer().is_some_and(|group| {
            member.epoch < group.epoch
                || match member.state {
                    MemberState::Stable => false,
                    MemberState::UnrevokedPartitions => true,
                    MemberState::UnreleasedPartitions => !group.waits_for_others(&member),
                }
        });
        if !has_to_join {
            return Ok(());
        }
        self.await_member_join(&member);
        Err(GroupError::RebalanceInProgress)
    }

    /// The member was told to join again, and has its rebalance timeout for it.
    fn await_member_join(&mut self, member: &ConsumerMember) {
        let timer = Timer::MemberJoin(member.id.clone());
        if !self.core.timers.is_set(self.group, &timer) {
            self.set_timer(timer, member.rebalance_timeout_ms);
        }
    }
}

impl ConsumerGroup {
    /// The member that joins, as it was before, and the id that it comes back from.
    fn joining(&self, join: &Join, id: &MemberId) -> Result<(ConsumerMember, Option<MemberId>), GroupError> {
        let own = join.instance.as_ref().and_then(|instance| self.static_member(instance));
        Ok(match (&join.instance, own) {
            (None, _) if join.member.is_empty() && join.requires_known_id => {
                return Err(GroupError::MemberIdRequired(id.clone()));
            }
            (None, _) => match self.members.get(id) {
                Some(own) => (ConsumerMember::clone(own), None),
                None => (ConsumerMember::new(id.clone()), None),
            },
            (Some(_), Some(own)) if own.id == *id => (ConsumerMember::clone(own), None),
            (Some(_), Some(own)) if join.member.is_empty() => {
                (ConsumerMember::clone(own), Some(own.id.clone()))
            }
            (Some(_), Some(_)) => return Err(GroupError::FencedInstanceId),
            (Some(_), None) if join.member.is_empty() => (ConsumerMember::new(id.clone()), None),
            (Some(_), None) => return Err(GroupError::UnknownMemberId),
        })
    }

    /// Whether one of the protocols is supported by all classic members.
    fn supports_classic(&self, protocols: &[Protocol]) -> bool {
        let classic = self.members.values().filter_map(|member| member.classic.as_ref());
        let lists = classic.map(|facet| &*facet.protocols);
        !named_by_all(iter::once(protocols).chain(lists)).is_empty()
    }
}
