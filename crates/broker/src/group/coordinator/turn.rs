//! One group's turn: takes work from its queue while no command is in flight, and goes on when one was applied.

use super::Action;
use super::Core;
use super::slot::{Replies, Slot, Then, Work};
use super::timers::Timer;
use crate::group::durable::{ClassicGroup, ConsumerGroup, GroupCommand, GroupOutcome, GroupState};
use crate::group::error::GroupError;
use crate::group::names::{GroupId, MemberId, Millis, Ticket, Token};
use crate::group::request::Request;
use crate::group::response::Response;

/// A group with everything that its decisions need.
pub(super) struct Turn<'a> {
    pub(super) core: &'a mut Core,
    pub(super) group: &'a GroupId,
    pub(super) slot: &'a mut Slot,
    pub(super) now: Millis,
}

impl Turn<'_> {
    /// Works until the queue is empty or a command is in flight.
    pub(super) fn run(&mut self) {
        while self.slot.in_flight.is_none() {
            match self.slot.queue.pop_front() {
                Some(Work::Request(token, request)) => self.request(token, *request),
                Some(Work::Timer(timer)) if self.core.timers.take_due(self.group, &timer) => {
                    self.timer(timer)
                }
                // It was set again or cancelled while it waited, by the command in flight or by what waited before it.
                Some(Work::Timer(_)) => {}
                None => return,
            }
        }
    }

    /// Builds soft state and deadlines from the applied state, after a start or a change of type.
    pub(super) fn begin(&mut self) {
        self.core.timers.cancel_group(self.group);
        match self.slot.durable.clone().as_deref() {
            None => self.slot.classic = Default::default(),
            Some(GroupState::Classic(group)) => self.begin_classic(group),
            Some(GroupState::Consumer(group)) => {
                self.slot.classic = Default::default();
                self.slot.topics_changed = true;
                self.begin_consumer(group);
            }
        }
    }

    /// The command in flight came to an end; None if it failed.
    pub(super) fn finish(&mut self, outcome: Option<GroupOutcome>) {
        let Some(then) = self.slot.in_flight.take() else {
            return;
        };
        let state = match outcome {
            Some(GroupOutcome::Changed(state)) => state,
            // A command before that nobody knew the end of was applied after all: now its effect is known.
            Some(GroupOutcome::Refused { state, .. }) => {
                self.slot.durable = state;
                return self.failed(then);
            }
            _ => return self.failed(then),
        };
        self.slot.durable = state;
        match then {
            Then::Reply(replies) => self.reply_all(replies),
            Then::Rebalanced => self.rebalanced(),
            Then::Assigned => self.assigned(),
            Then::Left { members, replies } => {
                self.reply_all(replies);
                self.left(&members);
            }
            Then::Replaced(replacement) => self.replaced(*replacement),
            Then::Consumer(change) => self.consumer_changed(*change),
            Then::TypeChanged { retry, replies } => {
                let waiting = self.slot.classic.refuse_waiting(&GroupError::RebalanceInProgress);
                self.reply_all(waiting);
                self.reply_all(replies);
                self.begin();
                if let Some((token, request)) = retry {
                    self.slot.queue.push_front(Work::Request(token, request));
                }
            }
        }
    }

    fn failed(&mut self, then: Then) {
        let error = GroupError::CoordinatorNotAvailable;
        let mut refusals = then.refuse(&error);
        refusals.extend(self.slot.classic.refuse_waiting(&error));
        self.reply_all(refusals);
        self.begin();
    }

    fn request(&mut self, token: Token, request: Request) {
        if let Some(error) = nameless(&request).filter(|_| self.group.is_empty()) {
            return self.reply(token, Response::refuse(&request, error));
        }
        match request {
            Request::Join(join) => self.join(token, join),
            Request::Sync(sync) => self.sync(token, sync),
            Request::Heartbeat(heartbeat) => {
                let result = self.heartbeat(&heartbeat);
                self.reply(token, Response::Heartbeat(result));
            }
            Request::Leave(leave) => self.leave(token, leave),
            Request::CommitCheck(check) => self.commit_check(token, check),
            Request::FetchCheck(check) => {
                let result = self.fetch_check(&check);
                self.reply(token, Response::FetchCheck(result));
            }
            Request::Describe(_) => {
                let described = self.describe();
                self.reply(token, Response::Describe(described));
            }
            Request::Delete(_) => self.delete(token),
            Request::DeletePositionsCheck(_) => {
                let result = self.delete_positions_check();
                self.reply(token, Response::DeletePositionsCheck(result));
            }
            Request::ConsumerHeartbeat(heartbeat) => self.consumer_heartbeat(token, heartbeat),
            Request::ConsumerDescribe(_) => {
                let described = self.consumer_describe();
                self.reply(token, Response::ConsumerDescribe(described));
            }
            Request::List(_) => self.reply(token, Response::List(Vec::new())),
        }
    }

    fn timer(&mut self, timer: Timer) {
        match self.consumer() {
            Some(_) => self.consumer_timer(timer),
            None => self.classic_timer(timer),
        }
    }

    pub(super) fn reply(&mut self, token: Token, response: Response) {
        self.core.actions.push_back(Action::Reply(token, response));
    }

    pub(super) fn reply_all(&mut self, replies: Replies) {
        for (token, response) in replies {
            self.reply(token, response);
        }
    }

    /// Proposes a command; `then` follows when it was applied.
    pub(super) fn propose(&mut self, command: GroupCommand, then: Then) {
        debug_assert!(self.slot.in_flight.is_none(), "one command of a group is in the log at a time");
        self.core.last_ticket += 1;
        let ticket = Ticket(self.core.last_ticket);
        self.core.tickets.insert(ticket, self.group.clone());
        self.slot.in_flight = Some(then);
        self.core.actions.push_back(Action::Propose(command, ticket));
    }

    /// Sets a deadline from now.
    pub(super) fn set_timer(&mut self, timer: Timer, after_ms: u32) {
        self.core.timers.set(self.group, timer, self.now.after(after_ms));
    }

    pub(super) fn cancel_timer(&mut self, timer: Timer) {
        self.core.timers.cancel(self.group, timer);
    }

    pub(super) fn cancel_member_timers(&mut self, member: &MemberId) {
        let timers = [Timer::Session, Timer::Rebalance, Timer::MemberJoin, Timer::MemberSync];
        for timer in timers {
            self.cancel_timer(timer(member.clone()));
        }
    }

    /// The applied state, if it is a consumer group.
    pub(super) fn consumer(&self) -> Option<&ConsumerGroup> {
        match self.slot.durable.as_deref() {
            Some(GroupState::Consumer(group)) => Some(group),
            _ => None,
        }
    }

    /// The applied state, if it is a classic group.
    pub(super) fn classic(&self) -> Option<&ClassicGroup> {
        match self.slot.durable.as_deref() {
            Some(GroupState::Classic(group)) => Some(group),
            _ => None,
        }
    }
}

/// Why a group without a name cannot be asked for it, if it cannot. The empty name may have positions, as it always had
/// in Kafka, but no members.
fn nameless(request: &Request) -> Option<GroupError> {
    match request {
        Request::Join(_)
        | Request::Sync(_)
        | Request::Heartbeat(_)
        | Request::Leave(_)
        | Request::ConsumerDescribe(_) => Some(GroupError::InvalidGroupId),
        Request::ConsumerHeartbeat(_) => Some(GroupError::InvalidRequest("the group id is empty")),
        _ => None,
    }
}
