//! SyncGroup to a classic group: the leader brings the assignment, everyone gets a part of it.

use bytes::Bytes;

use super::soft::{ClassicSoft, Phase};
use crate::group::coordinator::slot::Then;
use crate::group::coordinator::timers::Timer;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::{GroupCommand, MemberAssignment};
use crate::group::error::GroupError;
use crate::group::names::{MemberId, Token};
use crate::group::request::{Sync, SyncAssignment};
use crate::group::response::{Assignment, Response, Synced};

impl Turn<'_> {
    pub(in crate::group::coordinator) fn sync(&mut self, token: Token, sync: Sync) {
        if self.consumer().is_some() {
            let result = self.sync_consumer(&sync);
            return self.reply(token, Response::Sync(result));
        }
        if let Err(error) = self.check_sync(&sync) {
            return self.reply(token, Response::Sync(Err(error)));
        }
        match self.slot.classic.phase {
            Phase::Empty => self.reply(token, Response::Sync(Err(GroupError::UnknownMemberId))),
            Phase::Preparing { .. } => {
                self.reply(token, Response::Sync(Err(GroupError::RebalanceInProgress)))
            }
            Phase::Completing => self.sync_completing(token, sync),
            Phase::Stable => {
                self.synced(&sync.member);
                self.start_session(&sync.member);
                let synced = self.sync_answer(&sync.member);
                self.reply(token, Response::Sync(Ok(synced)));
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), GroupError> {
        let soft: &ClassicSoft = &self.slot.classic;
        soft.check_member(&sync.member, sync.instance.as_ref())?;
        if sync.generation != soft.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs = |given: &Option<_>, own: &Option<_>| given.is_some() && own.is_some() && given != own;
        if differs(&sync.protocol_type, &soft.protocol_type) || differs(&sync.protocol, &soft.protocol) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        let size = |one: &SyncAssignment| one.member.as_str().len() + one.assignment.len();
        if sync.assignments.iter().any(|one| size(one) > self.core.options.member_assignment_bytes_max) {
            return Err(GroupError::InvalidRequest("the assignment of a member is too big"));
        }
        Ok(())
    }

    fn sync_completing(&mut self, token: Token, sync: Sync) {
        let waiting =
            self.slot.classic.members.get_mut(&sync.member).and_then(|member| member.sync.replace(token));
        if let Some(before) = waiting {
            self.reply(before, Response::Sync(Err(GroupError::RebalanceInProgress)));
        }
        self.synced(&sync.member);
        if self.slot.classic.leader.as_ref() != Some(&sync.member) {
            return;
        }
        let topics = self.core.topics.clone();
        let known = |one: &SyncAssignment| self.slot.classic.members.contains_key(&one.member);
        let resolve = |one: SyncAssignment| {
            let partitions = topics.resolved(&one.partitions);
            (SyncAssignment { partitions: Vec::new(), ..one }, partitions)
        };
        let command = GroupCommand::ClassicAssigned {
            group: self.group.clone(),
            generation: sync.generation,
            assignments: sync.assignments.into_iter().filter(known).map(resolve).collect(),
        };
        self.propose(command, Then::Assigned);
    }

    fn synced(&mut self, member: &MemberId) {
        let soft = &mut self.slot.classic;
        soft.unsynced.remove(member);
        if soft.unsynced.is_empty() {
            self.cancel_timer(Timer::Sync);
        }
    }

    /// The assignment is durable: everyone who waits gets its part.
    pub(in crate::group::coordinator) fn assigned(&mut self) {
        self.slot.classic.phase = Phase::Stable;
        let ids: Vec<MemberId> = self.slot.classic.members.keys().cloned().collect();
        for id in ids {
            let waiting = self.slot.classic.members.get_mut(&id).and_then(|member| member.sync.take());
            if let Some(token) = waiting {
                let synced = self.sync_answer(&id);
                self.reply(token, Response::Sync(Ok(synced)));
                self.start_session(&id);
            }
        }
    }

    fn sync_answer(&self, member: &MemberId) -> Synced {
        let soft = &self.slot.classic;
        let applied = self.classic().and_then(|group| group.members.get(member));
        Synced {
            protocol_type: soft.protocol_type.clone(),
            protocol: soft.protocol.clone(),
            assignment: applied
                .map_or(Assignment::Opaque(Bytes::new()), |own| self.assignment(&own.assignment)),
        }
    }

    /// An assignment as it is told: the leader's own bytes, or partitions if the broker made it.
    pub(in crate::group::coordinator) fn assignment(&self, own: &MemberAssignment) -> Assignment {
        match &own.opaque {
            Some(bytes) => Assignment::Opaque(bytes.clone()),
            None => Assignment::Partitions(self.core.topics.named(&own.partitions)),
        }
    }
}
