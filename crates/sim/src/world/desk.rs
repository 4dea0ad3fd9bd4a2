//! The coordinators of a node, one per data group, driven as the node's own tasks drive them: requests, outcomes and time go
//! in, commands and answers come out. It dies with the node and knows nothing that the log does not tell the next one.

use std::{collections::BTreeMap, sync::Arc};

use tallymq_broker::{
    data::DataCommand,
    group::{
        Action, Coordinator, CoordinatorOptions, GroupOutcome, Millis, Request, Response, Ticket, Token,
        TopicImage, topics::TopicEntry,
    },
};
use tallymq_model::RaftGroup;

use super::{
    machine::Command,
    node::{DATA_GROUPS, Node},
    scene::{Scene, Waiting},
};

/// The sessions of a world are as short as its lives.
pub(super) const SESSION_MS: u32 = 250;
/// How long a member may take to join again.
pub(super) const REBALANCE_MS: u32 = 150;

/// See the module.
pub(super) struct Desk {
    coordinators: BTreeMap<RaftGroup, Coordinator>,
    image: Arc<TopicImage>,
    replies: BTreeMap<Token, Response>,
}

fn options() -> CoordinatorOptions {
    CoordinatorOptions {
        initial_rebalance_delay_ms: 10,
        session_timeout_ms_min: 1,
        new_member_join_timeout_ms: SESSION_MS,
        consumer_session_timeout_ms: SESSION_MS,
        consumer_heartbeat_interval_ms: 10,
        ..CoordinatorOptions::default()
    }
}

fn now(scene: &Scene) -> Millis {
    Millis(scene.journal.now_ns / 1_000_000)
}

/// The topics as the metadata group has them.
fn image(node: &Node) -> TopicImage {
    let view = node.metadata();
    let state = view.state();
    let topics = state.topics().iter().map(|topic| {
        let entry = TopicEntry { id: topic.id, partitions: topic.partitions.len() as u32 };
        (topic.name.as_str().into(), entry)
    });
    TopicImage::new(view.version(), topics)
}

impl Desk {
    /// Nobody is there to ask.
    pub(super) fn closed() -> Desk {
        Desk { coordinators: BTreeMap::new(), image: Arc::default(), replies: BTreeMap::new() }
    }

    /// Takes over what the log of a node that has started knows.
    pub(super) fn open(node: &Node, scene: &mut Scene) -> Desk {
        let image = Arc::new(image(node));
        let mut desk = Desk { coordinators: BTreeMap::new(), image: image.clone(), replies: BTreeMap::new() };
        for home in (1..=DATA_GROUPS).map(RaftGroup) {
            let mut coordinator = Coordinator::new(options(), image.clone());
            coordinator.load(node.data(home).state().groups(), now(scene));
            desk.coordinators.insert(home, coordinator);
            desk.act(home, scene);
        }
        desk
    }

    /// The topics as the coordinators know them.
    pub(super) fn topics(&self) -> &TopicImage {
        &self.image
    }

    /// Asks the coordinator of a data group.
    pub(super) fn ask(&mut self, home: RaftGroup, scene: &mut Scene, request: Request) -> Token {
        let token = Token(scene.number());
        if let Some(coordinator) = self.coordinators.get_mut(&home) {
            coordinator.handle_request(now(scene), token, request);
        }
        self.act(home, scene);
        token
    }

    /// The answer, if it is there.
    pub(super) fn take(&mut self, token: Token) -> Option<Response> {
        self.replies.remove(&token)
    }

    /// A command was applied.
    pub(super) fn applied(
        &mut self,
        home: RaftGroup,
        scene: &mut Scene,
        ticket: Ticket,
        outcome: GroupOutcome,
    ) {
        if let Some(coordinator) = self.coordinators.get_mut(&home) {
            coordinator.handle_applied(now(scene), ticket, outcome);
        }
        self.act(home, scene);
    }

    /// Time has passed, and topics may have changed.
    pub(super) fn refresh(&mut self, node: &Node, scene: &mut Scene) {
        if node.metadata().version() != self.image.version() {
            self.image = Arc::new(image(node));
            for coordinator in self.coordinators.values_mut() {
                coordinator.handle_topics_changed(self.image.clone());
            }
        }
        let now = now(scene);
        for home in (1..=DATA_GROUPS).map(RaftGroup) {
            let Some(coordinator) = self.coordinators.get_mut(&home) else { continue };
            if coordinator.poll_timeout().is_some_and(|at| at <= now) {
                coordinator.handle_timeout(now);
                self.act(home, scene);
            }
        }
    }

    fn act(&mut self, home: RaftGroup, scene: &mut Scene) {
        let Some(coordinator) = self.coordinators.get_mut(&home) else { return };
        while let Some(action) = coordinator.poll_action() {
            match action {
                Action::Reply(token, response) => drop(self.replies.insert(token, response)),
                Action::Propose(command, ticket) => {
                    let command = Command::Data(DataCommand::Group(command));
                    scene.send(home, command, Waiting::Coordinator { home, ticket });
                }
            }
        }
    }
}
