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
    doubt::{Doubt, Standing},
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

    /// Whose a fetch is that came at `since`, as `decide` says of what is known of its connection and may learn; and what others will
    /// know of the connection. It is certain only while no other connection fetches as the same member: one of them then reads
    /// without a group, or was given up. One that is closed already is like a new one.
    pub fn whose(
        &self,
        (number, now, since): (u64, Timestamp, u64),
        decide: impl FnOnce(&mut Binding) -> Vec<ToWhom>,
    ) -> (Vec<ToWhom>, Option<Arc<Standing>>) {
        let mut open = self.open.lock();
        let Open { bindings, rivals } = &mut *open;
        let Some(binding) = bindings.get_mut(&number) else { return (decide(&mut Binding::Free), None) };
        let mut whose = decide(binding);
        let exact = whose.iter().filter_map(|to_whom| match to_whom {
            ToWhom::Exact(owner) => Some(owner.as_ref()),
            _ => None,
        });
        rivals.fetched((number, now), exact);
        // The partitions of a fetch mostly have one owner.
        let mut newest: Option<(Arc<Owner>, Vec<Arc<Standing>>)> = None;
        for to_whom in &mut whose {
            let ToWhom::Exact(owner) = to_whom else { continue };
            let others = match newest.take().filter(|(known, _)| Arc::ptr_eq(known, owner)) {
                Some((_, others)) => others,
                None => rivals.of((number, now), owner),
            };
            newest = Some((owner.clone(), others.clone()));
            if !others.is_empty() && !binding.is_certain(&owner.group) {
                *to_whom = ToWhom::Doubtful(owner.clone(), Doubt::new(others, since));
            }
        }
        (whose, rivals.standing(number))
    }
}
