//! Runs every class over a history. The table below is all there is to it.

use super::{Anomaly, Class, Counts, Fate, History, Index, IndexError, Report, classes};

/// What a harness declares to be no anomaly in its setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    /// Values stored twice by producers that are not idempotent: at-least-once producers with retries do that.
    pub duplicates: bool,
}

type Check = fn(&Index<'_>) -> Vec<Anomaly>;

const CHECKS: [(Class, Check); 15] = [
    (Class::LostWrite, classes::lost_write::find),
    (Class::Unseen, classes::unseen::find),
    (Class::Duplicate, classes::duplicate::find),
    (Class::InconsistentOffsets, classes::inconsistent_offsets::find),
    (Class::UnwrittenRead, classes::unwritten_read::find),
    (Class::AbortedRead, classes::aborted_read::find),
    (Class::PrecommittedRead, classes::precommitted_read::find),
    (Class::PollSkip, classes::poll_skip::find),
    (Class::NonmonotonicPoll, classes::nonmonotonic_poll::find),
    (Class::NonmonotonicSend, classes::nonmonotonic_send::find),
    (Class::CommitSkip, classes::commit_skip::find),
    (Class::CommitLost, classes::commit_lost::find),
    (Class::RedeliveredAfterAck, classes::redelivered_after_ack::find),
    (Class::TwoHolders, classes::two_holders::find),
    (Class::Unbalanced, classes::unbalanced::find),
];

/// Judges a history. An error means that it is not one (a value sent twice, a poll without offsets), and says nothing
/// about the queue.
pub fn check(history: &History, allowances: Allowances) -> Result<Report, IndexError> {
    let index = Index::build(history)?;
    let mut anomalies = Vec::new();
    for (class, find) in CHECKS {
        if class == Class::Duplicate && allowances.duplicates {
            continue;
        }
        let found = find(&index);
        debug_assert!(found.iter().all(|anomaly| anomaly.class == class));
        anomalies.extend(found);
    }
    let with_fate = |fate| index.sends.iter().filter(|send| send.fate == fate).count();
    let counts = Counts {
        events: history.events.len(),
        sent: index.sends.len(),
        acknowledged: with_fate(Fate::Acknowledged),
        failed: with_fate(Fate::Failed),
        read: index.reads.len(),
        final_phase: index.final_event.is_some(),
    };
    Ok(Report { counts, anomalies })
}
