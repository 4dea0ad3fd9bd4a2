//! Accounts that a person asks for before the group takes its first position.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tallymq_broker::account::{AccountCommand, AccountOutcome, OpenFrom, Who};
use tallymq_broker::data::{DataCommand, DataOutcome};
use tallymq_broker::group::GroupId;
use tallymq_broker::metadata::Topic;
use tallymq_consensus::ProposeError;
use tallymq_model::{RaftGroup, TopicId, TopicPartition};
use thiserror::Error;

use crate::node::Node;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The group.
    pub group: String,
    /// The topic; without, every topic that the group has a position or an account in.
    pub topic: Option<String>,
    /// Where the accounts open.
    pub from: OpenFrom,
    /// Who asks.
    pub by: Who,
}

/// Why accounts do not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No group was named.
    #[error("the group's name is empty")]
    NoGroup,
    /// There is no such topic.
    #[error("there is no topic {0}")]
    UnknownTopic(String),
    /// Nothing says which topics.
    #[error("group {0} has no position in any topic yet: name the topic")]
    NoTopics(String),
    /// Accounts are switched off.
    #[error("accounts are switched off (account.enabled)")]
    SwitchedOff,
    /// The command did not come through.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Opens them. Gives back how many are new; where there is an account already nothing happens.
pub async fn open(node: &Node, opening: &Opening) -> Result<u64, OpenError> {
    if opening.group.is_empty() {
        return Err(OpenError::NoGroup);
    }
    let group = GroupId::from(opening.group.as_str());
    let topics = match &opening.topic {
        Some(name) => vec![node.topic(name).ok_or_else(|| OpenError::UnknownTopic(name.clone()))?],
        None => topics_of(node, &group),
    };
    if topics.is_empty() {
        return Err(OpenError::NoTopics(opening.group.clone()));
    }
    let mut by_data_group: BTreeMap<RaftGroup, Vec<TopicPartition>> = BTreeMap::new();
    for (tp, data_group) in topics.iter().flat_map(|topic| topic.topic_partitions()) {
        by_data_group.entry(data_group).or_default().push(tp);
    }
    let mut opened = 0;
    for (data_group, partitions) in by_data_group {
        let Some(handle) = node.data(data_group) else { continue };
        let command = AccountCommand::OpenAccount {
            group: group.clone(),
            partitions,
            from: opening.from,
            by: opening.by.clone(),
            at: node.now(),
        };
        match handle.propose(DataCommand::Account(command)).await? {
            DataOutcome::Account(AccountOutcome::Opened { accounts }) => opened += accounts,
            _ => return Err(OpenError::SwitchedOff),
        }
    }
    Ok(opened)
}

/// Where the group has positions or accounts.
fn topics_of(node: &Node, group: &GroupId) -> Vec<Arc<Topic>> {
    let mut ids: BTreeSet<TopicId> = BTreeSet::new();
    for handle in node.data_groups() {
        let state = handle.view.state();
        ids.extend(state.groups().positions().of_group(group).map(|(tp, _)| tp.topic));
        ids.extend(state.accounts().of_group(group).map(|(tp, _)| tp.topic));
    }
    ids.into_iter().filter_map(|id| node.topic_by_id(id)).collect()
}
