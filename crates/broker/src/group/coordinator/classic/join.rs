//! JoinGroup to a classic group.

use super::soft::Phase;
use crate::group::coordinator::slot::Then;
use crate::group::coordinator::timers::Timer;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::{ClassicMember, MemberAssignment};
use crate::group::error::GroupError;
use crate::group::names::{MemberId, Token};
use crate::group::request::{Join, Protocol, Request, Subscription};
use crate::group::response::{Joined, JoinedMember, Response};

/// What a protocol takes even if it is empty, so that their number is bounded too.
const PROTOCOL_BYTES_MIN: usize = 64;

impl Turn<'_> {
    pub(in crate::group::coordinator) fn join(&mut self, token: Token, join: Join) {
        if let Err(error) = self.check_join(&join) {
            return self.reply(token, Response::Join(Err(error)));
        }
        match self.consumer() {
            Some(group) if !group.members.is_empty() => self.join_consumer(token, join),
            Some(_) => {
                let command = self.as_empty_classic();
                let retry = Some((token, Box::new(Request::Join(join))));
                self.propose(command, Then::TypeChanged { retry, replies: Vec::new() });
            }
            None => self.join_classic(token, join),
        }
    }

    fn check_join(&self, join: &Join) -> Result<(), GroupError> {
        let options = &self.core.options;
        let bounds = options.session_timeout_ms_min..=options.session_timeout_ms_max;
        if !bounds.contains(&join.session_timeout_ms) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        let bytes: usize =
            join.protocols.iter().map(|one| one.name.len() + one.metadata.len() + PROTOCOL_BYTES_MIN).sum();
        if bytes + join.protocol_type.len() > options.member_metadata_bytes_max {
            return Err(GroupError::InvalidRequest("the member's protocols and metadata are too big"));
        }
        if join.instance.as_ref().is_some_and(|instance| instance.is_empty()) {
            return Err(GroupError::InvalidRequest("the instance id is empty"));
        }
        Ok(())
    }

    fn join_classic(&mut self, token: Token, join: Join) {
        let soft = &self.slot.classic;
        let is_unknown = join.member.is_empty();
        let refusal = if !is_unknown && self.slot.durable.is_none() && soft.is_unused() {
            Some(GroupError::UnknownMemberId)
        } else if !self.has_room_for(&join.member) {
            Some(GroupError::GroupMaxSizeReached)
        } else if !soft.supports(&join.protocol_type, &join.protocols) {
            Some(GroupError::InconsistentGroupProtocol)
        } else {
            None
        };
        if let Some(error) = refusal {
            if error == GroupError::GroupMaxSizeReached {
                self.slot.classic.pending.remove(&join.member);
            }
            return self.reply(token, Response::Join(Err(error)));
        }
        if is_unknown { self.join_unknown(token, join) } else { self.join_known(token, join) }
    }

    /// An existing member is let in if it waits already, or if there is room among those that wait: a group that became too
    /// big shrinks by refusing the last to join again.
    fn has_room_for(&self, member: &MemberId) -> bool {
        let soft = &self.slot.classic;
        let max = self.core.options.classic_members_max;
        let known = soft.members.get(member);
        match soft.phase {
            Phase::Empty => soft.pending.len() < max || soft.pending.contains(member),
            Phase::Preparing { .. } => {
                let room = soft.waiting_joins() < max
                    && (known.is_some() || !member.is_empty() || soft.pending.len() < max);
                room || known.is_some_and(|member| member.join.is_some())
            }
            Phase::Completing | Phase::Stable => {
                known.is_some()
                    || soft.members.len() + soft.pending.len() < max
                    || soft.pending.contains(member)
            }
        }
    }

    fn join_unknown(&mut self, token: Token, join: Join) {
        let prefix = join.instance.as_ref().map_or(&*join.client.id, |instance| instance.as_str());
        let fresh = MemberId::from(format!("{prefix}-{}", join.fresh_id));
        if let Some(instance) = &join.instance {
            return match self.slot.classic.static_member(instance).map(|member| member.record.id.clone()) {
                Some(old) => self.replace_static(token, join, old, fresh),
                None => self.join_new(token, join, fresh),
            };
        }
        if !join.requires_known_id {
            return self.join_new(token, join, fresh);
        }
        self.slot.classic.pending.insert(fresh.clone());
        self.set_timer(Timer::Session(fresh.clone()), join.session_timeout_ms);
        self.reply(token, Response::Join(Err(GroupError::MemberIdRequired(fresh))));
    }

    fn join_known(&mut self, token: Token, join: Join) {
        let soft = &self.slot.classic;
        if soft.pending.contains(&join.member) {
            if join.instance.is_some() {
                let error = GroupError::InvalidRequest("a static member needs no member id to join first");
                return self.reply(token, Response::Join(Err(error)));
            }
            let member = join.member.clone();
            return self.join_new(token, join, member);
        }
        if let Err(error) = soft.check_member(&join.member, join.instance.as_ref()) {
            return self.reply(token, Response::Join(Err(error)));
        }
        let is_unchanged =
            soft.members.get(&join.member).is_some_and(|member| member.record.protocols == join.protocols);
        let is_leader = soft.leader.as_ref() == Some(&join.member);
        match soft.phase {
            // The answer to its join may have been lost: it gets the current generation again.
            Phase::Completing if is_unchanged => {
                let joined = self.joined(&join.member, is_leader);
                self.reply(token, Response::Join(Ok(joined)));
            }
            // A leader joins again to make its group rebalance, as when topics changed.
            Phase::Stable if is_unchanged && !is_leader => {
                let joined = self.joined(&join.member, false);
                self.reply(token, Response::Join(Ok(joined)));
            }
            Phase::Empty => self.reply(token, Response::Join(Err(GroupError::UnknownMemberId))),
            Phase::Preparing { .. } | Phase::Completing | Phase::Stable => self.join_again(token, join),
        }
    }

    fn join_new(&mut self, token: Token, join: Join, member: MemberId) {
        let soft = &mut self.slot.classic;
        soft.pending.remove(&member);
        if soft.members.is_empty() {
            soft.protocol_type = Some(join.protocol_type.clone());
        }
        if soft.phase == (Phase::Preparing { initial: true }) {
            soft.new_member_added = true;
        }
        soft.add(record(join, member.clone()), Some(token), true);
        self.set_timer(Timer::Session(member), self.core.options.new_member_join_timeout_ms);
        self.rebalance_or_complete();
    }

    fn join_again(&mut self, token: Token, join: Join) {
        let id = join.member.clone();
        let record = record(join, id.clone());
        let mut replaced = None;
        if let Some(member) = self.slot.classic.members.get_mut(&id) {
            member.record = ClassicMember { instance: member.record.instance.clone(), ..record };
            replaced = member.join.replace(token);
        }
        // The same member asks on another connection: nobody waits on the old one any more.
        if let Some(before) = replaced {
            self.reply(before, Response::Join(Err(GroupError::RebalanceInProgress)));
        }
        self.rebalance_or_complete();
    }

    /// The current generation, as the answer to a join.
    pub(super) fn joined(&self, member: &MemberId, with_members: bool) -> Joined {
        let soft = &self.slot.classic;
        let protocol = soft.protocol.as_deref().unwrap_or_default();
        let seen = |member: &ClassicMember| JoinedMember {
            member: member.id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(protocol),
        };
        let members =
            soft.members.values().filter(|_| with_members).map(|member| seen(&member.record)).collect();
        Joined {
            member: member.clone(),
            generation: soft.generation,
            protocol_type: soft.protocol_type.clone(),
            protocol: soft.protocol.clone(),
            leader: soft.leader.clone().unwrap_or_else(|| "".into()),
            members,
            skip_assignment: false,
        }
    }
}

/// The member that a join describes.
pub(super) fn record(join: Join, id: MemberId) -> ClassicMember {
    let protocols: Vec<Protocol> = join.protocols;
    let subscription =
        join.subscription.map(|subscription| Subscription { owned: Vec::new(), ..subscription });
    ClassicMember {
        id,
        instance: join.instance,
        client_id: join.client.id,
        client_host: join.client.host,
        session_timeout_ms: join.session_timeout_ms,
        rebalance_timeout_ms: join.rebalance_timeout_ms,
        protocols,
        subscription,
        assignment: MemberAssignment::default(),
    }
}
