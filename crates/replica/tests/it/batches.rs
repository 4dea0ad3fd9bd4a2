//! Batches and a data replica to feed them to.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tallymq_broker::{
    ApplyContext,
    account::{
        AccountCommand, Committer, CommitterKind, Delivery, JournalEvent, Reader, Who, Witness, journal,
    },
    data::{DataCommand, DataOutcome, OpenPartition, Produce},
    group::{
        GroupCommand,
        durable::{CommitPosition, Fence},
    },
};
use tallymq_model::{
    BatchHeader, LeaderEpoch, LogIndex, Offset, PartitionIndex, RaftGroup, Term, Timestamp, TopicId,
    TopicPartition, batch::crc32c,
};
use tallymq_replica::DataReplica;
use tallymq_storage::{
    disk::{Disk, MemoryDisk},
    log::{LogOptions, LogStore, PartitionLog, SegmentWriter, Step},
};
use uuid::Uuid;

pub const GROUP: RaftGroup = RaftGroup(1);

pub fn tp(number: i32) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_u128(77)), partition: PartitionIndex(number) }
}

/// A batch of `count` records, each nothing but its frame; from producer 9 if there is a sequence.
pub fn batch(count: i32, sequence: Option<i32>) -> Bytes {
    let mut records = Vec::new();
    for delta in 0..count as u8 {
        // length 6: attributes, timestamp delta, offset delta, null key, null value, no headers; zigzag numbers
        records.extend([12, 0, 0, delta * 2, 1, 1, 0]);
    }
    let mut out = BytesMut::new();
    out.put_i64(0);
    out.put_i32(49 + records.len() as i32);
    out.put_i32(-1);
    out.put_i8(2);
    out.put_u32(0);
    out.put_i16(0);
    out.put_i32(count - 1);
    out.put_i64(1_000);
    out.put_i64(1_000);
    out.put_i64(sequence.map_or(-1, |_| 9));
    out.put_i16(sequence.map_or(-1, |_| 0));
    out.put_i32(sequence.unwrap_or(-1));
    out.put_i32(count);
    out.put_slice(&records);
    let crc = crc32c(&out[21..]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out.freeze()
}

pub fn produce(tp: TopicPartition, count: i32, sequence: Option<i32>) -> DataCommand {
    let batch = batch(count, sequence);
    let header = BatchHeader::parse(&batch).expect("a good batch");
    DataCommand::Produce(Produce { tp, header, batch, now: Timestamp(1_000) })
}

pub fn open(partitions: impl IntoIterator<Item = i32>) -> DataCommand {
    let open = |number| OpenPartition { tp: tp(number), leader_epoch: LeaderEpoch(0) };
    DataCommand::OpenPartitions { partitions: partitions.into_iter().map(open).collect() }
}

/// A replica, its log's writer and the disk below.
pub struct Node {
    pub disk: MemoryDisk,
    pub store: Arc<LogStore>,
    pub writer: SegmentWriter,
    pub replica: DataReplica,
    pub index: u64,
}

impl Node {
    pub fn new(disk: MemoryDisk) -> Node {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let options = LogOptions { tail_cache_bytes_max: 0, ..LogOptions::default() };
        let (store, writer) = LogStore::new(shared, options);
        let replica = DataReplica::new(GROUP, store.clone());
        Node { disk, store, writer, replica, index: 0 }
    }

    pub fn apply(&mut self, command: DataCommand) -> DataOutcome {
        self.index += 1;
        self.replica.apply(ApplyContext { index: LogIndex(self.index), term: Term(2) }, command)
    }

    pub fn write_all(&mut self) {
        while self.writer.step().expect("a healthy disk") != Step::Idle {}
    }

    /// A checkpoint from begin to end; its bytes.
    pub fn checkpoint(&mut self) -> Bytes {
        let pending = self.replica.begin_checkpoint();
        self.write_all();
        let bytes = pending.finish().expect("a healthy disk").concat().into();
        self.replica.checkpoint_durable(LogIndex(self.index));
        bytes
    }

    /// All bytes of a partition, from its log start on.
    pub fn bytes(&self, tp: TopicPartition) -> Vec<u8> {
        read_all(&self.replica.view().log(tp).expect("an open partition"))
    }

    /// The accounts' journal, from its log start on.
    pub fn journal(&self) -> Vec<(Offset, JournalEvent)> {
        let Some(log) = self.replica.view().journal() else { return Vec::new() };
        let events = journal::decode(&read_all(&log)).expect("whole batches");
        // The first batch may begin before the log start.
        events.into_iter().filter(|(offset, _)| *offset >= log.log_start()).collect()
    }
}

fn read_all(log: &Arc<PartitionLog>) -> Vec<u8> {
    let (mut from, end) = log.bounds();
    let mut bytes = Vec::new();
    while from < end {
        let fetched = log.read(from, 1_000, true).expect("whole");
        fetched.pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
        from = fetched.next;
    }
    bytes
}

/// `group` was delivered `from..to`.
pub fn deliver(group: &str, tp: TopicPartition, from: i64, to: i64) -> DataCommand {
    let (from, to) = (Offset(from), Offset(to));
    let delivery = Delivery { tp, reader: 0, from, to, witness: Witness::Exact, at: Timestamp(2_000) };
    let who = Who::new("member", "client", "127.0.0.1");
    let readers = vec![Reader { group: group.into(), who, connection: 4 }];
    DataCommand::Account(AccountCommand::Deliver { readers, deliveries: vec![delivery] })
}

/// `group` commits `to`, as a member.
pub fn commit(group: &str, tp: TopicPartition, to: i64) -> DataCommand {
    let position = CommitPosition {
        partition: tp,
        offset: Offset(to),
        leader_epoch: LeaderEpoch(-1),
        metadata: "".into(),
        committed_at: Timestamp(3_000),
    };
    let by = Committer { kind: CommitterKind::Member, who: Who::new("member", "client", "127.0.0.1") };
    let (group, positions) = (group.into(), vec![position]);
    DataCommand::Group(GroupCommand::CommitPositions { group, fence: Fence::None, positions, by })
}

/// The journal before `to` goes.
pub fn trim(to: Offset) -> DataCommand {
    DataCommand::Account(AccountCommand::TrimJournal { to, at: Timestamp(4_000) })
}
