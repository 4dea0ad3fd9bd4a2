//! Memory that all connections share: a connection may use a little of its own, and more only while the budget has some.
//! So the memory of requests and answers is bounded by the budget and the number of connections, whatever clients send.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit in which memory is given out.
const UNIT_BYTES: usize = 64 * 1024;

/// Bytes to be shared; clones share the same ones.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
}

/// Bytes that are in use; given back when dropped.
#[derive(Debug)]
pub struct Held {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// `bytes` to share.
    pub fn new(bytes: u64) -> Budget {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT_BYTES;
        Budget { units: Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    /// `bytes`, if there are as many at once.
    pub fn try_hold(&self, bytes: usize) -> Option<Held> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).ok()?;
        self.units.clone().try_acquire_many_owned(units).ok().map(|permit| Held { permit })
    }

    /// Waits for `bytes`.
    pub async fn hold(&self, bytes: usize) -> Held {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let permit = self.units.clone().acquire_many_owned(units).await.expect("the budget is never closed");
        Held { permit }
    }
}

impl Held {
    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.permit.num_permits() * UNIT_BYTES
    }

    /// Adds what somebody else holds.
    pub fn merge(&mut self, other: Held) {
        self.permit.merge(other.permit);
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.permit.num_permits().saturating_sub(bytes.div_ceil(UNIT_BYTES));
        drop(self.permit.split(surplus));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(4 * UNIT_BYTES as u64);
        let mut held = budget.try_hold(3 * UNIT_BYTES).unwrap();
        assert!(budget.try_hold(2 * UNIT_BYTES).is_none());
        held.shrink_to(UNIT_BYTES + 1);
        assert_eq!(held.bytes(), 2 * UNIT_BYTES);
        held.merge(budget.try_hold(2 * UNIT_BYTES).unwrap());
        assert!(budget.try_hold(1).is_none());
        drop(held);
        assert!(budget.try_hold(4 * UNIT_BYTES).is_some());
    }
}
