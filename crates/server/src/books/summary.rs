//! What the metrics show of the accounts: records per group, topic and class. Cheap enough for every scrape: no account's
//! intervals are looked at.

use std::collections::BTreeMap;

use tallymq_broker::account::{Class, Counts};
use tallymq_broker::group::GroupId;
use tallymq_model::{TopicId, TopicPartition};

use super::not_stored::{NotStored, not_stored};
use crate::node::Node;

/// The records of one group and topic.
#[derive(Clone, Debug)]
pub struct GroupTopicRecords {
    /// The group.
    pub group: String,
    /// The topic's name.
    pub topic: String,
    /// Records stored since the accounts opened.
    pub stored: u64,
    /// What became of them.
    pub classes: Counts,
    /// Records with a receipt of their handler.
    pub handled: u64,
}

/// All groups and topics, and what there is of all of them together.
#[derive(Clone, Debug, Default)]
pub struct AccountSummary {
    /// By group and topic.
    pub records: Vec<GroupTopicRecords>,
    /// Accounts whose classes do not add up to what was stored.
    pub unbalanced: u64,
    /// Losses that nobody acknowledged yet.
    pub alarms: u64,
    /// Accounts that did not open because there are too many.
    pub unopened: u64,
    /// What producers sent and was not stored, by topic.
    pub not_stored: Vec<(String, NotStored)>,
}

impl GroupTopicRecords {
    /// The classes worth a time series: losses always, so that an alert can tell zero from absent; the others once they count.
    pub fn shown(&self) -> impl Iterator<Item = (Class, u64)> + '_ {
        self.classes.iter().filter(|(class, count)| *count > 0 || class.is_loss())
    }
}

/// Reads it.
pub(crate) fn summary(node: &Node) -> AccountSummary {
    let not_stored = not_stored(node, |_| true).into_iter().map(|row| (row.topic, row.counts)).collect();
    let mut summary = AccountSummary { not_stored, ..AccountSummary::default() };
    let mut by_id: BTreeMap<(GroupId, TopicId), (u64, Counts, u64)> = BTreeMap::new();
    for handle in node.data_groups() {
        let partitions: Vec<TopicPartition> = {
            let state = handle.view.state();
            let accounts = state.accounts();
            summary.unopened += accounts.unopened();
            summary.alarms += accounts.alarms().iter().count() as u64 + accounts.alarms().overflow().alarms;
            state.partitions().map(|(tp, _)| tp).collect()
        };
        for tp in partitions {
            // One partition per lock, since apply waits for it.
            let state = handle.view.state();
            let Some(ledger) = state.ledger(tp) else { continue };
            for (group, account) in state.accounts().of_partition(tp) {
                let (stored, classes) = (account.stored(ledger), account.classes(ledger));
                summary.unbalanced += u64::from(classes.total() != stored);
                let entry = by_id.entry((group.clone(), tp.topic)).or_default();
                entry.0 = entry.0.saturating_add(stored);
                entry.1.merge(&classes);
                entry.2 = entry.2.saturating_add(account.handled());
            }
        }
    }
    for ((group, topic), (stored, classes, handled)) in by_id {
        if let Some(topic) = node.topic_by_id(topic) {
            let (group, topic) = (group.to_string(), topic.name.clone());
            summary.records.push(GroupTopicRecords { group, topic, stored, classes, handled });
        }
    }
    summary
}
