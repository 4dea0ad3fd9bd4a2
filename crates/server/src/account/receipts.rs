//! Receipts on their way from a commit's metadata to the account: read before the commit is enqueued, and in the log before it,
//! so that a record given up counts as such when the position passes it. What they mean is the broker's rule.

use tallymq_broker::{
    account::{AccountCommand, Committer, Receipt, Told, receipts_in},
    data::DataCommand,
    group::{GroupId, durable::CommitPosition},
};
use tallymq_consensus::ProposeError;

use crate::node::{DataHandle, Node};

/// Bytes of receipts in one command, about.
const COMMAND_BYTES_MAX: usize = 256 << 10;
/// Receipts of one commit's positions in a data group. What is beyond is passed over, and counted as unreadable: it cannot come
/// from records that were handled one by one since the last commit, and a small request may not become a large journal.
const RECEIPTS_MAX: usize = 16 << 10;
/// What a receipt takes beside its group's name.
const RECEIPT_BYTES: usize = 48;

impl Node {
    /// To be called before the commit that carries them is enqueued, and only if the coordinator takes it. Metadata that is
    /// none, or unreadable, stays what it is: text that a client gets back.
    pub async fn receipts_before_commit(
        &self,
        handle: &DataHandle,
        group: &GroupId,
        committer: &Committer,
        positions: &[CommitPosition],
    ) -> Result<(), ProposeError> {
        if !self.accounting.is_on() {
            return Ok(());
        }
        let receipts_max = (COMMAND_BYTES_MAX / (RECEIPT_BYTES + group.as_str().len())).max(1);
        let mut receipts = Vec::new();
        let mut left = RECEIPTS_MAX;
        for position in positions {
            for receipt in self.receipts(group, position) {
                if left == 0 {
                    self.metrics.account.unreadable_receipts();
                    break;
                }
                left -= 1;
                receipts.push(receipt);
                if receipts.len() >= receipts_max {
                    self.enqueue_receipts(handle, committer, std::mem::take(&mut receipts)).await?;
                }
            }
        }
        if receipts.is_empty() {
            return Ok(());
        }
        self.enqueue_receipts(handle, committer, receipts).await
    }

    fn receipts(&self, group: &GroupId, position: &CommitPosition) -> Vec<Receipt> {
        let told = receipts_in(&position.metadata).unwrap_or_else(|error| {
            tracing::debug!(%error, %group, partition = %position.partition, "unreadable receipts");
            self.metrics.account.unreadable_receipts();
            Vec::new()
        });
        let receipt = |Told { from, to, outcome }| Receipt {
            tp: position.partition,
            group: group.clone(),
            from,
            to,
            outcome,
        };
        told.into_iter().map(receipt).collect()
    }

    async fn enqueue_receipts(
        &self,
        handle: &DataHandle,
        committer: &Committer,
        receipts: Vec<Receipt>,
    ) -> Result<(), ProposeError> {
        let (by, at) = (committer.who.clone(), self.now());
        let command = DataCommand::Account(AccountCommand::Receipts { receipts, by, at });
        // Nobody waits for the outcome: the commit's comes behind it.
        drop(handle.enqueue(command).await?);
        Ok(())
    }
}
