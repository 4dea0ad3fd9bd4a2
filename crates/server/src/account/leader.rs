//! What a node that leads says to its accounts when it begins and when it stops, and who accounts for a topic. After a start
//! that no orderly stop went before, marks may be missing; nothing may be served before that is in the log.

use std::collections::BTreeSet;

use tallymq_broker::{account::AccountCommand, data::DataCommand, group::GroupId, metadata::Topic};
use tallymq_consensus::ProposeError;

use crate::node::{DataHandle, Node};

/// Partitions of one command.
const PARTITIONS_PER_COMMAND: usize = 1000;

impl Node {
    /// Before anything is served: accounts are kept or not, as configured, and what a crash may have taken is said.
    pub(crate) async fn begin_accounts(&self) -> Result<(), ProposeError> {
        let (on, at) = (self.accounting.is_on(), self.now());
        let mut pending = Vec::new();
        for handle in self.data_groups() {
            let was_on = handle.view.state().accounts().is_on();
            let switch = (was_on != on).then_some(AccountCommand::Switch { on, at });
            // Also after switching on: what was said at the last orderly stop does not hold for what is opened from now on.
            let missing = on.then_some(AccountCommand::MarksMayBeMissing { at });
            for command in switch.into_iter().chain(missing) {
                pending.push(handle.enqueue(DataCommand::Account(command)).await?);
            }
        }
        for proposal in pending {
            proposal.await?;
        }
        Ok(())
    }

    /// After the last client is gone: the next start then knows that no mark is missing.
    pub(crate) async fn end_accounts(&self) {
        if !self.accounting.is_on() {
            return;
        }
        for handle in self.data_groups() {
            if let Err(error) = self.end_account(handle).await {
                tracing::warn!(%error, group = %handle.id, "the account could not be ended well");
            }
        }
    }

    async fn end_account(&self, handle: &DataHandle) -> Result<(), ProposeError> {
        handle.flush_marks().await?;
        // What clients read in nobody's name is forgotten now. That concerns only the partitions they read, and only so far.
        let Some(below) = handle.marks.as_ref().and_then(|own| own.marks.lock().doubts()) else {
            return Ok(());
        };
        let at = self.now();
        for some in below.chunks(PARTITIONS_PER_COMMAND) {
            let doubt = AccountCommand::ReadsInDoubt { below: some.to_vec(), at };
            drop(handle.enqueue(DataCommand::Account(doubt)).await?);
        }
        handle.propose(DataCommand::Account(AccountCommand::MarksComplete { at })).await?;
        Ok(())
    }

    /// The groups that account for a topic in any data group: partitions that are added to it are theirs from the beginning,
    /// wherever they live.
    pub(crate) fn accounting_groups(&self, topic: &Topic) -> Vec<GroupId> {
        let mut groups: BTreeSet<GroupId> = BTreeSet::new();
        for (tp, data) in topic.topic_partitions() {
            if let Some(handle) = self.data(data) {
                let state = handle.view.state();
                groups.extend(state.accounts().of_partition(tp).map(|(group, _)| group.clone()));
            }
        }
        groups.into_iter().collect()
    }
}
