//! Members leave a consumer group, for good or for a while, or are removed for their silence.

use std::sync::Arc;

use crate::group::coordinator::slot::{ConsumerChange, Replies, Then};
use crate::group::coordinator::turn::Turn;
use crate::group::durable::consumer::LEFT_FOR_A_WHILE;
use crate::group::durable::{ConsumerFact, ConsumerMember, MemberState};
use crate::group::error::GroupError;
use crate::group::names::{MemberId, Token};
use crate::group::request::{ConsumerHeartbeat, Leave, Leaving};
use crate::group::response::{HeartbeatDone, Left, Response};
use crate::group::topics::PartitionSet;

impl Turn<'_> {
    pub(super) fn consumer_leave(&mut self, token: Token, request: &ConsumerHeartbeat) {
        let member = match self.leaving_member(request) {
            Ok(member) => member,
            Err(error) => return self.reply(token, Response::ConsumerHeartbeat(Err(error))),
        };
        let done = HeartbeatDone {
            member: member.id.clone(),
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
        };
        let replies = vec![(token, Response::ConsumerHeartbeat(Ok(done)))];
        if request.member_epoch != LEFT_FOR_A_WHILE {
            return self.remove_consumer_members(vec![member.id.clone()], replies);
        }
        // It keeps its partitions until its session ends, so that it finds them when it comes back.
        let fact = ConsumerFact::MemberAdvanced {
            member: member.id.clone(),
            epoch: LEFT_FOR_A_WHILE,
            previous_epoch: member.epoch,
            state: MemberState::Stable,
            assigned: member.assigned.clone(),
            revoking: PartitionSet::new(),
        };
        let change = ConsumerChange { replies, ..ConsumerChange::default() };
        let command = self.changed(vec![fact]);
        self.propose(command, Then::Consumer(Box::new(change)));
    }

    fn leaving_member(&self, request: &ConsumerHeartbeat) -> Result<Arc<ConsumerMember>, GroupError> {
        let group = self.consumer().ok_or(GroupError::GroupIdNotFound)?;
        let Some(instance) = &request.instance else {
            return group.members.get(&request.member).cloned().ok_or(GroupError::UnknownMemberId);
        };
        let own = group.static_member(instance).ok_or(GroupError::UnknownMemberId)?;
        if own.id == request.member { Ok(own.clone()) } else { Err(GroupError::FencedInstanceId) }
    }

    /// Removes members. If only classic members are left the group becomes a classic one, if it may.
    pub(super) fn remove_consumer_members(&mut self, gone: Vec<MemberId>, replies: Replies) {
        if gone.is_empty() {
            return self.reply_all(replies);
        }
        if let Some(command) = self.downgrade_without(&gone) {
            return self.propose(command, Then::TypeChanged { retry: None, replies });
        }
        let Some(group) = self.consumer().cloned() else {
            return self.reply_all(replies);
        };
        let rest = group.members.values().filter(|member| !gone.contains(&member.id)).map(Arc::as_ref);
        let topics = self.core.subscribed_topics(rest).into_iter().collect();
        let mut facts: Vec<ConsumerFact> = gone.iter().cloned().map(ConsumerFact::MemberLeft).collect();
        facts.push(ConsumerFact::EpochAdvanced { epoch: group.epoch.saturating_add(1), topics });
        let change = ConsumerChange { replies, gone, ..ConsumerChange::default() };
        let command = self.changed(facts);
        self.propose(command, Then::Consumer(Box::new(change)));
    }

    /// LeaveGroup to a consumer group, from its classic members.
    pub(in crate::group::coordinator) fn leave_consumer(&mut self, token: Token, leave: Leave) {
        let mut gone = Vec::new();
        let mut lefts = Vec::new();
        for leaving in leave.members {
            let found = self.leaving_classic_member(&leaving);
            let result = found.map(|id| {
                if !gone.contains(&id) {
                    gone.push(id);
                }
            });
            lefts.push(Left { member: leaving.member, instance: leaving.instance, result });
        }
        self.remove_consumer_members(gone, vec![(token, Response::Leave(Ok(lefts)))]);
    }

    fn leaving_classic_member(&self, leaving: &Leaving) -> Result<MemberId, GroupError> {
        let group = self.consumer().ok_or(GroupError::UnknownMemberId)?;
        let member = match &leaving.instance {
            None => group.members.get(&leaving.member).ok_or(GroupError::UnknownMemberId)?,
            Some(instance) => {
                let own = group.static_member(instance).ok_or(GroupError::UnknownMemberId)?;
                if !leaving.member.is_empty() && own.id != leaving.member {
                    return Err(GroupError::FencedInstanceId);
                }
                own
            }
        };
        if member.classic.is_none() {
            return Err(GroupError::UnknownMemberId);
        }
        Ok(member.id.clone())
    }
}
