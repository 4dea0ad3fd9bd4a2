//! Who holds which record under a lease, as far as that is certain. A hold is certain from the lease's completion until its
//! length after the lease's *invocation*, or until the holder first tries to give it back, whatever the answer.

use std::collections::HashMap;

use crate::history::{Index, Kind, Op, ValueId};

/// A certain hold.
#[derive(Clone, Copy)]
pub(super) struct Hold {
    /// The holder.
    pub process: i64,
    /// Index of the lease's completion.
    pub event: usize,
    /// Certain until then; `i64::MAX` for a lease without length.
    pub until_ns: i64,
}

/// All holds at one moment of the history.
#[derive(Default)]
pub(super) struct Holds<'h> {
    held: HashMap<(&'h str, ValueId), Hold>,
    /// Everything that a holder of a group ever took and did not yet give back as a whole.
    taken: HashMap<(&'h str, i64), Vec<ValueId>>,
}

impl<'h> Holds<'h> {
    /// Takes event number `at`; calls `overlap` with the record, the earlier and the later hold where both are certain.
    pub fn take(&mut self, index: &Index<'h>, at: usize, mut overlap: impl FnMut(ValueId, Hold, Hold)) {
        let event = &index.events[at];
        let group = event.group.as_deref().unwrap_or_default();
        match (event.op, event.kind) {
            (Op::Lease, Kind::Ok) => {
                let new = Hold { process: event.process, event: at, until_ns: until(index, at) };
                for item in event.items() {
                    let Some(value) = item.value.and_then(|value| index.value_id(value)) else {
                        continue;
                    };
                    let old = self.held.insert((group, value), new);
                    if let Some(old) = old.filter(|old| event.time_ns < old.until_ns.min(new.until_ns)) {
                        overlap(value, old, new);
                    }
                    self.taken.entry((group, event.process)).or_default().push(value);
                }
            }
            (Op::Renew, Kind::Ok) => {
                for value in event.items().filter_map(|item| index.value_id(item.value?)) {
                    if let Some(hold) =
                        self.held.get_mut(&(group, value)).filter(|h| h.process == event.process)
                    {
                        hold.until_ns = hold.until_ns.max(until(index, at));
                    }
                }
            }
            (Op::Release, _) if event.items().next().is_none() => {
                for value in self.taken.remove(&(group, event.process)).unwrap_or_default() {
                    self.drop_own(group, value, event.process);
                }
            }
            (Op::Ack | Op::Release | Op::Reject, _) => {
                for item in event.items() {
                    if let Some(value) = item.value.and_then(|value| index.value_id(value)) {
                        self.drop_own(group, value, event.process);
                    }
                }
            }
            _ => {}
        }
    }

    fn drop_own(&mut self, group: &'h str, value: ValueId, process: i64) {
        if self.held.get(&(group, value)).is_some_and(|hold| hold.process == process) {
            self.held.remove(&(group, value));
        }
    }
}

fn until(index: &Index<'_>, at: usize) -> i64 {
    let event = &index.events[at];
    let invocation = &index.events[index.invocations[at]];
    let length_ns = event.lease_ns.or(invocation.lease_ns);
    length_ns.map_or(i64::MAX, |length_ns| invocation.time_ns.saturating_add(length_ns))
}
