//! What follows a consumer group's command once it was applied: deadlines, and answers.

use crate::group::coordinator::slot::{ConsumerChange, Then};
use crate::group::coordinator::timers::Timer;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::{ConsumerFact, ConsumerGroup, ConsumerMember, Fence, GroupCommand, MemberState};
use crate::group::error::GroupError;
use crate::group::names::MemberId;
use crate::group::request::CommitCheck;

impl Turn<'_> {
    /// The command that changes the group as it was applied last.
    pub(super) fn changed(&self, facts: Vec<ConsumerFact>) -> GroupCommand {
        let base = self.consumer().map_or(0, |group| group.revision);
        GroupCommand::ConsumerChanged { group: self.group.clone(), base, facts }
    }

    /// Takes a consumer group over after a start or failover: the same members and epochs, fresh deadlines.
    pub(in crate::group::coordinator) fn begin_consumer(&mut self, group: &ConsumerGroup) {
        for member in group.members.values() {
            self.start_consumer_session(member);
            self.start_rebalance(member);
        }
    }

    pub(in crate::group::coordinator) fn consumer_changed(&mut self, change: ConsumerChange) {
        self.reply_all(change.replies);
        for id in &change.gone {
            self.cancel_member_timers(id);
        }
        let seen = change.seen.and_then(|id| self.consumer()?.members.get(&id).cloned());
        if let Some(member) = seen {
            self.start_consumer_session(&member);
            if change.moved {
                self.start_rebalance(&member);
            }
            if change.joined {
                self.await_member_sync(&member);
            }
        }
        let downgrade = change.check_downgrade.then(|| self.downgrade_without(&[])).flatten();
        if let Some(command) = downgrade {
            self.propose(command, Then::TypeChanged { retry: None, replies: Vec::new() });
        }
    }

    /// A member that has to give partitions up has its rebalance timeout for it.
    fn start_rebalance(&mut self, member: &ConsumerMember) {
        if member.classic.is_none() && member.state == MemberState::UnrevokedPartitions {
            self.set_timer(Timer::Rebalance(member.id.clone()), member.rebalance_timeout_ms);
        } else {
            self.cancel_timer(Timer::Rebalance(member.id.clone()));
        }
    }

    /// A classic member has joined, and now has to sync.
    pub(super) fn await_member_sync(&mut self, member: &ConsumerMember) {
        self.cancel_timer(Timer::MemberJoin(member.id.clone()));
        self.set_timer(Timer::MemberSync(member.id.clone()), member.rebalance_timeout_ms);
    }

    pub(in crate::group::coordinator) fn consumer_timer(&mut self, timer: Timer) {
        let has_to_give_up = matches!(timer, Timer::Rebalance(_));
        let late: MemberId = match timer {
            Timer::Session(member) | Timer::MemberJoin(member) | Timer::MemberSync(member) => member,
            Timer::Rebalance(member) => member,
            Timer::Join | Timer::Sync => return,
        };
        let Some(member) = self.consumer().and_then(|group| group.members.get(&late)) else {
            return;
        };
        // A static member that left for a while since then has its session's time to come back.
        if has_to_give_up && member.state != MemberState::UnrevokedPartitions {
            return;
        }
        self.remove_consumer_members(vec![late], Vec::new());
    }

    pub(in crate::group::coordinator) fn consumer_commit_check(
        &self,
        check: &CommitCheck,
    ) -> Result<Fence, GroupError> {
        let group = self.consumer().ok_or(GroupError::GroupIdNotFound)?;
        if check.generation < 0 && group.members.is_empty() {
            return Ok(Fence::None);
        }
        // A transaction of an old producer names no member (KIP-447).
        if check.transactional && check.generation < 0 && check.member.is_empty() && check.instance.is_none()
        {
            return Ok(Fence::None);
        }
        let member = group.members.get(&check.member).ok_or(GroupError::UnknownMemberId)?;
        if !check.transactional && member.classic.is_none() && !check.supports_member_epoch {
            return Err(GroupError::UnsupportedVersion);
        }
        self.check_epoch(member, check.generation)?;
        Ok(Fence::MemberEpoch(member.epoch))
    }

    pub(in crate::group::coordinator) fn check_epoch(
        &self,
        member: &ConsumerMember,
        epoch: i32,
    ) -> Result<(), GroupError> {
        match &member.classic {
            _ if epoch == member.epoch => Ok(()),
            Some(_) => Err(GroupError::IllegalGeneration),
            None => Err(GroupError::StaleMemberEpoch),
        }
    }
}
