//! Drives a data group's coordinator: requests, outcomes and time go in, commands and answers come out. One task per data
//! group; all decisions are `broker::group`'s.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use tallymq_broker::{
    config::BrokerLayers,
    data::{DataCommand, DataOutcome},
    group::{
        Action, Assignor, Coordinator, CoordinatorOptions, GroupError, GroupId, GroupOutcome, GroupOverrides,
        MigrationPolicy, Millis, Request, Response, Ticket, Token, TopicImage, topics::TopicEntry,
    },
};
use tallymq_consensus::Group;
use tallymq_replica::{DataView, MetadataView};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    machine::{DataEntry, DataMachine},
    wakeups::Wakeups,
};
use crate::{config::Config, net::connection::Pending, stop::stopped};

/// Requests that may wait for the task.
const QUEUE_MAX: usize = 4096;

struct Ask {
    request: Request,
    answer: oneshot::Sender<Response>,
}

/// Asks a data group's coordinator; clones ask the same one.
#[derive(Clone)]
pub struct CoordinatorHandle {
    queue: mpsc::Sender<Ask>,
}

impl CoordinatorHandle {
    /// Asks, and waits for the answer; a join waits for its whole rebalance.
    pub async fn ask(&self, request: Request) -> Response {
        let refused = Response::refuse(&request, GroupError::NotCoordinator);
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Ask { request, answer }).await.is_err() {
            return refused;
        }
        answered.await.unwrap_or(refused)
    }
}

/// What the coordinators of a node share.
pub(super) struct Surroundings {
    pub(super) config: Config,
    pub(super) node: tallymq_model::NodeId,
    pub(super) metadata: Arc<MetadataView>,
    pub(super) wakeups: Arc<Wakeups>,
    image: Mutex<(u64, Arc<TopicImage>)>,
}

impl Surroundings {
    pub(super) fn new(
        config: Config,
        node: tallymq_model::NodeId,
        metadata: Arc<MetadataView>,
        wakeups: Arc<Wakeups>,
    ) -> Surroundings {
        Surroundings { config, node, metadata, wakeups, image: Mutex::default() }
    }

    /// The topics as of now; made once per version of the metadata.
    fn image(&self) -> Arc<TopicImage> {
        let version = self.metadata.version();
        let mut image = self.image.lock();
        if image.0 != version {
            let metadata = self.metadata.state();
            let topics = metadata.topics().iter().map(|topic| {
                let entry = TopicEntry { id: topic.id, partitions: topic.partitions.len() as u32 };
                (topic.name.as_str().into(), entry)
            });
            *image = (version, Arc::new(TopicImage::new(version, topics)));
        }
        image.1.clone()
    }

    fn options(&self) -> CoordinatorOptions {
        let nothing = tallymq_broker::metadata::ConfigSet::new();
        let metadata = self.metadata.state();
        let own = metadata.broker_configs(Some(self.node));
        let layers = BrokerLayers {
            broker: own.map_or(&nothing, |held| &held.configs),
            cluster: metadata.broker_configs(None).map_or(&nothing, |held| &held.configs),
            fixed: self.config.set(),
        };
        options(&layers)
    }

    fn overrides(&self) -> Vec<(GroupId, GroupOverrides)> {
        let metadata = self.metadata.state();
        let number =
            |configs: &tallymq_broker::metadata::ConfigSet, key: &str| configs.get(key)?.trim().parse().ok();
        metadata
            .groups_with_configs()
            .filter_map(|group| {
                let configs = &metadata.group_configs(group)?.configs;
                let overrides = GroupOverrides {
                    consumer_session_timeout_ms: number(configs, "consumer.session.timeout.ms"),
                    consumer_heartbeat_interval_ms: number(configs, "consumer.heartbeat.interval.ms"),
                };
                Some((GroupId::from(group), overrides))
            })
            .collect()
    }
}

fn options(layers: &BrokerLayers<'_>) -> CoordinatorOptions {
    let ms = |key: &str| u32::try_from(layers.number(key)).unwrap_or(u32::MAX);
    let count = |key: &str| usize::try_from(layers.number(key)).unwrap_or(usize::MAX);
    CoordinatorOptions {
        initial_rebalance_delay_ms: ms("group.initial.rebalance.delay.ms"),
        session_timeout_ms_min: ms("group.min.session.timeout.ms"),
        session_timeout_ms_max: ms("group.max.session.timeout.ms"),
        groups_max: count("group.max.count"),
        classic_members_max: count("group.max.size"),
        consumer_members_max: count("group.consumer.max.size"),
        consumer_session_timeout_ms: ms("group.consumer.session.timeout.ms"),
        consumer_heartbeat_interval_ms: ms("group.consumer.heartbeat.interval.ms"),
        migration: match layers.text("group.consumer.migration.policy").as_deref() {
            Some("upgrade") => MigrationPolicy::Upgrade,
            Some("downgrade") => MigrationPolicy::Downgrade,
            Some("disabled") => MigrationPolicy::Disabled,
            _ => MigrationPolicy::Bidirectional,
        },
        consumer_assignor: match layers.text("group.consumer.assignors").as_deref().map(str::trim_start) {
            Some(first) if first.starts_with("range") => Assignor::Range,
            _ => Assignor::Uniform,
        },
        ..CoordinatorOptions::default()
    }
}

/// Starts the task for one data group; it ends with `stop`.
pub(super) fn spawn(
    group: Group<DataMachine>,
    view: Arc<DataView>,
    around: Arc<Surroundings>,
    stop: watch::Receiver<bool>,
) -> CoordinatorHandle {
    let (queue, asks) = mpsc::channel(QUEUE_MAX);
    let coordinator = Coordinator::new(around.options(), around.image());
    let task = Task {
        group,
        view,
        around,
        coordinator,
        began: Instant::now(),
        waiting: HashMap::new(),
        last_token: 0,
        proposed: FuturesUnordered::new(),
    };
    tokio::spawn(task.run(asks, stop));
    CoordinatorHandle { queue }
}

struct Task {
    group: Group<DataMachine>,
    view: Arc<DataView>,
    around: Arc<Surroundings>,
    coordinator: Coordinator,
    began: Instant,
    /// Who waits for which answer.
    waiting: HashMap<Token, oneshot::Sender<Response>>,
    last_token: u64,
    /// Commands in the log.
    proposed: FuturesUnordered<Pending<(Ticket, Option<GroupOutcome>)>>,
}

impl Task {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>, mut stop: watch::Receiver<bool>) {
        let mut metadata = self.around.wakeups.watch_metadata();
        if self.group.leader_ready().await.is_err() {
            return;
        }
        self.take_over();
        loop {
            self.act().await;
            let due = self.coordinator.poll_timeout().map(|at| self.began + Duration::from_millis(at.0));
            tokio::select! {
                Some(ask) = asks.recv() => {
                    self.refresh(&mut metadata);
                    self.ask(ask);
                }
                Some((ticket, outcome)) = self.proposed.next(), if !self.proposed.is_empty() => {
                    let now = self.now();
                    match outcome {
                        Some(outcome) => self.coordinator.handle_applied(now, ticket, outcome),
                        None => self.coordinator.handle_failed(now, ticket),
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.refresh(&mut metadata);
                    let now = self.now();
                    self.coordinator.handle_timeout(now);
                }
                () = stopped(&mut stop) => return,
            }
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn take_over(&mut self) {
        self.configure();
        let now = self.now();
        let state = self.view.state();
        self.coordinator.load(state.groups(), now);
    }

    /// Hands over topics and settings if the metadata changed since the last time.
    fn refresh(&mut self, metadata: &mut watch::Receiver<u64>) {
        if metadata.has_changed().unwrap_or(false) {
            metadata.mark_unchanged();
            self.configure();
        }
    }

    fn configure(&mut self) {
        self.coordinator.handle_topics_changed(self.around.image());
        self.coordinator.set_options(self.around.options());
        for (group, overrides) in self.around.overrides() {
            self.coordinator.set_overrides(group, overrides);
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.waiting.insert(token, ask.answer);
        let now = self.now();
        self.coordinator.handle_request(now, token, ask.request);
    }

    async fn act(&mut self) {
        while let Some(action) = self.coordinator.poll_action() {
            match action {
                Action::Reply(token, response) => {
                    if let Some(answer) = self.waiting.remove(&token) {
                        // A client that is gone needs no answer.
                        drop(answer.send(response));
                    }
                }
                Action::Propose(command, ticket) => {
                    let proposal = self.group.enqueue(DataEntry(DataCommand::Group(command))).await;
                    self.proposed.push(Box::pin(async move {
                        let outcome = match proposal {
                            Ok(proposal) => proposal.await,
                            Err(error) => Err(error),
                        };
                        let outcome = outcome.map(tallymq_consensus::Committed::into_outcome);
                        match outcome {
                            Ok(DataOutcome::Group(outcome)) => (ticket, Some(outcome)),
                            _ => (ticket, None),
                        }
                    }));
                }
            }
        }
    }
}
