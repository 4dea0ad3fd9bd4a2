//! Whether a member may commit, read or delete positions. The fence that a commit gets is checked again where it is applied.

use super::soft::Phase;
use crate::group::coordinator::slot::Then;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::{Fence, GroupCommand};
use crate::group::error::GroupError;
use crate::group::names::{Text, Token};
use crate::group::request::{CommitCheck, FetchCheck};
use crate::group::response::Response;

impl Turn<'_> {
    pub(in crate::group::coordinator) fn commit_check(&mut self, token: Token, check: CommitCheck) {
        let is_unknown_group = self.slot.durable.is_none() && self.slot.classic.is_unused();
        if is_unknown_group && check.generation < 0 {
            // Commits in the name of a group make it exist: it is listed, described and deleted like any other.
            let command = GroupCommand::Created { group: self.group.clone() };
            let reply = (token, Response::CommitCheck(Ok(Fence::None)));
            return self.propose(command, Then::Reply(vec![reply]));
        }
        let result = match self.consumer() {
            Some(_) => self.consumer_commit_check(&check),
            None if is_unknown_group => Err(GroupError::IllegalGeneration),
            None => self.classic_commit_check(&check),
        };
        self.reply(token, Response::CommitCheck(result));
    }

    fn classic_commit_check(&mut self, check: &CommitCheck) -> Result<Fence, GroupError> {
        let soft = &self.slot.classic;
        let phase = soft.phase;
        if check.generation < 0 && phase == Phase::Empty {
            return Ok(Fence::None);
        }
        let names_a_member = check.generation >= 0 || !check.member.is_empty() || check.instance.is_some();
        if names_a_member {
            soft.check_member(&check.member, check.instance.as_ref())?;
            if check.generation != soft.generation {
                return Err(GroupError::IllegalGeneration);
            }
        } else if !check.transactional && phase != Phase::Empty {
            return Err(GroupError::UnknownMemberId);
        }
        if !check.transactional && phase == Phase::Completing {
            return Err(GroupError::RebalanceInProgress);
        }
        if !names_a_member {
            return Ok(Fence::None);
        }
        if matches!(phase, Phase::Stable | Phase::Preparing { .. }) {
            self.start_session(&check.member);
        }
        Ok(Fence::Generation(check.generation))
    }

    pub(in crate::group::coordinator) fn fetch_check(&self, check: &FetchCheck) -> Result<(), GroupError> {
        let (Some(group), Some(member)) = (self.consumer(), &check.member) else {
            return Ok(());
        };
        if member.is_empty() && check.member_epoch < 0 {
            return Ok(());
        }
        let own = group.members.get(member).ok_or(GroupError::UnknownMemberId)?;
        self.check_epoch(own, check.member_epoch)
    }

    /// Topics whose positions have to stay, because a member is subscribed to them.
    pub(in crate::group::coordinator) fn delete_positions_check(&self) -> Result<Vec<Text>, GroupError> {
        if let Some(group) = self.consumer() {
            return Ok(group
                .topics
                .keys()
                .filter_map(|topic| self.core.topics.name(*topic).cloned())
                .collect());
        }
        let soft = &self.slot.classic;
        if self.slot.durable.is_none() && soft.is_unused() {
            return Err(GroupError::GroupIdNotFound);
        }
        if soft.phase == Phase::Empty {
            return Ok(Vec::new());
        }
        if !soft.uses_consumer_protocol() {
            return Err(GroupError::NonEmptyGroup);
        }
        let subscriptions = soft.members.values().filter_map(|member| member.record.subscription.as_ref());
        let mut topics: Vec<Text> =
            subscriptions.flat_map(|subscription| subscription.topics.iter().cloned()).collect();
        topics.sort();
        topics.dedup();
        Ok(topics)
    }
}
