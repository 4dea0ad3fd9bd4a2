//! What accounts cost, measured: appends beside many accounts, a thousand groups on a hundred partitions, a million
//! interleaved deliveries, and deliveries, receipts and acknowledgements of handlers that end in any order. Prints figures and asserts none; run it in a build with optimization.
#![allow(missing_docs, clippy::disallowed_methods)]

use std::time::Instant;

use bytes::Bytes;
use tallymq_broker::account::{
    AccountCommand, Committer, CommitterKind, Delivery, Reader, Receipt, ReceiptOutcome, Who, Witness,
    recompute,
};
use tallymq_broker::data::{DataCommand, DataGroup, OpenPartition, Produce};
use tallymq_broker::group::GroupCommand;
use tallymq_broker::group::durable::{CommitPosition, Fence};
use tallymq_broker::{ApplyContext, Parts};
use tallymq_model::{
    BatchHeader, LeaderEpoch, LogIndex, Offset, PartitionIndex, Term, Timestamp, TopicId, TopicPartition,
};

const AT: ApplyContext = ApplyContext { index: LogIndex(1), term: Term(1) };

fn tp(partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) }
}

fn opened(partitions: i32) -> DataGroup {
    let mut data = DataGroup::new();
    let open = |number| OpenPartition { tp: tp(number), leader_epoch: LeaderEpoch(0) };
    data.apply(AT, &DataCommand::OpenPartitions { partitions: (0..partitions).map(open).collect() });
    data
}

/// A batch as far as the state looks at it: its header.
fn produce(partition: i32, records: i32) -> DataCommand {
    let mut batch = vec![0; 61];
    batch[11] = 49;
    batch[16] = 2;
    batch[23..27].copy_from_slice(&(records - 1).to_be_bytes());
    batch[43..51].copy_from_slice(&(-1_i64).to_be_bytes());
    batch[57..61].copy_from_slice(&records.to_be_bytes());
    let header = BatchHeader::parse(&batch).expect("a header");
    DataCommand::Produce(Produce { tp: tp(partition), header, batch: Bytes::from(batch), now: Timestamp(1) })
}

fn who() -> Who {
    Who::new("consumer-1-0f0f0f0f-aaaa-bbbb-cccc-0123456789ab", "consumer-1", "10.11.12.13:45678")
}

fn deliver(group: &str, ranges: impl Iterator<Item = (i32, i64, i64)>) -> DataCommand {
    let deliveries = ranges.map(|(partition, from, to)| Delivery {
        tp: tp(partition),
        reader: 0,
        from: Offset(from),
        to: Offset(to),
        witness: Witness::Exact,
        at: Timestamp(2),
    });
    let readers = vec![Reader { group: group.into(), who: who(), connection: 1 }];
    DataCommand::Account(AccountCommand::Deliver { readers, deliveries: deliveries.collect() })
}

fn commit(group: &str, partition: i32, to: i64) -> DataCommand {
    let position = CommitPosition {
        partition: tp(partition),
        offset: Offset(to),
        leader_epoch: LeaderEpoch(-1),
        metadata: "".into(),
        committed_at: Timestamp(3),
    };
    let by = Committer { kind: CommitterKind::Member, who: who() };
    let (group, positions) = (group.into(), vec![position]);
    DataCommand::Group(GroupCommand::CommitPositions { group, fence: Fence::None, positions, by })
}

fn receipt(group: &str, partition: i32, at: i64) -> DataCommand {
    let (from, to) = (Offset(at), Offset(at + 1));
    let (tp, group, outcome) = (tp(partition), group.into(), ReceiptOutcome::Handled);
    let receipts = vec![Receipt { tp, group, from, to, outcome }];
    DataCommand::Account(AccountCommand::Receipts { receipts, by: who(), at: Timestamp(3) })
}

/// Resident memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn appends() {
    for groups in [0, 1, 1_000] {
        let mut data = opened(1);
        (0..groups)
            .for_each(|group| drop(data.apply(AT, &deliver(&format!("g{group}"), [(0, 0, 0)].into_iter()))));
        let command = produce(0, 1);
        let began = Instant::now();
        (0..1_000_000).for_each(|_| drop(data.apply_noting(AT, &command)));
        println!("append beside {groups} accounts: {:.0} ns", began.elapsed().as_nanos() as f64 / 1e6);
    }
}

fn many_accounts() {
    let mut data = opened(100);
    (0..100).for_each(|partition| drop(data.apply(AT, &produce(partition, 100))));
    let before = resident_kib();
    let began = Instant::now();
    for group in 0..1_000 {
        let name = format!("group-{group}");
        data.apply(AT, &deliver(&name, (0..100).map(|partition| (partition, 0, 50))));
    }
    let opened_in = began.elapsed();
    let grown = resident_kib() - before;
    let (accounts, began) = (data.accounts().len(), Instant::now());
    let mut parts = Parts::new();
    data.encode(&mut parts);
    let encoded_in = began.elapsed();
    println!(
        "{accounts} accounts: opened in {opened_in:.2?}, {grown} KiB of memory, {} KiB of checkpoint in {encoded_in:.2?}",
        parts.len() / 1024
    );
    let began = Instant::now();
    let (_, noted) =
        data.apply_noting(AT, &DataCommand::Account(AccountCommand::MarksMayBeMissing { at: Timestamp(9) }));
    println!(
        "a leader begins: {:.2?}, {} events",
        began.elapsed(),
        noted.map_or(0, |noted| noted.events.len())
    );
}

fn healthy() {
    let mut data = opened(1);
    let began = Instant::now();
    for at in 0..200_000 {
        data.apply_noting(AT, &produce(0, 10));
        data.apply_noting(AT, &deliver("g", [(0, at * 10, at * 10 + 10)].into_iter()));
        data.apply_noting(AT, &commit("g", 0, at * 10 + 10));
    }
    println!("produce, deliver, commit: {:.0} ns", began.elapsed().as_nanos() as f64 / 2e5);
    let began = Instant::now();
    for at in 0..200_000 {
        data.apply_noting(AT, &produce(0, 10));
        let to = commit("h", 0, at * 10 + 10);
        let DataCommand::Group(GroupCommand::CommitPositions { group, fence, positions, .. }) = to else {
            return;
        };
        let by = Committer::default();
        let unaccounted = GroupCommand::CommitPositions { group, fence, positions, by };
        data.apply_noting(AT, &DataCommand::Group(unaccounted));
    }
    println!("produce, commit without an account: {:.0} ns", began.elapsed().as_nanos() as f64 / 2e5);
}

fn interleaved() {
    let mut data = opened(1);
    (0..2_000).for_each(|_| drop(data.apply(AT, &produce(0, 1_000))));
    let began = Instant::now();
    let mut events = Vec::new();
    let mut bytes = 0;
    for at in 0..1_000_000 {
        let (_, noted) = data.apply_noting(AT, &deliver("g", [(0, at * 2, at * 2 + 1)].into_iter()));
        let Some(noted) = noted else { continue };
        bytes += noted.batches().iter().map(|batch| batch.bytes.len()).sum::<usize>();
        events.extend((noted.base_offset.0..).map(Offset).zip(noted.events));
    }
    let (_, _, view) = data.account_views(|_, _| true).next().expect("an account");
    println!(
        "a million interleaved deliveries: {:.2?}, {} of them merged, {} MiB of journal, balanced: {}",
        began.elapsed(),
        view.tallies.merged_records,
        bytes >> 20,
        view.imbalances.is_empty()
    );
    let began = Instant::now();
    let differences = recompute::compare(&events, data.accounts(), |tp| data.ledger(tp));
    println!(
        "recomputed from {} events: {:.2?}, {} differences",
        events.len(),
        began.elapsed(),
        differences.len()
    );
    let began = Instant::now();
    (0..1_000_000).for_each(|_| drop(data.apply_noting(AT, &commit("g", 0, 2_000_000))));
    println!("a commit, mostly of the same position: {:.0} ns", began.elapsed().as_nanos() as f64 / 1e6);
}

/// Records are delivered one at a time; handlers end in another order, a hundred records apart; the position follows behind.
fn handled_in_any_order() {
    const RECORDS: i64 = 333_300;
    const APART: i64 = 100;
    let mut data = opened(1);
    (0..RECORDS / 100).for_each(|_| drop(data.apply(AT, &produce(0, 100))));
    let began = Instant::now();
    let mut events = Vec::new();
    let mut note = |data: &mut DataGroup, command: DataCommand| {
        let (_, noted) = data.apply_noting(AT, &command);
        let Some(noted) = noted else { return };
        events.extend((noted.base_offset.0..).map(Offset).zip(noted.events));
    };
    for at in 0..RECORDS {
        note(&mut data, deliver("g", [(0, at, at + 1)].into_iter()));
        // Of each hundred the last one first.
        let (hundred, of_it) = (at / APART - 1, at % APART);
        if hundred >= 0 {
            note(&mut data, receipt("g", 0, hundred * APART + APART - 1 - of_it));
            note(&mut data, commit("g", 0, hundred * APART + of_it));
        }
    }
    let took = began.elapsed();
    let differences = recompute::compare(&events, data.accounts(), |tp| data.ledger(tp));
    let (_, _, view) = data.account_views(|_, _| true).next().expect("an account");
    println!(
        "a million deliveries, receipts and acknowledgements: {took:.2?}, {} handled, {} differences, balanced: {}",
        view.handled,
        differences.len(),
        view.imbalances.is_empty()
    );
}

fn main() {
    appends();
    healthy();
    many_accounts();
    interleaved();
    handled_in_any_order();
}
