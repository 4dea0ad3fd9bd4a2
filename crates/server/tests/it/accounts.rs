//! The account as clients make it: what was delivered and committed is processed, what was passed unread is named, and where
//! nobody can tell it says so. Nothing that was read ever counts as skipped.

use tallymq_broker::account::{Alarm, AlarmCause, Class, Mark};
use tallymq_broker::data::DataGroup;
use tallymq_broker::group::GroupId;
use tallymq_gateway::kafka::{
    ErrorCode,
    messages::{
        create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic},
        fetch::FetchRequest,
    },
};

use tallymq_model::TopicId;
use tallymq_storage::disk::{Disk, OpenMode};

use crate::{
    client::{
        Client, LATEST, answer, batch, delete_records, fetch, fetch_partitions, produce, until, values_of,
    },
    consumers::{Member, commit_request},
    disks::TestDisk,
    world::{Broker, start_on},
};

/// What is in each class, over all partitions; the equation must come out.
pub fn classes(broker: &Broker, group: &str) -> Vec<(&'static str, u64)> {
    let mut sums: Vec<(&'static str, u64)> = Vec::new();
    let group = GroupId::from(group);
    for handle in broker.0.node().data_groups() {
        let state = handle.view.state();
        for (tp, _, view) in state.account_views(|_, one| *one == group) {
            assert_eq!(view.imbalances, [], "{tp}");
            for (class, count) in view.classes.iter().filter(|(_, count)| *count > 0) {
                match sums.iter_mut().find(|(name, _)| *name == class.name()) {
                    Some((_, sum)) => *sum += count,
                    None => sums.push((class.name(), count)),
                }
            }
        }
    }
    sums.sort_unstable();
    sums
}

pub fn alarms(broker: &Broker) -> Vec<Alarm> {
    let node = broker.0.node();
    let of = |state: &DataGroup| state.accounts().alarms().iter().cloned().collect::<Vec<_>>();
    node.data_groups().flat_map(|handle| of(&handle.view.state())).collect()
}

pub fn exceptional(broker: &Broker, group: &str) -> Vec<(i64, i64, Mark)> {
    let group = GroupId::from(group);
    let mut found = Vec::new();
    for handle in broker.0.node().data_groups() {
        let state = handle.view.state();
        for (_, _, view) in state.account_views(|_, one| *one == group) {
            found.extend(view.exceptional.iter().map(|one| (one.from.0, one.to.0, one.mark)));
        }
    }
    found
}

/// A topic with records in partition 0.
pub async fn filled(broker: &Broker, topic: &str, partitions: i32, records: usize) -> Client {
    let mut client = broker.client().await.called("producer");
    client.create(topic, partitions).await;
    fill(&mut client, topic, 0, records).await;
    client
}

pub async fn fill(client: &mut Client, topic: &str, partition: i32, records: usize) {
    for number in 0..records {
        client.send(produce(topic, partition, batch(&number.to_string()))).await;
        assert_eq!(client.produced().await.error_code, ErrorCode::None);
    }
}

pub async fn called(broker: &Broker, name: &str) -> Client {
    broker.client().await.called(name)
}

pub async fn classic(broker: &Broker, name: &str, group: &str, held: (&str, &[i32])) -> Member {
    let (speaker, client) = (called(broker, name).await, called(broker, name).await);
    Member::classic(speaker, client, group, held).await
}

/// Five records of topic `t` that group `g` has not read, on the disk of a broker that was stopped. Gives the topic.
pub async fn five_unread(disk: &TestDisk) -> TopicId {
    let broker = start_on(disk, &[]).await;
    let mut client = filled(&broker, "t", 1, 5).await;
    assert_eq!(client.commit("g", "t", 0).await, ErrorCode::None);
    let topic = broker.0.node().topic("t").unwrap().id;
    broker.stop().await;
    topic
}

/// Records of an answer of [`half_received`].
pub const HALF_RECEIVED: usize = 14;

/// A producer of topic `t`, and a member of group `g` that has read its first record and to which an answer is on its way: with so
/// many more, which are more than sockets hold, so that it leaves only as it is read.
pub async fn half_received(broker: &Broker) -> (Client, Member) {
    let mut producer = filled(broker, "t", 1, 1).await;
    let mut member = classic(broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 1).await;
    let large = "x".repeat(900_000);
    for _ in 0..HALF_RECEIVED {
        assert_eq!(producer.produce("t", batch(&large)).await.error_code, ErrorCode::None);
    }
    member.client = Client::connect_narrow(broker.address()).await.called("c");
    let mut request = fetch("t", 1);
    request.topics[0].partitions[0].partition_max_bytes = 16 << 20;
    member.client.send(request).await;
    member.client.arriving().await;
    (producer, member)
}

/// Reads and commits all of partition 0, in steps.
pub async fn consume(member: &mut Member, topic: &str, from: i64, to: i64) {
    let mut next = from;
    while next < to {
        next += member.read(topic, 0, next).await as i64;
        assert_eq!(member.commit(topic, 0, next).await, ErrorCode::None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_classic_member_has_processed_everything() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 10).await;
    assert_eq!(classes(&broker, "g"), [("processed", 10)]);
    fill(&mut producer, "t", 0, 5).await;
    assert_eq!(member.read("t", 0, 10).await, 5);
    until(|| classes(&broker, "g") == [("in flight", 5), ("processed", 10)]).await;
    assert_eq!(alarms(&broker), []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_has_a_member_of_the_consumer_protocol() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 3, 10).await;
    let (speaker, client) = (called(&broker, "c").await, called(&broker, "c").await);
    let mut member = Member::consumer(speaker, client, "g", "t").await;
    consume(&mut member, "t", 0, 10).await;
    assert_eq!(classes(&broker, "g"), [("processed", 10)]);
    assert_eq!(alarms(&broker), []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seek_to_the_end_and_a_commit_is_skipped_and_names_the_member() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 4).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 4).await;
    fill(&mut producer, "t", 0, 6).await;
    assert_eq!(member.read("t", 0, 10).await, 0);
    assert_eq!(member.commit("t", 0, 10).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 4), ("skipped", 6)]);
    assert_eq!(exceptional(&broker, "g"), [(4, 10, Mark::Skipped)]);
    let alarms = alarms(&broker);
    assert_eq!(alarms.len(), 1);
    let alarm = &alarms[0];
    assert_eq!((alarm.class, alarm.from.0, alarm.to.0), (Class::Skipped, 4, 10));
    assert_eq!((alarm.who.member(), alarm.who.client_id()), (member.id.as_str(), "c"));
    assert!(alarm.who.address().starts_with("127.0.0.1:") && !alarm.in_crash_window);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_goes_on_reading_while_its_group_rebalances_has_processed_it() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 2, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0, 1])).await;
    member.join("t").await;
    assert_eq!(member.read("t", 0, 0).await, 10, "between a join and its answer, as cooperative members do");
    member.sync(("t", &[0])).await;
    assert_eq!(member.commit("t", 0, 10).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 10)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_taken_before_the_first_record_comes() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 3).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    assert_eq!(member.read("t", 0, 3).await, 0, "it starts at the end");
    fill(&mut producer, "t", 0, 2).await;
    assert_eq!(member.read("t", 0, 5).await, 0, "and starts at the end again");
    assert_eq!(member.commit("t", 0, 5).await, ErrorCode::None);
    assert_eq!(exceptional(&broker, "g"), [(3, 5, Mark::Skipped)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_by_a_tool_while_the_group_sleeps_is_skipped_and_names_the_tool() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 10).await;
    let mut reader = called(&broker, "c").await;
    assert_eq!(values_of(&reader.fetch(fetch("t", 0)).await).len(), 10);
    assert_eq!(reader.commit("g", "t", 4).await, ErrorCode::None);
    fill(&mut reader, "t", 0, 10).await;
    let mut tool = called(&broker, "tool").await;
    assert_eq!(tool.commit("g", "t", 20).await, ErrorCode::None);
    assert_eq!(exceptional(&broker, "g"), [(10, 20, Mark::Skipped)]);
    let alarm = alarms(&broker).remove(0);
    assert_eq!((alarm.who.member(), alarm.who.client_id()), ("", "tool"));
    assert!(matches!(alarm.cause, AlarmCause::Commit { to } if to.0 == 20));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_records_that_a_person_deletes_are_purged() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 4).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 4).await;
    fill(&mut producer, "t", 0, 6).await;
    producer.delete_records("t", 7).await;
    assert_eq!(classes(&broker, "g"), [("pending", 3), ("processed", 4), ("purged", 3)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_just_before_it_was_deleted_is_not_purged() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 4).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 4).await;
    fill(&mut producer, "t", 0, 6).await;
    assert_eq!(member.read("t", 0, 4).await, 6);
    producer.delete_records("t", 7).await;
    assert_eq!(member.commit("t", 0, 10).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 10)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_is_being_sent_when_it_is_deleted_is_not_purged() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("wal.bytes", "67108864")]).await;
    let (mut producer, mut member) = half_received(&broker).await;
    producer.send(delete_records("t", 10)).await;
    // Time for a deletion that does not wait.
    let mut other = called(&broker, "other").await;
    assert_eq!(other.produce("t", batch("1")).await.error_code, ErrorCode::None);
    let got = values_of(&answer!(member.client.receive().await, Fetch)).len();
    assert_eq!(got, HALF_RECEIVED);
    let deleted = answer!(producer.receive().await, DeleteRecords);
    assert_eq!(deleted.topics[0].partitions[0].low_watermark, 10);
    assert_eq!(classes(&broker, "g"), [("in flight", 14), ("pending", 1), ("processed", 1)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_one_name_are_told_apart_by_what_only_one_of_them_holds() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 3, 10).await;
    fill(&mut producer, "t", 1, 10).await;
    fill(&mut producer, "t", 2, 10).await;
    let mut one = classic(&broker, "c", "g", ("t", &[0, 1])).await;
    let mut other = classic(&broker, "c", "h", ("t", &[1, 2])).await;
    one.client.fetch(fetch_partitions("t", &[(1, 0), (0, 0)])).await;
    other.client.fetch(fetch_partitions("t", &[(1, 0), (2, 0)])).await;
    for partition in [0, 1] {
        assert_eq!(one.commit("t", partition, 10).await, ErrorCode::None);
        assert_eq!(other.commit("t", partition + 1, 10).await, ErrorCode::None);
    }
    assert_eq!(
        (classes(&broker, "g"), classes(&broker, "h")),
        (vec![("processed", 20)], vec![("processed", 20)])
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_cannot_be_told_apart_are_unwitnessed_and_never_skipped() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut one = classic(&broker, "c", "g", ("t", &[0])).await;
    let mut other = classic(&broker, "c", "h", ("t", &[0])).await;
    assert_eq!((one.read("t", 0, 0).await, other.read("t", 0, 0).await), (10, 10));
    for to in [4, 10] {
        assert_eq!(one.commit("t", 0, to).await, ErrorCode::None);
        assert_eq!(other.commit("t", 0, to).await, ErrorCode::None);
    }
    fill(&mut producer, "t", 0, 5).await;
    assert_eq!((one.read("t", 0, 10).await, other.read("t", 0, 10).await), (5, 5));
    for member in [&mut one, &mut other] {
        assert_eq!(member.commit("t", 0, 15).await, ErrorCode::None);
    }
    for group in ["g", "h"] {
        assert_eq!(classes(&broker, group), [("unwitnessed", 11)]);
    }
    assert_eq!(alarms(&broker), []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_speaks_and_fetches_over_one_connection_is_known() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 10).await;
    let mut bystander = classic(&broker, "c", "h", ("t", &[0])).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    // A commit that it makes as a member tells whose connection it is.
    let nothing = commit_request("g", ("t", 0, 0), (&member.id, member.generation));
    member.client.call(nothing).await;
    assert_eq!(member.read("t", 0, 0).await, 10);
    assert_eq!(member.commit("t", 0, 10).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 10)]);
    assert_eq!(bystander.commit("t", 0, 0).await, ErrorCode::None);
    assert_eq!(classes(&broker, "h"), [("pending", 10)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_assigns_its_partitions_itself_has_processed_what_it_read() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let (mut reader, mut committer) = (called(&broker, "c").await, called(&broker, "c").await);
    assert_eq!(values_of(&reader.fetch(fetch("t", 0)).await).len(), 10);
    for to in [5, 10] {
        assert_eq!(committer.commit("g", "t", to).await, ErrorCode::None);
    }
    assert_eq!(classes(&broker, "g"), [("processed", 10)]);
    fill(&mut producer, "t", 0, 5).await;
    assert_eq!(committer.commit("g", "t", 15).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 10), ("skipped", 5)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_crash_may_have_taken_is_unwitnessed() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 10).await;
    let mut producer = called(&broker, "producer").await;
    fill(&mut producer, "t", 0, 5).await;
    let cut = disk.power_cut(1);
    assert_eq!(member.read("t", 0, 10).await, 5, "delivered, and the crash takes the mark");
    broker.stop().await;
    let again = start_on(&cut, &[]).await;
    let mut member = member.again(called(&again, "c").await, called(&again, "c").await);
    assert_eq!(member.commit("t", 0, 15).await, ErrorCode::None);
    assert_eq!(classes(&again, "g"), [("processed", 10), ("unwitnessed", 5)]);
    let mut producer = called(&again, "producer").await;
    fill(&mut producer, "t", 0, 5).await;
    assert_eq!(member.commit("t", 0, 20).await, ErrorCode::None);
    assert_eq!(classes(&again, "g"), [("processed", 10), ("skipped", 5), ("unwitnessed", 5)]);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_restart_leaves_nothing_unwitnessed() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    assert_eq!(member.read("t", 0, 0).await, 10);
    fill(&mut producer, "t", 0, 5).await;
    broker.stop().await;
    let again = start_on(&disk, &[]).await;
    let mut member = member.again(called(&again, "c").await, called(&again, "c").await);
    assert_eq!(classes(&again, "g"), [("in flight", 10), ("pending", 5)]);
    assert_eq!(member.commit("t", 0, 15).await, ErrorCode::None);
    assert_eq!(classes(&again, "g"), [("processed", 10), ("skipped", 5)]);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_without_a_group_before_an_orderly_restart_is_in_doubt() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 10).await;
    let mut reader = called(&broker, "c").await;
    assert_eq!(reader.commit("g", "t", 0).await, ErrorCode::None);
    assert_eq!(values_of(&reader.fetch(fetch("t", 0)).await).len(), 10);
    broker.stop().await;
    let again = start_on(&disk, &[]).await;
    let mut reader = called(&again, "c").await;
    assert_eq!(reader.commit("g", "t", 10).await, ErrorCode::None);
    assert_eq!(classes(&again, "g"), [("unwitnessed", 10)]);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_races_its_response_is_never_skipped() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 0).await;
    let mut producer = called(&broker, "producer").await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    let mut fetcher = called(&broker, "c").await;
    for at in 0..300 {
        let waiting = FetchRequest { max_wait_ms: 30_000, min_bytes: 1, ..fetch("t", at) };
        fetcher.send(waiting).await;
        producer.send(produce("t", 0, batch("v"))).await;
        assert_eq!(values_of(&answer!(fetcher.receive().await, Fetch)).len(), 1);
        assert_eq!(member.commit("t", 0, at + 1).await, ErrorCode::None);
        producer.produced().await;
    }
    assert_eq!(classes(&broker, "g"), [("processed", 300)]);
    assert_eq!(alarms(&broker), []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_added_later_are_accounted_for_from_their_beginning() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 5).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 5).await;
    let topics = vec![CreatePartitionsTopic { name: "t".to_owned(), count: 4, assignments: None }];
    let request = CreatePartitionsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    let created = answer!(producer.call(request).await, CreatePartitions);
    assert_eq!(created.results[0].error_code, ErrorCode::None);
    for partition in 1..4 {
        fill(&mut producer, "t", partition, 3).await;
    }
    assert_eq!(classes(&broker, "g"), [("pending", 9), ("processed", 5)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_members_commit_is_refused_and_counted() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 5).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 5).await;
    member.generation += 1;
    assert_eq!(member.commit("t", 0, 3).await, ErrorCode::IllegalGeneration);
    let refused = || -> u64 {
        let groups = broker.0.node().data_groups();
        groups
            .map(|handle| {
                let state = handle.view.state();
                state.account_views(|_, _| true).map(|(_, _, view)| view.tallies.refused).sum::<u64>()
            })
            .sum()
    };
    until(|| refused() == 1).await;
    assert_eq!(classes(&broker, "g"), [("processed", 5)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_there_is_no_account() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    filled(&broker, "t", 1, 5).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 5).await;
    broker.stop().await;
    let again = start_on(&disk, &[("account.enabled", "false")]).await;
    let journal = |broker: &Broker| -> Vec<_> {
        broker.0.node().data_groups().map(|handle| handle.view.state().journal_bounds()).collect()
    };
    assert_eq!(classes(&again, "g"), []);
    let before = journal(&again);
    let mut member = classic(&again, "c", "h", ("t", &[0])).await;
    consume(&mut member, "t", 0, 5).await;
    assert_eq!((classes(&again, "h"), journal(&again)), (vec![], before));
    let mut client = called(&again, "c").await;
    fill(&mut client, "t", 0, 5).await;
    again.stop().await;
    // On again, and a crash at once: what the orderly stop long ago said of marks does not hold any more.
    let on = start_on(&disk, &[]).await;
    let mut client = called(&on, "c").await;
    assert_eq!(client.commit("i", "t", 5).await, ErrorCode::None);
    assert_eq!(values_of(&client.fetch(fetch("t", 5)).await).len(), 5);
    let cut = disk.power_cut(1);
    on.stop().await;
    let after = start_on(&cut, &[]).await;
    let mut client = called(&after, "c").await;
    assert_eq!(client.commit("i", "t", 10).await, ErrorCode::None);
    assert_eq!(classes(&after, "i"), [("unwitnessed", 5)]);
    after.stop().await;
}

/// Changes one byte of the second batch in a topic's only segment.
fn damage(disk: &TestDisk, topic: TopicId) {
    let at = format!("topics/{topic}/0");
    let segment = disk.list(&at).unwrap().into_iter().find(|entry| entry.name.ends_with(".log")).unwrap();
    let file = disk.open(&format!("{at}/{}", segment.name), OpenMode::Write).unwrap();
    let size = batch("0").len() as u64;
    assert_eq!(file.size_bytes().unwrap() / size, 5);
    file.write_at(&[b"!"], 2 * size - 2).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_any_more_is_lost_and_told_once() {
    let disk = TestDisk::new();
    let topic = five_unread(&disk).await;
    damage(&disk, topic);
    let again = start_on(&disk, &[]).await;
    let mut reader = called(&again, "c").await;
    for _ in 0..3 {
        let fetched = reader.fetch(fetch("t", 1)).await;
        assert_eq!(fetched.responses[0].partitions[0].error_code, ErrorCode::CorruptMessage);
    }
    until(|| classes(&again, "g") == [("lost", 1), ("pending", 4)]).await;
    let alarms = alarms(&again);
    assert_eq!(alarms.len(), 1);
    assert_eq!((alarms[0].class, alarms[0].from.0, alarms[0].to.0), (Class::Lost, 1, 2));
    assert!(matches!(&alarms[0].cause, AlarmCause::Unreadable { .. }));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_left_was_not_delivered() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[("wal.bytes", "134217728")]).await;
    let mut producer = filled(&broker, "t", 1, 0).await;
    let big = "x".repeat(400_000);
    for _ in 0..40 {
        assert_eq!(producer.produce("t", batch(&big)).await.error_code, ErrorCode::None);
    }
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    assert_eq!(member.commit("t", 0, 0).await, ErrorCode::None);
    let connections = || broker.0.node().metrics.requests.connections.get();
    assert_eq!(member.client.offset("t", LATEST).await.offset, 40, "it is connected");
    let before = connections();
    let mut deaf = called(&broker, "c").await;
    assert_eq!(deaf.offset("t", LATEST).await.offset, 40, "it is connected");
    // More than any socket takes from a client that does not read.
    let mut all = FetchRequest { max_bytes: 64 << 20, ..fetch("t", 0) };
    all.topics[0].partitions[0].partition_max_bytes = 64 << 20;
    deaf.send(all).await;
    drop(deaf);
    until(|| connections() == before).await;
    assert_eq!(member.commit("t", 0, 40).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("skipped", 40)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journals_segments_are_small_beside_what_the_disk_keeps_free_and_only_while_it_is_nearly_full() {
    const TOTAL_BYTES: u64 = 1 << 30;
    let disk = TestDisk::new();
    disk.set_total(TOTAL_BYTES);
    let broker = start_on(&disk, &[("disk.reserve.bytes", "1073741824")]).await;
    let mut client = filled(&broker, "t", 1, 1).await;
    assert_eq!(client.commit("g", "t", 1).await, ErrorCode::None);
    let node = broker.0.node();
    let segment_bytes = || {
        let mut journals = node.data_groups().filter_map(|handle| handle.view.journal());
        journals.next().map(|journal| journal.options().segment_bytes_max)
    };
    assert_eq!(segment_bytes(), Some(16 << 20));
    disk.set_available(1 << 20);
    // A tenth of the disk is kept free; a quarter of that is for the journals of two groups, of four segments each.
    let small = (TOTAL_BYTES / 10 / 4 / 2 / 4) as u32;
    until(|| segment_bytes() == Some(small)).await;
    disk.set_available(1 << 40);
    until(|| segment_bytes() == Some(16 << 20)).await;
    broker.stop().await;
}
