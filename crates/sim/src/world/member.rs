//! A member of a consumer group, in either protocol: it joins, is given partitions, stays, leaves, dies and comes back. It does
//! what the protocols ask of a client and believes what it is told; what it may be told is judged where answers come in.
//!
//! ```text
//!  classic   Out ─join─► Joining ─► Syncing ─► In ◄─► Beating        back to Out by a rebalance or a refusal
//!  KIP-848   Out ─epoch 0──────────────────► Beating ◄─► In
//! ```

use std::fmt;

use bytes::Bytes;
use tallymq_broker::group::{
    GroupError, GroupId, GroupState, InstanceId, MemberId, Request, Response, Text, Token,
    request::{
        Client, CommitCheck, ConsumerHeartbeat, Heartbeat, Join, Leave, Leaving, Protocol, Subscription,
        Sync, SyncAssignment,
    },
    response::{Assignment, Joined},
    topics::PartitionSet,
};
use tallymq_model::{PartitionIndex, RaftGroup, TopicId, TopicPartition};
use uuid::Uuid;

use super::{
    desk::{Desk, REBALANCE_MS, SESSION_MS},
    node::Node,
    portion::{Ghost, Portion, is_fenced},
    scene::Scene,
};

/// Who a member is at one time.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) group: GroupId,
    /// The data group that coordinates it.
    pub(super) home: RaftGroup,
    pub(super) id: MemberId,
    pub(super) instance: Option<InstanceId>,
    /// Generation, or member epoch; 0 outside of the group.
    pub(super) generation: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Out,
    Joining(Token),
    Syncing(Token),
    In,
    Beating(Token),
}

/// See the module.
pub(super) struct Member {
    /// Speaks KIP-848.
    native: bool,
    pub(super) who: Identity,
    state: State,
    pub(super) portion: Portion,
    /// The partitions of the topics that it last subscribed to, or assigned; None if it cannot know.
    known: Option<PartitionSet>,
    /// An answer may be lost, so that its next heartbeat says everything and is told everything (KIP-848).
    asks_anew: bool,
    /// The answer that it waits for must not end its membership: it had it before the node started again.
    goes_on: bool,
    /// What it was before.
    past: Option<Identity>,
    /// A commit in the name of what it was, and whether it must be refused.
    ghost: Option<(Token, Ghost, bool)>,
}

impl Identity {
    /// What a commit says about its committer.
    pub(super) fn check(&self) -> CommitCheck {
        CommitCheck {
            group: self.group.clone(),
            member: self.id.clone(),
            instance: self.instance.clone(),
            generation: self.generation,
            transactional: false,
            supports_member_epoch: true,
        }
    }

    /// Whether the group has this member at this generation.
    pub(super) fn is_current(&self, state: &GroupState) -> bool {
        match state {
            GroupState::Classic(group) => {
                group.generation == self.generation && group.members.contains_key(&self.id)
            }
            GroupState::Consumer(group) => {
                group.members.get(&self.id).is_some_and(|member| member.epoch == self.generation)
            }
        }
    }

    /// Whether its time is over for good: generations only rise.
    fn is_past(&self, state: &GroupState) -> bool {
        match state {
            GroupState::Classic(group) => group.generation > self.generation,
            GroupState::Consumer(group) => {
                group.members.get(&self.id).is_none_or(|member| member.epoch > self.generation)
            }
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { group, id, generation, .. } = &self.who;
        let owned = self.portion.partitions().len();
        write!(f, "{id} of {group} at {generation} {:?} with {owned} partitions", self.state)
    }
}

impl Member {
    pub(super) fn new(at: usize, native: bool, is_static: bool, group: GroupId, home: RaftGroup) -> Member {
        let id = if native { format!("native-{at}").into() } else { "".into() };
        let instance = is_static.then(|| format!("instance-{at}").into());
        Member {
            native,
            who: Identity { group, home, id, instance, generation: 0 },
            state: State::Out,
            portion: Portion::new(at, 700 + at as i64),
            known: None,
            asks_anew: false,
            goes_on: false,
            past: None,
            ghost: None,
        }
    }

    pub(super) fn is_in(&self) -> bool {
        matches!(self.state, State::In | State::Beating(_)) && self.who.generation > 0
    }

    /// The node is gone, and every answer with it. The member asks again with what it knows.
    pub(super) fn disconnected(&mut self) {
        self.portion.disconnected();
        self.ghost = None;
        self.asks_anew = true;
        self.goes_on = false;
        self.state = match self.state {
            State::In | State::Beating(_) if self.who.generation > 0 => State::In,
            _ => State::Out,
        };
    }

    /// The node has started again: whoever it knows stays a member, under the same id and generation.
    pub(super) fn resume(&mut self, desk: &mut Desk, node: &Node, scene: &mut Scene) -> bool {
        let view = node.data(self.who.home);
        let state = view.state().groups().group(&self.who.group).cloned();
        if self.state == State::In && state.is_some_and(|state| self.who.is_current(&state)) {
            self.stay(desk, scene);
            self.goes_on = true;
        }
        self.goes_on
    }

    /// Outside of the group; what it owned is not its own any more.
    fn lose(&mut self, scene: &mut Scene, keeps_id: bool) {
        self.portion.own(scene, &PartitionSet::new());
        self.over();
        self.who.generation = 0;
        self.state = State::Out;
        if !keeps_id && !self.native {
            self.who.id = "".into();
        }
    }

    /// What it was is the past.
    fn over(&mut self) {
        if self.who.generation > 0 {
            self.past = Some(self.who.clone());
        }
    }

    /// One thing that a member does. An error says which promise is broken.
    pub(super) fn act(&mut self, desk: &mut Desk, node: &Node, scene: &mut Scene) -> Result<(), String> {
        self.portion.go_on(desk, scene, &self.who)?;
        self.haunt(desk, scene)?;
        match self.state {
            State::Out => self.enter(desk, scene),
            State::Joining(token) | State::Syncing(token) | State::Beating(token) => {
                if let Some(response) = desk.take(token) {
                    return self.answered(desk, scene, response);
                }
                if self.is_in() {
                    return self.portion.poll(node, scene, self.who.group.as_str());
                }
            }
            State::In => match scene.random.below(8) {
                0..=2 => self.stay(desk, scene),
                3..=5 => return self.portion.poll(node, scene, self.who.group.as_str()),
                6 => self.portion.commit(desk, scene, &self.who),
                _ => self.commit_as_before(desk, node, scene),
            },
        }
        Ok(())
    }

    fn enter(&mut self, desk: &mut Desk, scene: &mut Scene) {
        if self.native { self.beat(desk, scene) } else { self.join(desk, scene) }
    }

    /// Tells that it is alive, or that it wants other topics.
    fn stay(&mut self, desk: &mut Desk, scene: &mut Scene) {
        if self.native {
            return self.beat(desk, scene);
        }
        if self.known.as_ref() != Some(&all_partitions(desk)) {
            self.portion.own(scene, &PartitionSet::new());
            return self.join(desk, scene);
        }
        let Identity { group, id: member, instance, generation, .. } = self.who.clone();
        let beat = Heartbeat { group, member, instance, generation };
        self.state = State::Beating(desk.ask(self.who.home, scene, Request::Heartbeat(beat)));
    }

    fn join(&mut self, desk: &mut Desk, scene: &mut Scene) {
        self.known = Some(all_partitions(desk));
        let topics = desk.topics().topics().map(|(name, _)| name.clone()).collect();
        let join = Join {
            group: self.who.group.clone(),
            member: self.who.id.clone(),
            instance: self.who.instance.clone(),
            client: client(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer".into(),
            protocols: vec![Protocol { name: "range".into(), metadata: Bytes::from_static(b"all") }],
            subscription: Some(Subscription { topics, ..Subscription::default() }),
            fresh_id: fresh_id(scene),
            requires_known_id: self.who.instance.is_none(),
            supports_skip_assignment: true,
        };
        self.state = State::Joining(desk.ask(self.who.home, scene, Request::Join(join)));
    }

    fn beat(&mut self, desk: &mut Desk, scene: &mut Scene) {
        let says_all = self.who.generation == 0 || std::mem::take(&mut self.asks_anew);
        let beat = ConsumerHeartbeat {
            group: self.who.group.clone(),
            member: self.who.id.clone(),
            member_epoch: self.who.generation,
            instance: self.who.instance.clone(),
            rack: None,
            rebalance_timeout_ms: says_all.then_some(REBALANCE_MS),
            topics: None,
            regex: says_all.then(|| "topic-.*".into()),
            assignor: None,
            owned: Some(self.portion.partitions().into_iter().collect()),
            client: client(),
            fresh_id: fresh_id(scene),
        };
        self.state = State::Beating(desk.ask(self.who.home, scene, Request::ConsumerHeartbeat(beat)));
    }

    fn answered(&mut self, desk: &mut Desk, scene: &mut Scene, response: Response) -> Result<(), String> {
        let goes_on = std::mem::take(&mut self.goes_on);
        let refused = match response {
            Response::Join(Ok(joined)) => {
                self.joined(desk, scene, joined);
                None
            }
            Response::Join(Err(GroupError::MemberIdRequired(id))) => {
                self.who.id = id;
                self.state = State::Out;
                None
            }
            Response::Sync(Ok(synced)) => {
                let given = match synced.assignment {
                    Assignment::Opaque(bytes) => parse(&bytes)?,
                    Assignment::Partitions(named) => desk.topics().resolved(&named),
                };
                self.portion.own(scene, &given);
                self.state = State::In;
                None
            }
            Response::Heartbeat(Ok(())) => {
                self.state = State::In;
                None
            }
            Response::ConsumerHeartbeat(Ok(done)) => {
                if done.member_epoch != self.who.generation {
                    self.over();
                }
                self.who.id = done.member;
                self.who.generation = done.member_epoch;
                if let Some(assignment) = done.assignment {
                    self.portion.own(scene, &assignment);
                }
                self.state = State::In;
                None
            }
            Response::Join(Err(error))
            | Response::Sync(Err(error))
            | Response::Heartbeat(Err(error))
            | Response::ConsumerHeartbeat(Err(error)) => Some(error),
            other => return Err(format!("{:?} was answered with {other:?}", self.who)),
        };
        match refused {
            Some(error) => self.refused(scene, error, goes_on),
            None => Ok(()),
        }
    }

    fn refused(&mut self, scene: &mut Scene, error: GroupError, goes_on: bool) -> Result<(), String> {
        let ends = is_fenced(&error) || error == GroupError::FencedMemberEpoch;
        match error {
            _ if goes_on && ends => {
                Err(format!("{:?} was a member, and is refused after a restart: {error}", self.who))
            }
            GroupError::InvalidRequest(why) => Err(format!("{:?} asks wrongly: {why}", self.who)),
            GroupError::CoordinatorNotAvailable if self.native && self.who.generation > 0 => {
                self.asks_anew = true;
                self.state = State::In;
                Ok(())
            }
            GroupError::UnknownMemberId | GroupError::FencedInstanceId => {
                self.lose(scene, false);
                Ok(())
            }
            _ => {
                self.lose(scene, true);
                Ok(())
            }
        }
    }

    fn joined(&mut self, desk: &mut Desk, scene: &mut Scene, joined: Joined) {
        self.over();
        self.who.id = joined.member.clone();
        self.who.generation = joined.generation;
        let mut assignments = Vec::new();
        let leads = joined.leader == joined.member;
        if leads && joined.skip_assignment {
            // What its predecessor assigned from is not known, so it is not trusted.
            self.known = None;
        } else if leads {
            let all = all_partitions(desk);
            let count = joined.members.len().max(1);
            for (at, member) in joined.members.iter().enumerate() {
                let own: PartitionSet = all.iter().skip(at).step_by(count).copied().collect();
                assignments.push(SyncAssignment {
                    member: member.member.clone(),
                    assignment: Bytes::from(print(&own)),
                    partitions: desk.topics().named(&own),
                });
            }
            self.known = Some(all);
        }
        let sync = Sync {
            group: self.who.group.clone(),
            member: joined.member,
            instance: self.who.instance.clone(),
            generation: joined.generation,
            protocol_type: joined.protocol_type,
            protocol: joined.protocol,
            assignments,
        };
        self.state = State::Syncing(desk.ask(self.who.home, scene, Request::Sync(sync)));
    }

    /// Says good-bye, and begins anew.
    pub(super) fn leave(&mut self, desk: &mut Desk, scene: &mut Scene) {
        let Identity { group, id: member, instance, .. } = self.who.clone();
        let request = if self.native {
            if self.state != State::In {
                return;
            }
            Request::ConsumerHeartbeat(ConsumerHeartbeat {
                group,
                member,
                member_epoch: -1,
                instance,
                rack: None,
                rebalance_timeout_ms: None,
                topics: None,
                regex: None,
                assignor: None,
                owned: None,
                client: client(),
                fresh_id: fresh_id(scene),
            })
        } else if member.is_empty() {
            return;
        } else {
            Request::Leave(Leave { group, members: vec![Leaving { member, instance: None }] })
        };
        desk.ask(self.who.home, scene, request);
        self.die(scene);
    }

    /// The process is killed, and another one takes its place. It remembers nothing but its configuration.
    pub(super) fn die(&mut self, scene: &mut Scene) {
        self.lose(scene, false);
        self.portion.disconnected();
        if self.native {
            self.who.id = format!("native-again-{}", scene.number()).into();
        }
    }

    /// A commit in the name of what it was arrives late.
    fn commit_as_before(&mut self, desk: &mut Desk, node: &Node, scene: &mut Scene) {
        if self.ghost.is_some() {
            return;
        }
        let at = scene.random.below(2 * scene.ghosts.len() as u64) as usize;
        let (ghost, must_be_refused) = match (scene.ghosts.get(at).cloned(), &self.past) {
            (Some(ghost), _) => (ghost, true),
            (None, Some(past)) => {
                let view = node.data(past.home);
                let state = view.state().groups().group(&past.group).cloned();
                let is_past = state.is_some_and(|state| past.is_past(&state));
                (Ghost { home: past.home, check: past.check() }, is_past)
            }
            (None, None) => return,
        };
        let token = desk.ask(ghost.home, scene, Request::CommitCheck(ghost.check.clone()));
        self.ghost = Some((token, ghost, must_be_refused));
    }

    /// What became of that commit: who was refused once for being over is refused for ever.
    fn haunt(&mut self, desk: &mut Desk, scene: &mut Scene) -> Result<(), String> {
        let Some((token, ghost, must_be_refused)) = &self.ghost else { return Ok(()) };
        let Some(response) = desk.take(*token) else { return Ok(()) };
        match response {
            Response::CommitCheck(Ok(_)) if *must_be_refused => {
                return Err(format!("a commit was taken from somebody who is over: {:?}", ghost.check));
            }
            Response::CommitCheck(Err(error)) if *must_be_refused && is_fenced(&error) => {
                scene.refused_again += 1;
                scene.remember_ghost(ghost.clone());
            }
            _ => {}
        }
        self.ghost = None;
        Ok(())
    }
}

fn client() -> Client {
    Client { id: "client".into(), host: "/127.0.0.1".into() }
}

fn fresh_id(scene: &mut Scene) -> Text {
    format!("{:032x}", scene.number()).into()
}

/// All partitions of all topics, which everybody subscribes to.
pub(super) fn all_partitions(desk: &Desk) -> PartitionSet {
    let of = |id: TopicId, count: u32| {
        (0..count as i32).map(move |index| TopicPartition { topic: id, partition: PartitionIndex(index) })
    };
    desk.topics().topics().flat_map(|(_, topic)| of(topic.id, topic.partitions)).collect()
}

fn print(partitions: &PartitionSet) -> String {
    let one = |tp: &TopicPartition| format!("{}:{}", tp.topic.0, tp.partition.0);
    partitions.iter().map(one).collect::<Vec<_>>().join(",")
}

fn parse(bytes: &[u8]) -> Result<PartitionSet, String> {
    let wrong = || format!("an assignment that no leader wrote: {bytes:?}");
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    let one = |part: &str| {
        let (topic, partition) = part.split_once(':')?;
        let topic = TopicId(Uuid::parse_str(topic).ok()?);
        Some(TopicPartition { topic, partition: PartitionIndex(partition.parse().ok()?) })
    };
    text.split(',').filter(|part| !part.is_empty()).map(|part| one(part).ok_or_else(wrong)).collect()
}
