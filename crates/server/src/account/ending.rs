//! What goes before a command that ends accounts, of a group, a position or a topic: such a command brings no time of its own, and
//! their last statements are to say when they ended.

use tallymq_broker::{account::AccountCommand, data::DataCommand, group::GroupId};
use tallymq_consensus::ProposeError;
use tallymq_model::Timestamp;

use super::deletion::Doomed;
use crate::node::DataHandle;

impl DataHandle {
    /// To be called before the end of a group, or of positions of it, is enqueued: its last deliveries are in the log before that,
    /// or they would open its accounts again.
    pub async fn before_accounts_end(&self, group: &GroupId, at: Timestamp) -> Result<(), ProposeError> {
        self.deliver_before(Doomed::Accounts(group), at).await?;
        self.tell_time(at).await
    }

    /// Enqueues the time, for what is enqueued behind it. Nothing where no accounts are kept.
    pub async fn tell_time(&self, at: Timestamp) -> Result<(), ProposeError> {
        if self.marks.is_none() {
            return Ok(());
        }
        let time = AccountCommand::StateAccounts { accounts: Vec::new(), at };
        // Nobody waits for the outcome: what ends the accounts comes behind it.
        drop(self.enqueue(DataCommand::Account(time)).await?);
        Ok(())
    }
}
