//! What is written to a data group's log, and its encoding. A command was admitted by the leader and stamped with its
//! clock; it decides nothing by itself.

use bytes::Bytes;
use tallymq_model::{BatchHeader, LeaderEpoch, Offset, Timestamp, TopicPartition};

use crate::account::AccountCommand;
use crate::codec::{DecodeError, Parts, Reader};
use crate::group::{GroupCommand, GroupId};

const VERSION: u8 = 1;
const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const PRODUCE: u8 = 3;
const MOVE_LOG_START: u8 = 4;
const EXPIRE_PRODUCERS: u8 = 5;
const GROUP: u8 = 6;
const ACCOUNT: u8 = 7;
const ADD: u8 = 8;

/// One command of a data group.
#[derive(Clone, Debug, PartialEq)]
pub enum DataCommand {
    /// Makes partitions exist here. Idempotent.
    OpenPartitions {
        /// Which, each with the epoch it starts at.
        partitions: Vec<OpenPartition>,
    },
    /// The same for partitions that were added to a topic: those that are new are accounted for from their beginning, in the
    /// same step, for every group that keeps an account of the topic, wherever its other partitions live.
    AddPartitions {
        /// Which, each with the epoch it starts at.
        partitions: Vec<OpenPartition>,
        /// The groups.
        groups: Vec<GroupId>,
        /// The leader's clock.
        at: Timestamp,
    },
    /// Removes partitions and everything about them. Idempotent.
    ClosePartitions {
        /// Which.
        partitions: Vec<TopicPartition>,
    },
    /// Appends one record batch.
    Produce(Produce),
    /// Gives up the records before an offset.
    MoveLogStart(MoveLogStart),
    /// Forgets idempotent producers that have been idle for too long (`producer.id.expiration.ms`).
    ExpireProducers {
        /// Producers whose last append was before this are forgotten, in every partition.
        idle_before: Timestamp,
    },
    /// About a consumer group that is coordinated here, or about positions in partitions that are here.
    Group(GroupCommand),
    /// About the accounts of partitions that are here.
    Account(AccountCommand),
}

/// A partition to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPartition {
    /// The partition.
    pub tp: TopicPartition,
    /// The leader epoch it has now: 0 for a new one; above its last one for a partition that comes from another group.
    pub leader_epoch: LeaderEpoch,
}

/// One record batch on its way into a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produce {
    /// The partition.
    pub tp: TopicPartition,
    /// `batch`'s header, parsed. Its base offset and leader epoch mean nothing yet.
    pub header: BatchHeader,
    /// The whole batch, as admitted.
    pub batch: Bytes,
    /// The leader's clock at admission.
    pub now: Timestamp,
}

/// The log start of a partition moves up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveLogStart {
    /// The partition.
    pub tp: TopicPartition,
    /// The first offset that is kept; at most the log end.
    pub to: Offset,
    /// Why the records before it go.
    pub why: LogStartReason,
    /// The leader's clock.
    pub now: Timestamp,
}

/// Why records are given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogStartReason {
    /// `retention.ms`: they are too old.
    RetentionTime,
    /// `retention.bytes`: there are too many.
    RetentionSize,
    /// A person or program asked for it (DeleteRecords).
    DeleteRecords {
        /// Who: principal, client id and address.
        by: String,
    },
}

impl DataCommand {
    /// Appends the encoding to `out`; a batch is linked, not copied.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(VERSION);
        match self {
            DataCommand::OpenPartitions { partitions } => {
                out.put_u8(OPEN);
                put_opens(out, partitions);
            }
            DataCommand::AddPartitions { partitions, groups, at } => {
                out.put_u8(ADD);
                put_opens(out, partitions);
                out.put_length(groups.len());
                groups.iter().for_each(|group| out.put_text(group.as_str()));
                out.put_i64(at.0);
            }
            DataCommand::ClosePartitions { partitions } => {
                out.put_u8(CLOSE);
                out.put_length(partitions.len());
                for tp in partitions {
                    out.put_topic_partition(*tp);
                }
            }
            DataCommand::Produce(produce) => {
                out.put_u8(PRODUCE);
                out.put_topic_partition(produce.tp);
                out.put_i64(produce.now.0);
                out.put_bytes(&produce.batch);
            }
            DataCommand::MoveLogStart(moved) => {
                out.put_u8(MOVE_LOG_START);
                moved.encode(out);
            }
            DataCommand::ExpireProducers { idle_before } => {
                out.put_u8(EXPIRE_PRODUCERS);
                out.put_i64(idle_before.0);
            }
            DataCommand::Group(command) => {
                out.put_u8(GROUP);
                command.encode(out);
            }
            DataCommand::Account(command) => {
                out.put_u8(ACCOUNT);
                command.encode(out);
            }
        }
    }

    /// Reads one command from the front of `bytes`; a batch shares their memory.
    pub fn decode(bytes: &mut Bytes) -> Result<DataCommand, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.version("a data command", VERSION)?;
        match reader.u8("a data command's kind")? {
            OPEN => Ok(DataCommand::OpenPartitions { partitions: read_opens(&mut reader)? }),
            ADD => {
                let partitions = read_opens(&mut reader)?;
                let count = reader.count("accounting groups", 1)?;
                let group = |_| reader.text("an accounting group").map(GroupId::from);
                let groups = (0..count).map(group).collect::<Result<_, _>>()?;
                let at = Timestamp(reader.i64("the time of an addition")?);
                Ok(DataCommand::AddPartitions { partitions, groups, at })
            }
            CLOSE => {
                let count = reader.count("closed partitions", 17)?;
                let partitions = (0..count)
                    .map(|_| reader.topic_partition("a closed partition"))
                    .collect::<Result<_, _>>()?;
                Ok(DataCommand::ClosePartitions { partitions })
            }
            PRODUCE => read_produce(&mut reader).map(DataCommand::Produce),
            MOVE_LOG_START => MoveLogStart::decode(&mut reader).map(DataCommand::MoveLogStart),
            EXPIRE_PRODUCERS => {
                Ok(DataCommand::ExpireProducers { idle_before: Timestamp(reader.i64("an expiry time")?) })
            }
            GROUP => GroupCommand::decode(bytes).map(DataCommand::Group),
            ACCOUNT => AccountCommand::decode(bytes).map(DataCommand::Account),
            found => Err(DecodeError::Variant { what: "a data command", found }),
        }
    }

    /// About how many bytes the encoding takes; never far below it.
    pub fn size_bytes(&self) -> usize {
        match self {
            DataCommand::OpenPartitions { partitions } => 8 + partitions.len() * 26,
            DataCommand::AddPartitions { partitions, groups, .. } => {
                let names: usize = groups.iter().map(|group| 4 + group.as_str().len()).sum();
                24 + partitions.len() * 26 + names
            }
            DataCommand::ClosePartitions { partitions } => 8 + partitions.len() * 21,
            DataCommand::Produce(produce) => 48 + produce.batch.len(),
            DataCommand::MoveLogStart(moved) => match &moved.why {
                LogStartReason::DeleteRecords { by } => 64 + by.len(),
                _ => 64,
            },
            DataCommand::ExpireProducers { .. } => 16,
            DataCommand::Group(command) => 2 + group_command_bytes(command),
            DataCommand::Account(command) => 2 + command.size_bytes(),
        }
    }
}

/// Commits are frequent and counted; the others are rare and many-shaped: their size is that of their encoding.
fn group_command_bytes(command: &GroupCommand) -> usize {
    if let GroupCommand::CommitPositions { group, positions, by, .. } = command {
        let metadata: usize = positions.iter().map(|commit| commit.metadata.len()).sum();
        return 48 + by.size_bytes() + group.as_str().len() + positions.len() * 64 + metadata;
    }
    let mut parts = Parts::new();
    command.encode(&mut parts);
    parts.len()
}

impl MoveLogStart {
    fn encode(&self, out: &mut Parts) {
        out.put_topic_partition(self.tp);
        out.put_i64(self.to.0);
        out.put_i64(self.now.0);
        self.why.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<MoveLogStart, DecodeError> {
        let tp = reader.topic_partition("a log start's partition")?;
        let to = Offset(reader.i64("a log start")?);
        let now = Timestamp(reader.i64("a log start's time")?);
        let why = LogStartReason::decode(reader)?;
        Ok(MoveLogStart { tp, to, why, now })
    }
}

impl LogStartReason {
    pub(crate) fn encode(&self, out: &mut Parts) {
        match self {
            LogStartReason::RetentionTime => out.put_u8(0),
            LogStartReason::RetentionSize => out.put_u8(1),
            LogStartReason::DeleteRecords { by } => {
                out.put_u8(2);
                out.put_text(by);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<LogStartReason, DecodeError> {
        match reader.u8("a log start's reason")? {
            0 => Ok(LogStartReason::RetentionTime),
            1 => Ok(LogStartReason::RetentionSize),
            2 => Ok(LogStartReason::DeleteRecords { by: reader.text("who deleted records")? }),
            found => Err(DecodeError::Variant { what: "a log start's reason", found }),
        }
    }
}

fn put_opens(out: &mut Parts, partitions: &[OpenPartition]) {
    out.put_length(partitions.len());
    for open in partitions {
        out.put_topic_partition(open.tp);
        out.put_i32(open.leader_epoch.0);
    }
}

fn read_opens(reader: &mut Reader<'_>) -> Result<Vec<OpenPartition>, DecodeError> {
    let count = reader.count("opened partitions", 18)?;
    (0..count)
        .map(|_| {
            let tp = reader.topic_partition("an opened partition")?;
            Ok(OpenPartition { tp, leader_epoch: LeaderEpoch(reader.i32("a first epoch")?) })
        })
        .collect()
}

fn read_produce(reader: &mut Reader<'_>) -> Result<Produce, DecodeError> {
    let tp = reader.topic_partition("a produced partition")?;
    let now = Timestamp(reader.i64("a produce time")?);
    let batch = reader.bytes("a produced batch")?;
    let header = BatchHeader::parse(&batch)?;
    if header.size_bytes != batch.len() {
        return Err(DecodeError::Range("a produced batch's length"));
    }
    header.check_count()?;
    if header.has_producer() && header.base_sequence.0 < 0 {
        return Err(DecodeError::Range("a produced batch's sequence"));
    }
    Ok(Produce { tp, header, batch, now })
}
