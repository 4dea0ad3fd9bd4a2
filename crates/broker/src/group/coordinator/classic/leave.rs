//! LeaveGroup to a classic group, and members that are removed for their silence.

use super::soft::Phase;
use crate::group::coordinator::slot::{Replies, Then};
use crate::group::coordinator::timers::Timer;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::GroupCommand;
use crate::group::error::GroupError;
use crate::group::names::{MemberId, Token};
use crate::group::request::{Leave, Leaving};
use crate::group::response::{Left, Response};

impl Turn<'_> {
    pub(in crate::group::coordinator) fn leave(&mut self, token: Token, leave: Leave) {
        if self.consumer().is_some() {
            return self.leave_consumer(token, leave);
        }
        if self.slot.durable.is_none() && self.slot.classic.is_unused() {
            return self.reply(token, Response::Leave(Err(GroupError::UnknownMemberId)));
        }
        let mut gone = Vec::new();
        let mut lefts = Vec::new();
        for leaving in leave.members {
            let found = self.leaving_classic(&leaving);
            let result = found.map(|id| {
                if !gone.contains(&id) {
                    gone.push(id);
                }
            });
            lefts.push(Left { member: leaving.member, instance: leaving.instance, result });
        }
        self.remove_members(gone, vec![(token, Response::Leave(Ok(lefts)))]);
    }

    fn leaving_classic(&self, leaving: &Leaving) -> Result<MemberId, GroupError> {
        let soft = &self.slot.classic;
        if leaving.member.is_empty() {
            // An administrator names static members by their instance id alone.
            let named = leaving.instance.as_ref().and_then(|instance| soft.static_member(instance));
            return named.map(|member| member.record.id.clone()).ok_or(GroupError::UnknownMemberId);
        }
        if !soft.pending.contains(&leaving.member) {
            soft.check_member(&leaving.member, leaving.instance.as_ref())?;
        }
        Ok(leaving.member.clone())
    }

    /// Removes members; those that the log knows by a command first.
    pub(super) fn remove_members(&mut self, gone: Vec<MemberId>, replies: Replies) {
        let durable: Vec<MemberId> = match self.classic() {
            Some(group) => gone.iter().filter(|id| group.members.contains_key(*id)).cloned().collect(),
            None => Vec::new(),
        };
        if durable.is_empty() {
            self.reply_all(replies);
            return self.left(&gone);
        }
        let command = GroupCommand::ClassicMembersLeft { group: self.group.clone(), members: durable };
        self.propose(command, Then::Left { members: gone, replies });
    }

    /// The members are gone, durably: the rest rebalances.
    pub(in crate::group::coordinator) fn left(&mut self, gone: &[MemberId]) {
        for id in gone {
            self.cancel_timer(Timer::Session(id.clone()));
            let soft = &mut self.slot.classic;
            soft.pending.remove(id);
            soft.unsynced.remove(id);
            if soft.leader.as_ref() == Some(id) {
                soft.leader = None;
            }
            let Some(member) = soft.members.remove(id) else {
                continue;
            };
            // Its client, if it still waits, joins again as a new member.
            if let Some(token) = member.join {
                self.reply(token, Response::Join(Err(GroupError::UnknownMemberId)));
            }
            if let Some(token) = member.sync {
                self.reply(token, Response::Sync(Err(GroupError::UnknownMemberId)));
            }
        }
        if !gone.is_empty() && self.slot.classic.phase != Phase::Empty {
            self.rebalance_or_complete();
        }
    }
}
