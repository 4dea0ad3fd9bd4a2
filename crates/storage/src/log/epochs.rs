//! Which leader epoch wrote which offsets (KIP-101), as far as the log reaches back: what a batch's epoch, which no
//! checksum covers, is compared with.

use std::sync::Arc;

use tallymq_model::{LeaderEpoch, Offset};

/// The first offset that an epoch wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start: Offset,
}

/// Epochs in rising order, shared with readers; copied only when an epoch begins.
///
/// Invariant: epochs and starts rise strictly.
#[derive(Clone, Debug, Default)]
pub(super) struct Epochs(Arc<Vec<EpochStart>>);

impl Epochs {
    /// The list a position carries.
    pub(super) fn new(starts: Vec<EpochStart>) -> Epochs {
        Epochs(Arc::new(starts))
    }

    /// The epoch of the last batch.
    pub(super) fn last(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|start| start.epoch)
    }

    /// Notes that `epoch` wrote the batch at `base`.
    pub(super) fn note(&mut self, epoch: LeaderEpoch, base: Offset) {
        if self.last() != Some(epoch) {
            debug_assert!(self.last().is_none_or(|last| last < epoch), "leader epochs rise");
            Arc::make_mut(&mut self.0).push(EpochStart { epoch, start: base });
        }
    }

    /// Whether `epoch` can be the one that wrote `offset`. Below the first known start only an upper bound is known.
    pub(super) fn allow(&self, epoch: LeaderEpoch, offset: Offset) -> bool {
        let known = self.0.partition_point(|start| start.start <= offset);
        match known.checked_sub(1) {
            Some(at) => self.0[at].epoch == epoch,
            None => self.0.first().is_none_or(|first| epoch <= first.epoch),
        }
    }

    /// Forgets epochs that wrote nothing from `log_start` on.
    pub(super) fn trim(&mut self, log_start: Offset) {
        let over = self.0.partition_point(|start| start.start <= log_start).saturating_sub(1);
        if over > 0 {
            Arc::make_mut(&mut self.0).drain(..over);
        }
    }

    /// The entries that matter for offsets from `log_start` to `log_end`, exclusive.
    pub(super) fn between(&self, log_start: Offset, log_end: Offset) -> Vec<EpochStart> {
        let first = self.0.partition_point(|start| start.start <= log_start).saturating_sub(1);
        self.0[first..].iter().copied().filter(|start| start.start < log_end).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_allowed_only_where_it_wrote() {
        let mut epochs = Epochs::default();
        epochs.note(LeaderEpoch(3), Offset(0));
        epochs.note(LeaderEpoch(3), Offset(5));
        epochs.note(LeaderEpoch(7), Offset(10));
        assert!(epochs.allow(LeaderEpoch(3), Offset(9)) && epochs.allow(LeaderEpoch(7), Offset(10)));
        assert!(!epochs.allow(LeaderEpoch(7), Offset(9)) && !epochs.allow(LeaderEpoch(3), Offset(10)));
        epochs.trim(Offset(12));
        assert_eq!(epochs.between(Offset(12), Offset(20)).len(), 1);
        assert!(
            epochs.allow(LeaderEpoch(3), Offset(2)),
            "below what is known, an older epoch may have written"
        );
        assert!(!epochs.allow(LeaderEpoch(8), Offset(2)));
    }
}
