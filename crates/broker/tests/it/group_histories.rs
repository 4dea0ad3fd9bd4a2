//! Random histories of clients of both protocols, slow logs, silence, and kills at any point. What must hold: no partition has
//! two holders, a generation is never formed twice, every request is answered, nothing is answered before it is durable
//! (`group_world` asserts that), and afterwards everybody gets to work again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use tallymq_broker::group::request::*;
use tallymq_broker::group::response::*;
use tallymq_broker::group::topics::{NamedPartitions, PartitionSet};
use tallymq_broker::group::*;

use crate::group_world::*;

#[derive(Clone, Debug, PartialEq)]
enum State {
    Out,
    Joining(Token),
    Syncing(Token),
    In,
    Beating(Token),
}

/// A client that does what the protocol says, and believes what it is told.
#[derive(Clone, Debug)]
struct Actor {
    native: bool,
    instance: Option<InstanceId>,
    id: MemberId,
    generation: i32,
    owned: PartitionSet,
    /// The topics' version that it assigned from, if it leads a classic group.
    assigned_from: Option<u64>,
    state: State,
}

impl Actor {
    fn new(native: bool, number: usize, is_static: bool) -> Actor {
        Actor {
            native,
            instance: is_static.then(|| format!("i{number}").into()),
            id: if native { format!("native-{number}").into() } else { "".into() },
            generation: 0,
            owned: PartitionSet::new(),
            assigned_from: None,
            state: State::Out,
        }
    }

    fn lose(&mut self, keeps_id: bool) {
        self.owned.clear();
        self.generation = 0;
        self.state = State::Out;
        if !keeps_id && !self.native {
            self.id = "".into();
        }
    }
}

struct History {
    world: World,
    actors: Vec<Actor>,
    /// Members of each classic generation, as its leader was told.
    formed: BTreeMap<i32, BTreeSet<MemberId>>,
    /// Of the topic that all are subscribed to.
    partitions: i32,
    version: u64,
}

impl History {
    fn new(classic: usize, native: usize) -> History {
        let statics = |n: usize| n % 3 == 2;
        let actors = (0..classic + native).map(|n| Actor::new(n >= classic, n, statics(n))).collect();
        let options = CoordinatorOptions { initial_rebalance_delay_ms: 500, ..CoordinatorOptions::default() };
        History { world: World::new(options), actors, formed: BTreeMap::new(), partitions: 4, version: 1 }
    }

    fn step(&mut self, at: usize) {
        let mut actor = self.actors[at].clone();
        match actor.state.clone() {
            State::Out if actor.native => self.native_beat(&mut actor, 0),
            State::Out => self.classic_join(&mut actor),
            State::In if actor.native => {
                let epoch = actor.generation;
                self.native_beat(&mut actor, epoch);
            }
            // A leader makes its group rebalance when its topics changed.
            State::In if actor.assigned_from.is_some_and(|version| version != self.version) => {
                self.classic_join(&mut actor);
            }
            State::In => {
                let beat = Heartbeat {
                    group: "g".into(),
                    member: actor.id.clone(),
                    instance: actor.instance.clone(),
                    generation: actor.generation,
                };
                actor.state = State::Beating(self.world.send(Request::Heartbeat(beat)));
            }
            State::Joining(token) | State::Syncing(token) | State::Beating(token) => {
                match self.world.replies.remove(&token) {
                    Some(response) => self.answered(&mut actor, response),
                    None if self.world.is_waiting(token) => {}
                    // The connection broke: it asks again, with what it knows.
                    None if actor.native && actor.generation > 0 => actor.state = State::In,
                    None if actor.native => actor.lose(true),
                    None => actor.state = State::Out,
                }
            }
        }
        self.actors[at] = actor;
        self.check();
    }

    fn classic_join(&mut self, actor: &mut Actor) {
        actor.owned.clear();
        let join = Join {
            instance: actor.instance.clone(),
            requires_known_id: actor.instance.is_none(),
            subscription: Some(Subscription { topics: vec!["a".into()], ..Subscription::default() }),
            ..join(&mut self.world, "g", actor.id.as_str())
        };
        actor.state = State::Joining(self.world.send(Request::Join(join)));
    }

    fn native_beat(&mut self, actor: &mut Actor, epoch: i32) {
        if epoch == 0 {
            actor.owned.clear();
        }
        let beat = ConsumerHeartbeat {
            instance: actor.instance.clone(),
            owned: Some(actor.owned.iter().copied().collect()),
            rebalance_timeout_ms: Some(20_000),
            topics: Some(vec!["a".into()]),
            ..consumer_heartbeat(&mut self.world, "g", actor.id.as_str(), epoch)
        };
        actor.state = State::Beating(self.world.send(Request::ConsumerHeartbeat(beat)));
    }

    fn answered(&mut self, actor: &mut Actor, response: Response) {
        match response {
            Response::Join(Ok(joined)) => self.joined(actor, joined),
            Response::Join(Err(GroupError::MemberIdRequired(id))) => {
                actor.id = id;
                actor.state = State::Out;
            }
            Response::Sync(Ok(synced)) => {
                actor.owned = match synced.assignment {
                    Assignment::Opaque(bytes) => parse(&bytes),
                    Assignment::Partitions(named) => self.world.image.resolved(&named),
                };
                actor.state = State::In;
            }
            Response::Heartbeat(Ok(())) => actor.state = State::In,
            Response::ConsumerHeartbeat(Ok(done)) => {
                actor.generation = done.member_epoch;
                if let Some(assignment) = done.assignment {
                    actor.owned = assignment;
                }
                actor.state = State::In;
            }
            Response::ConsumerHeartbeat(Err(GroupError::CoordinatorNotAvailable)) if actor.generation > 0 => {
                actor.state = State::In;
            }
            Response::Join(Err(error)) | Response::Sync(Err(error)) | Response::Heartbeat(Err(error)) => {
                let forgets = matches!(error, GroupError::UnknownMemberId | GroupError::FencedInstanceId);
                actor.lose(!forgets);
            }
            Response::ConsumerHeartbeat(Err(error)) => {
                assert!(!matches!(error, GroupError::InvalidRequest(_)), "{error}");
                actor.lose(true);
            }
            other => panic!("{other:?}"),
        }
    }

    fn joined(&mut self, actor: &mut Actor, joined: Joined) {
        actor.id = joined.member.clone();
        actor.generation = joined.generation;
        let leads = joined.leader == joined.member && !joined.skip_assignment;
        if !joined.skip_assignment {
            actor.assigned_from = leads.then_some(self.version);
        } else {
            // It knows nothing of what its predecessor assigned from, so it does not trust it.
            actor.assigned_from = Some(0);
        }
        let mut assignments = Vec::new();
        if leads {
            let ids: BTreeSet<MemberId> = joined.members.iter().map(|member| member.member.clone()).collect();
            let before = self.formed.insert(joined.generation, ids.clone());
            assert!(
                before.is_none_or(|before| before == ids),
                "generation {} was formed twice",
                joined.generation
            );
            for (at, member) in joined.members.iter().enumerate() {
                let own: Vec<i32> =
                    (0..self.partitions).filter(|n| *n as usize % joined.members.len() == at).collect();
                let text: Vec<String> = own.iter().map(i32::to_string).collect();
                assignments.push(SyncAssignment {
                    member: member.member.clone(),
                    assignment: Bytes::from(text.join(",")),
                    partitions: vec![named("a", &own)] as Vec<NamedPartitions>,
                });
            }
        }
        let sync = Sync {
            group: "g".into(),
            member: joined.member,
            instance: actor.instance.clone(),
            generation: joined.generation,
            protocol_type: joined.protocol_type,
            protocol: joined.protocol,
            assignments,
        };
        actor.state = State::Syncing(self.world.send(Request::Sync(sync)));
    }

    fn leave(&mut self, at: usize) {
        let actor = self.actors[at].clone();
        if actor.native && actor.state == State::In {
            let beat = ConsumerHeartbeat {
                instance: actor.instance.clone(),
                ..consumer_heartbeat(&mut self.world, "g", actor.id.as_str(), -1)
            };
            self.world.send(Request::ConsumerHeartbeat(beat));
        } else if !actor.native && !actor.id.is_empty() {
            self.world.send(leave("g", &actor.id));
        } else {
            return;
        }
        self.actors[at].lose(false);
    }

    /// Everything that an actor believes at its current generation or epoch is what the broker gave it.
    fn check(&self) {
        if self.world.is_behind {
            return;
        }
        let Some(group) = self.world.groups.group(&"g".into()) else {
            return;
        };
        let mut held = BTreeSet::new();
        for actor in self.actors.iter().filter(|actor| actor.generation > 0) {
            match group.as_ref() {
                GroupState::Consumer(group) => {
                    let Some(member) = group.members.get(&actor.id) else {
                        continue;
                    };
                    if member.epoch == actor.generation {
                        let foreign = actor.owned.iter().find(|tp| !member.holds(tp));
                        assert_eq!(foreign, None, "{actor:?} owns what it was not given: {member:?}");
                    }
                }
                GroupState::Classic(group) => {
                    if group.generation == actor.generation && group.members.contains_key(&actor.id) {
                        for tp in &actor.owned {
                            assert!(
                                held.insert(*tp),
                                "{tp} is owned twice in generation {}",
                                actor.generation
                            );
                        }
                    }
                }
            }
        }
    }

    /// The oldest command in the log fails, as when the leader loses its quorum for a moment.
    /// Or nobody knows how it ended, and it is applied after all.
    fn fail(&mut self, is_applied_late: bool) {
        if let Some((command, ticket)) = self.world.log.pop_front() {
            self.world.coordinator.handle_failed(self.world.now, ticket);
            if is_applied_late {
                self.world.apply_late(command);
            }
            self.world.pump();
        }
    }

    fn topics_change(&mut self, partitions: u16) {
        self.version += 1;
        let partitions = 3 + u32::from(partitions % 4);
        self.world.change_topics(image(self.version, &[("a", 1, partitions), ("b", 2, 3)]));
        self.partitions = partitions as i32;
    }

    fn crash(&mut self) {
        self.world.crash();
        self.check();
    }

    /// The log is fast again and everybody does as they should: in the end all work, and every partition has one owner.
    fn settle(&mut self) {
        self.world.slow = false;
        self.world.apply_all();
        for _ in 0..160 {
            for at in 0..self.actors.len() {
                self.step(at);
            }
            self.world.advance(1_000);
        }
        let mut owned = PartitionSet::new();
        for actor in &self.actors {
            assert!(matches!(actor.state, State::In | State::Beating(_)), "{:#?}", self.actors);
            for tp in &actor.owned {
                assert!(owned.insert(*tp), "{tp} has two owners: {:#?}", self.actors);
            }
        }
        assert_eq!(owned, (0..self.partitions).map(|n| tp(1, n)).collect(), "{:#?}", self.actors);
    }

    /// Nobody does anything any more: whoever still waits is answered by the clock alone.
    fn everyone_is_answered(&mut self) {
        self.world.slow = false;
        self.world.apply_all();
        self.world.advance(2_000_000);
        assert!(self.world.waiting.is_empty(), "{:?} wait forever", self.world.waiting);
        for (_, group) in self.world.groups.iter() {
            assert!(group.is_empty(), "silent members stay: {group:?}");
        }
        assert_eq!(self.world.coordinator.poll_timeout(), None);
    }

    fn run(&mut self, operations: &[(u8, u8, u16)]) {
        // Half of the histories begin with a group that works.
        if operations.first().is_some_and(|(_, who, _)| who % 2 == 0) {
            self.settle();
        }
        for &(kind, who, millis) in operations {
            let at = who as usize % self.actors.len();
            match kind {
                0..=69 => self.step(at),
                70..=75 => self.world.advance(u32::from(millis % 3_000)),
                76 => self.topics_change(millis),
                77 => self.fail(millis % 2 == 0),
                78 => self.world.advance(u32::from(millis)),
                79..=83 => self.world.slow = !self.world.slow,
                84..=92 => {
                    if self.world.slow {
                        self.world.apply_one();
                    }
                }
                93..=95 => self.leave(at),
                // The process is killed: it comes back as a new one, without a memory.
                96 => self.actors[at].lose(false),
                _ => self.crash(),
            }
        }
    }
}

fn parse(text: &[u8]) -> PartitionSet {
    let text = std::str::from_utf8(text).expect("the leader writes text");
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| tp(1, part.parse().expect("a number")))
        .collect()
}

fn operations() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    prop::collection::vec((0..100_u8, any::<u8>(), any::<u16>()), 0..160)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn classic_groups_survive_any_history(operations in operations()) {
        let mut history = History::new(4, 0);
        history.run(&operations);
        history.settle();
        history.everyone_is_answered();
    }

    #[test]
    fn consumer_groups_survive_any_history(operations in operations()) {
        let mut history = History::new(0, 4);
        history.run(&operations);
        history.settle();
        history.everyone_is_answered();
    }

    #[test]
    fn groups_of_both_kinds_of_members_survive_any_history(operations in operations()) {
        let mut history = History::new(2, 2);
        history.run(&operations);
        history.settle();
        history.everyone_is_answered();
    }

    #[test]
    fn whoever_waits_is_answered_without_anybodys_help(operations in operations()) {
        let mut history = History::new(3, 1);
        history.run(&operations);
        history.everyone_is_answered();
    }
}
