//! Memory that many share: each may use a little of its own, and more only while the budget has some. So the memory of
//! requests and answers is bounded by the budget and the number of connections, whatever clients send. It allocates nothing
//! and knows nothing of what is kept in it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit in which memory is given out.
const UNIT_BYTES: usize = 64 * 1024;

/// Bytes to be shared; clones share the same ones.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
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
        let units_max = u32::try_from(units.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Budget { units: Arc::new(Semaphore::new(units_max as usize)), units_max }
    }

    /// `bytes`, if there are as many at once, and nobody waits for them.
    pub fn try_hold(&self, bytes: usize) -> Option<Held> {
        let permit = self.units.clone().try_acquire_many_owned(self.units_of(bytes)).ok()?;
        Some(Held { permit })
    }

    /// Waits for `bytes`; of more than there ever are, for all. Whoever asks first is served first, so that many small
    /// claims do not keep a large one waiting: the place among them lasts as long as the future.
    pub fn hold(&self, bytes: usize) -> impl Future<Output = Held> + Send + use<> {
        let (units, wanted) = (self.units.clone(), self.units_of(bytes));
        async move { Held { permit: units.acquire_many_owned(wanted).await.expect("the budget is never closed") } }
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units_max)
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
    use futures_util::FutureExt;

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

    #[test]
    fn a_large_claim_is_not_overtaken_by_small_ones() {
        let budget = Budget::new(4 * UNIT_BYTES as u64);
        let (first, second) =
            (budget.try_hold(2 * UNIT_BYTES).unwrap(), budget.try_hold(UNIT_BYTES).unwrap());
        let mut all = std::pin::pin!(budget.hold(100 * UNIT_BYTES));
        assert!(all.as_mut().now_or_never().is_none());
        assert!(budget.try_hold(1).is_none(), "what is left is the waiting one's");
        drop(first);
        assert!(budget.try_hold(1).is_none());
        assert!(all.as_mut().now_or_never().is_none());
        drop(second);
        let held = all.as_mut().now_or_never().expect("all is there");
        assert_eq!(held.bytes(), 4 * UNIT_BYTES, "as much as there is");
    }
}
