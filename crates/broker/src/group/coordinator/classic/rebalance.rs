//! How a classic group gets from one generation to the next.

use super::soft::{ClassicSoft, Phase};
use crate::group::coordinator::slot::Then;
use crate::group::coordinator::timers::Timer;
use crate::group::coordinator::turn::Turn;
use crate::group::durable::{ClassicGeneration, ClassicGroup, ClassicPhase, GroupCommand};
use crate::group::error::GroupError;
use crate::group::names::MemberId;
use crate::group::response::Response;

/// The least time between two looks at a group that nobody joins, whatever its members ask for.
const WAIT_MS_MIN: u32 = 1_000;

impl Turn<'_> {
    /// Takes a classic group over after a start or failover: the same members and generation, fresh deadlines.
    pub(in crate::group::coordinator) fn begin_classic(&mut self, group: &ClassicGroup) {
        self.slot.classic = ClassicSoft::from_durable(group);
        for member in group.members.keys() {
            self.start_session(member);
        }
        match group.phase {
            ClassicPhase::Empty => {}
            ClassicPhase::Stable if group.members.len() <= self.core.options.classic_members_max => {}
            ClassicPhase::RebalanceDue | ClassicPhase::Stable => self.prepare_rebalance(),
            ClassicPhase::Assigning => self.await_syncs(),
        }
    }

    /// Something changed: a new rebalance begins, or the one under way may be complete.
    pub(super) fn rebalance_or_complete(&mut self) {
        match self.slot.classic.phase {
            Phase::Preparing { initial: true } => {}
            Phase::Preparing { initial: false } => self.complete_if_all_joined(),
            Phase::Empty | Phase::Completing | Phase::Stable => self.prepare_rebalance(),
        }
    }

    fn complete_if_all_joined(&mut self) {
        if self.slot.classic.have_all_joined() {
            self.complete_join();
        }
    }

    pub(super) fn prepare_rebalance(&mut self) {
        self.cancel_timer(Timer::Sync);
        let delay_ms = self.core.options.initial_rebalance_delay_ms;
        let soft = &mut self.slot.classic;
        soft.unsynced.clear();
        let initial = soft.phase == Phase::Empty;
        soft.phase = Phase::Preparing { initial };
        let mut cancelled = Vec::new();
        for (id, member) in &mut soft.members {
            cancelled.extend(member.sync.take().map(|token| (id.clone(), token)));
        }
        if initial {
            soft.new_member_added = false;
            soft.initial_remaining_ms = soft.rebalance_timeout_ms().saturating_sub(delay_ms);
        }
        for (id, token) in cancelled {
            self.reply(token, Response::Sync(Err(GroupError::RebalanceInProgress)));
            // Its session may have ended while it waited, which counted for nothing (`GroupCoordinator.propagateAssignment`).
            self.start_session(&id);
        }
        if initial {
            self.set_timer(Timer::Join, delay_ms);
        } else if self.slot.classic.have_all_joined() {
            self.complete_join();
        } else {
            let wait_ms = self.slot.classic.rebalance_timeout_ms();
            self.set_timer(Timer::Join, wait_ms);
        }
    }

    fn join_time_is_up(&mut self) {
        let delay_ms = self.core.options.initial_rebalance_delay_ms;
        let soft = &mut self.slot.classic;
        match soft.phase {
            Phase::Preparing { initial: true } if soft.new_member_added && soft.initial_remaining_ms > 0 => {
                soft.new_member_added = false;
                let wait_ms = delay_ms.min(soft.initial_remaining_ms);
                soft.initial_remaining_ms -= wait_ms;
                self.set_timer(Timer::Join, wait_ms);
            }
            Phase::Preparing { .. } => self.complete_join(),
            Phase::Empty | Phase::Completing | Phase::Stable => {}
        }
    }

    /// Forms the next generation of those who have joined, and of the static members that have not.
    fn complete_join(&mut self) {
        self.cancel_timer(Timer::Join);
        let soft = &mut self.slot.classic;
        let is_late =
            |member: &super::soft::Working| member.join.is_none() && member.record.instance.is_none();
        let late: Vec<MemberId> =
            soft.members.iter().filter(|(_, member)| is_late(member)).map(|(id, _)| id.clone()).collect();
        for id in &late {
            soft.members.remove(id);
        }
        let has_joined = |id: &MemberId| soft.members.get(id).is_some_and(|member| member.join.is_some());
        if !soft.leader.as_ref().is_some_and(has_joined) {
            let joined = soft.members.values().filter(|member| member.join.is_some());
            soft.leader = joined.min_by_key(|member| member.order).map(|member| member.record.id.clone());
        }
        let nobody_joined = soft.leader.is_none() && !soft.members.is_empty();
        let wait_ms = soft.rebalance_timeout_ms();
        if !nobody_joined {
            soft.generation = soft.generation.saturating_add(1);
            soft.protocol = soft.select_protocol();
        }
        for id in late {
            self.cancel_timer(Timer::Session(id));
        }
        if nobody_joined {
            // Only static members are left, and none is back yet: their session timeouts decide.
            return self.set_timer(Timer::Join, wait_ms.max(WAIT_MS_MIN));
        }
        let soft = &self.slot.classic;
        let formed = ClassicGeneration {
            generation: soft.generation,
            protocol_type: soft.protocol_type.clone(),
            protocol: soft.protocol.clone(),
            leader: soft.leader.clone(),
            members: soft.records(self.classic()),
        };
        let command = GroupCommand::ClassicRebalanced { group: self.group.clone(), formed: Box::new(formed) };
        self.propose(command, Then::Rebalanced);
    }

    /// The generation is durable: everyone who waits learns of it.
    pub(in crate::group::coordinator) fn rebalanced(&mut self) {
        if self.slot.classic.members.is_empty() {
            self.slot.classic.phase = Phase::Empty;
            return;
        }
        let ids: Vec<MemberId> = self.slot.classic.members.keys().cloned().collect();
        for id in ids {
            let is_leader = self.slot.classic.leader.as_ref() == Some(&id);
            let joined = self.joined(&id, is_leader);
            let Some(member) = self.slot.classic.members.get_mut(&id) else {
                continue;
            };
            member.is_new = false;
            if let Some(token) = member.join.take() {
                self.reply(token, Response::Join(Ok(joined)));
                self.start_session(&id);
            }
        }
        self.await_syncs();
    }

    fn await_syncs(&mut self) {
        let soft = &mut self.slot.classic;
        soft.phase = Phase::Completing;
        soft.unsynced = soft.members.keys().cloned().collect();
        let wait_ms = soft.rebalance_timeout_ms();
        self.set_timer(Timer::Sync, wait_ms);
    }

    pub(in crate::group::coordinator) fn classic_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Join => self.join_time_is_up(),
            Timer::Sync => {
                let silent = std::mem::take(&mut self.slot.classic.unsynced).into_iter().collect();
                self.remove_members(silent, Vec::new());
            }
            Timer::Session(member) => self.session_expired(member),
            Timer::Rebalance(_) | Timer::MemberJoin(_) | Timer::MemberSync(_) => {}
        }
    }

    fn session_expired(&mut self, id: MemberId) {
        if self.slot.classic.pending.remove(&id) {
            if matches!(self.slot.classic.phase, Phase::Preparing { initial: false }) {
                self.complete_if_all_joined();
            }
            return;
        }
        let Some(member) = self.slot.classic.members.get(&id) else {
            return;
        };
        // Whoever waits for an answer is alive, unless it is new: its client may be gone since long.
        if member.is_new || (member.join.is_none() && member.sync.is_none()) {
            self.remove_members(vec![id], Vec::new());
        }
    }

    /// The member was heard of: its session starts anew.
    pub(super) fn start_session(&mut self, member: &MemberId) {
        if let Some(known) = self.slot.classic.members.get(member) {
            let timeout_ms = known.record.session_timeout_ms;
            self.set_timer(Timer::Session(member.clone()), timeout_ms);
        }
    }
}
