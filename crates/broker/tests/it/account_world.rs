//! A data group with accounts, driven as the leader's shells would: produces, deliveries, commits. Keeps the journal.

use bytes::Bytes;
use tallymq_broker::account::recompute::{self, Difference};
use tallymq_broker::account::{
    AccountCommand, AccountOutcome, AccountView, Alarm, Class, Committer, CommitterKind, Delivery,
    JournalEvent, OpenFrom, Reader, Receipt, ReceiptOutcome, Who, Witness, journal,
};
use tallymq_broker::data::{
    DataCommand, DataGroup, DataOutcome, LogStartReason, MoveLogStart, OpenPartition, Produce,
};
use tallymq_broker::group::durable::{CommitPosition, Fence};
use tallymq_broker::group::{GroupCommand, GroupId};
use tallymq_broker::{ApplyContext, Parts};
use tallymq_model::{LeaderEpoch, LogIndex, Offset, Term, Timestamp, TopicPartition};

use crate::batches::{Draft, tp};

const CONTROL: i16 = 1 << 5;

pub struct World {
    pub data: DataGroup,
    pub journal: Vec<(Offset, JournalEvent)>,
    index: u64,
    now: i64,
}

pub fn who(member: &str) -> Who {
    Who::new(member, "client-1", "10.0.0.7")
}

fn committer(kind: CommitterKind, member: &str) -> Committer {
    Committer { kind, who: who(member) }
}

impl World {
    /// One topic with so many partitions.
    pub fn new(partitions: i32) -> World {
        let mut world = World { data: DataGroup::new(), journal: Vec::new(), index: 0, now: 1_000 };
        let open = |number| OpenPartition { tp: tp(1, number), leader_epoch: LeaderEpoch(0) };
        let partitions = (0..partitions).map(open).collect();
        world.apply(DataCommand::OpenPartitions { partitions });
        world
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.now)
    }

    pub fn apply(&mut self, command: DataCommand) -> DataOutcome {
        self.index += 1;
        self.now += 1;
        // Every command takes the way over its bytes.
        let mut parts = Parts::new();
        command.encode(&mut parts);
        assert!(
            parts.len() <= command.size_bytes(),
            "{} bytes, promised {}",
            parts.len(),
            command.size_bytes()
        );
        let mut bytes = parts.into_bytes();
        let read = DataCommand::decode(&mut bytes).unwrap();
        assert_eq!(read, command);
        let at = ApplyContext { index: LogIndex(self.index), term: Term(1) };
        let (outcome, noted) = self.data.apply_noting(at, &read);
        if let Some(noted) = noted {
            let batches: Vec<u8> = noted.batches().iter().flat_map(|batch| batch.bytes.to_vec()).collect();
            let events = journal::decode(&batches).unwrap();
            assert_eq!(events.iter().map(|(_, event)| event.clone()).collect::<Vec<_>>(), noted.events);
            self.journal.extend(events);
        }
        outcome
    }

    pub fn account(&mut self, command: AccountCommand) -> AccountOutcome {
        match self.apply(DataCommand::Account(command)) {
            DataOutcome::Account(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    pub fn produce(&mut self, partition: i32, records: i32) {
        self.produce_draft(partition, &Draft { records, ..Draft::default() });
    }

    pub fn produce_control(&mut self, partition: i32) {
        self.produce_draft(partition, &Draft { records: 1, attributes: CONTROL, ..Draft::default() });
    }

    fn produce_draft(&mut self, partition: i32, draft: &Draft) {
        let (header, batch) = (draft.header(), draft.build());
        let now = self.now();
        let produce = Produce { tp: tp(1, partition), header, batch, now };
        assert!(matches!(self.apply(DataCommand::Produce(produce)), DataOutcome::Produced(Ok(_))));
    }

    pub fn deliver(&mut self, group: &str, partition: i32, from: i64, to: i64) {
        self.deliver_witnessed(group, partition, (from, to), Witness::Exact);
    }

    pub fn deliver_witnessed(&mut self, group: &str, partition: i32, range: (i64, i64), witness: Witness) {
        let delivery = Delivery {
            tp: tp(1, partition),
            reader: 0,
            from: Offset(range.0),
            to: Offset(range.1),
            witness,
            at: self.now(),
        };
        let readers = vec![Reader { group: group.into(), who: who("member-1"), connection: 9 }];
        self.account(AccountCommand::Deliver { readers, deliveries: vec![delivery] });
    }

    pub fn commit(&mut self, group: &str, partition: i32, to: i64) {
        self.commit_by(group, partition, to, Fence::None, committer(CommitterKind::Member, "member-1"));
    }

    pub fn reset(&mut self, group: &str, partition: i32, to: i64) {
        self.commit_by(group, partition, to, Fence::None, committer(CommitterKind::Admin, ""));
    }

    pub fn commit_at_generation(&mut self, group: &str, partition: i32, to: i64, generation: i32) {
        let by = committer(CommitterKind::Member, "member-1");
        self.commit_by(group, partition, to, Fence::Generation(generation), by);
    }

    pub fn commit_by(&mut self, group: &str, partition: i32, to: i64, fence: Fence, by: Committer) {
        let position = CommitPosition {
            partition: tp(1, partition),
            offset: Offset(to),
            leader_epoch: LeaderEpoch(-1),
            metadata: "".into(),
            committed_at: self.now(),
        };
        let (group, positions) = (group.into(), vec![position]);
        self.apply(DataCommand::Group(GroupCommand::CommitPositions { group, fence, positions, by }));
    }

    pub fn log_start(&mut self, partition: i32, to: i64, why: LogStartReason) {
        let now = self.now();
        self.apply(DataCommand::MoveLogStart(MoveLogStart {
            tp: tp(1, partition),
            to: Offset(to),
            why,
            now,
        }));
    }

    pub fn expire(&mut self, partition: i32, to: i64) {
        self.log_start(partition, to, LogStartReason::RetentionTime);
    }

    pub fn purge(&mut self, partition: i32, to: i64) {
        self.log_start(partition, to, LogStartReason::DeleteRecords { by: "User:somebody".to_owned() });
    }

    pub fn lose(&mut self, partition: i32, from: i64, to: i64) {
        let (tp, from, to) = (tp(1, partition), Offset(from), Offset(to));
        let at = self.now();
        self.account(AccountCommand::Lost { tp, from, to, why: "bad checksum".into(), at });
    }

    pub fn receipt(&mut self, group: &str, partition: i32, range: (i64, i64), outcome: ReceiptOutcome) {
        let (from, to) = (Offset(range.0), Offset(range.1));
        let receipt = Receipt { tp: tp(1, partition), group: group.into(), from, to, outcome };
        let (by, at) = (who("member-1"), self.now());
        self.account(AccountCommand::Receipts { receipts: vec![receipt], by, at });
    }

    pub fn open(&mut self, group: &str, partitions: &[i32], from: OpenFrom) -> AccountOutcome {
        let partitions = partitions.iter().map(|number| tp(1, *number)).collect();
        let (group, by, at) = (group.into(), who(""), self.now());
        self.account(AccountCommand::OpenAccount { group, partitions, from, by, at })
    }

    /// A leader that ended without a word is followed by another one.
    pub fn crash(&mut self) {
        let at = self.now();
        self.account(AccountCommand::MarksMayBeMissing { at });
    }

    pub fn stop(&mut self) {
        let at = self.now();
        self.account(AccountCommand::MarksComplete { at });
    }

    pub fn trim(&mut self, to: Offset) {
        let at = self.now();
        self.account(AccountCommand::TrimJournal { to, at });
        let (log_start, _) = self.data.journal_bounds();
        self.journal.retain(|(offset, _)| *offset >= log_start);
    }

    pub fn delete_positions(&mut self, group: &str, partitions: Option<Vec<TopicPartition>>) {
        let group = group.into();
        self.apply(DataCommand::Group(GroupCommand::DeletePositions { group, partitions }));
    }

    /// What a restart from a checkpoint does.
    pub fn restart(&mut self) {
        let bytes = self.encoded();
        let mut rest = bytes.clone();
        let restored = DataGroup::decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(restored, self.data);
        self.data = restored;
        assert_eq!(self.encoded(), bytes, "the same state gives the same bytes");
    }

    pub fn encoded(&self) -> Bytes {
        let mut parts = Parts::new();
        self.data.encode(&mut parts);
        parts.into_bytes()
    }

    pub fn view(&self, group: &str, partition: i32) -> AccountView {
        let ledger = self.data.ledger(tp(1, partition)).unwrap();
        let account = self.data.accounts().account(tp(1, partition), &GroupId::from(group));
        account.expect("an open account").view(ledger)
    }

    pub fn has_account(&self, group: &str, partition: i32) -> bool {
        self.data.accounts().account(tp(1, partition), &GroupId::from(group)).is_some()
    }

    /// The classes of partition 0 that are not empty, by name.
    pub fn classes(&self, group: &str) -> Vec<(&'static str, u64)> {
        let view = self.view(group, 0);
        assert_eq!(view.imbalances, []);
        view.classes
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| (class.name(), count))
            .collect()
    }

    /// Offsets of partition 0 with something exceptional.
    pub fn exceptional(&self, group: &str) -> Vec<(i64, i64, Class)> {
        let intervals = self.view(group, 0).exceptional;
        let class = |mark: tallymq_broker::account::Mark| mark.class().unwrap();
        intervals.iter().map(|interval| (interval.from.0, interval.to.0, class(interval.mark))).collect()
    }

    pub fn alarms(&self) -> Vec<&Alarm> {
        self.data.accounts().alarms().iter().collect()
    }

    pub fn differences(&self) -> Vec<Difference> {
        recompute::compare(&self.journal, self.data.accounts(), |tp| self.data.ledger(tp))
    }

    /// Every equation comes out, and the journal says the same.
    pub fn assert_balanced(&self) {
        for (tp, group, view) in self.data.account_views(|_, _| true) {
            assert_eq!(view.imbalances, [], "{group} in {tp}");
        }
        let differences = self.differences();
        assert!(differences.is_empty(), "{differences:#?}");
    }
}
