//! What a node that leads says to its accounts when it begins and when it stops, and when partitions are added. After a start
//! that no orderly stop went before, marks may be missing; nothing may be served before that is in the log.

use std::collections::BTreeSet;

use tallymq_broker::{
    account::{AccountCommand, OpenFrom, Who},
    data::DataCommand,
    group::GroupId,
    metadata::Topic,
};
use tallymq_consensus::ProposeError;
use tallymq_model::{Offset, PartitionIndex, TopicPartition};

use crate::node::{DataHandle, Node};

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
        self.accounting.flush(handle).await?;
        let is_complete =
            self.accounting.data.get(&handle.id).is_some_and(|own| own.marks.lock().is_complete());
        if is_complete {
            let at = self.now();
            handle.propose(DataCommand::Account(AccountCommand::MarksComplete { at })).await?;
        }
        Ok(())
    }

    /// Partitions were added to a topic: every group that keeps an account of it does so for them too, from their beginning,
    /// wherever its other accounts are.
    pub(crate) async fn open_added_accounts(
        &self,
        topic: &Topic,
        first_new: PartitionIndex,
    ) -> Result<(), ProposeError> {
        if !self.accounting.is_on() {
            return Ok(());
        }
        let mut groups: BTreeSet<GroupId> = BTreeSet::new();
        for (tp, data) in topic.topic_partitions() {
            if let Some(handle) = self.data(data) {
                let state = handle.view.state();
                groups.extend(state.accounts().of_partition(tp).map(|(group, _)| group.clone()));
            }
        }
        let mut pending = Vec::new();
        for handle in self.data_groups().filter(|_| !groups.is_empty()) {
            let new = topic.topic_partitions().filter(|(tp, _)| tp.partition >= first_new);
            let partitions: Vec<TopicPartition> =
                new.filter(|(_, data)| *data == handle.id).map(|(tp, _)| tp).collect();
            for group in groups.iter().filter(|_| !partitions.is_empty()) {
                let command = AccountCommand::OpenAccount {
                    group: group.clone(),
                    partitions: partitions.clone(),
                    from: OpenFrom::Offset(Offset::ZERO),
                    by: Who::default(),
                    at: self.now(),
                };
                pending.push(handle.enqueue(DataCommand::Account(command)).await?);
            }
        }
        for proposal in pending {
            proposal.await?;
        }
        Ok(())
    }
}
