//! Keeps the accounts' journal below `account.journal.bytes`: whole segments of it go, oldest first, by command. While the disk
//! is nearly full it goes on, since what is delivered and committed goes on, but grows only by its part of the reserve.

use std::{collections::BTreeMap, time::Duration};

use tallymq_broker::{account::AccountCommand, data::DataCommand, group::GroupId};
use tallymq_consensus::ProposeError;
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tallymq_storage::log::{PartitionOptions, retention};
use tokio::time::{MissedTickBehavior, interval};

use crate::node::{DataHandle, Node};

/// How often the journals are looked at while the disk is nearly full, and at how many of these times otherwise.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
const LOOKS_PER_USUAL: u32 = 15;

/// What part of the disk's reserve all journals together may take while the disk is nearly full.
const RESERVE_PART: u64 = 4;

/// Bytes of a segment of the journal, as it is opened.
const USUAL_SEGMENT_BYTES: u32 = 16 << 20;

/// Segments of a group's part of the reserve: whole ones go.
const SEGMENTS_PER_PART: u64 = 4;
const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// About how many bytes of statements one command makes: some hundred accounts, which take about a millisecond.
const STEP_BYTES: usize = 64 << 10;

/// Looks again and again.
pub async fn keep_bounded(node: &Node) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let groups = node.data_groups().count();
    let mut reserve = Reserve::new(node.disk_reserve_bytes(), groups);
    for look in 0_u32.. {
        ticks.tick().await;
        let is_full = node.is_disk_nearly_full();
        if !is_full {
            reserve.had.clear();
        }
        for handle in node.data_groups() {
            let Some(log) = handle.view.journal() else { continue };
            log.set_options(reserve.options(is_full));
            let mut bytes_max = node.startup.account_journal_bytes;
            if is_full {
                bytes_max = reserve.bytes_max(handle.id, log.size_bytes()).min(bytes_max);
            }
            if is_full || look.is_multiple_of(LOOKS_PER_USUAL) {
                trim(node, handle, bytes_max).await;
            }
        }
    }
}

/// How much journals may grow while the disk is nearly full.
struct Reserve {
    /// A group's part.
    part_bytes: u64,
    /// What each had when the disk became so.
    had: BTreeMap<RaftGroup, u64>,
}

impl Reserve {
    /// Of what is kept free on the disk.
    fn new(reserve_bytes: u64, groups: usize) -> Reserve {
        Reserve { part_bytes: reserve_bytes / RESERVE_PART / groups.max(1) as u64, had: BTreeMap::new() }
    }

    fn bytes_max(&mut self, group: RaftGroup, now_bytes: u64) -> u64 {
        let had_bytes = *self.had.entry(group).or_insert(now_bytes);
        had_bytes.saturating_add(self.part_bytes)
    }

    /// Segments as usual, or while the disk is nearly full so small that a part has several.
    fn options(&self, is_full: bool) -> PartitionOptions {
        let usual =
            PartitionOptions { segment_bytes_max: USUAL_SEGMENT_BYTES, ..PartitionOptions::default() };
        if !is_full {
            return usual;
        }
        let bytes = (self.part_bytes / SEGMENTS_PER_PART).max(SEGMENT_BYTES_MIN);
        let segment_bytes_max = u32::try_from(bytes).unwrap_or(u32::MAX).min(USUAL_SEGMENT_BYTES);
        PartitionOptions { segment_bytes_max, ..usual }
    }
}

/// Trims the journal of one data group, if it is too large. What states the accounts anew is cut into small steps, since nothing
/// else is applied during one.
async fn trim(node: &Node, handle: &DataHandle, bytes_max: u64) {
    let Some(log) = handle.view.journal() else { return };
    let at = node.now();
    let decided = retention::decide(&log.segments(), at, None, Some(bytes_max), log.log_start());
    // The last segment stays: it has the newest statements.
    let last = log.segments().last().map(|segment| segment.base);
    let Some(to) = decided.map(|to| last.map_or(to, |last| to.min(last))).filter(|to| *to > log.log_start())
    else {
        return;
    };
    tracing::info!(group = %handle.id, %to, "the accounts' journal is trimmed");
    match state_and_trim(node, handle, to).await {
        Ok(()) => node.files_given_up(),
        Err(error) => {
            tracing::warn!(%error, group = %handle.id, "the accounts' journal could not be trimmed")
        }
    }
}

async fn state_and_trim(node: &Node, handle: &DataHandle, to: Offset) -> Result<(), ProposeError> {
    for accounts in to_be_stated(handle, to) {
        let at = node.now();
        handle.propose(DataCommand::Account(AccountCommand::StateAccounts { accounts, at })).await?;
    }
    let at = node.now();
    handle.propose(DataCommand::Account(AccountCommand::TrimJournal { to, at })).await?;
    Ok(())
}

/// The accounts whose newest statement is before `to`, in the steps in which they are stated.
fn to_be_stated(handle: &DataHandle, to: Offset) -> Vec<Vec<(TopicPartition, GroupId)>> {
    let partitions: Vec<TopicPartition> = handle.view.logs().into_iter().map(|(tp, _)| tp).collect();
    let (mut steps, mut step, mut bytes) = (Vec::new(), Vec::new(), 0);
    for tp in partitions {
        // The state is locked for one partition at a time.
        let state = handle.view.state();
        for (group, account) in state.accounts().of_partition(tp).filter(|(_, one)| one.stated_at() < to) {
            step.push((tp, group.clone()));
            bytes += account.statement_bytes();
            if bytes >= STEP_BYTES {
                steps.push(std::mem::take(&mut step));
                bytes = 0;
            }
        }
    }
    steps.push(step);
    steps.retain(|step| !step.is_empty());
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment_bytes(reserve: &Reserve, is_full: bool) -> u32 {
        reserve.options(is_full).segment_bytes_max
    }

    #[test]
    fn a_journal_grows_by_its_part_from_where_it_was_when_the_disk_became_full() {
        let mut reserve = Reserve::new(512 << 20, 2);
        let (one, two) = (RaftGroup(1), RaftGroup(2));
        assert_eq!(reserve.bytes_max(one, 10 << 20), 74 << 20);
        assert_eq!(reserve.bytes_max(one, 70 << 20), 74 << 20, "and not from where it is now");
        assert_eq!(reserve.bytes_max(two, 200 << 20), 264 << 20);
    }

    #[test]
    fn segments_are_small_beside_a_part_while_the_disk_is_full_and_no_longer() {
        let reserve = Reserve::new(512 << 20, 2);
        assert_eq!(segment_bytes(&reserve, true), 16 << 20);
        let reserve = Reserve::new(8 << 20, 2);
        assert_eq!(segment_bytes(&reserve, true), 256 << 10);
        assert_eq!(segment_bytes(&reserve, false), 16 << 20);
        let reserve = Reserve::new(0, 2);
        assert_eq!(segment_bytes(&reserve, true), 64 << 10, "small, and still a segment");
    }
}
