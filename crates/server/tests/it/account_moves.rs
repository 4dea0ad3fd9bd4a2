//! The account while partitions and connections move under a group's members: what counts is who held a partition when the
//! fetch came, and a connection that its client gave up makes nobody doubtful, unless it got something meanwhile.

use tallymq_broker::account::Mark;
use tallymq_gateway::kafka::{ErrorCode, messages::fetch::FetchRequest};

use crate::{
    accounts::{alarms, called, classes, classic, consume, exceptional, fill, filled},
    client::{Client, LATEST, answer, fetch, until, values_of},
    consumers::Member,
    disks::TestDisk,
    ended::delete_group,
    groups,
    world::{Broker, start_on},
};

const FIVE_MINUTES_MS: i32 = 300_000;

/// Asks for what is not there yet, and returns when the broker waits for it too.
async fn waits(broker: &Broker, client: &mut Client, from: i64) {
    let waiting = FetchRequest { max_wait_ms: FIVE_MINUTES_MS, min_bytes: 1, ..fetch("t", from) };
    let before = broker.0.node().wakeups.waiting();
    client.send(waiting).await;
    until(|| broker.0.node().wakeups.waiting() > before).await;
}

async fn got(client: &mut Client) -> usize {
    values_of(&answer!(client.receive().await, Fetch)).len()
}

/// Another connection of a member, which the broker has taken in.
async fn renewed(broker: &Broker, member: &mut Member) -> Client {
    let mut fresh = called(broker, "c").await;
    fresh.offset("t", LATEST).await;
    std::mem::replace(&mut member.client, fresh)
}

/// Closes a connection, and returns when the broker knows it.
async fn close(broker: &Broker, client: Client) {
    let connections = || broker.0.node().metrics.requests.connections.get();
    let before = connections();
    drop(client);
    until(|| connections() < before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_waited_while_its_partition_moved_is_its_who_asked() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut one = classic(&broker, "one", "g", ("t", &[0])).await;
    consume(&mut one, "t", 0, 10).await;
    waits(&broker, &mut one.client, 10).await;
    let (speaker, client) = (called(&broker, "other").await, called(&broker, "other").await);
    let mut other = Member::beside(&mut one, speaker, client, "t").await;
    let (one_id, other_id) = (one.id.clone(), other.id.clone());
    one.sync_all("t", &[(&one_id, &[]), (&other_id, &[0])]).await;
    other.sync_all("t", &[]).await;
    fill(&mut producer, "t", 0, 1).await;
    assert_eq!(got(&mut one.client).await, 1);
    assert_eq!(one.commit("t", 0, 11).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 11)]);
    fill(&mut producer, "t", 0, 4).await;
    consume(&mut other, "t", 11, 15).await;
    assert_eq!(classes(&broker, "g"), [("processed", 15)]);
    assert_eq!(alarms(&broker), []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_waited_while_its_group_was_deleted_opens_no_account() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 10).await;
    waits(&broker, &mut member.client, 10).await;
    groups::leave(&mut member.speaker, "g", member.id.clone()).await;
    delete_group(&mut member.speaker, "g").await;
    assert_eq!(classes(&broker, "g"), []);
    fill(&mut producer, "t", 0, 1).await;
    assert_eq!(got(&mut member.client).await, 1);
    // A stop brings all marks into the log.
    broker.stop().await;
    let again = start_on(&disk, &[]).await;
    assert_eq!(classes(&again, "g"), []);
    // What is read in the name of the group that began again is its own.
    let mut member = classic(&again, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 10, 11).await;
    assert_eq!(classes(&again, "g"), [("processed", 1)]);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_came_before_anybody_held_its_partition_is_no_members() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut stray = called(&broker, "c").await;
    waits(&broker, &mut stray, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    assert_eq!(member.commit("t", 0, 10).await, ErrorCode::None);
    fill(&mut producer, "t", 0, 1).await;
    assert_eq!(got(&mut stray).await, 1);
    assert_eq!(member.commit("t", 0, 11).await, ErrorCode::None);
    assert_eq!(exceptional(&broker, "g"), [(10, 11, Mark::Unwitnessed)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_reads_until_it_hears_that_it_has_to_give_it_up_is_its_own() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 2, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0, 1])).await;
    consume(&mut member, "t", 0, 10).await;
    fill(&mut producer, "t", 0, 5).await;
    member.join("t").await;
    member.sync(("t", &[1])).await;
    // Cooperative members read on between the group's assignment and their own answer; franz-go then gives up its connection.
    assert_eq!(member.read("t", 0, 10).await, 5);
    let old = renewed(&broker, &mut member).await;
    close(&broker, old).await;
    assert_eq!(member.commit("t", 0, 15).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 15)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_gives_up_a_connection_for_another_has_what_the_new_one_got() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let (speaker, client) = (called(&broker, "c").await, called(&broker, "c").await);
    let mut member = Member::consumer(speaker, client, "g", "t").await;
    consume(&mut member, "t", 0, 10).await;
    fill(&mut producer, "t", 0, 9).await;
    let old = renewed(&broker, &mut member).await;
    assert_eq!(member.read("t", 0, 10).await, 9, "the old one is not closed yet");
    close(&broker, old).await;
    assert_eq!(member.commit("t", 0, 19).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 19)]);
    assert_eq!(alarms(&broker), []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_connections_got_while_both_were_open_stays_in_doubt() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 10).await;
    let mut other = called(&broker, "c").await;
    assert_eq!(values_of(&other.fetch(fetch("t", 0)).await).len(), 10);
    waits(&broker, &mut member.client, 10).await;
    waits(&broker, &mut other, 10).await;
    fill(&mut producer, "t", 0, 1).await;
    assert_eq!((got(&mut member.client).await, got(&mut other).await), (1, 1));
    let old = renewed(&broker, &mut member).await;
    close(&broker, old).await;
    assert_eq!(member.commit("t", 0, 11).await, ErrorCode::None);
    assert_eq!(classes(&broker, "g"), [("processed", 10), ("unwitnessed", 1)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_counts_however_soon_its_connection_is_closed() {
    const ROUNDS: i64 = 200;
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut producer = filled(&broker, "t", 1, 10).await;
    let mut member = classic(&broker, "c", "g", ("t", &[0])).await;
    consume(&mut member, "t", 0, 10).await;
    for offset in 10..10 + ROUNDS {
        fill(&mut producer, "t", 0, 1).await;
        let old = renewed(&broker, &mut member).await;
        let fresh = std::mem::replace(&mut member.client, old);
        assert_eq!(member.read("t", 0, offset).await, 1);
        close(&broker, std::mem::replace(&mut member.client, fresh)).await;
        assert_eq!(member.commit("t", 0, offset + 1).await, ErrorCode::None);
    }
    assert_eq!(classes(&broker, "g"), [("processed", 10 + ROUNDS as u64)]);
    assert_eq!(alarms(&broker), []);
    broker.stop().await;
}
