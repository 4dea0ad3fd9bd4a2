//! What accounts read back from a disk: their commands, their part of a checkpoint, their journal. What is taken must come out
//! the same when it is written and read again.

use bytes::Bytes;
use tallymq_broker::{
    ApplyContext, Parts,
    account::{
        AccountCommand, Committer, CommitterKind, Delivery, JournalEvent, OpenFrom, Reader, Receipt,
        ReceiptOutcome, StoredBy, StoredRun, TOLD_RANGES_MAX, Who, Witness,
        journal::{self, JournalAppend},
        receipts_in,
    },
    data::{DataCommand, DataGroup, OpenPartition},
};
use tallymq_model::{
    LeaderEpoch, LogIndex, Offset, PartitionIndex, Term, Timestamp, TopicId, TopicPartition,
    batch::{CRC_START, HEADER_BYTES, crc32c},
};

use super::Target;

const AT: Timestamp = Timestamp(1_000);
const CONTEXT: ApplyContext = ApplyContext { index: LogIndex(4), term: Term(2) };

fn tp(number: i32) -> TopicPartition {
    TopicPartition { topic: TopicId::default(), partition: PartitionIndex(number) }
}

fn who() -> Who {
    Who::new("member", "client", "127.0.0.1")
}

/// One of each kind.
pub(super) fn commands() -> Vec<DataCommand> {
    let delivery = |number, to| {
        let (from, witness) = (Offset(0), Witness::Possible);
        Delivery { tp: tp(number), reader: 0, from, to: Offset(to), witness, at: AT }
    };
    let readers = vec![Reader { group: "group".into(), who: who(), connection: 7 }];
    let receipt = Receipt {
        tp: tp(0),
        group: "group".into(),
        from: Offset(0),
        to: Offset(3),
        outcome: ReceiptOutcome::Handled,
    };
    let by = Committer { kind: CommitterKind::Member, who: who() };
    let run = |from, to| StoredRun { from: Offset(from), to: Offset(to), at: AT };
    let runs = vec![run(0, 2), run(5, 6)];
    let stored = StoredBy { tp: tp(0), who: who(), connection: 9, at: AT, runs };
    let all = [
        AccountCommand::Deliver { readers, deliveries: vec![delivery(0, 4), delivery(1, 0)] },
        AccountCommand::OpenAccount {
            group: "other".into(),
            partitions: vec![tp(0), tp(1)],
            from: OpenFrom::Earliest,
            by: who(),
            at: AT,
        },
        AccountCommand::Receipts { receipts: vec![receipt], by: who(), at: AT },
        AccountCommand::Refused { group: "group".into(), positions: vec![(tp(0), Offset(3))], by, at: AT },
        AccountCommand::Lost { tp: tp(0), from: Offset(0), to: Offset(3), why: "torn".into(), at: AT },
        AccountCommand::Stored { stored: vec![stored], at: AT },
        AccountCommand::MarksMayBeMissing { at: AT },
        AccountCommand::MarksComplete { at: AT },
        AccountCommand::AcknowledgeAlarms { ids: Some(vec![1, 9]), by: who(), at: AT },
        AccountCommand::TrimJournal { to: Offset(2), at: AT },
        AccountCommand::Switch { on: false, at: AT },
    ];
    all.map(DataCommand::Account).into()
}

/// A data group through its first so many commands, and its journal.
fn played(count: usize) -> (DataGroup, Vec<JournalAppend>) {
    let mut data = DataGroup::new();
    let open = |number| OpenPartition { tp: tp(number), leader_epoch: LeaderEpoch(0) };
    data.apply(CONTEXT, &DataCommand::OpenPartitions { partitions: vec![open(0), open(1)] });
    let commands = commands();
    let noted = commands.iter().take(count).filter_map(|command| data.apply_noting(CONTEXT, command).1);
    let noted = noted.collect();
    (data, noted)
}

fn encoded(encode: impl FnOnce(&mut Parts)) -> Bytes {
    let mut parts = Parts::new();
    encode(&mut parts);
    parts.into_bytes()
}

/// Receipts as clients write them into the metadata of their positions.
pub(super) fn receipts() -> Target {
    let seeds =
        ["tally1;handled=1000+25,3+100;dead=1025,2", "tally1;dead=0;later=1,2", "tally1;handled=7", "a note"];
    let run = |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let Ok(told) = receipts_in(text) else { return false };
        assert!(told.len() <= TOLD_RANGES_MAX);
        assert!(told.iter().all(|one| 0 <= one.from.0 && one.from < one.to), "no range is empty");
        !told.is_empty()
    };
    Target {
        name: "receipt-text",
        seeds: seeds.map(|seed| seed.as_bytes().to_vec()).into(),
        run: Box::new(run),
    }
}

pub(super) fn state() -> Target {
    let states = (1..=commands().len()).map(|count| played(count).0);
    let seeds = states.map(|data| encoded(|out| data.encode(out)).to_vec()).collect();
    let run = |input: &[u8]| {
        let Ok(state) = DataGroup::decode(&mut Bytes::copy_from_slice(input)) else { return false };
        state.account_views(|_, _| true).for_each(drop);
        let first = encoded(|out| state.encode(out));
        let again = DataGroup::decode(&mut first.clone()).expect("what was written can be read");
        assert_eq!(encoded(|out| again.encode(out)), first, "the same state gives the same bytes");
        true
    };
    Target { name: "account-state", seeds, run: Box::new(run) }
}

pub(super) fn journal() -> Target {
    let (_, noted) = played(usize::MAX);
    let events = noted.iter().flat_map(|append| &append.events);
    let mut seeds: Vec<Vec<u8>> = events.map(|event| encoded(|out| event.encode(out)).to_vec()).collect();
    let batches = noted.iter().flat_map(JournalAppend::batches);
    seeds.extend(batches.map(|batch| batch.bytes.to_vec()));
    let run = |input: &[u8]| {
        if let Ok(event) = JournalEvent::decode(Bytes::copy_from_slice(input)) {
            let again = JournalEvent::decode(encoded(|out| event.encode(out)));
            assert_eq!(again.as_ref(), Ok(&event), "reads back");
            return true;
        }
        // A checksum would end each try at the door.
        let mut batch = input.to_vec();
        if batch.len() >= HEADER_BYTES {
            let crc = crc32c(&batch[CRC_START..]);
            batch[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        journal::decode(&batch).is_ok_and(|events| !events.is_empty())
    };
    Target { name: "account-journal", seeds, run: Box::new(run) }
}
