//! The metadata group's replica: its state is all there is, so a checkpoint is its encoding.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use tallymq_broker::{
    ApplyContext, DecodeError, Parts,
    metadata::{ConfigScope, Metadata, MetadataCommand, MetadataOutcome},
};
use tallymq_model::TopicId;

/// Changes that are remembered one by one.
const CHANGES_MAX: usize = 4096;

/// The readers' side of the metadata group.
#[derive(Default)]
pub struct MetadataView {
    state: RwLock<Metadata>,
    version: AtomicU64,
    configs_version: AtomicU64,
    changes: Mutex<Changes>,
}

/// What changed between two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataChanges {
    /// Topics that came, went, grew or were configured.
    pub topics: BTreeSet<TopicId>,
    /// Settings of brokers or groups.
    pub configs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Topic(TopicId),
    Configs,
}

/// The newest changes, by version; those up to `forgotten` are not known any more.
#[derive(Debug, Default)]
struct Changes {
    newest: VecDeque<(u64, Change)>,
    forgotten: u64,
}

impl MetadataView {
    /// The state. Apply waits for as long as the guard is held.
    pub fn state(&self) -> RwLockReadGuard<'_, Metadata> {
        self.state.read()
    }

    /// Rises with every command, so that what was derived from the state can be kept until then.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Rises with every change of the brokers' or groups' settings.
    pub fn configs_version(&self) -> u64 {
        self.configs_version.load(Ordering::Acquire)
    }

    /// What changed after a version, so that what was derived from it need not be made anew; None if that is too long ago.
    pub fn changes_since(&self, version: u64) -> Option<MetadataChanges> {
        let changes = self.changes.lock();
        if version < changes.forgotten {
            return None;
        }
        let mut all = MetadataChanges::default();
        for (_, change) in changes.newest.iter().rev().take_while(|(at, _)| *at > version) {
            match change {
                Change::Topic(topic) => drop(all.topics.insert(*topic)),
                Change::Configs => all.configs = true,
            }
        }
        Some(all)
    }

    /// The state has a new version, by this change if it is one that is looked for.
    fn changed(&self, change: Option<Change>) {
        let version = self.version() + 1;
        if let Some(change) = change {
            let mut changes = self.changes.lock();
            changes.newest.push_back((version, change));
            if changes.newest.len() > CHANGES_MAX {
                let oldest = changes.newest.pop_front().map_or(0, |(at, _)| at);
                changes.forgotten = changes.forgotten.max(oldest);
            }
        }
        if change == Some(Change::Configs) {
            self.configs_version.fetch_add(1, Ordering::Release);
        }
        self.version.store(version, Ordering::Release);
    }
}

fn change(command: &MetadataCommand, outcome: &MetadataOutcome) -> Option<Change> {
    match outcome {
        MetadataOutcome::TopicCreated(Ok(topic)) | MetadataOutcome::TopicDeleted(Ok(topic)) => {
            Some(Change::Topic(topic.id))
        }
        MetadataOutcome::PartitionsCreated(Ok((topic, _))) => Some(Change::Topic(topic.id)),
        MetadataOutcome::ConfigsSet(Ok(_)) => match command {
            MetadataCommand::SetConfigs { scope: ConfigScope::Topic(topic), .. } => {
                Some(Change::Topic(*topic))
            }
            _ => Some(Change::Configs),
        },
        _ => None,
    }
}

/// The state machine of the metadata group.
#[derive(Default)]
pub struct MetadataReplica {
    view: Arc<MetadataView>,
}

impl MetadataReplica {
    /// A cluster without anything.
    pub fn new() -> MetadataReplica {
        MetadataReplica::default()
    }

    /// The readers' side.
    pub fn view(&self) -> Arc<MetadataView> {
        self.view.clone()
    }

    /// The next committed command.
    pub fn apply(&mut self, at: ApplyContext, command: &MetadataCommand) -> MetadataOutcome {
        let outcome = self.view.state.write().apply(at, command);
        self.view.changed(change(command, &outcome));
        outcome
    }

    /// The whole state, encoded.
    pub fn checkpoint(&self) -> Vec<Bytes> {
        let mut parts = Parts::new();
        self.view.state.read().encode(&mut parts);
        parts.into_parts()
    }

    /// Takes over a checkpoint's state, before any apply.
    pub fn restore(&mut self, mut state: Bytes) -> Result<(), DecodeError> {
        *self.view.state.write() = Metadata::decode(&mut state)?;
        self.view.changed(Some(Change::Configs));
        let mut changes = self.view.changes.lock();
        *changes = Changes { newest: VecDeque::new(), forgotten: self.view.version() };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tallymq_broker::metadata::{CreateTopic, PartitionPlan};
    use tallymq_model::{LogIndex, NodeId, Term, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn id(number: u64) -> TopicId {
        TopicId(Uuid::from_u128(u128::from(number)))
    }

    fn create(number: u64) -> MetadataCommand {
        MetadataCommand::CreateTopic(CreateTopic {
            id: id(number),
            name: format!("t{number}"),
            partitions: PartitionPlan::Count { count: 1, replicas: 1 },
            configs: BTreeMap::new(),
            now: Timestamp(0),
        })
    }

    #[test]
    fn who_looks_again_is_told_what_changed_since_and_who_comes_late_that_it_is_too_late() {
        let mut replica = MetadataReplica::new();
        let view = replica.view();
        let mut index = 0;
        let mut apply = |command: MetadataCommand| {
            index += 1;
            replica.apply(ApplyContext { index: LogIndex(index), term: Term(1) }, &command)
        };
        apply(MetadataCommand::Bootstrap { cluster_id: "c".to_owned(), data_groups: 1 });
        apply(MetadataCommand::RegisterNode { node: NodeId(0), directory: Uuid::nil() });
        let before = view.version();
        assert_eq!(view.changes_since(0), Some(MetadataChanges::default()), "none of it is looked for");
        apply(create(1));
        apply(create(1));
        apply(create(2));
        apply(MetadataCommand::PlaceGroup { group: "g".to_owned(), groups_max: 10 });
        let changes = view.changes_since(before).unwrap();
        assert_eq!(changes, MetadataChanges { topics: [id(1), id(2)].into(), configs: false });
        assert_eq!(view.changes_since(view.version()), Some(MetadataChanges::default()));
        let configs = view.configs_version();
        for (number, scope) in (0..).zip([ConfigScope::Topic(id(2)), ConfigScope::Broker(None)]) {
            let before = view.version();
            let configs = [("retention.ms".to_owned(), "7".to_owned())].into();
            apply(MetadataCommand::SetConfigs { scope, based_on: Default::default(), configs });
            let changes = view.changes_since(before).unwrap();
            assert_eq!((changes.topics.len(), changes.configs), [(1, false), (0, true)][number]);
        }
        assert_eq!(view.configs_version(), configs + 1);
        for number in 3..3 + CHANGES_MAX as u64 {
            apply(create(number));
        }
        assert_eq!(view.changes_since(before), None);
    }
}
