//! Records that turn out to be unreadable: found by a fetch, measured aside, and entered in the accounts once.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use tallymq_broker::{account::AccountCommand, data::DataCommand};
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tallymq_storage::log::{PartitionLog, ReadError};

use crate::node::Node;

/// Damaged places that are remembered; what is found beyond is only in the log of the process.
const PLACES_MAX: usize = 4096;
/// Reads that measuring one damage may take.
const PROBES_MAX: usize = 256;

/// Places that the accounts were told of since the start: a client asks for them again and again.
#[derive(Default)]
pub struct Told(Mutex<BTreeSet<(TopicPartition, Offset)>>);

impl Told {
    /// Whether this is news.
    fn is_news(&self, tp: TopicPartition, at: Offset) -> bool {
        let mut told = self.0.lock();
        told.len() < PLACES_MAX && told.insert((tp, at))
    }
}

impl Node {
    /// A read from an offset found damage. Measures it, and enters what is lost.
    pub fn found_damage(self: &Arc<Self>, data: RaftGroup, log: Arc<PartitionLog>, at: Offset) {
        if !self.accounting.is_on() || !self.accounting.damage.is_news(log.topic_partition(), at) {
            return;
        }
        let node = self.clone();
        tokio::spawn(async move {
            let probed = log.clone();
            let measured = tokio::task::spawn_blocking(move || extent(&probed, at)).await;
            let (Ok(Some((from, to, why))), Some(handle)) = (measured, node.data(data)) else { return };
            let tp = log.topic_partition();
            let lost = AccountCommand::Lost { tp, from, to, why: why.into(), at: node.now() };
            if let Err(error) = handle.propose(DataCommand::Account(lost)).await {
                tracing::warn!(%error, partition = %tp, "damage could not be entered in the account");
            }
        });
    }
}

/// The offsets around `at` that cannot be read, and why; None if it can be read after all.
fn extent(log: &PartitionLog, at: Offset) -> Option<(Offset, Offset, String)> {
    let (log_start, log_end) = log.bounds();
    let damage = |offset: i64| match log.read(Offset(offset), 1, true) {
        Err(ReadError::Corrupt(damage)) => Some(damage.to_string()),
        _ => None,
    };
    let why = damage(at.0)?;
    let (first, last) = span(at.0, (log_start.0, log_end.0), |offset| damage(offset).is_some());
    Some((Offset(first), Offset(last), why))
}

/// The stretch around `at` inside `bounds` where `is_bad` holds, if it holds without gaps; a few questions suffice.
fn span(at: i64, (start, end): (i64, i64), is_bad: impl Fn(i64) -> bool) -> (i64, i64) {
    let mut probes = 0;
    let mut search = |sign: i64, limit: i64| {
        let (mut bad, mut step) = (at, 1);
        let mut good = loop {
            let next = at + sign * step;
            let is_outside = if sign > 0 { next >= limit } else { next < limit };
            if is_outside || probes >= PROBES_MAX {
                break if sign > 0 { limit } else { limit - 1 };
            }
            probes += 1;
            if !is_bad(next) {
                break next;
            }
            (bad, step) = (next, step * 2);
        };
        while (good - bad).abs() > 1 && probes < PROBES_MAX {
            let middle = bad + (good - bad) / 2;
            probes += 1;
            if is_bad(middle) {
                bad = middle;
            } else {
                good = middle;
            }
        }
        bad
    };
    let last = search(1, end);
    let first = search(-1, start);
    (first, last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_stretch_is_measured_with_few_reads() {
        let asked = std::cell::Cell::new(0);
        let is_bad = |offset: i64| {
            asked.set(asked.get() + 1);
            (1_000..51_000).contains(&offset)
        };
        for at in [1_000, 1_001, 30_000, 50_999] {
            assert_eq!(span(at, (0, 1_000_000), is_bad), (1_000, 51_000));
        }
        assert!(asked.get() < 4 * 80, "{}", asked.get());
        assert_eq!(span(7, (7, 8), |_| true), (7, 8));
        assert_eq!(span(5, (0, 10), |_| true), (0, 10));
    }
}
