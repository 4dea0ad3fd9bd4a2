//! Accounts that have ended, as readers of the journals see them: what they were, when and why they ended; each life of a group or
//! topic by itself; and what is not known any more.

use std::time::Duration;

use tallymq_broker::{
    account::{AccountCommand, Class},
    data::DataCommand,
};
use tallymq_gateway::kafka::{
    ErrorCode,
    messages::{
        delete_groups::DeleteGroupsRequest,
        delete_topics::{DeleteTopicState, DeleteTopicsRequest},
        offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
    },
};
use tallymq_server::books::{EndedAccount, EndedFilter, EndedReport, ended};

use crate::{
    accounts::{HALF_RECEIVED, called, classes, classic, fill, filled, half_received},
    client::{Client, answer, batch, fetch, fetch_partitions, until, values_of},
    disks::TestDisk,
    groups,
    world::{Broker, start_on},
};

fn all() -> EndedFilter {
    EndedFilter { topic: None, group: None, partitions_max: 1_000, time_max: Duration::from_secs(60) }
}

async fn read(broker: &Broker, filter: &EndedFilter) -> EndedReport {
    let report = ended(broker.0.node(), filter).await.unwrap();
    assert!(report.balanced && report.complete && report.unreadable.is_empty(), "{report:?}");
    report
}

/// Group, topic, why, and what is in each class.
fn told(row: &EndedAccount) -> (&str, &str, &str, Vec<(&'static str, u64)>) {
    let classes = Class::ALL.iter().map(|class| (class.name(), row.account.classes.0.of(*class)));
    let classes = classes.filter(|(_, count)| *count > 0).collect();
    (&row.account.group, &row.account.topic, row.why, classes)
}

pub async fn delete_group(client: &mut Client, group: &str) {
    assert_eq!(groups::delete(client, group).await, ErrorCode::None);
}

async fn delete_topic(client: &mut Client, topic: &str) {
    let topics = vec![DeleteTopicState { name: Some(topic.to_owned()), ..Default::default() }];
    let deleted = client.call(DeleteTopicsRequest { topics, ..Default::default() });
    assert_eq!(answer!(deleted.await, DeleteTopics).responses[0].error_code, ErrorCode::None);
}

async fn delete_position(client: &mut Client, group: &str, topic: &str) {
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topics = vec![OffsetDeleteRequestTopic { name: topic.to_owned(), partitions }];
    let request = OffsetDeleteRequest { group_id: group.to_owned(), topics };
    let deleted = answer!(client.call(request).await, OffsetDelete);
    assert_eq!(deleted.topics[0].partitions[0].error_code, ErrorCode::None);
}

/// A group whose account was opened at `from`, and that read and committed up to `to`.
async fn has_read(client: &mut Client, group: &str, topic: &str, from: i64, to: i64) {
    assert_eq!(client.commit(group, topic, from).await, ErrorCode::None);
    assert!(!values_of(&client.fetch(fetch(topic, from)).await).is_empty());
    assert_eq!(client.commit(group, topic, to).await, ErrorCode::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_statement_says_what_a_group_left_behind_and_when_it_ended() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 10).await;
    let mut client = called(&broker, "c").await;
    has_read(&mut client, "g", "t", 0, 4).await;
    // Nothing happens to the account for a while.
    let idle = broker.0.node().now();
    until(|| broker.0.node().now().0 > idle.0 + 20).await;
    assert!(read(&broker, &all()).await.ended.is_empty());
    let before = broker.0.node().now().0;
    delete_group(&mut client, "g").await;
    let report = read(&broker, &all()).await;
    assert_eq!(report.ended.len(), 1, "{report:?}");
    let row = &report.ended[0];
    assert_eq!(told(row), ("g", "t", "group_deleted", vec![("in flight", 6), ("processed", 4)]));
    assert!((before..=report.at).contains(&row.ended_at), "{before} {row:?}");
    assert!(!row.topic_deleted && !report.more && !report.trimmed && report.known_since.is_none());
    assert_eq!((row.account.partitions[0].position, row.account.stored), (Some(4), 10));
    assert_eq!(classes(&broker, "g"), []);
    broker.stop().await;
    let again = start_on(&disk, &[]).await;
    let after = read(&again, &all()).await;
    assert_eq!((told(&after.ended[0]), after.ended[0].ended_at), (told(row), row.ended_at));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_began_again_keeps_other_books() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 2, 10).await;
    let mut client = called(&broker, "c").await;
    has_read(&mut client, "g", "t", 0, 10).await;
    delete_group(&mut client, "g").await;
    has_read(&mut client, "g", "t", 7, 9).await;
    delete_group(&mut client, "g").await;
    has_read(&mut client, "g", "t", 9, 10).await;
    let first = ("g", "t", "group_deleted", vec![("processed", 10)]);
    let second = ("g", "t", "group_deleted", vec![("in flight", 1), ("processed", 2)]);
    let report = read(&broker, &all()).await;
    let rows: Vec<_> = report.ended.iter().map(told).collect();
    assert_eq!(rows, [second, first], "newest first, and the living one is not among them");
    assert_eq!(classes(&broker, "g"), [("processed", 1)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_last_stands_in_the_statement_and_opens_no_other_account() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 4, 3).await;
    for partition in 1..4 {
        fill(&mut producer, "t", partition, 3).await;
    }
    // Wherever the group lives, partitions live there and elsewhere.
    for group in ["g", "h", "i"] {
        let mut member = classic(&broker, group, group, ("t", &[0, 1, 2, 3])).await;
        member.client.fetch(fetch_partitions("t", &[(0, 0), (1, 0), (2, 0), (3, 0)])).await;
        groups::leave(&mut member.speaker, group, member.id.clone()).await;
        delete_group(&mut member.speaker, group).await;
        let report = read(&broker, &EndedFilter { group: Some(group.to_owned()), ..all() }).await;
        let rows: Vec<_> = report.ended.iter().map(told).collect();
        assert_eq!(rows, [(group, "t", "group_deleted", vec![("in flight", 12)])]);
        assert_eq!(report.ended[0].account.partitions.len(), 4);
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_is_being_sent_when_it_is_deleted_stands_in_its_statement() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("wal.bytes", "67108864")]).await;
    let (mut producer, mut member) = half_received(&broker).await;
    groups::leave(&mut member.speaker, "g", member.id.clone()).await;
    producer.send(DeleteGroupsRequest { groups_names: vec!["g".to_owned()] }).await;
    // Time for a deletion that does not wait.
    let mut other = called(&broker, "other").await;
    assert_eq!(other.produce("t", batch("1")).await.error_code, ErrorCode::None);
    assert_eq!(values_of(&answer!(member.client.receive().await, Fetch)).len(), HALF_RECEIVED);
    let deleted = answer!(producer.receive().await, DeleteGroups);
    assert_eq!(deleted.results[0].error_code, ErrorCode::None);
    let report = read(&broker, &all()).await;
    let rows: Vec<_> = report.ended.iter().map(told).collect();
    let sent = vec![("pending", 1), ("in flight", 14), ("processed", 1)];
    assert_eq!(rows, [("g", "t", "group_deleted", sent)]);
    assert_eq!(classes(&broker, "g"), []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_takes_too_late_for_its_groups_deletion_opens_no_other_account() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("wal.bytes", "67108864")]).await;
    let (mut producer, mut member) = half_received(&broker).await;
    groups::leave(&mut member.speaker, "g", member.id.clone()).await;
    // It waits for that client, and at last no longer.
    delete_group(&mut producer, "g").await;
    assert_eq!(values_of(&answer!(member.client.receive().await, Fetch)).len(), HALF_RECEIVED);
    // A stop brings all marks into the log.
    broker.stop().await;
    let again = start_on(&disk, &[("wal.bytes", "67108864")]).await;
    let rows = read(&again, &all()).await.ended;
    let rows: Vec<_> = rows.iter().map(told).collect();
    assert_eq!(rows, [("g", "t", "group_deleted", vec![("pending", 14), ("processed", 1)])]);
    assert_eq!(classes(&again, "g"), []);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_topics_and_positions_say_so_and_keep_their_names() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut client = called(&broker, "c").await;
    has_read(&mut client, "g", "t", 0, 4).await;
    assert_eq!(client.commit("h", "t", 2).await, ErrorCode::None);
    fill(&mut producer, "t", 0, 5).await;
    delete_position(&mut client, "h", "t").await;
    delete_topic(&mut client, "t").await;
    let old = read(&broker, &all()).await.ended[0].topic_id.clone();
    let mut producer = filled(&broker, "t", 1, 3).await;
    has_read(&mut client, "g", "t", 0, 3).await;
    delete_group(&mut client, "g").await;
    delete_group(&mut client, "h").await;
    fill(&mut producer, "t", 0, 1).await;

    let again = ("g", "t", "group_deleted", vec![("processed", 3)]);
    let topic = ("g", "t", "topic_deleted", vec![("in flight", 6), ("processed", 4), ("purged", 5)]);
    let report = read(&broker, &all()).await;
    let rows: Vec<_> = report.ended.iter().map(told).collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!((&rows[0], &rows[1]), (&again, &topic));
    assert_eq!((rows[2].0, rows[2].2), ("h", "position_deleted"));
    let deleted: Vec<bool> = report.ended.iter().map(|row| row.topic_deleted).collect();
    assert_eq!(deleted, [false, true, true]);
    assert!(report.ended[0].topic_id != old && report.ended[1].topic_id == old);
    let purged = &report.ended[1].account.partitions[0].intervals[0];
    assert_eq!((purged.from, purged.to, purged.class), (10, 15, "purged"));

    for (topic, group, found) in [(Some("t"), None, 3), (None, Some("h"), 1), (Some("u"), Some("g"), 0)] {
        let [topic, group] = [topic, group].map(|name| name.map(str::to_owned));
        let filter = EndedFilter { topic, group, ..all() };
        assert_eq!(read(&broker, &filter).await.ended.len(), found, "{filter:?}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_are_switched_off_end_too() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 10).await;
    has_read(&mut called(&broker, "c").await, "g", "t", 0, 10).await;
    broker.stop().await;
    let off = start_on(&disk, &[("account.enabled", "false")]).await;
    let report = read(&off, &all()).await;
    let rows: Vec<_> = report.ended.iter().map(told).collect();
    assert_eq!(rows, [("g", "t", "switched_off", vec![("processed", 10)])]);
    off.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_looked_at_or_was_trimmed_is_said() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    // In both data groups.
    let mut client = filled(&broker, "t", 4, 5).await;
    for partition in 1..4 {
        fill(&mut client, "t", partition, 5).await;
    }
    for group in ["a", "b", "c"] {
        let partitions: Vec<_> = broker.0.node().topic("t").unwrap().topic_partitions().collect();
        for (tp, data) in partitions {
            let at = broker.0.node().now();
            let (group, by) = (group.into(), Default::default());
            let from = tallymq_broker::account::OpenFrom::Earliest;
            let open = AccountCommand::OpenAccount { group, partitions: vec![tp], from, by, at };
            broker.0.node().data(data).unwrap().propose(DataCommand::Account(open)).await.unwrap();
        }
        assert_eq!(client.commit(group, "t", 0).await, ErrorCode::None);
        delete_group(&mut client, group).await;
        let now = broker.0.node().now();
        until(|| broker.0.node().now() > now).await;
    }
    let groups = |report: &EndedReport| -> Vec<(String, usize)> {
        let rows = report.ended.iter();
        rows.map(|row| (row.account.group.clone(), row.account.partitions.len())).collect()
    };
    let named = |rows: &[(&str, usize)]| -> Vec<(String, usize)> {
        rows.iter().map(|(group, partitions)| ((*group).to_owned(), *partitions)).collect()
    };
    let report = read(&broker, &all()).await;
    assert_eq!(groups(&report), named(&[("c", 4), ("b", 4), ("a", 4)]), "of all data groups");
    let fewer = read(&broker, &EndedFilter { partitions_max: 8, ..all() }).await;
    assert_eq!(groups(&fewer), named(&[("c", 4), ("b", 4)]), "the newest");
    assert!(fewer.more && !report.more);
    assert_eq!(fewer.known_since, Some(fewer.ended[1].ended_at));
    let hurried = EndedFilter { time_max: Duration::ZERO, ..all() };
    let hurried = ended(broker.0.node(), &hurried).await.unwrap();
    assert!(!hurried.complete && hurried.ended.is_empty() && hurried.known_since == Some(hurried.at));

    for handle in broker.0.node().data_groups() {
        let (to, at) = (handle.view.state().journal_bounds().1, broker.0.node().now());
        handle.propose(DataCommand::Account(AccountCommand::TrimJournal { to, at })).await.unwrap();
    }
    let trimmed = read(&broker, &all()).await;
    assert!(trimmed.trimmed && trimmed.ended.is_empty(), "{trimmed:?}");
    assert!(trimmed.known_since.unwrap() >= report.ended[0].ended_at, "{trimmed:?}");
    broker.stop().await;
}
