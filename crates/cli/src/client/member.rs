//! A member of a consumer group (KIP-848): heartbeats on a task of their own, the assignment as the broker decides it.
//!
//! ```text
//!  heartbeat task ──► view: epoch, what is assigned ──► the reader
//!                ◄── owned: what the reader really has (it lets go of a partition only after committing it)
//! ```
//! A partition that is taken away stays owned until the reader says otherwise; the broker gives it to nobody before.

use std::{collections::BTreeSet, time::Duration};

use tallymq_gateway::kafka::{
    ErrorCode,
    messages::consumer_group_heartbeat::{
        ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
    },
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{Client, ClientError, call, check, producer::BACKOFF};

const EPOCH_JOIN: i32 = 0;
const EPOCH_LEAVE: i32 = -1;
/// How long the broker waits for a member to let go of a partition.
const REBALANCE_TIMEOUT_MS: i32 = 60_000;
const HEARTBEAT_FIRST: Duration = Duration::from_secs(1);

/// What the broker says about the member.
#[derive(Clone, Debug, Default)]
pub struct MemberView {
    /// The member's epoch; commits carry it. 0 until it has joined.
    pub epoch: i32,
    /// The partitions of the topic that are its own; none before the first answer.
    pub assigned: Option<BTreeSet<i32>>,
    /// Counts how often the broker forgot or fenced the member: what was owned before is lost, without a commit.
    pub fenced_count: u64,
    /// Why it cannot go on.
    pub failed: Option<String>,
}

/// What the reader has, and as of which fencing: what was owned before a fencing is not owned any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Owned {
    fenced_count: u64,
    partitions: BTreeSet<i32>,
}

/// A running member.
pub struct Member {
    id: String,
    view: watch::Receiver<MemberView>,
    owned: watch::Sender<Owned>,
    leave: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Member {
    /// Joins `group` to read one topic, over connections of its own.
    pub fn join(client: Client, group: &str, topic: &str, topic_id: Uuid) -> Member {
        let id = Uuid::new_v4().to_string();
        let (view_sender, view) = watch::channel(MemberView::default());
        let (owned, owned_receiver) = watch::channel(Owned::default());
        let (leave, left) = watch::channel(false);
        let heart = Heart {
            client,
            group: group.to_owned(),
            topic: topic.to_owned(),
            topic_id,
            member_id: id.clone(),
            view: view_sender,
            owned: owned_receiver,
            interval: HEARTBEAT_FIRST,
        };
        Member { id, view, owned, leave, task: tokio::spawn(heart.beat(left)) }
    }

    /// Its id, for commits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the broker said last.
    pub fn view(&self) -> MemberView {
        self.view.borrow().clone()
    }

    /// Waits until the broker says something new, at most `limit`.
    pub async fn changed(&mut self, limit: Duration) {
        // Neither the time limit nor the task's end is an error here: the view tells.
        drop(timeout(limit, self.view.changed()).await);
    }

    /// Tells the broker what is owned now; `fenced_count` is that of the view that it follows from.
    pub fn own(&self, partitions: BTreeSet<i32>, fenced_count: u64) {
        let now = Owned { fenced_count, partitions };
        self.owned.send_if_modified(|owned| {
            let changed = *owned != now;
            *owned = now;
            changed
        });
    }

    /// Leaves the group. Commit first.
    pub async fn leave(self) {
        self.leave.send_replace(true);
        // The task ends by itself; a panic in it was printed.
        drop(self.task.await);
    }
}

struct Heart {
    client: Client,
    group: String,
    topic: String,
    topic_id: Uuid,
    member_id: String,
    view: watch::Sender<MemberView>,
    owned: watch::Receiver<Owned>,
    interval: Duration,
}

impl Heart {
    async fn beat(mut self, mut left: watch::Receiver<bool>) {
        let mut failing_since: Option<Instant> = None;
        loop {
            let pause = match self.heartbeat().await {
                Ok(()) => {
                    failing_since = None;
                    self.interval
                }
                Err(error) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if !error.is_retriable() || since.elapsed() > self.client.timeout() {
                        self.view.send_modify(|view| view.failed = Some(error.to_string()));
                        return;
                    }
                    self.client.forget_coordinator(&self.group);
                    BACKOFF
                }
            };
            let leaving = tokio::select! {
                () = sleep(pause) => false,
                changed = self.owned.changed(), if failing_since.is_none() => changed.is_err(),
                _ = left.wait_for(|left| *left) => true,
            };
            if leaving {
                return self.depart().await;
            }
        }
    }

    async fn heartbeat(&mut self) -> Result<(), ClientError> {
        let (epoch, fenced_count) = {
            let view = self.view.borrow();
            (view.epoch, view.fenced_count)
        };
        let joining = epoch == EPOCH_JOIN;
        let owned = self.owned.borrow_and_update().clone();
        let owned = if owned.fenced_count == fenced_count { owned.partitions } else { BTreeSet::new() };
        let answer = self.send(self.request(epoch, joining, &owned)).await?;
        match answer.error_code {
            ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch if !joining => {
                self.view.send_modify(|view| {
                    view.epoch = EPOCH_JOIN;
                    view.assigned = None;
                    view.fenced_count += 1;
                });
                self.interval = Duration::ZERO;
                return Ok(());
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.client.forget_coordinator(&self.group);
            }
            _ => {}
        }
        check(format!("group {}", self.group), answer.error_code, answer.error_message.clone())?;
        self.interval = Duration::from_millis(answer.heartbeat_interval_ms.clamp(1, 60_000) as u64);
        self.take(answer);
        Ok(())
    }

    fn request(&self, epoch: i32, joining: bool, owned: &BTreeSet<i32>) -> ConsumerGroupHeartbeatRequest {
        let topic_partitions = match owned.is_empty() {
            true => Vec::new(),
            false => {
                vec![TopicPartitions { topic_id: self.topic_id, partitions: owned.iter().copied().collect() }]
            }
        };
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.member_id.clone(),
            member_epoch: epoch,
            rebalance_timeout_ms: if joining { REBALANCE_TIMEOUT_MS } else { -1 },
            subscribed_topic_names: joining.then(|| vec![self.topic.clone()]),
            topic_partitions: Some(topic_partitions),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    async fn send(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, ClientError> {
        let connection = self.client.coordinator(&self.group).await?;
        call!(connection, ConsumerGroupHeartbeat, request)
    }

    fn take(&self, answer: ConsumerGroupHeartbeatResponse) {
        let assigned = answer.assignment.map(|assignment| {
            let ours =
                assignment.topic_partitions.into_iter().filter(|topic| topic.topic_id == self.topic_id);
            ours.flat_map(|topic| topic.partitions).collect::<BTreeSet<i32>>()
        });
        self.view.send_if_modified(|view| {
            let changed = view.epoch != answer.member_epoch || assigned.is_some();
            view.epoch = answer.member_epoch;
            if assigned.is_some() {
                view.assigned = assigned;
            }
            changed
        });
    }

    async fn depart(mut self) {
        if self.view.borrow().epoch == EPOCH_JOIN {
            return;
        }
        let mut request = self.request(EPOCH_LEAVE, false, &BTreeSet::new());
        request.topic_partitions = None;
        // If it does not arrive, the session times out.
        drop(self.send(request).await);
    }
}
