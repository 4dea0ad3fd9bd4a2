//! The node: its groups, and what the handlers of every protocol ask of them. No wire format is known here.

mod background;
mod catchup;
mod consumer_groups;
mod coordination;
mod dead_groups;
mod decompression;
mod disk_guard;
mod file_limit;
mod finishing;
pub mod key_indexes;
mod layers;
mod machine;
mod producer_ids;
mod reading;
mod start;
mod surroundings;
mod topics;
pub mod wakeups;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use parking_lot::RwLock;
use tallymq_broker::{
    config::{BrokerLayers, TopicSettings},
    data::{DataCommand, DataOutcome},
    metadata::{ConfigVersion, MetadataCommand, MetadataOutcome, Topic},
};
use tallymq_consensus::{Committed, Group, ProposeError};
use tallymq_model::{LeaderEpoch, ProducerId, RaftGroup, Timestamp, TopicId, TopicPartition};
use tallymq_replica::{DataView, MetadataView};
use tallymq_storage::disk::Space;
use tallymq_storage::log::{LogStore, PartitionLog};
use tallymq_storage::wal::{Flush, Wal};
use tokio::sync::Notify;

use crate::{
    account::{Accounting, DataMarks, Stored},
    config::{Config, Startup},
    identity::Identity,
    memory::Budget,
    metrics::Metrics,
};

pub use consumer_groups::{DeleteGroupError, GroupHold};
pub use coordination::CoordinatorHandle;
pub use dead_groups::Dead;
pub use decompression::{Decompressor, Turn, Unanswered};
pub use finishing::to_its_end;
pub use machine::{DataEntry, DataMachine, MetadataEntry, MetadataMachine};
pub use start::{NodeParts, StartError, open, open_on};
pub use topics::{TopicChangeError, TopicCreation};

/// How long producers rest before they look at a full write-ahead log again.
const WAL_FULL_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

/// Settings of deleted topics that are kept at least.
const SETTINGS_SPARE: usize = 1024;

/// A running node.
pub struct Node {
    /// Cluster id and node id.
    pub identity: Identity,
    /// What was set at start.
    pub config: Config,
    /// The same, picked out.
    pub startup: Startup,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// Waiting fetches and watchers.
    pub wakeups: Arc<wakeups::Wakeups>,
    pub(crate) metadata_group: Group<MetadataMachine>,
    pub(crate) metadata_view: Arc<MetadataView>,
    data: BTreeMap<RaftGroup, DataHandle>,
    wal: Wal,
    /// Checkpoints that are still needed before given up files can go.
    removals: AtomicU8,
    /// As of the last look; produce waits while it is.
    wal_full: AtomicBool,
    store: Arc<LogStore>,
    disk: disk_guard::DiskGuard,
    producer_ids: producer_ids::ProducerIds,
    /// Memory for records on their way from disk to clients.
    pub fetch_budget: Budget,
    /// Turns of those who decompress batches to look into them.
    pub decompressor: Decompressor,
    /// Slows reads of old records.
    pub catchup: catchup::CatchupPace,
    /// Which clients stored records, on its way into the journals.
    pub stored: Stored,
    /// Indexes of keys, for lookups.
    pub keys: key_indexes::Keys,
    settings: RwLock<SettingsCache>,
    scheduling: String,
    recovered: String,
    topic_changes: tokio::sync::Mutex<()>,
    group_gates: consumer_groups::GroupGates,
    /// What is known of deliveries.
    pub accounting: Arc<Accounting>,
}

/// One data group of this node.
pub struct DataHandle {
    /// Which.
    pub id: RaftGroup,
    /// Takes commands.
    pub group: Group<DataMachine>,
    /// Shows what was applied.
    pub view: Arc<DataView>,
    /// Coordinates the consumer groups that live here.
    pub coordinator: CoordinatorHandle,
    /// What was delivered of its partitions, on its way into its log; None if no accounts are kept.
    pub(crate) marks: Option<Arc<DataMarks>>,
}

/// Resolved topic settings, thrown away whenever the brokers' settings change; a topic's as its own were at that version.
#[derive(Default)]
struct SettingsCache {
    configs_version: u64,
    topics: HashMap<TopicId, (ConfigVersion, TopicSettings)>,
}

impl DataHandle {
    /// The leader epoch of a partition as of the group's current term; None if it is not open here (any more, or yet).
    pub fn leader_epoch(&self, tp: TopicPartition) -> Option<LeaderEpoch> {
        let state = self.view.state();
        Some(state.partition(tp)?.leader_epoch(self.group.term()))
    }

    /// Proposes a command and waits until it is committed and applied.
    pub async fn propose(&self, command: DataCommand) -> Result<DataOutcome, ProposeError> {
        self.enqueue(command).await?.await.map(Committed::into_outcome)
    }
}

impl Node {
    /// The leader's clock.
    pub fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.metadata_view.state().topics().by_name(name).cloned()
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.metadata_view.state().topics().by_id(id).cloned()
    }

    /// The name of a topic that is there or was, or its id if its name is not known any more.
    pub fn topic_name(&self, id: TopicId) -> String {
        let metadata = self.metadata_view.state();
        metadata.topics().name_of(id).map_or_else(|| id.to_string(), str::to_owned)
    }

    /// The metadata as applied.
    pub fn metadata_view(&self) -> &MetadataView {
        &self.metadata_view
    }

    /// The data groups of this node.
    pub fn data_groups(&self) -> impl Iterator<Item = &DataHandle> {
        self.data.values()
    }

    /// A data group.
    pub fn data(&self, group: RaftGroup) -> Option<&DataHandle> {
        self.data.get(&group)
    }

    /// The data group of a partition, and its log there.
    pub fn partition(&self, topic: &Topic, tp: TopicPartition) -> Option<(&DataHandle, Arc<PartitionLog>)> {
        let handle = self.data(topic.group_of(tp.partition)?)?;
        let log = handle.view.log(tp)?;
        Some((handle, log))
    }

    /// Proposes a command of the metadata group and waits until it is committed and applied.
    pub async fn propose_metadata(&self, command: MetadataCommand) -> Result<MetadataOutcome, ProposeError> {
        self.metadata_group.propose(MetadataEntry(command)).await.map(Committed::into_outcome)
    }

    /// Runs `read` with the broker's configuration layers, dynamic ones included.
    pub fn with_layers<T>(&self, read: impl FnOnce(&BrokerLayers<'_>) -> T) -> T {
        layers::with_layers(&self.metadata_view, &self.config, self.identity.node(), read)
    }

    /// A topic's settings with every fallback resolved.
    pub fn settings(&self, topic: &Topic) -> TopicSettings {
        let configs_version = self.metadata_view.configs_version();
        {
            let cache = self.settings.read();
            if cache.configs_version == configs_version
                && let Some((as_of, settings)) = cache.topics.get(&topic.id)
                && *as_of == topic.config_version
            {
                return *settings;
            }
        }
        let settings = self.with_layers(|layers| TopicSettings::resolve(&topic.configs, layers));
        let topics = self.metadata_view.state().topics().len();
        let mut cache = self.settings.write();
        // Deleted topics are forgotten with the others, now and then.
        if cache.configs_version != configs_version || cache.topics.len() > 2 * topics + SETTINGS_SPARE {
            *cache = SettingsCache { configs_version, topics: HashMap::new() };
        }
        cache.topics.insert(topic.id, (topic.config_version, settings));
        settings
    }

    /// Whether produce must be refused to keep the disk's reserve.
    pub fn is_disk_nearly_full(&self) -> bool {
        self.disk.is_nearly_full()
    }

    /// Free space of the disk that is kept for what goes on while produce is refused.
    pub fn disk_reserve_bytes(&self) -> u64 {
        self.disk.reserve_bytes()
    }

    /// Notes that `bytes` of records are on their way to the disk.
    pub fn takes_to_disk(&self, bytes: usize) {
        if self.disk.takes(bytes as u64) {
            self.disk.look(self.store.unwritten_bytes());
        }
    }

    /// Size and free bytes of the data directory's file system, unless the disk does not say.
    pub fn disk_space(&self) -> Option<Space> {
        self.disk.space()
    }

    /// Waits while the write-ahead log is full, or the segment writer too far behind what is committed, so that disk and
    /// memory stay bounded.
    pub async fn wait_for_room(&self) {
        let unwritten_bytes_max = self.startup.produce_inflight_bytes_max as u64;
        while self.wal_full.load(Ordering::Relaxed) {
            // Checkpoints make room; there is no event for it, and producers wait anyway.
            tokio::time::sleep(WAL_FULL_PAUSE).await;
        }
        while self.store.unwritten_bytes() > unwritten_bytes_max {
            let written = Arc::new(Notify::new());
            let notify = written.clone();
            self.store.when_unwritten_at_most(unwritten_bytes_max, Box::new(move |_| notify.notify_one()));
            written.notified().await;
        }
    }

    /// A producer id that nobody ever had.
    pub async fn next_producer_id(&self) -> Result<ProducerId, ProposeError> {
        let node = self.identity.node();
        let allocate =
            async || match self.propose_metadata(MetadataCommand::AllocateProducerIds { node }).await? {
                MetadataOutcome::ProducerIds(Ok(block)) => Ok(block),
                _ => Err(ProposeError::Unknown),
            };
        self.producer_ids.next(allocate).await
    }

    /// How acknowledgements are backed, for people.
    pub fn durability(&self) -> String {
        match self.startup.flush {
            Flush::Sync => "sync: acknowledged after fdatasync".to_owned(),
            Flush::Async { interval, bytes } => format!(
                "async: acknowledged before fdatasync; a power cut loses up to {} ms or {bytes} bytes",
                interval.as_millis()
            ),
        }
    }

    /// What an operator must not forget.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if matches!(self.startup.flush, Flush::Async { .. }) {
            warnings.push("flush = async: a power cut loses acknowledged records".to_owned());
        }
        if self.startup.insecure_listeners {
            warnings.push("insecure_listeners = true: anyone on the network can read and write".to_owned());
        }
        for damage in self.store.damages() {
            warnings.push(format!("damaged: {damage}"));
        }
        if self.disk.is_nearly_full() {
            warnings.push("the disk is nearly full: produce is refused".to_owned());
        }
        warnings
    }

    /// Why the node should get no traffic; empty if it should.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.metadata_group.is_leader() {
            reasons.push("the metadata group has no leader".to_owned());
        }
        for handle in self.data.values().filter(|handle| !handle.group.is_leader()) {
            reasons.push(format!("data group {} has no leader", handle.id));
        }
        reasons
    }

    /// How the committer's thread is scheduled, for people.
    pub fn scheduling(&self) -> &str {
        &self.scheduling
    }

    /// What was found in the data directory, for people.
    pub fn recovered(&self) -> &str {
        &self.recovered
    }
}
