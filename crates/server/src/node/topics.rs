//! Creating, growing and deleting topics: first the metadata group, then each data group that has partitions of it. The
//! two are reconciled at start, so that a crash in between leaves nothing half made, and a client that goes away in between stops
//! nothing.

use std::{collections::BTreeMap, sync::Arc};

use tallymq_broker::{
    data::{DataCommand, DataOutcome, OpenPartition},
    group::GroupId,
    metadata::{
        CreatePartitions, CreatePartitionsError, CreateTopic, CreateTopicError, MetadataCommand,
        MetadataOutcome, Topic,
    },
};
use tallymq_consensus::{Proposal, ProposeError};
use tallymq_model::{LeaderEpoch, Offset, PartitionIndex, RaftGroup, TopicId, TopicPartition};
use tallymq_storage::log::PartitionOptions;
use thiserror::Error;

use super::{Node, to_its_end};

/// Partitions that one command opens or closes.
const PARTITIONS_PER_COMMAND: usize = 2000;

/// A topic as it was made.
pub type TopicCreation = Arc<Topic>;

/// Why a topic was not made, grown or deleted.
#[derive(Debug, Error)]
pub enum TopicChangeError {
    /// The metadata refuses it.
    #[error(transparent)]
    Create(#[from] CreateTopicError),
    /// The metadata refuses it.
    #[error(transparent)]
    Grow(#[from] CreatePartitionsError),
    /// There is no such topic.
    #[error("there is no topic with id {0}")]
    Unknown(TopicId),
    /// The log did not take it.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl Node {
    /// Creates a topic; when this returns all its partitions take records. Once begun it is done whole.
    pub async fn create_topic(
        self: &Arc<Self>,
        create: CreateTopic,
    ) -> Result<TopicCreation, TopicChangeError> {
        let node = self.clone();
        to_its_end(async move {
            let _one_at_a_time = node.topic_changes.lock().await;
            let outcome = node.propose_metadata(MetadataCommand::CreateTopic(create)).await?;
            let MetadataOutcome::TopicCreated(topic) = outcome else {
                return Err(ProposeError::Unknown.into());
            };
            let topic = topic?;
            node.open_partitions(&topic, PartitionIndex(0), &[]).await?;
            Ok(topic)
        })
        .await
    }

    /// Adds partitions to a topic; when this returns they take records. Once begun it is done whole.
    pub async fn create_partitions(
        self: &Arc<Self>,
        create: CreatePartitions,
    ) -> Result<Arc<Topic>, TopicChangeError> {
        let node = self.clone();
        to_its_end(async move {
            let _one_at_a_time = node.topic_changes.lock().await;
            let outcome = node.propose_metadata(MetadataCommand::CreatePartitions(create)).await?;
            let MetadataOutcome::PartitionsCreated(grown) = outcome else {
                return Err(ProposeError::Unknown.into());
            };
            let (topic, first_new) = grown?;
            node.open_partitions(&topic, first_new, &node.accounting_groups(&topic)).await?;
            Ok(topic)
        })
        .await
    }

    /// Deletes a topic with its records. Once begun it is done whole.
    pub async fn delete_topic(self: &Arc<Self>, topic: TopicId) -> Result<Arc<Topic>, TopicChangeError> {
        let node = self.clone();
        to_its_end(async move {
            let _one_at_a_time = node.topic_changes.lock().await;
            let outcome = node.propose_metadata(MetadataCommand::DeleteTopic { topic }).await?;
            let MetadataOutcome::TopicDeleted(deleted) = outcome else {
                return Err(ProposeError::Unknown.into());
            };
            let deleted = deleted.map_err(|_| TopicChangeError::Unknown(topic))?;
            let mut closing: BTreeMap<RaftGroup, Vec<TopicPartition>> = BTreeMap::new();
            for (tp, group) in deleted.topic_partitions() {
                closing.entry(group).or_default().push(tp);
            }
            node.close(closing).await?;
            node.files_given_up();
            Ok(deleted)
        })
        .await
    }

    async fn open_partitions(
        &self,
        topic: &Topic,
        from: PartitionIndex,
        groups: &[GroupId],
    ) -> Result<(), ProposeError> {
        let mut opening: BTreeMap<RaftGroup, Vec<TopicPartition>> = BTreeMap::new();
        for (tp, group) in topic.topic_partitions().filter(|(tp, _)| tp.partition >= from) {
            opening.entry(group).or_default().push(tp);
        }
        self.open(opening, groups).await?;
        self.apply_settings(topic);
        Ok(())
    }

    /// Queues the commands of all groups before it waits for the first: they share a sync. `groups` account for what is new.
    async fn open(
        &self,
        opening: BTreeMap<RaftGroup, Vec<TopicPartition>>,
        groups: &[GroupId],
    ) -> Result<(), ProposeError> {
        let at = self.now();
        let command = |tps: &[TopicPartition]| {
            let open = |tp: &TopicPartition| OpenPartition { tp: *tp, leader_epoch: LeaderEpoch(0) };
            let partitions = tps.iter().map(open).collect();
            match groups {
                [] => DataCommand::OpenPartitions { partitions },
                groups => DataCommand::AddPartitions { partitions, groups: groups.to_vec(), at },
            }
        };
        let mut pending = Vec::new();
        for (group, tps) in opening {
            let handle = self.data(group).ok_or(ProposeError::NotLeader { leader: None })?;
            for some in tps.chunks(PARTITIONS_PER_COMMAND) {
                pending.push(handle.enqueue(command(some)).await?);
            }
        }
        all_applied(pending).await
    }

    async fn close(&self, closing: BTreeMap<RaftGroup, Vec<TopicPartition>>) -> Result<(), ProposeError> {
        let (at, mut pending) = (self.now(), Vec::new());
        for (group, tps) in closing {
            let handle = self.data(group).ok_or(ProposeError::NotLeader { leader: None })?;
            handle.tell_time(at).await?;
            for some in tps.chunks(PARTITIONS_PER_COMMAND) {
                let command = DataCommand::ClosePartitions { partitions: some.to_vec() };
                // What was delivered just now is not purged unread.
                let all: Vec<_> = some.iter().map(|tp| (*tp, Offset(i64::MAX))).collect();
                pending.push(handle.enqueue_deletion(command, &all, self.now()).await?);
            }
        }
        all_applied(pending).await
    }

    /// Tells the logs of a topic what its settings say about segments.
    pub fn apply_settings(&self, topic: &Topic) {
        let settings = self.settings(topic);
        let options = PartitionOptions {
            segment_bytes_max: settings.segment_bytes_max,
            segment_ms_max: settings.segment_ms_max,
            ..PartitionOptions::default()
        };
        for (tp, _) in topic.topic_partitions() {
            if let Some((_, log)) = self.partition(topic, tp) {
                log.set_options(options);
            }
        }
    }

    /// Makes the data groups have exactly the partitions that the metadata places in them. At start, and idempotent.
    pub(super) async fn reconcile_topics(&self) -> Result<(), ProposeError> {
        let topics: Vec<Arc<Topic>> = self.metadata_view.state().topics().iter().cloned().collect();
        // By who accounts for them: nobody does for those of a topic that was just made.
        let mut opening: BTreeMap<Vec<GroupId>, BTreeMap<RaftGroup, Vec<TopicPartition>>> = BTreeMap::new();
        for topic in &topics {
            let is_missing = |(tp, group): &(TopicPartition, RaftGroup)| {
                self.data(*group).is_some_and(|handle| handle.view.log(*tp).is_none())
            };
            let missing: Vec<_> = topic.topic_partitions().filter(is_missing).collect();
            if missing.is_empty() {
                continue;
            }
            let of_topic = opening.entry(self.accounting_groups(topic)).or_default();
            missing.into_iter().for_each(|(tp, group)| of_topic.entry(group).or_default().push(tp));
        }
        let mut closing: BTreeMap<RaftGroup, Vec<TopicPartition>> = BTreeMap::new();
        for handle in self.data_groups() {
            let metadata = self.metadata_view.state();
            let placed = |tp: &TopicPartition| {
                let topic = metadata.topics().by_id(tp.topic);
                topic.and_then(|topic| topic.group_of(tp.partition)) == Some(handle.id)
            };
            let orphans: Vec<_> =
                handle.view.logs().into_iter().map(|(tp, _)| tp).filter(|tp| !placed(tp)).collect();
            if !orphans.is_empty() {
                closing.insert(handle.id, orphans);
            }
        }
        let missing: usize = opening.values().flat_map(BTreeMap::values).map(Vec::len).sum();
        let orphaned: usize = closing.values().map(Vec::len).sum();
        if missing + orphaned > 0 {
            tracing::info!(missing, orphaned, "finishing topic changes that a stop interrupted");
        }
        for (groups, some) in opening {
            self.open(some, &groups).await?;
        }
        self.close(closing).await?;
        for topic in &topics {
            self.apply_settings(topic);
        }
        Ok(())
    }
}

async fn all_applied(pending: Vec<Proposal<DataOutcome>>) -> Result<(), ProposeError> {
    for proposal in pending {
        proposal.await?;
    }
    Ok(())
}
