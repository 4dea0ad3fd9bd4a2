//! Looking messages up: with indexes of keys and without the answer is the same, whatever is damaged or removed meanwhile, and a search
//! that was cut short goes on where it has ended.

use std::time::Duration;

use bytes::Bytes;
use tallymq_gateway::kafka::{
    ErrorCode,
    messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest},
    records::{BatchOptions, Compression, Record, build_batch},
};
use tallymq_model::{BatchHeader, Offset, TopicPartition, batch::crc32c};
use tallymq_server::books::trace::{Question, Trace, TraceError, Wanted, trace};
use tallymq_storage::disk::{Disk, OpenMode};

use crate::{
    client::{Client, answer, until},
    disks::TestDisk,
    world::{Broker, start_on},
};

const SMALL: (&str, &str) = ("log.segment.bytes", "1048576");
const BATCHES: i64 = 120;
const RECORDS_PER_BATCH: i64 = 4;

/// Every record has a key of its own, every third one a second that comes again and again.
fn key(offset: i64) -> String {
    if offset % 3 == 0 { format!("again {}", offset % 7) } else { format!("key {offset}") }
}

fn batch(base: i64) -> Bytes {
    let record = |at: i64| Record {
        key: Some(Bytes::from(key(base + at))),
        value: Some(Bytes::from(vec![at as u8; 20_000])),
        headers: vec![("parity".to_owned(), Some(Bytes::from(((base + at) % 2).to_string())))],
        ..Record::default()
    };
    let records: Vec<Record> = (0..RECORDS_PER_BATCH).map(record).collect();
    let compression = if base % 8 == 0 { Compression::Lz4 } else { Compression::None };
    build_batch(&records, &BatchOptions { compression, producer: None })
}

async fn filled(broker: &Broker) -> Client {
    let mut client = broker.client().await;
    client.create("t", 1).await;
    for number in 0..BATCHES {
        let produced = client.produce("t", batch(number * RECORDS_PER_BATCH)).await;
        assert_eq!(
            (produced.error_code, produced.base_offset),
            (ErrorCode::None, number * RECORDS_PER_BATCH)
        );
    }
    client
}

fn question(wanted: Wanted) -> Question {
    Question {
        topic: "t".to_owned(),
        wanted,
        partition: None,
        since: None,
        until: None,
        records_max: 100,
        resume: None,
        time_max: Duration::from_secs(60),
    }
}

fn by_key(key: &str) -> Question {
    question(Wanted::Key(Bytes::copy_from_slice(key.as_bytes())))
}

async fn ask(broker: &Broker, question: &Question) -> Trace {
    trace(broker.0.node(), question).await.unwrap()
}

fn offsets(trace: &Trace) -> Vec<i64> {
    let mut offsets: Vec<i64> = trace.records.iter().map(|record| record.offset).collect();
    offsets.sort_unstable();
    offsets
}

fn holding(key_wanted: &str, from: i64) -> Vec<i64> {
    (from..BATCHES * RECORDS_PER_BATCH).filter(|offset| key(*offset) == key_wanted).collect()
}

fn partition(broker: &Broker) -> TopicPartition {
    broker.0.node().topic("t").unwrap().topic_partitions().next().unwrap().0
}

fn indexed(broker: &Broker) -> Vec<(Offset, Offset)> {
    let parts = broker.0.node().keys.indexes.parts(partition(broker));
    parts.iter().map(|part| (part.from, part.to)).collect()
}

/// Asks for indexes as a lookup does, until `is_enough`.
async fn until_indexed(broker: &Broker, is_enough: impl Fn(&[(Offset, Offset)]) -> bool) {
    broker.0.node().checkpoint_all().await;
    let tp = partition(broker);
    until(|| {
        broker.0.node().keys.ask(tp);
        is_enough(&indexed(broker))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_indexes_and_without_a_key_is_found_at_the_same_places() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[SMALL]).await;
    filled(&broker).await;
    until_indexed(&broker, |parts| parts.len() >= 3).await;
    // More may become indexed while questions are asked.
    let covered = || indexed(&broker).iter().map(|(from, to)| (to.0 - from.0) as u64).sum::<u64>();
    for wanted in ["again 0", "again 5", "key 1", "key 77", "key 238", "nobody", "key 0"] {
        let before = covered();
        let answer = ask(&broker, &by_key(wanted)).await;
        assert_eq!(offsets(&answer), holding(wanted, 0), "{wanted}");
        assert!(answer.searched.complete, "{wanted}");
        assert!((before..=covered()).contains(&answer.searched.indexed_records), "{wanted}");
        assert_eq!(answer.not_here.is_some(), answer.records.is_empty());
    }
    let absent = ask(&broker, &by_key("nobody")).await;
    let unindexed = (BATCHES * RECORDS_PER_BATCH) as u64 - absent.searched.indexed_records;
    assert_eq!(absent.searched.records, unindexed, "only what has no index was read");
    assert_eq!(absent.not_here.unwrap().why, "no record in the log matches");
    broker.stop().await;

    let off = start_on(&disk, &[SMALL, ("key.index", "off")]).await;
    let answer = ask(&off, &by_key("again 0")).await;
    assert_eq!((offsets(&answer), answer.searched.indexed_records), (holding("again 0", 0), 0));
    until(|| disk.list("keys").is_err()).await;
    off.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_hides_nothing_and_is_built_again() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[SMALL]).await;
    filled(&broker).await;
    until_indexed(&broker, |parts| parts.len() >= 3).await;
    let tp = partition(&broker);
    let parts = indexed(&broker);
    for (from, _) in &parts {
        let path = format!("keys/{}/{}/{:020}.keys", tp.topic, tp.partition, from.0);
        let file = disk.open(&path, OpenMode::Write).unwrap();
        // The first posting of the first block.
        file.write_at(&[&[0xff; 8]], 96).unwrap();
    }
    for wanted in ["again 0", "key 1", "key 77", "nobody"] {
        assert_eq!(offsets(&ask(&broker, &by_key(wanted)).await), holding(wanted, 0), "{wanted}");
    }
    assert_eq!(broker.0.node().keys.indexes.stats().damaged, parts.len() as u64);
    until_indexed(&broker, |found| found.len() >= parts.len()).await;
    assert_eq!(offsets(&ask(&broker, &by_key("key 77")).await), [77]);
    broker.stop().await;
}

/// Moves what the first posting of an index points at by one offset, into a batch. Every checksum holds. Gives the key's hash.
fn mislead(disk: &TestDisk, tp: TopicPartition, (from, to): (Offset, Offset)) -> u32 {
    const BLOCK: usize = 92;
    const TABLE: usize = BLOCK + 4096;
    let path = format!("keys/{}/{}/{:020}.keys", tp.topic, tp.partition, from.0);
    let file = disk.open(&path, OpenMode::Write).unwrap();
    let mut bytes = vec![0; file.size_bytes().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), TABLE + 8 + 4, "one block and its entry");
    let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let hash = word(&bytes, BLOCK + 4);
    for at in [BLOCK + 8, TABLE + 4] {
        let batch = word(&bytes, at) + 1;
        bytes[at..at + 4].copy_from_slice(&batch.to_be_bytes());
    }
    let partition = tp.partition.0.to_be_bytes();
    let (from, to) = (from.0.to_be_bytes(), to.0.to_be_bytes());
    let identity = crc32c(&[&tp.topic.0.as_bytes()[..], &partition, &from, &to].concat());
    let sum = |number: u32, part: &[u8]| {
        crc32c(&[&identity.to_be_bytes()[..], &number.to_be_bytes(), part].concat()).to_be_bytes()
    };
    let (block, table) = (sum(0, &bytes[BLOCK + 4..TABLE]), sum(u32::MAX, &bytes[TABLE..TABLE + 8]));
    bytes[BLOCK..BLOCK + 4].copy_from_slice(&block);
    bytes[TABLE + 8..].copy_from_slice(&table);
    file.write_at(&[&bytes], 0).unwrap();
    hash
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_points_into_a_batch_hides_nothing_and_is_built_again() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[SMALL]).await;
    filled(&broker).await;
    until_indexed(&broker, |parts| parts.len() >= 3).await;
    let parts = indexed(&broker);
    let damaged = || broker.0.node().keys.indexes.stats().damaged;
    for (number, part) in (0..).zip(&parts) {
        let hash = mislead(&disk, partition(&broker), *part);
        let key = (part.0.0..part.1.0).map(key).find(|key| crc32c(key.as_bytes()) == hash).unwrap();
        assert_eq!(damaged(), number);
        for _ in 0..2 {
            assert_eq!(offsets(&ask(&broker, &by_key(&key)).await), holding(&key, 0), "{key}");
        }
        assert_eq!(damaged(), number + 1, "it was refused once");
    }
    until_indexed(&broker, |found| found.len() >= parts.len()).await;
    broker.stop().await;
}

/// Takes a batch out of the middle of the second segment. Which offsets that were.
fn cut_out(disk: &TestDisk, tp: TopicPartition) -> (Offset, Offset) {
    let at = format!("topics/{}/{}", tp.topic, tp.partition);
    let segments = disk.list(&at).unwrap();
    let segment = segments.iter().filter(|entry| entry.name.ends_with(".log")).nth(1).unwrap();
    let file = disk.open(&format!("{at}/{}", segment.name), OpenMode::Write).unwrap();
    let mut bytes = vec![0; file.size_bytes().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    let mut places = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        let header = BatchHeader::parse_prefix(&bytes[position..]).unwrap();
        places.push((position, header));
        position += header.size_bytes;
    }
    let (position, header) = places[places.len() / 2];
    bytes.drain(position..position + header.size_bytes);
    file.set_size(bytes.len() as u64).unwrap();
    file.write_at(&[&bytes], 0).unwrap();
    (header.base_offset, header.next_offset())
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_hides_only_what_it_took_with_indexes_and_without() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[SMALL, ("key.index", "off")]).await;
    filled(&broker).await;
    let tp = partition(&broker);
    broker.stop().await;
    let lost = cut_out(&disk, tp);
    let check = async |broker: &Broker| {
        for wanted in ["again 0", "again 5", "key 1", "key 77", "key 238", "nobody"] {
            let mut left = holding(wanted, 0);
            left.retain(|offset| !(lost.0.0..lost.1.0).contains(offset));
            assert_eq!(offsets(&ask(broker, &by_key(wanted)).await), left, "{wanted}");
        }
        let named = format!("offsets {} to {}: ", lost.0, lost.1.plus(-1));
        let place = Question { partition: Some(0), ..question(Wanted::Place(lost.0)) };
        let absent = ask(broker, &place).await.not_here.unwrap().why;
        assert!(absent.contains(&named), "{absent}");
        let absent = ask(broker, &by_key("nobody")).await;
        assert!(absent.not_here.unwrap().why.ends_with("a part of the log cannot be read"));
        assert_eq!(absent.searched.unreadable.len(), 1, "{:?}", absent.searched.unreadable);
        assert!(absent.searched.unreadable[0].contains(&named), "{:?}", absent.searched.unreadable);
        absent.searched.records
    };
    let off = start_on(&disk, &[SMALL, ("key.index", "off")]).await;
    assert_eq!(check(&off).await, (BATCHES * RECORDS_PER_BATCH - (lost.1.0 - lost.0.0)) as u64);
    off.stop().await;

    let on = start_on(&disk, &[SMALL]).await;
    let are_around = |parts: &[(Offset, Offset)]| {
        parts.iter().any(|part| part.1 == lost.0) && parts.iter().any(|part| part.0 == lost.1)
    };
    until_indexed(&on, |parts| are_around(parts) && parts.len() >= 4).await;
    assert!(check(&on).await < 200, "most was looked up");
    on.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_go_with_the_records_and_survive_a_restart() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[SMALL]).await;
    let mut client = filled(&broker).await;
    until_indexed(&broker, |parts| parts.len() >= 3).await;
    let parts = indexed(&broker);
    // Into the second part.
    let start = parts[1].0.0 + 5;
    client.delete_records("t", start).await;
    for wanted in ["again 0", "key 1", "key 77", "nobody"] {
        let answer = ask(&broker, &by_key(wanted)).await;
        assert_eq!(offsets(&answer), holding(wanted, start), "{wanted}: what is hidden is not found");
    }
    until_indexed(&broker, |found| found.first() == parts.get(1)).await;
    broker.stop().await;

    let again = start_on(&disk, &[SMALL]).await;
    until(|| indexed(&again).first() == parts.get(1)).await;
    assert_eq!(offsets(&ask(&again, &by_key("again 0")).await), holding("again 0", start));
    let tp = partition(&again);
    let mut client = again.client().await;
    let topics = vec![DeleteTopicState { name: Some("t".to_owned()), ..Default::default() }];
    let deleted = client.call(DeleteTopicsRequest { topics, ..Default::default() });
    assert_eq!(answer!(deleted.await, DeleteTopics).responses[0].error_code, ErrorCode::None);
    until(|| {
        again.0.node().keys.ask(tp);
        disk.list("keys").is_ok_and(|topics| topics.is_empty())
    })
    .await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_on_where_it_has_ended() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[SMALL, ("key.index", "off")]).await;
    filled(&broker).await;
    let even = Wanted::Header { name: "parity".to_owned(), value: Bytes::from_static(b"0") };
    let mut found = Vec::new();
    let mut next = Question { records_max: 7, ..question(even.clone()) };
    loop {
        let answer = ask(&broker, &next).await;
        found.extend(answer.records.iter().map(|record| record.offset));
        if answer.searched.complete {
            break;
        }
        let left = answer.searched.left_bytes.unwrap();
        assert!(left < 6 << 20, "{left}");
        next.resume = Some(answer.searched.resume.unwrap().parse().unwrap());
    }
    let expected: Vec<i64> =
        (0..BATCHES * RECORDS_PER_BATCH).filter(|offset| offset % 2 == 0).rev().collect();
    assert_eq!(found, expected, "each once, the newest first");

    // No time at all: nothing is claimed, and the way on is told.
    let hurried = Question { time_max: Duration::ZERO, ..question(even) };
    let answer = ask(&broker, &hurried).await;
    assert!(!answer.searched.complete && answer.searched.resume.is_some());
    assert!(answer.not_here.unwrap().why.contains("not found so far"));
    let unfit = Question { resume: Some("0:1,2,3".parse().unwrap()), ..hurried };
    assert_eq!(trace(broker.0.node(), &unfit).await.err(), Some(TraceError::UnfitResume));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_gets_no_index() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[SMALL, ("disk.reserve.bytes", "1000000")]).await;
    filled(&broker).await;
    let tp = partition(&broker);
    disk.set_available(10);
    until(|| broker.0.node().is_disk_nearly_full()).await;
    broker.0.node().checkpoint_all().await;
    for _ in 0..100 {
        broker.0.node().keys.ask(tp);
        assert_eq!(offsets(&ask(&broker, &by_key("key 77")).await), [77]);
    }
    assert_eq!(indexed(&broker), []);
    disk.set_available(1 << 40);
    until_indexed(&broker, |parts| parts.len() >= 3).await;
    broker.stop().await;
}

fn storer(trace: &Trace) -> Vec<(Option<String>, bool)> {
    let events = trace.records[0].log.iter().filter(|event| event.what == "stored");
    events.map(|event| (event.client_id.clone(), event.address.is_some())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_tells_which_client_stored_a_record() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut one = broker.client().await.called("one");
    let mut two = broker.client().await.called("two");
    one.create("t", 1).await;
    for turn in 0..10 {
        let client = if turn % 2 == 0 { &mut one } else { &mut two };
        let produced = client.produce("t", batch(turn * RECORDS_PER_BATCH)).await;
        assert_eq!(produced.error_code, ErrorCode::None);
    }
    let place = |offset: i64| Question { partition: Some(0), ..question(Wanted::Place(Offset(offset))) };
    let expected = |offset: i64| {
        let name = if (offset / RECORDS_PER_BATCH) % 2 == 0 { "one" } else { "two" };
        vec![(Some(name.to_owned()), true)]
    };
    for offset in 0..10 * RECORDS_PER_BATCH {
        assert_eq!(storer(&ask(&broker, &place(offset)).await), expected(offset), "offset {offset}");
    }
    assert_eq!(one.produce("t", batch(40)).await.error_code, ErrorCode::None);
    broker.stop().await;

    let again = start_on(&disk, &[]).await;
    for offset in [0, 7, 8, 39] {
        assert_eq!(storer(&ask(&again, &place(offset)).await), expected(offset));
    }
    assert_eq!(storer(&ask(&again, &place(43)).await), expected(0), "written down at the stop");
    again.stop().await;

    let off = start_on(&disk, &[("account.enabled", "false")]).await;
    let mut three = off.client().await.called("three");
    assert_eq!(three.produce("t", batch(44)).await.error_code, ErrorCode::None);
    assert_eq!(storer(&ask(&off, &place(44)).await), [], "not known");
    off.stop().await;
}
