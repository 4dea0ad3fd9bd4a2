//! The replicas as the consensus crate wants to drive them. Only translation: the encoding of commands, the wake-up of
//! readers, and what a checkpoint consists of.

use std::{io, sync::Arc};

use bytes::Bytes;
use tallymq_broker::{
    ApplyContext,
    data::{DataCommand, DataOutcome},
    group::GroupId,
    metadata::{MetadataCommand, MetadataOutcome},
};
use tallymq_consensus::{BuildState, Command, DecodeError, EntryId, Parts, StateMachine};
use tallymq_model::LogIndex;
use tallymq_replica::{DataReplica, MetadataReplica};

use super::wakeups::Wakeups;
use crate::account::Owners;

macro_rules! entry {
    ($(#[$doc:meta])* $name:ident($command:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(pub $command);

        impl Command for $name {
            fn encode(&self, out: &mut Parts) {
                self.0.encode(out);
            }

            fn decode(bytes: &mut Bytes) -> Result<Self, DecodeError> {
                <$command>::decode(bytes).map($name).map_err(|error| DecodeError::new(error.to_string()))
            }

            fn size_bytes(&self) -> usize {
                self.0.size_bytes()
            }
        }
    };
}

entry! {
    /// A metadata command as an entry carries it.
    MetadataEntry(MetadataCommand)
}

entry! {
    /// A data command as an entry carries it.
    DataEntry(DataCommand)
}

/// The metadata group's machine.
pub struct MetadataMachine {
    replica: MetadataReplica,
    wakeups: Arc<Wakeups>,
}

impl MetadataMachine {
    /// Tells of each applied run through `wakeups`.
    pub fn new(replica: MetadataReplica, wakeups: Arc<Wakeups>) -> MetadataMachine {
        MetadataMachine { replica, wakeups }
    }
}

impl StateMachine for MetadataMachine {
    type Command = MetadataEntry;
    type Outcome = MetadataOutcome;

    fn apply(&mut self, at: EntryId, command: MetadataEntry) -> MetadataOutcome {
        self.replica.apply(ApplyContext { index: at.index, term: at.term }, &command.0)
    }

    fn batch_applied(&mut self) {
        self.wakeups.metadata_changed();
    }

    fn begin_checkpoint(&mut self) -> BuildState {
        let state = self.replica.checkpoint();
        Box::new(move || Ok(state))
    }

    fn checkpoint_durable(&mut self, _through: LogIndex) {}

    fn restore(&mut self, state: Bytes) -> io::Result<()> {
        self.replica.restore(state).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// A data group's machine.
pub struct DataMachine {
    replica: DataReplica,
    wakeups: Arc<Wakeups>,
    owners: Arc<Owners>,
    /// Groups whose members may hold other partitions than before, possibly with repeats.
    changed: Vec<GroupId>,
}

impl DataMachine {
    /// Wakes waiting fetches through `wakeups`, and tells `owners` who holds which partition.
    pub fn new(replica: DataReplica, wakeups: Arc<Wakeups>, owners: Arc<Owners>) -> DataMachine {
        DataMachine { replica, wakeups, owners, changed: Vec::new() }
    }

    fn tell_owners(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let state = self.replica.state();
        for group in changed {
            let now = state.groups().group(&group);
            self.owners.replace(self.replica.group(), &group, now.map(Arc::as_ref));
        }
    }
}

impl StateMachine for DataMachine {
    type Command = DataEntry;
    type Outcome = DataOutcome;

    fn apply(&mut self, at: EntryId, command: DataEntry) -> DataOutcome {
        if let DataCommand::Group(command) = &command.0
            && self.owners.cares(command)
        {
            self.changed.push(command.group().clone());
        }
        self.replica.apply(ApplyContext { index: at.index, term: at.term }, command.0)
    }

    fn batch_applied(&mut self) {
        self.tell_owners();
        self.wakeups.appended(self.replica.touched());
    }

    fn begin_checkpoint(&mut self) -> BuildState {
        let pending = self.replica.begin_checkpoint();
        Box::new(move || pending.finish().map_err(io::Error::other))
    }

    fn checkpoint_durable(&mut self, through: LogIndex) {
        self.replica.checkpoint_durable(through);
    }

    fn restore(&mut self, state: Bytes) -> io::Result<()> {
        self.replica.restore(state).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.owners.take_over(self.replica.group(), self.replica.state().groups());
        Ok(())
    }
}
