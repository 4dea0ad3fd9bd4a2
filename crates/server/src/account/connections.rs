//! The open connections, by number, and whom each belongs to. Ends with the connection.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::attribution::Binding;

/// All open connections of Kafka clients.
#[derive(Default)]
pub struct Connections {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Binding>>,
}

impl Connections {
    /// A new one; its number is never given again.
    pub fn connected(&self) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.lock().insert(number, Binding::Free);
        number
    }

    /// It is closed.
    pub fn disconnected(&self, number: u64) {
        self.open.lock().remove(&number);
    }

    /// Whether it is open.
    pub fn is_open(&self, number: u64) -> bool {
        self.open.lock().contains_key(&number)
    }

    /// It spoke as a member of a group.
    pub fn spoke(&self, number: u64, group: &str) {
        if let Some(binding) = self.open.lock().get_mut(&number) {
            binding.spoke(group);
        }
    }

    /// Looks at what is known of it, and may learn. One that is closed already is like a new one.
    pub fn with<T>(&self, number: u64, learn: impl FnOnce(&mut Binding) -> T) -> T {
        match self.open.lock().get_mut(&number) {
            Some(binding) => learn(binding),
            None => learn(&mut Binding::Free),
        }
    }
}
