//! From a data directory to a running node: lock, identity, write-ahead log, groups, reconciliation. And back.

use std::{
    collections::BTreeMap,
    io,
    mem::ManuallyDrop,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU8},
    },
    time::Duration,
};

use tallymq_broker::metadata::{MetadataCommand, MetadataOutcome};
use tallymq_consensus::{Group, GroupOptions, ProposeError};
use tallymq_model::RaftGroup;
use tallymq_replica::{DataReplica, MetadataReplica};
use tallymq_storage::{
    disk::{Disk, OpenDiskError, RealDisk},
    log::{self, LogOptions, LogStore, WriterThread},
    wal::{self, CommitterThread, Recovered, Wal, WalOpenError, WalOptions},
};
use thiserror::Error;
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use super::{
    DataHandle, Decompressor, Node, background, coordination,
    disk_guard::DiskGuard,
    file_limit, key_indexes,
    machine::{DataMachine, MetadataEntry, MetadataMachine},
    producer_ids::ProducerIds,
    surroundings::Surroundings,
    wakeups::Wakeups,
};
use crate::{
    account::{Accounting, Owners, Stored, stored},
    config::{Config, Startup, StartupError},
    identity::{ForeignDirectory, Identity, IdentityError},
    memory::Budget,
    metrics::Metrics,
    supervision::disk_failed,
};

/// How long a stop waits for the last task that has the disk open, and how often it looks.
const RELEASE_WAIT: Duration = Duration::from_secs(30);
const RELEASE_PAUSE: Duration = Duration::from_millis(1);

/// How long a stop waits for changes of topics whose clients are gone; the next start finishes what takes longer.
const TOPIC_CHANGES_WAIT: Duration = Duration::from_secs(5);

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The settings contradict each other.
    #[error(transparent)]
    Settings(#[from] StartupError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Disk(#[from] OpenDiskError),
    /// It is full of something else.
    #[error(transparent)]
    Foreign(#[from] ForeignDirectory),
    /// It belongs to somebody else.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The write-ahead log is damaged or unreadable.
    #[error(transparent)]
    Wal(#[from] WalOpenError),
    /// A group's checkpoint or log is damaged or unreadable.
    #[error(transparent)]
    Group(#[from] tallymq_consensus::StartError),
    /// A group ended while starting.
    #[error("starting: {0}")]
    Propose(#[from] ProposeError),
    /// A thread could not be started.
    #[error("starting a thread: {0}")]
    Thread(#[from] io::Error),
    /// The data directory was bootstrapped differently.
    #[error("the metadata says {found} data groups, the identity of this node {expected}")]
    DataGroups {
        /// By the metadata.
        found: u32,
        /// By the identity.
        expected: u32,
    },
}

/// A node with the threads and tasks that belong to it.
pub struct NodeParts {
    /// What handlers see.
    pub node: Arc<Node>,
    committer: CommitterThread,
    writer: WriterThread,
    background: tokio::task::JoinHandle<()>,
    stop: watch::Sender<bool>,
    disk: Weak<dyn Disk>,
}

/// Opens the data directory and starts everything on it; when this returns every group leads and has applied its log.
pub async fn open(config: Config) -> Result<NodeParts, StartError> {
    let startup = Startup::from_config(&config)?;
    ForeignDirectory::refuse(&startup.data_dir)?;
    let disk = Arc::new(RealDisk::open(&startup.data_dir)?);
    open_on(disk, config).await
}

/// The same on any disk; `data.dir` means nothing then.
pub async fn open_on(disk: Arc<dyn Disk>, config: Config) -> Result<NodeParts, StartError> {
    let startup = Startup::from_config(&config)?;
    let identity = Identity::open(&*disk, startup.node_id, startup.data_groups)?;
    let metrics = Arc::new(Metrics::new(facts(&identity, &startup)));
    let (wal, mut committer, recovered) = open_wal(disk.clone(), &startup)?;
    committer.observe(Arc::new(metrics.commit.clone()));
    // A start that is refused leaves them running: a log that closes under groups that already work looks like a failed
    // disk, and would end the process before it can say why it refuses.
    let committer = ManuallyDrop::new(wal::spawn(committer, |error| disk_failed(&error.to_string()))?);
    let (store, writer) = LogStore::new(disk.clone(), log_options(&startup));
    let writer =
        ManuallyDrop::new(log::spawn(store.clone(), writer, |error| disk_failed(&error.to_string()))?);
    let wakeups = Arc::new(Wakeups::default());
    let (stop, stopped) = watch::channel(false);

    let data_groups = identity.data_groups;
    let ids = (1..=data_groups).map(RaftGroup);
    let accounting = Arc::new(Accounting::new(startup.account_enabled, ids));
    let groups = Groups {
        startup: &startup,
        identity: &identity,
        wal: &wal,
        recovered: &recovered,
        disk: &disk,
        owners: &accounting.owners,
    };
    let metadata = MetadataReplica::new();
    let metadata_view = metadata.view();
    let metadata_group =
        groups.start(RaftGroup::METADATA, MetadataMachine::new(metadata, wakeups.clone())).await?;
    metadata_group.leader_ready().await?;
    bootstrap(&metadata_group, &identity).await?;

    let around = Surroundings::new(config.clone(), identity.node(), metadata_view.clone(), wakeups.clone());
    let data = groups.start_data(&store, (&Arc::new(around), &accounting), &stopped).await?;
    let fetch_budget = Budget::new(startup.fetch_buffer_bytes);
    let node = Arc::new(Node {
        disk: DiskGuard::new(disk.clone(), startup.disk_reserve_bytes),
        scheduling: committer.scheduling(),
        recovered: describe(&recovered),
        identity,
        config,
        startup,
        metrics,
        wakeups,
        metadata_group,
        metadata_view,
        data,
        wal,
        store,
        producer_ids: ProducerIds::default(),
        removals: AtomicU8::new(0),
        wal_full: AtomicBool::new(false),
        fetch_budget,
        decompressor: Decompressor::start()?,
        catchup: super::catchup::CatchupPace::default(),
        keys: key_indexes::Keys::new(disk.clone()),
        stored: Stored::new((1..=data_groups).map(RaftGroup)),
        settings: parking_lot::RwLock::default(),
        topic_changes: tokio::sync::Mutex::new(()),
        group_gates: super::consumer_groups::GroupGates::default(),
        accounting,
    });
    node.begin_accounts().await?;
    node.reconcile_topics().await?;
    node.reconcile_groups().await;
    let background = tokio::spawn(background::run(node.clone(), stopped));
    let (committer, writer) = (ManuallyDrop::into_inner(committer), ManuallyDrop::into_inner(writer));
    Ok(NodeParts { node, committer, writer, background, stop, disk: Arc::downgrade(&disk) })
}

/// What every group of the node starts from.
struct Groups<'a> {
    startup: &'a Startup,
    identity: &'a Identity,
    wal: &'a Wal,
    recovered: &'a Recovered,
    disk: &'a Arc<dyn Disk>,
    owners: &'a Arc<Owners>,
}

impl Groups<'_> {
    async fn start<M: tallymq_consensus::StateMachine>(
        &self,
        id: RaftGroup,
        machine: M,
    ) -> Result<Group<M>, tallymq_consensus::StartError> {
        let groups = self.identity.data_groups.max(1) as usize;
        let mut options =
            GroupOptions::new(id, self.identity.node(), |ended| disk_failed(&ended.to_string()));
        options.bytes_in_flight_max = self.startup.produce_inflight_bytes_max / groups;
        let recovered = self.recovered.groups.get(&id).cloned().unwrap_or_default();
        Group::start(options, self.wal.clone(), recovered, self.disk.clone(), machine).await
    }

    /// Starts all data groups before it waits for the first to lead: they recover side by side.
    async fn start_data(
        &self,
        store: &Arc<LogStore>,
        (around, accounting): (&Arc<Surroundings>, &Accounting),
        stopped: &watch::Receiver<bool>,
    ) -> Result<BTreeMap<RaftGroup, DataHandle>, StartError> {
        let mut started = Vec::new();
        for id in (1..=self.identity.data_groups).map(RaftGroup) {
            let replica = DataReplica::new(id, store.clone());
            let view = replica.view();
            let group = self
                .start(id, DataMachine::new(replica, around.wakeups.clone(), self.owners.clone()))
                .await?;
            started.push((id, group, view));
        }
        let mut handles = BTreeMap::new();
        for (id, group, view) in started {
            group.leader_ready().await?;
            let coordinator =
                coordination::spawn(group.clone(), view.clone(), around.clone(), stopped.clone());
            let marks = accounting.riders(id);
            handles.insert(id, DataHandle { id, group, view, coordinator, marks });
        }
        Ok(handles)
    }
}

fn open_wal(
    disk: Arc<dyn Disk>,
    startup: &Startup,
) -> Result<(Wal, wal::Committer, Recovered), WalOpenError> {
    let options = WalOptions {
        bytes_max: startup.wal_bytes_max,
        flush: startup.flush,
        sync_delay: startup.wal_sync_delay,
        ..WalOptions::default()
    };
    Wal::open(disk, options)
}

fn log_options(startup: &Startup) -> LogOptions {
    LogOptions {
        tail_cache_bytes_max: startup.tail_cache_bytes_max,
        open_files_max: file_limit::raise(startup.open_files_max, startup.connections_max),
        ..LogOptions::default()
    }
}

fn facts(identity: &Identity, startup: &Startup) -> Vec<(String, String)> {
    let flush = match startup.flush {
        wal::Flush::Sync => "sync",
        wal::Flush::Async { .. } => "async",
    };
    vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("cluster_id".to_owned(), identity.cluster_id.clone()),
        ("node_id".to_owned(), identity.node_id.to_string()),
        ("flush".to_owned(), flush.to_owned()),
        ("insecure_listeners".to_owned(), startup.insecure_listeners.to_string()),
    ]
}

fn describe(recovered: &Recovered) -> String {
    match &recovered.cut {
        None => "the write-ahead log ends cleanly".to_owned(),
        Some(cut) => format!(
            "cut {} bytes that were never acknowledged from the end of {} ({})",
            cut.bytes, cut.file, cut.reason
        ),
    }
}

async fn bootstrap(group: &Group<MetadataMachine>, identity: &Identity) -> Result<(), StartError> {
    let expected = identity.data_groups;
    let command =
        MetadataCommand::Bootstrap { cluster_id: identity.cluster_id.clone(), data_groups: expected };
    let outcome = group.propose(MetadataEntry(command)).await?.into_outcome();
    if let MetadataOutcome::Bootstrapped { data_groups: found, .. } = outcome
        && found != expected
    {
        return Err(StartError::DataGroups { found, expected });
    }
    let directory = Uuid::new_v5(&Uuid::NAMESPACE_OID, identity.cluster_id.as_bytes());
    let command = MetadataCommand::RegisterNode { node: identity.node(), directory };
    group.propose(MetadataEntry(command)).await?;
    Ok(())
}

/// Waits until nobody has the disk any more, and with it the lock on the data directory: tasks that were told to end take a
/// moment, and whoever starts next must not meet them.
async fn released(disk: &Weak<dyn Disk>) {
    let until = tokio::time::Instant::now() + RELEASE_WAIT;
    while disk.strong_count() > 0 {
        if tokio::time::Instant::now() > until {
            return tracing::warn!("something still has the data directory open");
        }
        tokio::time::sleep(RELEASE_PAUSE).await;
    }
}

impl NodeParts {
    /// Stops in order: what is queued is committed and applied, then checkpointed, so that the next start has nothing to
    /// replay; then the files are closed.
    pub async fn stop(self) {
        let NodeParts { node, committer, writer, background, stop, disk } = self;
        // While checkpoints still make room for them.
        drop(timeout(TOPIC_CHANGES_WAIT, node.topic_changes.lock()).await);
        stop.send_replace(true);
        // Its result says only that it ended.
        drop(background.await);
        stored::write_down(&node).await;
        node.end_accounts().await;
        node.checkpoint_all().await;
        for handle in node.data.values() {
            handle.group.shutdown().await;
        }
        node.metadata_group.shutdown().await;
        node.store.close();
        let ended = tokio::task::spawn_blocking(move || {
            drop(writer);
            committer.stop()
        });
        if let Ok(Err(error)) = ended.await {
            tracing::error!(%error, "the write-ahead log did not close cleanly");
        }
        drop(node);
        released(&disk).await;
    }
}
