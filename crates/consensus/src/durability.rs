//! The chain of proof from the disk to an acknowledgement, held by types:
//!
//! ```text
//!  wal committer, after the sync      Durable            made nowhere else
//!  Watermark::advance(Durable, ..)    the group's entries through N are durable, N rises only with a token
//!  Watermark::reached(index)          Proof              made only here, only for an index at or below N
//!  apply path, Committed::new(&Proof) Committed<T>       what Group::propose gives, and what an ack is built from
//! ```
//!
//! No type of the chain has a public constructor, `Clone` or `Default`, so code that acknowledges before the sync has
//! nothing to build the acknowledgement from.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tallymq_model::LogIndex;
use tallymq_storage::wal::Durable;
use tokio::sync::Notify;

use crate::EntryId;

/// The outcome of a command that is committed, applied, and durable on this node's disk. An acknowledgement is built
/// from it.
///
/// ```
/// use tallymq_consensus::{Committed, EntryId};
///
/// fn acknowledge(committed: Committed<i64>) -> (EntryId, i64) {
///     (committed.at(), committed.into_outcome())
/// }
/// ```
/// Nobody else can make one, neither from its parts
/// ```compile_fail,E0451
/// use tallymq_consensus::{Committed, EntryId};
///
/// fn not_durable(outcome: i64, at: EntryId) -> Committed<i64> {
///     Committed { outcome, at }
/// }
/// ```
/// nor with what it is made with here:
/// ```compile_fail,E0624
/// use tallymq_consensus::{Committed, EntryId};
///
/// fn not_durable<P>(outcome: i64, at: EntryId, proof: &P) -> Committed<i64> {
///     Committed::new(outcome, at, proof)
/// }
/// ```
/// ```compile_fail,E0277
/// fn not_durable() -> tallymq_consensus::Committed<i64> {
///     Default::default()
/// }
/// ```
/// and there is no second one of it:
/// ```compile_fail,E0277
/// use tallymq_consensus::Committed;
///
/// fn twice(committed: &Committed<i64>) -> Committed<i64> {
///     <Committed<i64> as Clone>::clone(committed)
/// }
/// ```
#[derive(Debug)]
pub struct Committed<T> {
    outcome: T,
    at: EntryId,
}

impl<T> Committed<T> {
    /// `proof` must cover `at`.
    pub(crate) fn new(outcome: T, at: EntryId, proof: &Proof) -> Committed<T> {
        debug_assert!(at.index <= proof.0, "the proof covers entries through {}, not {}", proof.0, at.index);
        Committed { outcome, at }
    }

    /// Where the command stands in the group's log.
    pub fn at(&self) -> EntryId {
        self.at
    }

    /// What the state machine answered.
    pub fn outcome(&self) -> &T {
        &self.outcome
    }

    /// What the state machine answered.
    pub fn into_outcome(self) -> T {
        self.outcome
    }

    /// Turns the outcome into something else, still committed.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Committed<U> {
        Committed { outcome: f(self.outcome), at: self.at }
    }
}

/// Proof that a group's entries through an index are durable here.
#[derive(Debug)]
pub(crate) struct Proof(LogIndex);

/// Through which entry a group's log is durable on this node.
#[derive(Debug)]
pub(crate) struct Watermark {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    through: LogIndex,
    /// The last index of each append whose token has not come yet, in queue order. A truncation lowers them, so that the
    /// token of an entry that was cut off proves nothing about the one that took its place.
    queued: VecDeque<LogIndex>,
    ended: bool,
}

impl Watermark {
    /// `recovered` is the last entry that recovery read back from the disk.
    pub(crate) fn new(recovered: LogIndex) -> Watermark {
        let state = State { through: recovered, queued: VecDeque::new(), ended: false };
        Watermark { state: Mutex::new(state), changed: Notify::new() }
    }

    /// An append through `last` is about to be queued.
    pub(crate) fn queue(&self, last: LogIndex) {
        self.state.lock().queued.push_back(last);
    }

    /// The token for the oldest queued append has come.
    pub(crate) fn advance(&self, _token: Durable) {
        let mut state = self.state.lock();
        let last = state.queued.pop_front().expect("tokens come in queue order, one for each append");
        state.through = state.through.max(last);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Entries above `last` are cut off.
    pub(crate) fn truncate(&self, last: LogIndex) {
        let mut state = self.state.lock();
        state.through = state.through.min(last);
        state.queued.iter_mut().for_each(|queued| *queued = (*queued).min(last));
    }

    /// No token will come any more.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_waiters();
    }

    /// Waits until entries through `index` are durable here; `None` if that will not happen any more. Does not wait with
    /// one voter, where nothing is committed before it is durable; in a cluster a majority of others can be faster.
    pub(crate) async fn reached(&self, index: LogIndex) -> Option<Proof> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.state.lock();
                if state.through >= index {
                    return Some(Proof(state.through));
                }
                if state.ended {
                    return None;
                }
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Watermark {
        fn advance_unproven(&self) {
            let mut state = self.state.lock();
            let last = state.queued.pop_front().unwrap();
            state.through = state.through.max(last);
        }
        fn through(&self) -> LogIndex {
            self.state.lock().through
        }
    }

    #[test]
    fn the_token_of_a_truncated_entry_proves_nothing_about_its_successor() {
        let watermark = Watermark::new(LogIndex(5));
        watermark.queue(LogIndex(9));
        watermark.truncate(LogIndex(7));
        watermark.queue(LogIndex(9));
        watermark.advance_unproven();
        assert_eq!(watermark.through(), LogIndex(7));
        watermark.advance_unproven();
        assert_eq!(watermark.through(), LogIndex(9));
    }

    #[tokio::test]
    async fn waiting_ends_when_no_token_can_come() {
        let watermark = Watermark::new(LogIndex(5));
        assert!(watermark.reached(LogIndex(5)).await.is_some());
        let (proof, ()) = tokio::join!(watermark.reached(LogIndex(6)), async { watermark.end() });
        assert!(proof.is_none());
    }
}
