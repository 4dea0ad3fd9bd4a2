//! Counters of the log since it was opened.

use super::commit::CommittedGroup;

/// What the log did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Commit groups that acknowledged something.
    pub groups: u64,
    /// Closing groups.
    pub closing_groups: u64,
    /// Submissions completed.
    pub submissions: u64,
    /// Records written.
    pub records: u64,
    /// Bytes written, headers and padding included.
    pub bytes: u64,
    /// Syncs of log files.
    pub syncs: u64,
    /// Files begun.
    pub files_begun: u64,
    /// Files begun without a prepared or recycled one at hand.
    pub files_unprepared: u64,
    /// Files recycled or removed.
    pub files_released: u64,
}

impl WalStats {
    pub(super) fn add(&mut self, group: &CommittedGroup) {
        if group.submissions == 0 {
            self.closing_groups += 1;
        } else {
            self.groups += 1;
        }
        self.submissions += group.submissions as u64;
        self.records += group.records as u64;
        self.bytes += group.bytes as u64;
    }
}

/// How full the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// Bytes of files that hold something.
    pub used_bytes: u64,
    /// What they should stay below.
    pub limit_bytes: u64,
    /// Half of the limit is used: checkpoint the groups, also idle ones, and purge.
    pub checkpoint_wanted: bool,
    /// The limit is reached: admit nothing but what makes room. The log itself goes on.
    pub full: bool,
}
