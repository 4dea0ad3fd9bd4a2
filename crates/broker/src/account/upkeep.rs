//! What is done to accounts although nothing happened to their records: doubts that a stop leaves behind, and statements, so
//! that the journal's beginning may go.

use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::accounts::{Accounts, Ledger};
use super::balance::{Account, CrashWindow};
use super::event::{Happening, JournalEvent, Notes};
use crate::group::names::GroupId;

impl Accounts {
    /// Clients read partitions up to these offsets for groups that nobody knows, and the leader stops: what a commit passes there
    /// without a mark may be what they read. Gives back how many accounts there are.
    pub(crate) fn reads_in_doubt(
        &mut self,
        below: &[(TopicPartition, Offset)],
        at: Timestamp,
        ledger: impl Fn(TopicPartition) -> Option<Ledger>,
        notes: &mut Notes,
    ) -> u64 {
        self.tick(at);
        let mut accounts = 0;
        for (tp, below) in below {
            let Some(ledger) = ledger(*tp) else { continue };
            let below = (*below).clamp(Offset::ZERO, ledger.log_end);
            accounts +=
                self.for_partition(*tp, None, Happening::MarksMissing { below }, notes, |account, _| {
                    account.doubt(below, at)
                });
        }
        accounts
    }

    /// States these accounts anew. Gives back how many there were.
    pub(crate) fn stated(
        &mut self,
        which: &[(TopicPartition, GroupId)],
        at: Timestamp,
        ledger: impl Fn(TopicPartition) -> Option<Ledger>,
        notes: &mut Notes,
    ) -> u64 {
        self.tick(at);
        let mut stated = 0;
        for (tp, group) in which {
            let (Some(ledger), Some(account)) = (ledger(*tp), self.of_mut(*tp, group)) else { continue };
            account.catch_up(ledger);
            account.stated_at = notes.next();
            let what = Happening::Statement(Box::new(account.clone()));
            notes.push(JournalEvent { at, tp: Some(*tp), group: Some(group.clone()), what });
            stated += 1;
        }
        stated
    }
}

impl Account {
    /// Where in the journal its newest full statement is, or its opening: a journal that begins behind has to state it anew.
    pub fn stated_at(&self) -> Offset {
        self.stated_at
    }

    /// About how many bytes a statement of it takes in the journal.
    pub fn statement_bytes(&self) -> usize {
        const RUN_BYTES: usize = 4;
        const FIXED_BYTES: usize = 192;
        FIXED_BYTES + self.runs.len() * RUN_BYTES
    }

    /// Deliveries below an offset may have left no mark. A window never becomes smaller.
    fn doubt(&mut self, below: Offset, at: Timestamp) {
        if self.window.is_none_or(|window| window.below < below) {
            self.window = Some(CrashWindow { below, at });
        }
    }
}
