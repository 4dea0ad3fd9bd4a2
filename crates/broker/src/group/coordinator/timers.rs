//! Deadlines, ordered. Knows nothing of what they mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::group::names::{GroupId, MemberId, Millis};

/// What a deadline is for. `Join` is the least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A classic group's members had their time to join.
    Join,
    /// A classic group's members had their time to sync.
    Sync,
    /// A member was silent for too long.
    Session(MemberId),
    /// A member did not give its partitions up in time (KIP-848).
    Rebalance(MemberId),
    /// A classic member of a consumer group did not join again in time.
    MemberJoin(MemberId),
    /// A classic member of a consumer group did not sync in time.
    MemberSync(MemberId),
}

/// All deadlines. Invariants: `queue` holds exactly the entries of `deadlines`, and nothing is in both `deadlines` and `due`.
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: BTreeMap<(GroupId, Timer), Millis>,
    queue: BTreeSet<(Millis, GroupId, Timer)>,
    /// Reached, and waiting for their group's turn: until then they can be set again or cancelled like all others.
    due: BTreeSet<(GroupId, Timer)>,
}

impl Timers {
    /// Sets or moves a deadline.
    pub(super) fn set(&mut self, group: &GroupId, timer: Timer, deadline: Millis) {
        if let Some(before) = self.deadlines.insert((group.clone(), timer.clone()), deadline) {
            self.queue.remove(&(before, group.clone(), timer.clone()));
        }
        self.due.remove(&(group.clone(), timer.clone()));
        self.queue.insert((deadline, group.clone(), timer));
    }

    /// Whether a deadline is set.
    pub(super) fn is_set(&self, group: &GroupId, timer: &Timer) -> bool {
        self.deadlines.contains_key(&(group.clone(), timer.clone()))
    }

    /// Forgets a deadline.
    pub(super) fn cancel(&mut self, group: &GroupId, timer: Timer) {
        let key = (group.clone(), timer);
        self.due.remove(&key);
        if let Some(before) = self.deadlines.remove(&key) {
            self.queue.remove(&(before, key.0, key.1));
        }
    }

    /// Forgets all deadlines of a group.
    pub(super) fn cancel_group(&mut self, group: &GroupId) {
        let from = (group.clone(), Timer::Join);
        let set = self.deadlines.range(from.clone()..).map(|(key, _)| key);
        let due = self.due.range(from..);
        let is_own = |key: &&(GroupId, Timer)| key.0 == *group;
        let own: Vec<_> = set.take_while(is_own).chain(due.take_while(is_own)).cloned().collect();
        for (_, timer) in own {
            self.cancel(group, timer);
        }
    }

    /// The nearest deadline.
    pub(super) fn next(&self) -> Option<Millis> {
        self.queue.first().map(|(deadline, _, _)| *deadline)
    }

    /// Takes out what is due; each is to be handled at its group's turn, if it is due then still.
    pub(super) fn expire(&mut self, now: Millis) -> Vec<(GroupId, Timer)> {
        let mut due = Vec::new();
        while self.next().is_some_and(|deadline| deadline <= now) {
            let Some((_, group, timer)) = self.queue.pop_first() else {
                break;
            };
            self.deadlines.remove(&(group.clone(), timer.clone()));
            self.due.insert((group.clone(), timer.clone()));
            due.push((group, timer));
        }
        due
    }

    /// Its turn has come: whether it is due still.
    pub(super) fn take_due(&mut self, group: &GroupId, timer: &Timer) -> bool {
        self.due.remove(&(group.clone(), timer.clone()))
    }
}
