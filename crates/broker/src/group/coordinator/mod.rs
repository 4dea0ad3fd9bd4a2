//! The soft half of the groups that one data group's leader coordinates: heartbeats, timers, waiting joins and syncs, and
//! the decisions. Sans-io: requests, outcomes and time come in through `handle_*`, what to do goes out through `poll_*`.
//!
//! Per group one command is in the log at a time. Whatever arrives meanwhile waits, so every decision is made on applied
//! state, nothing is speculative, and every answer follows the command that it depends on.

mod classic;
mod consumer;
mod describe;
mod migration;
mod protocols;
mod slot;
mod timers;
mod turn;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::durable::{GroupCommand, GroupOutcome, Groups};
use super::error::GroupError;
use super::names::{GroupId, Millis, Ticket, Token};
use super::options::{CoordinatorOptions, GroupOverrides};
use super::request::Request;
use super::response::Response;
use super::topics::TopicImage;
use consumer::subscription::Patterns;
use slot::{Slot, Work};
use timers::Timers;
use turn::Turn;

/// What the caller has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bring the command into the data group's log, then call `handle_applied` or `handle_failed` with the ticket.
    Propose(GroupCommand, Ticket),
    /// Answer the request.
    Reply(Token, Response),
}

/// Coordinates the groups of one data group, on the node that leads it.
#[derive(Debug)]
pub struct Coordinator {
    core: Core,
    /// Groups that exist, or that somebody waits for.
    slots: BTreeMap<GroupId, Slot>,
}

/// What all groups share.
#[derive(Debug)]
struct Core {
    options: CoordinatorOptions,
    overrides: BTreeMap<GroupId, GroupOverrides>,
    topics: Arc<TopicImage>,
    patterns: Patterns,
    timers: Timers,
    actions: VecDeque<Action>,
    /// Commands in the log. Invariant: one per slot with something in flight.
    tickets: BTreeMap<Ticket, GroupId>,
    last_ticket: u64,
}

impl Coordinator {
    /// A coordinator of no groups; call [`Coordinator::load`] before anything else.
    pub fn new(options: CoordinatorOptions, topics: Arc<TopicImage>) -> Coordinator {
        let core = Core {
            options,
            overrides: BTreeMap::new(),
            topics,
            patterns: Patterns::default(),
            timers: Timers::default(),
            actions: VecDeque::new(),
            tickets: BTreeMap::new(),
            last_ticket: 0,
        };
        Coordinator { core, slots: BTreeMap::new() }
    }

    /// Takes over: after a start, or when this node became leader. `groups` has everything applied that the leader before
    /// could have proposed. All deadlines start afresh.
    pub fn load(&mut self, groups: &Groups, now: Millis) {
        self.unload();
        for (group, state) in groups.iter() {
            let mut slot = Slot::new(Some(state.clone()));
            let mut turn = Turn { core: &mut self.core, group, slot: &mut slot, now };
            turn.begin();
            turn.run();
            self.slots.insert(group.clone(), slot);
        }
    }

    /// Gives all groups up: this node does not lead any more. Everyone who waits is told.
    pub fn unload(&mut self) {
        for slot in std::mem::take(&mut self.slots).into_values() {
            for (token, response) in slot.abandon(&GroupError::NotCoordinator) {
                self.core.actions.push_back(Action::Reply(token, response));
            }
        }
        self.core.timers = Timers::default();
        self.core.tickets.clear();
    }

    /// A request. Its answer comes as an action, at once or later, exactly once.
    pub fn handle_request(&mut self, now: Millis, token: Token, request: Request) {
        let Some(group) = request.group().cloned() else {
            let listed = self.list(&request);
            self.core.actions.push_back(Action::Reply(token, Response::List(listed)));
            return;
        };
        let is_full = self.slots.len() >= self.core.options.groups_max && !self.slots.contains_key(&group);
        let busy = |slot: &Slot| slot.queue.len() >= self.core.options.waiting_requests_max;
        let refusal = if is_full && may_create(&request) {
            Some(GroupError::TooManyGroups)
        } else {
            self.slots.get(&group).is_some_and(busy).then_some(GroupError::CoordinatorLoadInProgress)
        };
        if let Some(error) = refusal {
            self.core.actions.push_back(Action::Reply(token, Response::refuse(&request, error)));
            return;
        }
        self.work(now, &group, Work::Request(token, Box::new(request)));
    }

    /// A proposed command was applied.
    pub fn handle_applied(&mut self, now: Millis, ticket: Ticket, outcome: GroupOutcome) {
        self.finish(now, ticket, Some(outcome));
    }

    /// A proposed command will not be applied, or nobody can say: everyone who waits for it is told to try again. If it may
    /// be applied after all, call [`Coordinator::load`] as soon as that is known.
    pub fn handle_failed(&mut self, now: Millis, ticket: Ticket) {
        self.finish(now, ticket, None);
    }

    /// Time has passed; to be called when [`Coordinator::poll_timeout`] is reached.
    pub fn handle_timeout(&mut self, now: Millis) {
        for (group, timer) in self.core.timers.expire(now) {
            self.work(now, &group, Work::Timer(timer));
        }
    }

    /// Topics came, went or grew. Consumer groups take it up at their next heartbeat.
    pub fn handle_topics_changed(&mut self, image: Arc<TopicImage>) {
        if image.version() == self.core.topics.version() {
            return;
        }
        self.core.topics = image;
        for slot in self.slots.values_mut() {
            slot.topics_changed = true;
        }
    }

    /// The settings changed. Running timers keep their deadlines.
    pub fn set_options(&mut self, options: CoordinatorOptions) {
        self.core.options = options;
    }

    /// What a group set for itself changed.
    pub fn set_overrides(&mut self, group: GroupId, overrides: GroupOverrides) {
        if overrides == GroupOverrides::default() {
            self.core.overrides.remove(&group);
        } else {
            self.core.overrides.insert(group, overrides);
        }
    }

    /// What to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.core.actions.pop_front()
    }

    /// When [`Coordinator::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.core.timers.next()
    }

    /// How many groups there are, those included that nobody but a waiting member knows.
    pub fn group_count(&self) -> usize {
        self.slots.len()
    }

    fn work(&mut self, now: Millis, group: &GroupId, work: Work) {
        let mut slot = self.slots.remove(group).unwrap_or_else(|| Slot::new(None));
        slot.queue.push_back(work);
        Turn { core: &mut self.core, group, slot: &mut slot, now }.run();
        self.put_back(group, slot);
    }

    fn finish(&mut self, now: Millis, ticket: Ticket, outcome: Option<GroupOutcome>) {
        let Some(group) = self.core.tickets.remove(&ticket) else {
            return;
        };
        let Some(mut slot) = self.slots.remove(&group) else {
            return;
        };
        let mut turn = Turn { core: &mut self.core, group: &group, slot: &mut slot, now };
        turn.finish(outcome);
        turn.run();
        self.put_back(&group, slot);
    }

    fn put_back(&mut self, group: &GroupId, slot: Slot) {
        if slot.is_needed() {
            self.slots.insert(group.clone(), slot);
        } else {
            self.core.timers.cancel_group(group);
        }
    }
}

fn may_create(request: &Request) -> bool {
    match request {
        Request::Join(_) | Request::CommitCheck(_) => true,
        Request::ConsumerHeartbeat(heartbeat) => heartbeat.member_epoch == 0,
        _ => false,
    }
}
