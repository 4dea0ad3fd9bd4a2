//! What the node does by itself: checkpoints, retention, expiry of idle producers and dead groups, a look at the disk. Passing time becomes
//! commands here, stamped with the leader's clock.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tallymq_broker::data::{DataCommand, LogStartReason, MoveLogStart};
use tallymq_consensus::CheckpointFailed;
use tallymq_model::{Offset, Timestamp, TopicPartition};
use tallymq_storage::log::{PartitionLog, retention};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{DataHandle, Dead, Node, key_indexes};
use crate::{
    account::{alarms, damage, journal, stored},
    stop::stopped,
    supervision::again,
};

/// How often the write-ahead log's fill is looked at.
const PRESSURE_CHECK: Duration = Duration::from_millis(200);
/// Checkpoints after which no kept one needs a file that was given up before the first of them.
const CHECKPOINTS_PER_REMOVAL: u8 = 3;
/// How often checkpoints are made while files wait to be removed or the disk is nearly full.
const ROOM_INTERVAL: Duration = Duration::from_secs(2);
/// How often free disk space is looked at.
const DISK_CHECK: Duration = Duration::from_millis(500);

/// How long nothing is looked for after dead groups were, however many groups are asked for in vain.
const GROUP_EXPIRY_PAUSE: Duration = Duration::from_secs(10);

/// Runs all of it until `stop`.
pub async fn run(node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    let swept = sweep(node.clone());
    let work = async {
        tokio::join!(
            again("checkpoints", || checkpoints(&node)),
            again("retention", || retention_checks(&node)),
            again("expiry of producers", || producer_expiry(&node)),
            again("expiry of groups", || group_expiry(&node)),
            again("a look at the disk", || disk_checks(&node)),
            again("marks of deliveries", || node.accounting.flush_forever(&node)),
            again("alarms", || alarms::watch(&node)),
            again("damage", || damage::watch(&node)),
            again("the journal of the accounts", || journal::keep_bounded(&node)),
            again("who stored what", || stored::write_down_forever(&node)),
            again("indexes of keys", || key_indexes::keep(&node)),
        )
    };
    tokio::select! {
        _ = work => {}
        () = stopped(&mut stop) => {}
    }
    // It has said what there was to say, and a panic in it was logged.
    drop(swept.await);
}

async fn checkpoints(node: &Node) {
    let mut ticks = interval(PRESSURE_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = Instant::now() + node.startup.checkpoint_interval;
    let mut made_room_at = Instant::now();
    loop {
        ticks.tick().await;
        let pressure = node.wal.pressure();
        node.wal_full.store(pressure.full, Ordering::Relaxed);
        let room_wanted = node.is_room_wanted(&mut made_room_at);
        if room_wanted {
            node.step_idle_groups().await;
        }
        if pressure.checkpoint_wanted || Instant::now() >= due || room_wanted {
            node.checkpoint_all().await;
            due = Instant::now() + node.startup.checkpoint_interval;
        }
    }
}

impl Node {
    /// Records were given up: their files go soon, with the next checkpoints.
    pub fn files_given_up(&self) {
        self.removals.store(CHECKPOINTS_PER_REMOVAL, Ordering::Relaxed);
    }

    /// Whether checkpoints should make room now: files were given up or the disk is nearly full, and the last attempt is long
    /// enough ago.
    fn is_room_wanted(&self, made_room_at: &mut Instant) -> bool {
        let removals_wait = self.removals.load(Ordering::Relaxed) > 0;
        let wanted = (removals_wait || self.disk.is_nearly_full()) && made_room_at.elapsed() >= ROOM_INTERVAL;
        if wanted {
            *made_room_at = Instant::now();
            // In one step, or files that are given up just now would be forgotten; at 0 it stays.
            let _ =
                self.removals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        }
        wanted
    }

    /// Forgets producers that have been idle for too long.
    async fn expire_producers(&self) {
        let keep_ms = self.with_layers(|layers| layers.number("producer.id.expiration.ms"));
        let idle_before = Timestamp(self.now().0 - keep_ms);
        for handle in self.data_groups() {
            if let Err(error) = handle.propose(DataCommand::ExpireProducers { idle_before }).await {
                tracing::warn!(%error, group = %handle.id, "idle producers could not be expired");
            }
        }
    }

    /// Moves every data group on by an entry, since a checkpoint of an idle group would be the one that there is, and free
    /// nothing. Expiry is due work anyway.
    async fn step_idle_groups(&self) {
        self.expire_producers().await;
    }

    /// Checkpoints every group, idle ones too, since the oldest one keeps the write-ahead log from being recycled.
    pub async fn checkpoint_all(&self) {
        let data = self.data_groups().map(|handle| handle.group.checkpoint());
        let (metadata, data) =
            tokio::join!(self.metadata_group.checkpoint(), futures_util::future::join_all(data));
        for result in data.into_iter().chain([metadata]) {
            match result {
                Ok(_) | Err(CheckpointFailed::ShuttingDown) => {}
                Err(error) => tracing::error!(%error, "checkpoint failed"),
            }
        }
    }
}

/// Looks once, aside, for files that a crash left behind.
fn sweep(node: Arc<Node>) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        let groups: Vec<_> = node.data_groups().map(|handle| handle.id).collect();
        let is_known = |tp: TopicPartition| {
            let topic = node.topic_by_id(tp.topic);
            topic.is_some_and(|topic| topic.group_of(tp.partition).is_some())
        };
        match node.store.sweep(&groups, is_known) {
            Ok(0) => {}
            Ok(unknown) => {
                tracing::info!(unknown, "files of partitions that do not exist any more will be removed")
            }
            Err(error) => tracing::warn!(%error, "the data directory could not be searched for leftovers"),
        }
    })
}

async fn retention_checks(node: &Node) {
    loop {
        let every = node.with_layers(|layers| layers.number("log.retention.check.interval.ms")).max(1);
        sleep(Duration::from_millis(every as u64)).await;
        for handle in node.data_groups() {
            retain(node, handle).await;
        }
    }
}

/// One pass of retention over a data group's partitions.
async fn retain(node: &Node, handle: &DataHandle) {
    for (tp, log) in handle.view.logs() {
        let now = node.now();
        let Some((to, why)) = decide(node, tp, &log, now) else {
            continue;
        };
        tracing::info!(partition = %tp, %to, ?why, "retention");
        let command = DataCommand::MoveLogStart(MoveLogStart { tp, to, why, now });
        // What was delivered just now has not expired unread.
        let moved = match handle.enqueue_deletion(command, &[(tp, to)], now).await {
            Ok(proposal) => proposal.await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            tracing::warn!(%error, partition = %tp, "retention could not move the log start");
            return;
        }
        node.files_given_up();
    }
}

fn decide(
    node: &Node,
    tp: TopicPartition,
    log: &PartitionLog,
    now: Timestamp,
) -> Option<(Offset, LogStartReason)> {
    let topic = node.topic_by_id(tp.topic)?;
    let settings = node.settings(&topic);
    let segments = log.segments();
    let decided = |ms, bytes| retention::decide(&segments, now, ms, bytes, log.log_start());
    let by_time = decided(settings.retention_ms, None).map(|to| (to, LogStartReason::RetentionTime));
    let by_size = decided(None, settings.retention_bytes).map(|to| (to, LogStartReason::RetentionSize));
    [by_time, by_size].into_iter().flatten().max_by_key(|(to, _)| *to)
}

async fn producer_expiry(node: &Node) {
    loop {
        let every = node.with_layers(|layers| layers.number("producer.id.expiration.check.interval.ms"));
        sleep(Duration::from_millis(every.max(1000) as u64)).await;
        node.expire_producers().await;
    }
}

/// Forgets dead groups now and then, and at once when there is no room for another group.
async fn group_expiry(node: &Node) {
    loop {
        let every = node.with_layers(|layers| layers.number("offsets.retention.check.interval.ms"));
        let every = Duration::from_millis(every.max(1) as u64);
        tokio::select! {
            () = sleep(every) => {}
            () = node.group_gates.full.notified() => {}
        }
        let groups = node.forget_dead_groups(Dead::Unused).await;
        if groups > 0 {
            tracing::info!(groups, "forgot consumer groups without members and positions");
        }
        sleep(every.min(GROUP_EXPIRY_PAUSE)).await;
    }
}

async fn disk_checks(node: &Node) {
    let mut ticks = interval(DISK_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        node.disk.look(node.store.unwritten_bytes());
    }
}
