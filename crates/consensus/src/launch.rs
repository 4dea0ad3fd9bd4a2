//! Starts the engine on what was recovered, makes the only voter leader, and watches the engine from then on.

use std::{collections::BTreeMap, fmt, sync::Arc};

use openraft::{BasicNode, async_runtime::AsyncRuntime};
use tallymq_model::{LogIndex, NodeId, RaftGroup, Term};
use tallymq_storage::{
    disk::Disk,
    wal::{RecoveredGroup, WalRecord},
};
use tokio::sync::{oneshot, watch};

use crate::{
    EntryId, GroupOptions, StartError, StateMachine,
    applier::Applier,
    fate::Phase,
    raft::{
        self, Engine, Leadership, LogStore, NoNetwork, RaftLog, RaftMachine, Runtime, Start, engine_config,
    },
    recovery::Recovery,
};

const BEFORE_THE_FIRST: EntryId = EntryId { term: Term(0), index: LogIndex(0) };

/// A running engine and what can be seen of it.
pub(crate) struct Launched {
    pub(crate) engine: Engine,
    pub(crate) leadership: watch::Receiver<Leadership>,
    /// The last entry applied.
    pub(crate) applied: watch::Receiver<EntryId>,
    /// Resolves, by being dropped, when nothing is applied any more.
    pub(crate) machine_ended: oneshot::Receiver<()>,
}

/// Reads the checkpoint and gives its state to the machine, on a thread that may block.
pub(crate) async fn restore<M: StateMachine>(
    group: RaftGroup,
    disk: Arc<dyn Disk>,
    recovered: RecoveredGroup,
    mut machine: M,
) -> Result<(Recovery, M), StartError> {
    let read = move || {
        let mut recovery = Recovery::read(&disk, group, &recovered)?;
        if let Some((applied, state)) = recovery.state.take() {
            let applied = applied.index;
            machine.restore(state).map_err(|source| StartError::Restore { group, applied, source })?;
        }
        Ok((recovery, machine))
    };
    Runtime::spawn_blocking(read).await.map_err(engine_error(group))?
}

/// Starts the engine and elects this node.
pub(crate) async fn launch(
    options: &GroupOptions,
    log: Arc<RaftLog>,
    recovery: Recovery,
    applier: Box<dyn Applier>,
) -> Result<Launched, StartError> {
    let group = options.group;
    let is_new = recovery.is_new();
    let purged = recovery.log.purged;
    if let Some(EntryId { index: through, .. }) = purged {
        // the one that followed the checkpoint may have been lost
        log.queue(WalRecord::Purge { group, through });
    }
    let start = Start { applier, applied: purged, membership: recovery.membership };
    let (ended, machine_ended) = oneshot::channel();
    let (progress, applied) = watch::channel(purged.unwrap_or(BEFORE_THE_FIRST));
    let machine = RaftMachine::new(log.clone(), start, progress, ended);
    let config = engine_config(format!("group-{group}"), 1).map_err(engine_error(group))?;
    let engine = Engine::new(options.node, config, NoNetwork, LogStore(log.clone()), machine)
        .await
        .map_err(engine_error(group))?;
    log.started();
    let leadership = observe(&engine, log);
    elect(&engine, options.node, is_new).await.map_err(engine_error(group))?;
    Ok(Launched { engine, leadership, applied, machine_ended })
}

fn engine_error<E: fmt::Display>(group: RaftGroup) -> impl FnOnce(E) -> StartError {
    move |reason| StartError::Engine { group, reason: reason.to_string() }
}

/// Makes the only voter leader: of a new group by giving it its first membership, else by an election.
async fn elect(engine: &Engine, node: NodeId, is_new: bool) -> Result<(), String> {
    if is_new {
        let members = BTreeMap::from([(node, BasicNode::new(""))]);
        engine.initialize(members).await.map_err(|error| error.to_string())
    } else {
        engine.trigger().elect(false).await.map_err(|error| error.to_string())
    }
}

/// Follows the engine: publishes who leads, and if the engine ends by itself ends the group.
fn observe(engine: &Engine, log: Arc<RaftLog>) -> watch::Receiver<Leadership> {
    let mut changes = engine.server_metrics();
    let ended = engine.metrics();
    let (publish, leadership) = watch::channel(raft::leadership(&changes));
    let follow = async move {
        while let Some(now) = raft::next_change(&mut changes).await {
            publish.send_if_modified(|published| std::mem::replace(published, now) != now);
        }
        publish.send_modify(|published| published.is_leader = false);
        if log.fate.phase() == Phase::Running {
            log.fate.fail(raft::why_ended(&ended));
        }
        log.abandon();
    };
    drop(Runtime::spawn(follow));
    leadership
}
