//! All soft state of the accounts on one node, behind its locks. What is decided is decided in the pure rooms beside this one.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tallymq_model::{RaftGroup, Timestamp, TopicPartition};
use tokio::sync::Notify;

use super::{
    connections::Connections, damage::Told, former::Moment, marks::Marks, owners::Owners, refused::Refused,
};

/// What the node knows about deliveries beside its logs.
pub struct Accounting {
    is_on: bool,
    /// Who holds which partition.
    pub owners: Arc<Owners>,
    pub(super) connections: Connections,
    pub(super) data: BTreeMap<RaftGroup, Arc<DataMarks>>,
    pub(super) damage: Told,
    /// Batches that were never decided about in the log; also counted if accounts are off.
    pub refused: Refused,
    /// Answers that were handed over or have left.
    responses: AtomicU64,
}

/// When a fetch came, as the account counts: what matters is who held its partitions then, however long it waited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepted {
    pub(super) held: Moment,
    /// Answers that had left.
    pub(super) answers: u64,
}

/// One data group's marks.
#[derive(Default)]
pub struct DataMarks {
    /// Locked from taking marks until their command has its place in the log, so that no commit gets between; and never while
    /// something is awaited.
    pub(super) marks: Mutex<Marks>,
    /// Marks wait for a command to ride with.
    pub(super) wants_ride: AtomicBool,
    /// Told when there is something to flush.
    pub(super) waiting: Notify,
    /// Told when an answer has left, or never will.
    pub(super) left: Notify,
}

impl DataMarks {
    /// An answer has left, or never will: `note` says which to the marks.
    pub(super) fn gone(&self, note: impl FnOnce(&mut Marks)) {
        note(&mut self.marks.lock());
        self.left.notify_waiters();
    }
}

impl Accounting {
    /// For these data groups; with `is_on` false it does nothing at all.
    pub fn new(is_on: bool, groups: impl Iterator<Item = RaftGroup>) -> Accounting {
        Accounting {
            is_on,
            owners: Arc::new(Owners::new(is_on)),
            connections: Connections::default(),
            data: groups.map(|group| (group, Arc::default())).collect(),
            damage: Told::default(),
            refused: Refused::default(),
            responses: AtomicU64::new(0),
        }
    }

    /// Whether accounts are kept (`account.enabled`).
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// A data group's marks, which ride with its commands; None if there are none to ride.
    pub fn riders(&self, group: RaftGroup) -> Option<Arc<DataMarks>> {
        self.data.get(&group).filter(|_| self.is_on).cloned()
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

    /// It asks for these partitions, which is a fetch that has come.
    pub fn asked(
        &self,
        (connection, client): (u64, SocketAddr),
        client_id: &str,
        now: Timestamp,
        partitions: impl Iterator<Item = TopicPartition>,
    ) -> Accepted {
        let mut partitions = partitions.peekable();
        if self.is_on && partitions.peek().is_some() {
            let ip = client.ip().to_canonical();
            let is_held = || self.owners.is_any_held(partitions, (ip, client_id));
            self.connections.asked(connection, now, is_held);
        }
        Accepted { held: self.owners.moment(), answers: self.responses.load(Ordering::Acquire) }
    }

    /// A number above all before.
    pub(super) fn next_answer(&self) -> u64 {
        self.responses.fetch_add(1, Ordering::AcqRel) + 1
    }
}
