//! The two kinds of state that a log is replayed into, as verification needs them.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use tallymq_broker::{
    ApplyContext, Parts,
    account::{
        JournalEvent,
        journal::{self, JOURNAL_TOPIC, JournalAppend},
    },
    data::{DataCommand, DataGroup, DataOutcome, Produced},
    metadata::{Metadata, MetadataCommand},
};
use tallymq_model::{BatchHeader, LeaderEpoch, Offset, RaftGroup, TopicPartition};
use tallymq_replica::decode_data_checkpoint;
use tallymq_storage::log::LogPosition;

use super::{accounts::Books, segments::Partition, wal::EntryPlace};

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
    /// Gives up, before it is compared, what the checkpoint that it has come to cannot have.
    fn forget_as(&mut self, checkpoint: &Self);
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

    fn forget_as(&mut self, checkpoint: &Self) {
        // An older release wrote it, which did not keep names of deleted topics.
        if checkpoint.state.deleted_names_from() == self.state.applied() {
            self.state.forget_deleted_names();
        }
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
    journal: JournalTail,
}

/// What the WAL makes for the accounts' journal.
#[derive(Default)]
struct JournalTail {
    expected: BTreeMap<Offset, Expected>,
    /// Those behind the newest checkpoint, by the offset of the first of a command.
    events: BTreeMap<Offset, Vec<JournalEvent>>,
}

impl Machine for DataMachine {
    fn new() -> Self {
        DataMachine {
            state: DataGroup::new(),
            positions: HashMap::new(),
            expected: BTreeMap::new(),
            journal: JournalTail::default(),
        }
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
        let journal = journal_position(&positions);
        let (bounds, by_position) = (state.journal_bounds(), (journal.log_start, journal.log_end));
        if bounds != by_position {
            return Err(format!(
                "the journal holds events {} to {} by the state, {} to {} by the log's position",
                bounds.0, bounds.1, by_position.0, by_position.1
            ));
        }
        Ok(DataMachine { state, positions, expected: BTreeMap::new(), journal: JournalTail::default() })
    }

    fn apply(&mut self, at: ApplyContext, mut command: Bytes, place: &EntryPlace) -> Result<(), String> {
        let command = DataCommand::decode(&mut command).map_err(|error| error.to_string())?;
        if let DataCommand::Produce(produce) = &command {
            produce.header.check_crc(&produce.batch).map_err(|error| error.to_string())?;
        }
        let (outcome, noted) = self.state.apply_noting(at, &command);
        if let Some(noted) = noted {
            self.journal.note(noted, place);
        }
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

    fn forget_as(&mut self, checkpoint: &Self) {
        // An older release wrote it, which did not count what was turned away.
        if checkpoint.state.counted_from() == self.state.applied() {
            self.state.count_from_here();
        }
    }

    fn at_checkpoint(&mut self, checkpoint: Self) {
        self.positions = checkpoint.positions;
        let synced = journal_position(&self.positions).log_end;
        self.journal.events = self.journal.events.split_off(&synced);
    }
}

impl JournalTail {
    fn note(&mut self, noted: JournalAppend, place: &EntryPlace) {
        for batch in noted.batches() {
            let (file, position) = (place.file.clone(), place.position);
            let expected = Expected { header: batch.header, epoch: noted.leader_epoch, file, position };
            self.expected.insert(batch.base_offset, expected);
        }
        self.events.insert(noted.base_offset, noted.events);
    }
}

/// How far the journal is synced.
fn journal_position(positions: &HashMap<TopicPartition, LogPosition>) -> LogPosition {
    let journal = positions.iter().find(|(tp, _)| tp.topic == JOURNAL_TOPIC);
    journal.map(|(_, position)| position.clone()).unwrap_or_default()
}

impl DataMachine {
    /// The books, as they have to be at the end of the log.
    pub fn books(&self, group: RaftGroup) -> Books<'_> {
        let position = journal_position(&self.positions);
        Books { group, state: &self.state, position, behind: &self.journal.events }
    }

    /// What the log of each partition must hold: partitions of the newest checkpoint and those made since, and the journal's.
    pub fn into_partitions(
        mut self,
        group: RaftGroup,
        partitions: &mut BTreeMap<TopicPartition, Partition>,
    ) -> DataGroup {
        let mut names: Vec<TopicPartition> = self.state.partitions().map(|(tp, _)| tp).collect();
        names.extend(self.positions.keys().copied());
        if self.state.journal_bounds().1 > Offset::ZERO {
            let journal = journal::partition(group);
            names.push(journal);
            self.expected.insert(journal, self.journal.expected);
        }
        names.sort_unstable();
        names.dedup();
        for tp in names {
            let known = Partition {
                position: self.positions.get(&tp).cloned().unwrap_or_default(),
                expected: self.expected.remove(&tp).unwrap_or_default(),
            };
            partitions.insert(tp, known);
        }
        self.state
    }
}

#[cfg(test)]
mod tests {
    use tallymq_broker::{
        data::{OpenPartition, Produce},
        metadata::{ConfigSet, CreateTopic, PartitionPlan},
    };
    use tallymq_gateway::kafka::records::{BatchOptions, Producer, Record, build_batch};
    use tallymq_model::{LogIndex, NodeId, PartitionIndex, Term, Timestamp, TopicId};

    use super::*;

    /// One batch, sent twice.
    fn repeated() -> DataMachine {
        let tp = TopicPartition { topic: TopicId::default(), partition: PartitionIndex(0) };
        let producer = Some(Producer { id: 7, epoch: 0, base_sequence: 0 });
        let batch = build_batch(&[Record::default()], &BatchOptions { producer, ..BatchOptions::default() });
        let header = BatchHeader::parse(&batch).unwrap();
        let produce = DataCommand::Produce(Produce { tp, header, batch, now: Timestamp(1_000) });
        let opened = OpenPartition { tp, leader_epoch: LeaderEpoch(0) };
        let open = DataCommand::OpenPartitions { partitions: vec![opened] };
        let mut machine = DataMachine::new();
        for (index, command) in (1..).zip([open, produce.clone(), produce]) {
            machine.state.apply(ApplyContext { index: LogIndex(index), term: Term(1) }, &command);
        }
        machine
    }

    /// A topic that was made and deleted.
    fn deleted() -> MetadataMachine {
        let create = MetadataCommand::CreateTopic(CreateTopic {
            id: TopicId::default(),
            name: "t".to_owned(),
            partitions: PartitionPlan::Count { count: 1, replicas: 1 },
            configs: ConfigSet::new(),
            now: Timestamp(1_000),
        });
        let commands = [
            MetadataCommand::Bootstrap { cluster_id: "c".to_owned(), data_groups: 1 },
            MetadataCommand::RegisterNode { node: NodeId(1), directory: uuid::Uuid::nil() },
            create,
            MetadataCommand::DeleteTopic { topic: TopicId::default() },
        ];
        let mut machine = MetadataMachine::new();
        for (index, command) in (1..).zip(commands) {
            machine.state.apply(ApplyContext { index: LogIndex(index), term: Term(1) }, &command);
        }
        machine
    }

    #[test]
    fn a_checkpoint_of_a_release_that_kept_no_names_is_no_difference() {
        let mut machine = deleted();
        let same = deleted();
        machine.forget_as(&same);
        assert_eq!(machine.encoded(), same.encoded());
        assert!(
            machine.state.topics().name_of(TopicId::default()).is_some(),
            "one that has them takes none away"
        );
        let mut older = deleted();
        older.state.forget_deleted_names();
        assert_ne!(machine.encoded(), older.encoded());
        machine.forget_as(&older);
        assert_eq!(machine.encoded(), older.encoded());
    }

    #[test]
    fn a_checkpoint_of_a_release_that_did_not_count_is_no_difference() {
        let mut machine = repeated();
        let same = repeated();
        machine.forget_as(&same);
        assert_eq!(machine.encoded(), same.encoded());
        assert_eq!(machine.state.counted_from(), LogIndex(0), "one that counts takes nothing away");
        let mut older = repeated();
        older.state.count_from_here();
        assert_ne!(machine.encoded(), older.encoded());
        machine.forget_as(&older);
        assert_eq!(machine.encoded(), older.encoded());
    }
}
