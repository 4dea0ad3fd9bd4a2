//! ConsumerGroupHeartbeat (KIP-848): join, stay, change the subscription.

use super::advance::Update;
use super::subscription::compile;
use crate::group::coordinator::slot::{ConsumerChange, Then};
use crate::group::coordinator::timers::Timer;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::consumer::LEFT_FOR_A_WHILE;
use crate::group::durable::{ConsumerGroup, ConsumerMember, MemberState};
use crate::group::error::GroupError;
use crate::group::names::{MemberId, Text, Token};
use crate::group::request::{ConsumerHeartbeat, Request};
use crate::group::response::{HeartbeatDone, Response};
use crate::group::topics::PartitionSet;

/// What a topic takes even if its name is empty, so that their number is bounded too.
const TOPIC_BYTES_MIN: usize = 16;
/// The epoch of a member that joins.
const JOINS: i32 = 0;

impl Turn<'_> {
    pub(in crate::group::coordinator) fn consumer_heartbeat(
        &mut self,
        token: Token,
        request: ConsumerHeartbeat,
    ) {
        let checked = self.check_heartbeat(&request);
        let refused = match checked {
            Err(error) => Some(error),
            Ok(()) if request.member_epoch < 0 => return self.consumer_leave(token, &request),
            Ok(()) if self.consumer().is_some() => None,
            Ok(()) if request.member_epoch != JOINS => Some(GroupError::GroupIdNotFound),
            Ok(()) if self.slot.durable.is_none() && self.slot.classic.is_unused() => None,
            Ok(()) => match self.as_consumer_group() {
                Ok(command) => {
                    let retry = Some((token, Box::new(Request::ConsumerHeartbeat(request))));
                    return self.propose(command, Then::TypeChanged { retry, replies: Vec::new() });
                }
                Err(error) => Some(error),
            },
        };
        let update = match refused {
            Some(error) => Err(error),
            None => self.heartbeat_update(&request),
        };
        match update {
            Ok(update) => self.take_heartbeat(token, &request, update),
            Err(error) => self.reply(token, Response::ConsumerHeartbeat(Err(error))),
        }
    }

    fn take_heartbeat(&mut self, token: Token, request: &ConsumerHeartbeat, update: Update) {
        let before = update.before.clone();
        let gone: Vec<MemberId> = update.replaces.iter().cloned().collect();
        let advanced = self.advance(update);
        let member = advanced.member;
        let is_full = request.member_epoch == JOINS
            || (request.rebalance_timeout_ms.is_some()
                && (request.topics.is_some() || request.regex.is_some())
                && request.owned.is_some());
        let tells = is_full || member.assigned != before.assigned;
        let done = HeartbeatDone {
            member: member.id.clone(),
            member_epoch: member.epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms(),
            assignment: tells.then(|| member.assigned.clone()),
        };
        let reply = (token, Response::ConsumerHeartbeat(Ok(done)));
        if advanced.facts.is_empty() {
            self.start_consumer_session(&member);
            return self.reply(reply.0, reply.1);
        }
        let moved = member.epoch != before.epoch || member.revoking != before.revoking;
        let seen = Some(member.id);
        let change = ConsumerChange { replies: vec![reply], seen, moved, gone, ..ConsumerChange::default() };
        let command = self.changed(advanced.facts);
        self.propose(command, Then::Consumer(Box::new(change)));
    }

    fn check_heartbeat(&self, request: &ConsumerHeartbeat) -> Result<(), GroupError> {
        let refuse = |why| Err(GroupError::InvalidRequest(why));
        if request.instance.as_ref().is_some_and(|instance| instance.is_empty()) {
            return refuse("the instance id is empty");
        }
        if request.rack.as_deref() == Some("") {
            return refuse("the rack is empty");
        }
        if request.member_epoch != JOINS && request.member.is_empty() {
            return refuse("the member id is empty");
        }
        match request.member_epoch {
            LEFT_FOR_A_WHILE if request.instance.is_none() => {
                return refuse("only a static member leaves for a while");
            }
            ..LEFT_FOR_A_WHILE => return refuse("the member epoch is invalid"),
            JOINS => {
                if request.rebalance_timeout_ms.is_none() {
                    return refuse("a rebalance timeout is needed to join");
                }
                if request.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                    return refuse("a member that joins owns nothing");
                }
                // Empty ones are fine: Java's client joins so with a pattern that matches nothing that it knows of yet.
                if request.topics.is_none() && request.regex.is_none() {
                    return refuse("a subscription is needed to join");
                }
            }
            _ => {}
        }
        if request.assignor.as_deref().is_some_and(|name| self.core.options.assignor(name).is_none()) {
            return Err(GroupError::UnsupportedAssignor);
        }
        self.check_subscription(request)
    }

    fn check_subscription(&self, request: &ConsumerHeartbeat) -> Result<(), GroupError> {
        let options = &self.core.options;
        let bytes: usize = request.topics.iter().flatten().map(|topic| topic.len() + TOPIC_BYTES_MIN).sum();
        if bytes > options.member_metadata_bytes_max {
            return Err(GroupError::InvalidRequest("the subscription is too big"));
        }
        let Some(pattern) = request.regex.as_deref().filter(|pattern| !pattern.is_empty()) else {
            return Ok(());
        };
        if pattern.len() > options.regex_bytes_max {
            return Err(GroupError::InvalidRegularExpression);
        }
        compile(pattern).map(|_| ())
    }

    fn heartbeat_update(&self, request: &ConsumerHeartbeat) -> Result<Update, GroupError> {
        let fresh = || MemberId(request.fresh_id.clone());
        let id = if request.member.is_empty() { fresh() } else { request.member.clone() };
        let group = self.consumer();
        let is_known = group.is_some_and(|group| group.members.contains_key(&id));
        let count = group.map_or(0, |group| group.members.len());
        let owned: Option<PartitionSet> = request.owned.as_ref().map(|owned| owned.iter().copied().collect());
        let (before, replaces) = match &request.instance {
            Some(instance) => match group.and_then(|group| group.static_member(instance)) {
                Some(own) => self.known_static(own, &id, request)?,
                None if request.member_epoch == JOINS => (ConsumerMember::new(id.clone()), None),
                None => return Err(GroupError::UnknownMemberId),
            },
            None => match group.and_then(|group| group.members.get(&id)) {
                Some(own) => (own.as_ref().clone(), None),
                None if request.member_epoch == JOINS => (ConsumerMember::new(id.clone()), None),
                None => return Err(GroupError::UnknownMemberId),
            },
        };
        if !is_known && replaces.is_none() && count >= self.core.options.consumer_members_max {
            return Err(GroupError::GroupMaxSizeReached);
        }
        if request.member_epoch != JOINS {
            check_member_epoch(&before, request.member_epoch, owned.as_ref())?;
        }
        let mut after = described(before.clone(), request);
        if request.member_epoch == JOINS {
            // Whoever joins owns nothing, whatever it had before: it is led to its target from the beginning.
            after = ConsumerMember {
                epoch: 0,
                state: MemberState::Stable,
                revoking: PartitionSet::new(),
                ..after
            };
        }
        after.id = id;
        Ok(Update { before, replaces, after, owned })
    }

    fn known_static(
        &self,
        own: &ConsumerMember,
        id: &MemberId,
        request: &ConsumerHeartbeat,
    ) -> Result<(ConsumerMember, Option<MemberId>), GroupError> {
        if own.id == *id {
            return Ok((own.clone(), None));
        }
        if request.member_epoch != JOINS {
            return Err(GroupError::FencedInstanceId);
        }
        if own.classic.is_none() && own.epoch != LEFT_FOR_A_WHILE {
            return Err(GroupError::UnreleasedInstanceId);
        }
        Ok((own.clone(), Some(own.id.clone())))
    }

    pub(super) fn start_consumer_session(&mut self, member: &ConsumerMember) {
        let own = self.core.overrides.get(self.group).and_then(|own| own.consumer_session_timeout_ms);
        let timeout_ms = match &member.classic {
            Some(classic) => classic.session_timeout_ms,
            None => own.unwrap_or(self.core.options.consumer_session_timeout_ms),
        };
        self.set_timer(Timer::Session(member.id.clone()), timeout_ms);
    }

    fn heartbeat_interval_ms(&self) -> u32 {
        let own = self.core.overrides.get(self.group).and_then(|own| own.consumer_heartbeat_interval_ms);
        own.unwrap_or(self.core.options.consumer_heartbeat_interval_ms)
    }
}

/// An epoch that is not the member's fences it; but for the one before, if the member owns no more than it may: then the
/// answer with the newer epoch was lost.
fn check_member_epoch(
    member: &ConsumerMember,
    epoch: i32,
    owned: Option<&PartitionSet>,
) -> Result<(), GroupError> {
    let answer_was_lost =
        epoch == member.previous_epoch && owned.is_some_and(|owned| owned.is_subset(&member.assigned));
    if epoch == member.epoch || (epoch < member.epoch && answer_was_lost) {
        return Ok(());
    }
    Err(GroupError::FencedMemberEpoch)
}

/// The member with what the request says about it; what it does not say stays.
fn described(member: ConsumerMember, request: &ConsumerHeartbeat) -> ConsumerMember {
    let topics = request.topics.as_ref().map(|topics| sorted(topics));
    ConsumerMember {
        instance: request.instance.clone().or(member.instance),
        rack: request.rack.clone().or(member.rack),
        rebalance_timeout_ms: request.rebalance_timeout_ms.unwrap_or(member.rebalance_timeout_ms),
        topics: topics.unwrap_or(member.topics),
        regex: request.regex.clone().or(member.regex),
        assignor: request.assignor.clone().or(member.assignor),
        client_id: request.client.id.clone(),
        client_host: request.client.host.clone(),
        classic: None,
        ..member
    }
}

pub(in crate::group::coordinator) fn sorted(topics: &[Text]) -> Vec<Text> {
    let mut topics = topics.to_vec();
    topics.sort();
    topics.dedup();
    topics
}

impl ConsumerGroup {
    /// Whether a member waits for partitions that another one still holds.
    pub(super) fn waits_for_others(&self, member: &ConsumerMember) -> bool {
        let target = self.target(&member.id);
        target.difference(&member.assigned).any(|tp| self.holder(tp).is_some())
    }
}
