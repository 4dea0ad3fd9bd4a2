//! A static member comes back under another id (KIP-345): the old id is fenced, the group goes on if it can.

use super::join::record;
use super::soft::Phase;
use crate::group::coordinator::slot::{Replacement, Replies, Then};
use crate::group::coordinator::timers::Timer;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::{ClassicMember, GroupCommand};
use crate::group::error::GroupError;
use crate::group::names::{MemberId, Token};
use crate::group::request::Join;
use crate::group::response::{Joined, Response};

impl Turn<'_> {
    pub(super) fn replace_static(&mut self, token: Token, join: Join, old: MemberId, new: MemberId) {
        let supports_skip = join.supports_skip_assignment;
        let record = record(join, new.clone());
        let was_leader = self.slot.classic.leader.as_ref() == Some(&old);
        let is_durable = self.classic().is_some_and(|group| group.members.contains_key(&old));
        let fenced = self.swap(&old, record.clone());
        let soft = &self.slot.classic;
        let keeps = soft.phase == Phase::Stable && soft.select_protocol() == soft.protocol;
        let joined = keeps.then(|| self.kept(&old, &new, was_leader, supports_skip));
        let replacement = Replacement { token, old: old.clone(), new, joined, fenced };
        if !is_durable {
            return self.replaced(replacement);
        }
        let command = GroupCommand::ClassicMemberReplaced {
            group: self.group.clone(),
            old,
            member: Box::new(record),
            rebalance: !keeps,
        };
        self.propose(command, Then::Replaced(Box::new(replacement)));
    }

    /// Puts the new id in the old one's place; gives back the answers for whoever waits under the old one.
    fn swap(&mut self, old: &MemberId, record: ClassicMember) -> Replies {
        let new = record.id.clone();
        let mut fenced = Replies::new();
        let Some(mut member) = self.slot.classic.members.remove(old) else {
            return fenced;
        };
        let error = GroupError::FencedInstanceId;
        fenced.extend(member.join.take().map(|token| (token, Response::Join(Err(error.clone())))));
        fenced.extend(member.sync.take().map(|token| (token, Response::Sync(Err(error)))));
        member.record = record;
        let soft = &mut self.slot.classic;
        if soft.leader.as_ref() == Some(old) {
            soft.leader = Some(new.clone());
        }
        if soft.unsynced.remove(old) {
            soft.unsynced.insert(new.clone());
        }
        soft.members.insert(new, member);
        fenced
    }

    /// The answer without a rebalance. A leader must not assign from what it has forgotten: it is told to skip that
    /// (KIP-814), or, if it is too old to understand, that another one leads.
    fn kept(&self, old: &MemberId, new: &MemberId, was_leader: bool, supports_skip: bool) -> Joined {
        let skip = was_leader && supports_skip;
        let joined = self.joined(new, skip);
        let leader = if was_leader && !supports_skip { old.clone() } else { joined.leader };
        Joined { leader, skip_assignment: skip, ..joined }
    }

    /// The new id is durable.
    pub(in crate::group::coordinator) fn replaced(&mut self, replacement: Replacement) {
        let Replacement { token, old, new, joined, fenced } = replacement;
        self.reply_all(fenced);
        self.cancel_timer(Timer::Session(old));
        self.start_session(&new);
        if let Some(joined) = joined {
            return self.reply(token, Response::Join(Ok(joined)));
        }
        if let Some(member) = self.slot.classic.members.get_mut(&new) {
            member.join = Some(token);
        }
        self.rebalance_or_complete();
    }
}
