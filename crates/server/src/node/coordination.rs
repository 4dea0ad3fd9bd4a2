//! Drives a data group's coordinator: requests, outcomes and time go in, commands and answers come out. One task per data
//! group; all decisions are `broker::group`'s.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tallymq_broker::{
    data::{DataCommand, DataOutcome},
    group::{
        Action, Coordinator, GroupCommand, GroupError, GroupId, GroupOutcome, GroupOverrides, Millis,
        Request, Response, Ticket, Token,
    },
};
use tallymq_consensus::{Committed, Group};
use tallymq_replica::DataView;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    machine::{DataEntry, DataMachine},
    surroundings::Surroundings,
};
use crate::{stop::stopped, supervision::caught};

/// Requests that may wait for the task.
const QUEUE_MAX: usize = 4096;
/// How long nobody coordinates after a panic.
const REST: Duration = Duration::from_secs(1);

struct Ask {
    request: Request,
    answer: oneshot::Sender<Response>,
}

/// Asks a data group's coordinator; clones ask the same one.
#[derive(Clone)]
pub struct CoordinatorHandle {
    queue: mpsc::Sender<Ask>,
    #[cfg(debug_assertions)]
    fragile: Fragile,
}

/// Breaks a coordinator on purpose, so that tests see what follows; nothing in release builds.
#[derive(Clone, Default)]
struct Fragile {
    #[cfg(debug_assertions)]
    breaks: Arc<std::sync::atomic::AtomicBool>,
}

impl Fragile {
    fn check(&self) {
        #[cfg(debug_assertions)]
        assert!(!self.breaks.swap(false, std::sync::atomic::Ordering::AcqRel), "broken by a test");
    }
}

impl CoordinatorHandle {
    /// The next request panics the coordinator, as a bug in it would. Debug builds only, which are the tests'.
    #[cfg(debug_assertions)]
    pub fn break_at_next_request(&self) {
        self.fragile.breaks.store(true, std::sync::atomic::Ordering::Release);
    }

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

/// Starts the task for one data group; it ends with `stop`.
pub(super) fn spawn(
    group: Group<DataMachine>,
    view: Arc<DataView>,
    around: Arc<Surroundings>,
    stop: watch::Receiver<bool>,
) -> CoordinatorHandle {
    let (queue, asks) = mpsc::channel(QUEUE_MAX);
    let fragile = Fragile::default();
    tokio::spawn(coordinate((group, view, around), fragile.clone(), asks, stop));
    CoordinatorHandle {
        queue,
        #[cfg(debug_assertions)]
        fragile,
    }
}

/// Coordinates until `stop`. What a coordinator knows it has from the log: after a panic the next one takes over, as another
/// node's would, and who waited for an answer is told to look for the coordinator again.
async fn coordinate(
    (group, view, around): (Group<DataMachine>, Arc<DataView>, Arc<Surroundings>),
    fragile: Fragile,
    mut asks: mpsc::Receiver<Ask>,
    mut stop: watch::Receiver<bool>,
) {
    let mut proposed = Proposed::new();
    loop {
        let task = Task {
            group: group.clone(),
            view: view.clone(),
            coordinator: Coordinator::new(around.options(), around.image()),
            around: around.clone(),
            began: Instant::now(),
            waiting: HashMap::new(),
            last_token: 0,
            configured: None,
            overridden: BTreeSet::new(),
            proposed: &mut proposed,
            fragile: fragile.clone(),
        };
        let Err(why) = caught(task.run(&mut asks, &mut stop)).await else { return };
        tracing::error!(why, "a coordinator of consumer groups panicked; the next one takes over");
        // What it has put into the log counts: the next one begins behind it.
        while proposed.next().await.is_some() {}
        sleep(REST).await;
    }
}

/// Commands in the log, and what became of them.
type Proposed = FuturesUnordered<BoxFuture<'static, (Ticket, Option<GroupOutcome>)>>;

struct Task<'a> {
    group: Group<DataMachine>,
    view: Arc<DataView>,
    around: Arc<Surroundings>,
    coordinator: Coordinator,
    began: Instant,
    /// Who waits for which answer.
    waiting: HashMap<Token, oneshot::Sender<Response>>,
    last_token: u64,
    /// The version of the settings that the coordinator has.
    configured: Option<u64>,
    /// Groups that set something for themselves.
    overridden: BTreeSet<GroupId>,
    /// Outlives the task.
    proposed: &'a mut Proposed,
    fragile: Fragile,
}

impl Task<'_> {
    async fn run(mut self, asks: &mut mpsc::Receiver<Ask>, stop: &mut watch::Receiver<bool>) {
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
                    self.hear(asks);
                    let now = self.now();
                    self.coordinator.handle_timeout(now);
                }
                () = stopped(stop) => return,
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
        let version = self.around.configs_version();
        if self.configured.replace(version) == Some(version) {
            return;
        }
        self.coordinator.set_options(self.around.options());
        let overrides = self.around.overrides();
        for group in std::mem::take(&mut self.overridden) {
            if !overrides.contains_key(&group) {
                self.coordinator.set_overrides(group, GroupOverrides::default());
            }
        }
        for (group, overrides) in overrides {
            self.coordinator.set_overrides(group.clone(), overrides);
            self.overridden.insert(group);
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.fragile.check();
        self.last_token += 1;
        let token = Token(self.last_token);
        self.waiting.insert(token, ask.answer);
        let now = self.now();
        self.coordinator.handle_request(now, token, ask.request);
    }

    /// Takes what waits in the queue, before time counts against anybody: while the task waited for room in the log, members
    /// may have been heard in time without being listened to.
    fn hear(&mut self, asks: &mut mpsc::Receiver<Ask>) {
        for _ in 0..QUEUE_MAX {
            let Ok(ask) = asks.try_recv() else { return };
            self.ask(ask);
        }
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
                Action::Propose(command, ticket) => self.propose(command, ticket).await,
            }
        }
    }

    /// Queues a command; its outcome comes through `proposed`.
    async fn propose(&mut self, command: GroupCommand, ticket: Ticket) {
        let proposal = self.group.enqueue(DataEntry(DataCommand::Group(command))).await;
        self.proposed.push(Box::pin(async move {
            let outcome = match proposal {
                Ok(proposal) => proposal.await.map(Committed::into_outcome),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(DataOutcome::Group(outcome)) => (ticket, Some(outcome)),
                _ => (ticket, None),
            }
        }));
    }
}
