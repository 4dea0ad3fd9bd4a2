//! The open connections, by number, whom each belongs to, and which of them fetch as the same member. Ends with the connection.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tallymq_model::Timestamp;

use super::{
    attribution::{Binding, ToWhom},
    owners::Owner,
    rivals::Rivals,
};

/// All open connections of Kafka clients.
#[derive(Default)]
pub struct Connections {
    last: AtomicU64,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    bindings: HashMap<u64, Binding>,
    rivals: Rivals,
}

impl Connections {
    /// A new one; its number is never given again.
    pub fn connected(&self) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.lock().bindings.insert(number, Binding::Free);
        number
    }

    /// It is closed.
    pub fn disconnected(&self, number: u64) {
        let mut open = self.open.lock();
        open.bindings.remove(&number);
        open.rivals.closed(number);
    }

    /// Whether it is open.
    pub fn is_open(&self, number: u64) -> bool {
        self.open.lock().bindings.contains_key(&number)
    }

    /// It spoke as a member of a group.
    pub fn spoke(&self, number: u64, group: &str) {
        if let Some(binding) = self.open.lock().bindings.get_mut(&number) {
            binding.spoke(group);
        }
    }

    /// It asks for partitions: whether any is held by who it may be is looked up only if nobody knows it yet.
    pub fn asked(&self, number: u64, now: Timestamp, held: impl FnOnce() -> bool) {
        {
            let mut open = self.open.lock();
            open.rivals.asked(number, now);
            if !open.bindings.get(&number).is_some_and(Binding::is_open) {
                return;
            }
        }
        let held = held();
        if let Some(binding) = self.open.lock().bindings.get_mut(&number) {
            binding.asked(held, now);
        }
    }

    /// Whose a fetch is, as `decide` says of what is known of its connection and may learn. That is certain only while no
    /// other connection fetches as the same member: one of them then reads without a group. One that is closed already is
    /// like a new one.
    pub fn whose(
        &self,
        number: u64,
        now: Timestamp,
        decide: impl FnOnce(&mut Binding) -> Vec<ToWhom>,
    ) -> Vec<ToWhom> {
        let mut open = self.open.lock();
        let Open { bindings, rivals } = &mut *open;
        let Some(binding) = bindings.get_mut(&number) else { return decide(&mut Binding::Free) };
        let mut whose = decide(binding);
        let exact = whose.iter().filter_map(|to_whom| match to_whom {
            ToWhom::Exact(owner) => Some(owner.as_ref()),
            _ => None,
        });
        rivals.fetched((number, now), exact);
        // The partitions of a fetch mostly have one owner.
        let mut newest: Option<(Arc<Owner>, bool)> = None;
        for to_whom in &mut whose {
            let ToWhom::Exact(owner) = to_whom else { continue };
            let known = newest.as_ref().filter(|(known, _)| Arc::ptr_eq(known, owner));
            let is_only = known.map_or_else(|| rivals.is_only((number, now), owner), |(_, is_only)| *is_only);
            newest = Some((owner.clone(), is_only));
            if !is_only && !binding.is_certain(&owner.group) {
                *to_whom = ToWhom::Possible(vec![owner.clone()]);
            }
        }
        whose
    }
}
