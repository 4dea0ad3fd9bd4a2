//! A coordinator with its log on one side and clients on the other: a clock that jumps, commands that are applied when the
//! test says so, and a crash that leaves nothing but what was applied. Asserts what must hold after every step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tallymq_broker::group::request::*;
use tallymq_broker::group::response::*;
use tallymq_broker::group::topics::{NamedPartitions, PartitionSet, TopicEntry, TopicImage};
use tallymq_broker::group::*;
use tallymq_broker::{ApplyContext, Parts};
use tallymq_model::{LogIndex, PartitionIndex, Term, TopicId, TopicPartition};
use uuid::Uuid;

pub struct World {
    pub groups: Groups,
    pub coordinator: Coordinator,
    pub options: CoordinatorOptions,
    pub image: Arc<TopicImage>,
    pub now: Millis,
    /// Proposed, not applied yet.
    pub log: VecDeque<(GroupCommand, Ticket)>,
    pub replies: BTreeMap<Token, Response>,
    pub waiting: BTreeSet<Token>,
    pub applied: Vec<GroupCommand>,
    /// Hold commands back until `apply` is called.
    pub slow: bool,
    /// A command was applied that the coordinator believes to have failed.
    pub is_behind: bool,
    last_token: u64,
    last_fresh: u64,
    epochs: BTreeMap<GroupId, i32>,
}

pub fn topic_id(n: u128) -> TopicId {
    TopicId(Uuid::from_u128(n))
}

pub fn tp(topic: u128, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic_id(topic), partition: PartitionIndex(partition) }
}

pub fn image(version: u64, topics: &[(&str, u128, u32)]) -> Arc<TopicImage> {
    let entry = |&(name, id, partitions): &(&str, u128, u32)| {
        (name.into(), TopicEntry { id: topic_id(id), partitions })
    };
    Arc::new(TopicImage::new(version, topics.iter().map(entry)))
}

impl World {
    pub fn new(options: CoordinatorOptions) -> World {
        let image = image(1, &[("a", 1, 4), ("b", 2, 3)]);
        let mut coordinator = Coordinator::new(options.clone(), image.clone());
        coordinator.load(&Groups::new(), Millis(0));
        World {
            groups: Groups::new(),
            coordinator,
            options,
            image,
            now: Millis(0),
            log: VecDeque::new(),
            replies: BTreeMap::new(),
            waiting: BTreeSet::new(),
            applied: Vec::new(),
            slow: false,
            is_behind: false,
            last_token: 0,
            last_fresh: 0,
            epochs: BTreeMap::new(),
        }
    }

    /// No delay for the first members.
    pub fn quick() -> World {
        World::new(CoordinatorOptions { initial_rebalance_delay_ms: 0, ..CoordinatorOptions::default() })
    }

    pub fn send(&mut self, request: Request) -> Token {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.waiting.insert(token);
        self.coordinator.handle_request(self.now, token, request);
        self.pump();
        token
    }

    /// Sends and expects the answer at once.
    pub fn ask(&mut self, request: Request) -> Response {
        let token = self.send(request);
        self.take(token)
    }

    pub fn take(&mut self, token: Token) -> Response {
        self.replies.remove(&token).unwrap_or_else(|| panic!("{token:?} has no answer yet"))
    }

    pub fn is_waiting(&self, token: Token) -> bool {
        self.waiting.contains(&token)
    }

    pub fn fresh(&mut self) -> Text {
        self.last_fresh += 1;
        format!("{:032x}", self.last_fresh).into()
    }

    /// Takes the coordinator's actions, and applies what it proposes unless the log is slow.
    pub fn pump(&mut self) {
        loop {
            while let Some(action) = self.coordinator.poll_action() {
                match action {
                    Action::Propose(command, ticket) => self.log.push_back((command, ticket)),
                    Action::Reply(token, response) => {
                        assert!(self.waiting.remove(&token), "{token:?} was answered twice");
                        self.check_reply(&response);
                        self.replies.insert(token, response);
                    }
                }
            }
            if self.slow || !self.apply() {
                break;
            }
        }
        // A timer that is due now, such as a delay of 0, fires without the clock moving.
        if self.coordinator.poll_timeout().is_some_and(|at| at <= self.now) {
            self.coordinator.handle_timeout(self.now);
            self.pump();
        }
    }

    /// Applies one command, through its encoding; false if there is none.
    pub fn apply(&mut self) -> bool {
        let Some((command, ticket)) = self.log.pop_front() else {
            return false;
        };
        let mut parts = Parts::new();
        command.encode(&mut parts);
        let mut bytes = parts.into_bytes();
        let decoded = GroupCommand::decode(&mut bytes).expect("a command decodes");
        assert!(bytes.is_empty());
        assert_eq!(decoded, command);
        let at = ApplyContext { index: LogIndex(self.applied.len() as u64 + 1), term: Term(1) };
        let outcome = self.groups.apply(at, decoded);
        self.applied.push(command);
        self.check_state();
        self.coordinator.handle_applied(self.now, ticket, outcome);
        true
    }

    /// Applies a command whose proposer was told that it failed.
    pub fn apply_late(&mut self, command: GroupCommand) {
        let at = ApplyContext { index: LogIndex(self.applied.len() as u64 + 1), term: Term(1) };
        self.groups.apply(at, command.clone());
        self.applied.push(command);
        self.check_state();
        self.is_behind = true;
    }

    pub fn apply_all(&mut self) {
        while self.apply_one() {}
        self.pump();
    }

    /// Applies one command and lets the coordinator go on to the next, which is not applied yet.
    pub fn apply_one(&mut self) -> bool {
        let applied = self.apply();
        let slow = std::mem::replace(&mut self.slow, true);
        self.pump();
        self.slow = slow;
        applied
    }

    /// Moves the clock, stopping at every deadline on the way.
    pub fn advance(&mut self, millis: u32) {
        let end = self.now.after(millis);
        while let Some(at) = self.coordinator.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.coordinator.handle_timeout(self.now);
            self.pump();
            if self.slow {
                self.apply_all();
            }
        }
        self.now = end;
    }

    /// Kill -9: what was not applied is gone, connections break, another coordinator takes over from the checkpoint.
    pub fn crash(&mut self) {
        self.log.clear();
        self.is_behind = false;
        self.waiting.clear();
        let mut parts = Parts::new();
        self.groups.encode(&mut parts);
        let mut bytes = parts.into_bytes();
        let groups = Groups::decode(&mut bytes).expect("a checkpoint decodes");
        assert!(bytes.is_empty());
        assert_eq!(groups, self.groups);
        self.groups = groups;
        self.coordinator = Coordinator::new(self.options.clone(), self.image.clone());
        self.coordinator.load(&self.groups, self.now);
        self.pump();
    }

    pub fn change_topics(&mut self, image: Arc<TopicImage>) {
        self.image = image.clone();
        self.coordinator.handle_topics_changed(image);
    }

    /// Invariants of the durable state: epochs never fall, no partition has two holders.
    fn check_state(&mut self) {
        for (id, state) in self.groups.iter() {
            let before = self.epochs.insert(id.clone(), state.epoch()).unwrap_or(0);
            assert!(state.epoch() >= before, "the epoch of {id} fell from {before} to {}", state.epoch());
            let GroupState::Consumer(group) = state.as_ref() else {
                continue;
            };
            assert!(group.target_epoch <= group.epoch);
            let mut held = BTreeSet::new();
            for member in group.members.values() {
                assert!(member.epoch <= group.epoch);
                for tp in member.assigned.iter().chain(&member.revoking) {
                    assert!(held.insert(*tp), "{tp} has two holders in {id}");
                }
            }
        }
        let gone: Vec<GroupId> =
            self.epochs.keys().filter(|group| self.groups.group(group).is_none()).cloned().collect();
        for group in gone {
            self.epochs.remove(&group);
        }
    }

    /// An answer tells nothing that the applied state does not know.
    fn check_reply(&self, response: &Response) {
        if self.is_behind {
            return;
        }
        match response {
            Response::Join(Ok(joined)) => {
                let known = self.groups.iter().any(|(_, group)| match group.as_ref() {
                    GroupState::Classic(group) => {
                        group.generation == joined.generation && group.members.contains_key(&joined.member)
                    }
                    GroupState::Consumer(group) => group
                        .members
                        .get(&joined.member)
                        .is_some_and(|member| member.epoch == joined.generation),
                });
                assert!(known, "a join was answered before it was durable: {joined:?}");
            }
            Response::ConsumerHeartbeat(Ok(done)) if done.member_epoch >= 0 => {
                let known = self.groups.iter().any(|(_, group)| match group.as_ref() {
                    GroupState::Consumer(group) => group.members.get(&done.member).is_some_and(|member| {
                        member.epoch == done.member_epoch
                            && done.assignment.as_ref().is_none_or(|told| *told == member.assigned)
                    }),
                    GroupState::Classic(_) => false,
                });
                assert!(known, "a heartbeat was answered before it was durable: {done:?}");
            }
            _ => {}
        }
    }
}

pub fn client() -> Client {
    Client { id: "client".into(), host: "/127.0.0.1".into() }
}

pub fn protocols(names: &[(&str, &str)]) -> Vec<Protocol> {
    let protocol = |&(name, metadata): &(&str, &str)| Protocol {
        name: name.into(),
        metadata: Bytes::copy_from_slice(metadata.as_bytes()),
    };
    names.iter().map(protocol).collect()
}

pub fn join(world: &mut World, group: &str, member: &str) -> Join {
    Join {
        group: group.into(),
        member: member.into(),
        instance: None,
        client: client(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: protocols(&[("range", "m")]),
        subscription: Some(Subscription { topics: vec!["a".into()], ..Subscription::default() }),
        fresh_id: world.fresh(),
        requires_known_id: false,
        supports_skip_assignment: true,
    }
}

pub fn sync(group: &str, member: &MemberId, generation: i32, assignments: &[(&MemberId, &str)]) -> Request {
    let given = |&(member, text): &(&MemberId, &str)| SyncAssignment {
        member: member.clone(),
        assignment: Bytes::copy_from_slice(text.as_bytes()),
        partitions: Vec::new(),
    };
    Request::Sync(Sync {
        group: group.into(),
        member: member.clone(),
        instance: None,
        generation,
        protocol_type: None,
        protocol: None,
        assignments: assignments.iter().map(given).collect(),
    })
}

pub fn heartbeat(group: &str, member: &MemberId, generation: i32) -> Request {
    Request::Heartbeat(Heartbeat { group: group.into(), member: member.clone(), instance: None, generation })
}

pub fn leave(group: &str, member: &MemberId) -> Request {
    Request::Leave(Leave {
        group: group.into(),
        members: vec![Leaving { member: member.clone(), instance: None }],
    })
}

pub fn commit_check(group: &str, member: &str, generation: i32) -> Request {
    Request::CommitCheck(CommitCheck {
        group: group.into(),
        member: member.into(),
        instance: None,
        generation,
        transactional: false,
        supports_member_epoch: true,
    })
}

pub fn consumer_heartbeat(world: &mut World, group: &str, member: &str, epoch: i32) -> ConsumerHeartbeat {
    let joins = epoch == 0;
    ConsumerHeartbeat {
        group: group.into(),
        member: member.into(),
        member_epoch: epoch,
        instance: None,
        rack: None,
        rebalance_timeout_ms: joins.then_some(60_000),
        topics: joins.then(|| vec!["a".into()]),
        regex: None,
        assignor: None,
        owned: joins.then(Vec::new),
        client: client(),
        fresh_id: world.fresh(),
    }
}

pub fn named(topic: &str, partitions: &[i32]) -> NamedPartitions {
    NamedPartitions {
        topic: topic.into(),
        partitions: partitions.iter().map(|&n| PartitionIndex(n)).collect(),
    }
}

pub fn set(partitions: &[TopicPartition]) -> PartitionSet {
    partitions.iter().copied().collect()
}

pub fn joined(response: Response) -> Joined {
    match response {
        Response::Join(Ok(joined)) => joined,
        other => panic!("not joined: {other:?}"),
    }
}

pub fn join_error(response: Response) -> GroupError {
    match response {
        Response::Join(Err(error)) => error,
        other => panic!("no refused join: {other:?}"),
    }
}

pub fn synced(response: Response) -> Assignment {
    match response {
        Response::Sync(Ok(synced)) => synced.assignment,
        other => panic!("not synced: {other:?}"),
    }
}

pub fn opaque(text: &str) -> Assignment {
    Assignment::Opaque(Bytes::copy_from_slice(text.as_bytes()))
}

pub fn done(response: Response) -> HeartbeatDone {
    match response {
        Response::ConsumerHeartbeat(Ok(done)) => done,
        other => panic!("no heartbeat: {other:?}"),
    }
}

pub fn heartbeat_error(response: Response) -> GroupError {
    match response {
        Response::ConsumerHeartbeat(Err(error)) => error,
        other => panic!("no refused heartbeat: {other:?}"),
    }
}
