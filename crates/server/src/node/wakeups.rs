//! Who waits for what: fetches for records of their partitions, watchers for changes of the metadata. Each waiter is
//! woken once per applied run, and only if something of its own changed.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tallymq_model::TopicPartition;
use tokio::sync::{Notify, watch};

/// The waiters of a node.
pub struct Wakeups {
    fetches: Mutex<HashMap<TopicPartition, Vec<Arc<Notify>>>>,
    /// Registrations alive; 0 lets the apply path skip the lock.
    waiting: AtomicUsize,
    metadata: watch::Sender<u64>,
}

impl Default for Wakeups {
    fn default() -> Wakeups {
        Wakeups { fetches: Mutex::default(), waiting: AtomicUsize::new(0), metadata: watch::Sender::new(0) }
    }
}

impl Wakeups {
    /// Waits for records of these partitions. Look at the partitions again after this and before waiting.
    pub fn register(self: &Arc<Self>, partitions: Vec<TopicPartition>) -> Registration {
        let notify = Arc::new(Notify::new());
        let mut fetches = self.fetches.lock();
        for tp in &partitions {
            fetches.entry(*tp).or_default().push(notify.clone());
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Registration { wakeups: self.clone(), partitions, notify }
    }

    /// Records were appended to these partitions, and can be read.
    pub fn appended(&self, partitions: &[TopicPartition]) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let fetches = self.fetches.lock();
        for notify in partitions.iter().filter_map(|tp| fetches.get(tp)).flatten() {
            notify.notify_one();
        }
    }

    /// How many fetches wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// The metadata changed.
    pub fn metadata_changed(&self) {
        self.metadata.send_modify(|version| *version += 1);
    }

    /// Follows the metadata's changes.
    pub fn watch_metadata(&self) -> watch::Receiver<u64> {
        self.metadata.subscribe()
    }
}

/// A fetch that waits; ends with it.
pub struct Registration {
    wakeups: Arc<Wakeups>,
    partitions: Vec<TopicPartition>,
    notify: Arc<Notify>,
}

impl Registration {
    /// Returns when one of the partitions got records after the registration, or after the last return.
    pub async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.wakeups.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut fetches = self.wakeups.fetches.lock();
        for tp in &self.partitions {
            if let Some(waiters) = fetches.get_mut(tp) {
                waiters.retain(|waiter| !Arc::ptr_eq(waiter, &self.notify));
                if waiters.is_empty() {
                    fetches.remove(tp);
                }
            }
        }
    }
}
