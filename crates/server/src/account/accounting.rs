//! All soft state of the accounts on one node, behind its locks. What is decided is decided in the pure rooms beside this one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tallymq_model::RaftGroup;
use tokio::sync::Notify;

use super::{connections::Connections, damage::Told, marks::Marks, owners::Owners};

/// What the node knows about deliveries beside its logs.
pub struct Accounting {
    is_on: bool,
    /// Who holds which partition.
    pub owners: Arc<Owners>,
    pub(super) connections: Connections,
    pub(super) data: BTreeMap<RaftGroup, DataMarks>,
    pub(super) damage: Told,
    /// Told when there is something to flush.
    pub(super) waiting: Notify,
    responses: AtomicU64,
}

/// One data group's marks.
#[derive(Default)]
pub(super) struct DataMarks {
    pub(super) marks: Mutex<Marks>,
    /// Held from taking marks until their command has its place in the log, so that no commit gets between.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Looks of the flusher since they were flushed last.
    pub(super) looks: AtomicU32,
}

impl Accounting {
    /// For these data groups; with `is_on` false it does nothing at all.
    pub fn new(is_on: bool, groups: impl Iterator<Item = RaftGroup>) -> Accounting {
        Accounting {
            is_on,
            owners: Arc::new(Owners::new(is_on)),
            connections: Connections::default(),
            data: groups.map(|group| (group, DataMarks::default())).collect(),
            damage: Told::default(),
            waiting: Notify::new(),
            responses: AtomicU64::new(0),
        }
    }

    /// Whether accounts are kept (`account.enabled`).
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// A client connected; gives the connection's number.
    pub fn connected(&self) -> u64 {
        self.connections.connected()
    }

    /// Its connection ended.
    pub fn disconnected(&self, connection: u64) {
        self.connections.disconnected(connection);
    }

    /// It spoke as a member of a group, or wants to be one.
    pub fn spoke(&self, connection: u64, group: &str) {
        if self.is_on {
            self.connections.spoke(connection, group);
        }
    }

    pub(super) fn next_response(&self) -> u64 {
        self.responses.fetch_add(1, Ordering::Relaxed)
    }
}
