//! What readers share with a data group's replica: the logs of its partitions, and its state under a read lock that
//! must be held briefly. Nothing here changes the state; that is `DataReplica`'s alone.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{RwLock, RwLockReadGuard};
use tallymq_broker::data::DataGroup;
use tallymq_model::TopicPartition;
use tallymq_storage::log::{LogStore, PartitionLog};

/// The readers' side of a data group.
pub struct DataView {
    pub(crate) state: RwLock<DataGroup>,
    pub(crate) logs: RwLock<HashMap<TopicPartition, Arc<PartitionLog>>>,
    /// The accounts' journal; None before its first event. Apart from `logs`, since no client may find it.
    pub(crate) journal: RwLock<Option<Arc<PartitionLog>>>,
    pub(crate) store: Arc<LogStore>,
}

impl DataView {
    pub(crate) fn new(store: Arc<LogStore>) -> DataView {
        DataView {
            state: RwLock::new(DataGroup::new()),
            logs: RwLock::default(),
            journal: RwLock::default(),
            store,
        }
    }

    /// The log of a partition; None if this group does not have it. What it holds is committed: its end is the high
    /// watermark.
    pub fn log(&self, tp: TopicPartition) -> Option<Arc<PartitionLog>> {
        self.logs.read().get(&tp).cloned()
    }

    /// The logs of all partitions, in no order.
    pub fn logs(&self) -> Vec<(TopicPartition, Arc<PartitionLog>)> {
        self.logs.read().iter().map(|(tp, log)| (*tp, log.clone())).collect()
    }

    /// The log of the accounts' journal; None before its first event. `broker::account::journal` reads its batches.
    pub fn journal(&self) -> Option<Arc<PartitionLog>> {
        self.journal.read().clone()
    }

    /// The state. Apply waits for as long as the guard is held.
    pub fn state(&self) -> RwLockReadGuard<'_, DataGroup> {
        self.state.read()
    }

    /// The node's log store, shared by all groups.
    pub fn store(&self) -> &Arc<LogStore> {
        &self.store
    }
}
