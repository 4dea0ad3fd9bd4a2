//! The two kinds of state that a log is replayed into, as verification needs them.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use tallymq_broker::{
    ApplyContext, Parts,
    data::{DataCommand, DataGroup, DataOutcome, Produced},
    metadata::{Metadata, MetadataCommand},
};
use tallymq_model::{BatchHeader, LeaderEpoch, Offset, TopicPartition};
use tallymq_replica::decode_data_checkpoint;
use tallymq_storage::log::LogPosition;

use super::{segments::Partition, wal::EntryPlace};

/// A state that commands can be applied to.
pub trait Machine: Sized {
    /// Before any command.
    fn new() -> Self;
    /// As a checkpoint says; why not, if it contradicts itself.
    fn restore(state: Bytes) -> Result<Self, String>;
    /// The next command, which is in the entry at `place`.
    fn apply(&mut self, at: ApplyContext, command: Bytes, place: &EntryPlace) -> Result<(), String>;
    /// The state in bytes: the same state gives the same.
    fn encoded(&self) -> Bytes;
    /// Takes over what only the checkpoint knows, where the states are the same.
    fn at_checkpoint(&mut self, checkpoint: Self);
}

/// The metadata group.
pub struct MetadataMachine {
    /// Its state.
    pub state: Metadata,
}

impl Machine for MetadataMachine {
    fn new() -> Self {
        MetadataMachine { state: Metadata::new() }
    }

    fn restore(mut state: Bytes) -> Result<Self, String> {
        let state = Metadata::decode(&mut state).map_err(|error| error.to_string())?;
        Ok(MetadataMachine { state })
    }

    fn apply(&mut self, at: ApplyContext, mut command: Bytes, _: &EntryPlace) -> Result<(), String> {
        let command = MetadataCommand::decode(&mut command).map_err(|error| error.to_string())?;
        self.state.apply(at, &command);
        Ok(())
    }

    fn encoded(&self) -> Bytes {
        let mut parts = Parts::new();
        self.state.encode(&mut parts);
        parts.into_bytes()
    }

    fn at_checkpoint(&mut self, _: Self) {}
}

/// A batch that the WAL holds, and where in its partition it belongs.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its header, as the producer sent it.
    pub header: BatchHeader,
    /// The epoch that it is stored with.
    pub epoch: LeaderEpoch,
    /// The file of the WAL that has it.
    pub file: String,
    /// Where its entry is there.
    pub position: u64,
}

/// A data group.
pub struct DataMachine {
    state: DataGroup,
    positions: HashMap<TopicPartition, LogPosition>,
    expected: BTreeMap<TopicPartition, BTreeMap<Offset, Expected>>,
}

impl Machine for DataMachine {
    fn new() -> Self {
        DataMachine { state: DataGroup::new(), positions: HashMap::new(), expected: BTreeMap::new() }
    }

    fn restore(state: Bytes) -> Result<Self, String> {
        let (state, positions) = decode_data_checkpoint(state).map_err(|error| error.to_string())?;
        for (tp, partition) in state.partitions() {
            let (log_start, log_end) =
                positions.get(&tp).map_or_else(Default::default, |found| (found.log_start, found.log_end));
            if (log_start, log_end) != (partition.log_start(), partition.log_end()) {
                return Err(format!(
                    "partition {tp} holds offsets {} to {} by the state, {log_start} to {log_end} by the log's position",
                    partition.log_start(),
                    partition.log_end()
                ));
            }
        }
        Ok(DataMachine { state, positions, expected: BTreeMap::new() })
    }

    fn apply(&mut self, at: ApplyContext, mut command: Bytes, place: &EntryPlace) -> Result<(), String> {
        let command = DataCommand::decode(&mut command).map_err(|error| error.to_string())?;
        if let DataCommand::Produce(produce) = &command {
            produce.header.check_crc(&produce.batch).map_err(|error| error.to_string())?;
        }
        let outcome = self.state.apply(at, &command);
        if let (
            DataOutcome::Produced(Ok(Produced::Appended { base_offset, leader_epoch, .. })),
            DataCommand::Produce(produce),
        ) = (outcome, command)
        {
            let expected = Expected {
                header: produce.header,
                epoch: leader_epoch,
                file: place.file.clone(),
                position: place.position,
            };
            self.expected.entry(produce.tp).or_default().insert(base_offset, expected);
        }
        Ok(())
    }

    fn encoded(&self) -> Bytes {
        let mut parts = Parts::new();
        self.state.encode(&mut parts);
        parts.into_bytes()
    }

    fn at_checkpoint(&mut self, checkpoint: Self) {
        self.positions = checkpoint.positions;
    }
}

impl DataMachine {
    /// What the log of each partition must hold: partitions of the newest checkpoint and those made since.
    pub fn into_partitions(mut self, partitions: &mut BTreeMap<TopicPartition, Partition>) {
        let mut names: Vec<TopicPartition> = self.state.partitions().map(|(tp, _)| tp).collect();
        names.extend(self.positions.keys().copied());
        names.sort_unstable();
        names.dedup();
        for tp in names {
            let known = Partition {
                position: self.positions.get(&tp).cloned().unwrap_or_default(),
                expected: self.expected.remove(&tp).unwrap_or_default(),
            };
            partitions.insert(tp, known);
        }
    }
}
