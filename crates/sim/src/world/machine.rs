//! A Raft group's state machine behind one face, and the entries of the simulated log: a list of encoded commands, which
//! stands for what `consensus` writes. It decides nothing.
//!
//! ```text
//! entry: count u32 | per command: length u32, command        a blank entry has none
//! ```

use std::sync::Arc;

use bytes::{Buf, Bytes};
use tallymq_broker::{
    ApplyContext, Parts,
    data::{DataCommand, DataOutcome},
    metadata::{MetadataCommand, MetadataOutcome},
};
use tallymq_model::{LogIndex, RaftGroup};
use tallymq_replica::{DataReplica, DataView, MetadataReplica, MetadataView, PendingCheckpoint};
use tallymq_storage::log::LogStore;

/// A command of either kind of group.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Metadata(MetadataCommand),
    Data(DataCommand),
}

/// What applying it said.
#[derive(Debug)]
pub(super) enum Answer {
    Metadata(MetadataOutcome),
    Data(DataOutcome),
}

/// The state machine of a group.
pub(super) enum Machine {
    Metadata(MetadataReplica),
    Data(Box<DataReplica>),
}

/// The state of a checkpoint, perhaps with records that are not synced yet.
pub(super) enum Building {
    Whole(Vec<Bytes>),
    Pending(PendingCheckpoint),
}

impl Machine {
    pub(super) fn new(group: RaftGroup, store: &Arc<LogStore>) -> Machine {
        if group == RaftGroup::METADATA {
            Machine::Metadata(MetadataReplica::new())
        } else {
            Machine::Data(Box::new(DataReplica::new(group, store.clone())))
        }
    }

    pub(super) fn apply(&mut self, at: ApplyContext, command: Command) -> Answer {
        match (self, command) {
            (Machine::Metadata(machine), Command::Metadata(command)) => {
                Answer::Metadata(machine.apply(at, &command))
            }
            (Machine::Data(machine), Command::Data(command)) => Answer::Data(machine.apply(at, command)),
            _ => unreachable!("a command goes to a group of its kind"),
        }
    }

    pub(super) fn restore(&mut self, state: Bytes) -> Result<(), String> {
        match self {
            Machine::Metadata(machine) => machine.restore(state).map_err(|error| error.to_string()),
            Machine::Data(machine) => machine.restore(state).map_err(|error| error.to_string()),
        }
    }

    pub(super) fn begin_checkpoint(&mut self) -> Building {
        match self {
            Machine::Metadata(machine) => Building::Whole(machine.checkpoint()),
            Machine::Data(machine) => Building::Pending(machine.begin_checkpoint()),
        }
    }

    pub(super) fn checkpoint_durable(&mut self, through: LogIndex) {
        if let Machine::Data(machine) = self {
            machine.checkpoint_durable(through);
        }
    }

    pub(super) fn data(&self) -> Option<Arc<DataView>> {
        match self {
            Machine::Metadata(_) => None,
            Machine::Data(machine) => Some(machine.view()),
        }
    }

    pub(super) fn metadata(&self) -> Option<Arc<MetadataView>> {
        match self {
            Machine::Metadata(machine) => Some(machine.view()),
            Machine::Data(_) => None,
        }
    }
}

/// The payload of an entry with these commands, in parts.
pub(super) fn encode_entry<'a>(commands: impl ExactSizeIterator<Item = &'a Command>) -> Vec<Bytes> {
    let mut parts = vec![Bytes::copy_from_slice(&(commands.len() as u32).to_be_bytes())];
    for command in commands {
        let mut encoded = Parts::new();
        match command {
            Command::Metadata(command) => command.encode(&mut encoded),
            Command::Data(command) => command.encode(&mut encoded),
        }
        parts.push(Bytes::copy_from_slice(&(encoded.len() as u32).to_be_bytes()));
        parts.extend(encoded.into_parts());
    }
    parts
}

/// The commands of an entry of `group`.
pub(super) fn decode_entry(group: RaftGroup, mut bytes: Bytes) -> Result<Vec<Command>, String> {
    let count = take_u32(&mut bytes)?;
    let mut commands = Vec::new();
    for _ in 0..count {
        let length = take_u32(&mut bytes)? as usize;
        if bytes.len() < length {
            return Err(format!("a command of {length} bytes in {} bytes", bytes.len()));
        }
        let mut encoded = bytes.split_to(length);
        let command = if group == RaftGroup::METADATA {
            MetadataCommand::decode(&mut encoded).map(Command::Metadata)
        } else {
            DataCommand::decode(&mut encoded).map(Command::Data)
        };
        commands.push(command.map_err(|error| error.to_string())?);
        if !encoded.is_empty() {
            return Err("bytes behind a command".to_owned());
        }
    }
    if bytes.is_empty() { Ok(commands) } else { Err("bytes behind the commands".to_owned()) }
}

fn take_u32(bytes: &mut Bytes) -> Result<u32, String> {
    bytes.try_get_u32().map_err(|_| "an entry that is cut short".to_owned())
}
