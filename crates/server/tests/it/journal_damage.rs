//! A journal with a hole: what it told is missing by name, and what is behind it is told.

use std::time::Duration;

use tallymq_broker::account::{
    Happening, JournalEvent,
    journal::{JOURNAL_TOPIC, decode},
};
use tallymq_gateway::kafka::ErrorCode;
use tallymq_model::{BatchHeader, Offset, RaftGroup};
use tallymq_server::books::{
    EndedFilter, ended,
    trace::{Question, Trace, Wanted, trace},
};
use tallymq_storage::disk::{Disk, OpenMode};

use crate::{
    accounts::{called, filled},
    client::{fetch, values_of},
    disks::TestDisk,
    ended::delete_group,
    world::{Broker, start_on},
};

/// Takes the batch out of a journal that has this event. Which events that were.
fn cut_out(disk: &TestDisk, data: RaftGroup, is_it: impl Fn(&JournalEvent) -> bool) -> (Offset, Offset) {
    let at = format!("topics/{JOURNAL_TOPIC}/{data}");
    let segment = disk.list(&at).unwrap().into_iter().find(|entry| entry.name.ends_with(".log")).unwrap();
    let file = disk.open(&format!("{at}/{}", segment.name), OpenMode::Write).unwrap();
    let mut bytes = vec![0; file.size_bytes().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    let mut position = 0;
    loop {
        let header = BatchHeader::parse_prefix(&bytes[position..]).unwrap();
        let batch = position..position + header.size_bytes;
        if decode(&bytes[batch.clone()]).unwrap().iter().any(|(_, event)| is_it(event)) {
            bytes.drain(batch);
            file.set_size(bytes.len() as u64).unwrap();
            file.write_at(&[&bytes], 0).unwrap();
            return (header.base_offset, header.next_offset());
        }
        position = batch.end;
    }
}

/// What a trace tells of offset 1, and of the journal.
async fn told(broker: &Broker) -> (Vec<&'static str>, Trace) {
    let question = Question {
        topic: "t".to_owned(),
        wanted: Wanted::Place(Offset(1)),
        partition: Some(0),
        since: None,
        until: None,
        records_max: 10,
        resume: None,
        time_max: Duration::from_secs(60),
    };
    let trace = trace(broker.0.node(), &question).await.unwrap();
    let group = trace.records[0].groups.iter().find(|group| group.group == "g").unwrap();
    (group.events.iter().map(|event| event.what).collect(), trace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_journal_hides_only_what_it_took() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 5).await;
    let mut client = called(&broker, "c").await;
    for group in ["h", "g"] {
        assert_eq!(client.commit(group, "t", 0).await, ErrorCode::None);
    }
    delete_group(&mut client, "h").await;
    assert_eq!(values_of(&client.fetch(fetch("t", 0)).await).len(), 5);
    for to in [2, 0, 5] {
        assert_eq!(client.commit("g", "t", to).await, ErrorCode::None);
    }
    let (told_whole, _) = told(&broker).await;
    assert_eq!(told_whole, ["opened", "delivered", "acknowledged", "reset", "acknowledged"]);
    let (_, data) = broker.0.node().topic("t").unwrap().topic_partitions().next().unwrap();
    broker.stop().await;

    let is_first = |event: &JournalEvent| matches!(event.what, Happening::Committed { to: Offset(2), .. });
    let (from, to) = cut_out(&disk, data, is_first);
    let again = start_on(&disk, &[]).await;
    delete_group(&mut called(&again, "c").await, "g").await;
    let named = format!("data group {data}, events {from} to {}: ", to.plus(-1));
    let (told_behind, trace) = told(&again).await;
    assert_eq!(told_behind, ["opened", "delivered", "acknowledged", "closed"], "the last one acknowledges");
    assert_eq!(trace.journal.unreadable.len(), 1, "{:?}", trace.journal);
    assert!(trace.journal.unreadable[0].contains(&named), "{named}: {:?}", trace.journal);
    assert!(trace.journal.complete, "it was read to its end");

    let filter =
        EndedFilter { topic: None, group: None, partitions_max: 10, time_max: Duration::from_secs(60) };
    let report = ended(again.0.node(), &filter).await.unwrap();
    let groups: Vec<&str> = report.ended.iter().map(|row| row.account.group.as_str()).collect();
    assert_eq!(groups, ["g", "h"], "behind the hole, and in front of it");
    assert_eq!((report.complete, &report.unreadable), (true, &trace.journal.unreadable));
    again.stop().await;
}
