//! A data group: the partitions whose records it orders, and what is decided about them. `apply` is deterministic,
//! reads only this group's state, and cannot fail, only answer.

mod accounting;
mod command;
mod epochs;
mod outcome;
mod partition;
mod producers;
mod turned;

pub use command::{DataCommand, LogStartReason, MoveLogStart, OpenPartition, Produce};
pub use epochs::{EpochEnd, EpochList, EpochMismatch, UNKNOWN_EPOCH, UNKNOWN_OFFSET, check_epoch};
pub use outcome::{DataOutcome, LogStartMoved, MoveLogStartError, ProduceRefusal, Produced};
pub use partition::Partition;
pub use producers::{PRODUCERS_MAX, ProducerDescription, Producers, WINDOW_BATCHES};
pub use turned::{Batches, TurnedAway};

use std::collections::BTreeSet;

use bytes::Bytes;
use tallymq_model::{LogIndex, Term, Timestamp, TopicPartition};

use crate::ApplyContext;
use crate::account::journal::JournalAppend;
use crate::account::{Accounts, Notes};
use crate::codec::{DecodeError, Parts, Reader};
use crate::group::{GroupCommand, GroupOutcome, Groups};
use crate::hash::IdMap;

/// 1 had no accounts, no journal and no count of appended records; 2 did not count what was turned away.
const STATE_VERSION: u8 = 3;

/// The durable state of one data group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataGroup {
    applied: LogIndex,
    term: Term,
    /// What was turned away counts from behind this: above 0, an older release wrote a checkpoint there.
    counted_from: LogIndex,
    partitions: IdMap<TopicPartition, Partition>,
    groups: Groups,
    accounts: Accounts,
    /// The bounds of the accounts' journal; None before its first event.
    journal: Option<Partition>,
}

impl DataGroup {
    /// A group without partitions.
    pub fn new() -> DataGroup {
        DataGroup::default()
    }

    /// The next command of the log, for who keeps no journal: its place in the state goes on all the same.
    pub fn apply(&mut self, at: ApplyContext, command: &DataCommand) -> DataOutcome {
        self.apply_noting(at, command).0
    }

    /// The next command of the log, and what it appends to the accounts' journal.
    pub fn apply_noting(
        &mut self,
        at: ApplyContext,
        command: &DataCommand,
    ) -> (DataOutcome, Option<JournalAppend>) {
        debug_assert!(at.index >= self.applied && at.term >= self.term, "commands are applied in log order");
        self.applied = at.index;
        self.term = at.term;
        let mut notes = Notes::new(self.journal_bounds().1);
        let outcome = self.apply_one(at, command, &mut notes);
        (outcome, self.close_notes(notes, at.term))
    }

    fn apply_one(&mut self, at: ApplyContext, command: &DataCommand, notes: &mut Notes) -> DataOutcome {
        match command {
            DataCommand::Produce(produce) => DataOutcome::Produced(self.produce(produce, at.term, notes)),
            DataCommand::OpenPartitions { partitions } => {
                DataOutcome::Opened(self.open(partitions, at.term, notes))
            }
            DataCommand::AddPartitions { partitions, groups, at: now } => {
                let opened = self.open(partitions, at.term, notes);
                self.account_added(&opened, groups, *now, notes);
                DataOutcome::Opened(opened)
            }
            DataCommand::ClosePartitions { partitions } => DataOutcome::Closed(self.close(partitions, notes)),
            DataCommand::MoveLogStart(moved) => DataOutcome::LogStartMoved(self.move_log_start(moved, notes)),
            DataCommand::ExpireProducers { idle_before } => {
                DataOutcome::ProducersExpired { count: self.expire_producers(*idle_before) }
            }
            DataCommand::Group(command) => self.apply_group(at, command, notes),
            DataCommand::Account(command) => DataOutcome::Account(self.apply_account(command, notes)),
        }
    }

    fn produce(
        &mut self,
        produce: &Produce,
        term: Term,
        notes: &mut Notes,
    ) -> Result<Produced, ProduceRefusal> {
        let partition = self.partitions.get_mut(&produce.tp).ok_or(ProduceRefusal::UnknownPartition)?;
        let produced = partition.produce(produce, term)?;
        if let Produced::Appended { base_offset, .. } = produced
            && produce.header.is_control()
        {
            let ledger = partition.ledger();
            self.accounts.withdrawn(produce.tp, ledger, (base_offset, ledger.log_end), notes);
        }
        Ok(produced)
    }

    fn move_log_start(
        &mut self,
        asked: &MoveLogStart,
        notes: &mut Notes,
    ) -> Result<LogStartMoved, MoveLogStartError> {
        let partition = self.partitions.get_mut(&asked.tp).ok_or(MoveLogStartError::UnknownPartition)?;
        let moved = partition.move_log_start(asked.to)?;
        self.account_log_start(asked, moved, notes);
        Ok(moved)
    }

    fn open(&mut self, partitions: &[OpenPartition], term: Term, notes: &mut Notes) -> Vec<TopicPartition> {
        let mut opened = Vec::new();
        for open in partitions {
            self.partitions.entry(open.tp).or_insert_with(|| {
                opened.push(open.tp);
                Partition::open(open.leader_epoch, term)
            });
        }
        for tp in &opened {
            if let Some(partition) = self.partitions.get(tp) {
                self.accounts.partition_added(*tp, partition.ledger(), notes);
            }
        }
        opened
    }

    /// A partition closes when its topic is deleted, so the topic's positions go too, and its accounts end.
    fn close(&mut self, partitions: &[TopicPartition], notes: &mut Notes) -> Vec<TopicPartition> {
        let topics: BTreeSet<_> = partitions.iter().map(|tp| tp.topic).collect();
        topics.into_iter().for_each(|topic| self.groups.topic_deleted(topic));
        let mut closed = Vec::new();
        for &tp in partitions {
            if let Some(partition) = self.partitions.remove(&tp) {
                self.accounts.partition_ended(tp, partition.ledger(), notes);
                closed.push(tp);
            }
        }
        closed
    }

    fn apply_group(&mut self, at: ApplyContext, asked: &GroupCommand, notes: &mut Notes) -> DataOutcome {
        let mut unknown = Vec::new();
        let mut command = asked.clone();
        if let GroupCommand::CommitPositions { positions, .. } = &mut command {
            positions.retain(|commit| {
                let known = self.partitions.contains_key(&commit.partition);
                if !known {
                    unknown.push(commit.partition);
                }
                known
            });
        }
        match self.groups.apply(at, command) {
            GroupOutcome::PositionsCommitted { fenced } => {
                self.account_group(asked, &fenced, notes);
                DataOutcome::PositionsCommitted { fenced, unknown }
            }
            other => {
                self.account_group(asked, &[], notes);
                DataOutcome::Group(other)
            }
        }
    }

    fn expire_producers(&mut self, idle_before: Timestamp) -> u64 {
        self.partitions.values_mut().map(|partition| partition.producers_mut().expire(idle_before)).sum()
    }

    /// One partition.
    pub fn partition(&self, tp: TopicPartition) -> Option<&Partition> {
        self.partitions.get(&tp)
    }

    /// All partitions, in no order.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = (TopicPartition, &Partition)> {
        self.partitions.iter().map(|(&tp, partition)| (tp, partition))
    }

    /// The consumer groups that are coordinated here, and the positions in the partitions that are here.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The newest log index that was applied.
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The newest term that was applied.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The log index behind which batches that are not stored are counted: a state that an older release wrote has no counts.
    pub fn counted_from(&self) -> LogIndex {
        self.counted_from
    }

    /// Forgets what was turned away so far, as a checkpoint of an older release at the newest index does.
    pub fn count_from_here(&mut self) {
        self.counted_from = self.applied;
        self.partitions.values_mut().for_each(Partition::count_anew);
    }

    /// Appends the whole state to `out`. The same state gives the same bytes.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(STATE_VERSION);
        out.put_u64(self.applied.0);
        out.put_u64(self.term.0);
        out.put_u64(self.counted_from.0);
        out.put_length(self.partitions.len());
        let mut sorted: Vec<_> = self.partitions.iter().collect();
        sorted.sort_unstable_by_key(|(tp, _)| **tp);
        for (tp, partition) in sorted {
            out.put_topic_partition(*tp);
            partition.encode(out);
        }
        self.groups.encode(out);
        self.accounts.encode(out);
        out.put_option(self.journal.as_ref(), |out, journal| journal.encode(out));
    }

    /// Reads the state from the front of `bytes`.
    pub fn decode(bytes: &mut Bytes) -> Result<DataGroup, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.version("a data group's state", STATE_VERSION)?;
        let applied = LogIndex(reader.u64("the applied index")?);
        let term = Term(reader.u64("the applied term")?);
        let counted_from =
            if version < 3 { applied } else { LogIndex(reader.u64("the index that counts begin behind")?) };
        let count = reader.count("partitions", 23)?;
        let mut partitions = IdMap::default();
        partitions.reserve(count);
        for _ in 0..count {
            let tp = reader.topic_partition("a partition")?;
            partitions.insert(tp, Partition::decode(&mut reader, version)?);
        }
        let groups = Groups::decode(bytes)?;
        if version < 2 {
            return Ok(DataGroup { applied, term, counted_from, partitions, groups, ..DataGroup::default() });
        }
        let accounts = Accounts::decode(bytes)?;
        let mut reader = Reader::new(bytes);
        let journal = reader.option("the journal", |reader| Partition::decode(reader, version))?;
        Ok(DataGroup { applied, term, counted_from, partitions, groups, accounts, journal })
    }
}
