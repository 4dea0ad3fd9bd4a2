//! Receipts in committed metadata: they reach the account before the position does, only from whom the coordinator takes the
//! commit, and metadata of any kind comes back as it was.

use tallymq_broker::account::{AccountView, Happening, JournalEvent, ReceiptOutcome, journal};
use tallymq_broker::group::GroupId;
use tallymq_gateway::kafka::{ErrorCode, messages::offset_fetch::OffsetFetchRequest};
use tallymq_server::books::AccountSummary;

use crate::{
    accounts::{classic, filled},
    client::{Client, answer},
    consumers::Member,
    disks::TestDisk,
    world::{Broker, start_on},
};

const GROUP: &str = "g";

/// A topic with ten records, all of them read by a member.
async fn read_ten(broker: &Broker) -> Member {
    filled(broker, "t", 1, 10).await;
    let mut member = classic(broker, "c", GROUP, ("t", &[0])).await;
    let mut next = 0;
    while next < 10 {
        next += member.read("t", 0, next).await as i64;
    }
    member
}

fn view(broker: &Broker) -> AccountView {
    let group = GroupId::from(GROUP);
    for handle in broker.0.node().data_groups() {
        let state = handle.view.state();
        if let Some((_, _, view)) = state.account_views(|_, one| *one == group).next() {
            assert_eq!(view.imbalances, []);
            return view;
        }
    }
    panic!("no account")
}

/// Classes that are not empty, and how many records have a receipt.
fn account(broker: &Broker) -> (Vec<(&'static str, u64)>, u64) {
    let view = view(broker);
    let classes = view.classes.iter().filter(|(_, count)| *count > 0);
    (classes.map(|(class, count)| (class.name(), count)).collect(), view.handled)
}

async fn metadata(client: &mut Client) -> (i64, Option<String>) {
    let request = OffsetFetchRequest { group_id: GROUP.to_owned(), topics: None, ..Default::default() };
    let answer = answer!(client.call(request).await, OffsetFetch);
    let found = &answer.topics[0].partitions[0];
    (found.committed_offset, found.metadata.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_handlers_say_is_in_the_account_with_the_commit() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut member = read_ten(&broker).await;
    let text = "tally1;handled=0+3,1;dead=3,4";
    assert_eq!(member.commit_with("t", 0, 9, Some(text)).await, ErrorCode::None);
    let expected = vec![("in flight", 1), ("processed", 7), ("dead-lettered", 2)];
    assert_eq!(account(&broker), (expected, 4));
    assert_eq!(
        metadata(&mut member.speaker).await,
        (9, Some(text.to_owned())),
        "it is metadata like any other"
    );
    // Said again, it counts once.
    assert_eq!(member.commit_with("t", 0, 10, Some("tally1;handled=4,4;dead=8")).await, ErrorCode::None);
    assert_eq!(account(&broker), (vec![("processed", 8), ("dead-lettered", 2)], 5));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_own_metadata_says_nothing_and_comes_back() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut member = read_ten(&broker).await;
    let texts =
        ["checkpoint 17", "handled=0+9", "tally1;handled=0+9,0", "tally1;handled=x", "tally1;dead", ""];
    for (position, text) in (1..).zip(texts) {
        assert_eq!(member.commit_with("t", 0, position, Some(text)).await, ErrorCode::None);
        assert_eq!(metadata(&mut member.speaker).await, (position, Some(text.to_owned())));
    }
    assert_eq!(account(&broker), (vec![("in flight", 4), ("processed", 6)], 0));
    let node = broker.0.node();
    let metrics = node.metrics.exposition(&node.storage_reading(), &AccountSummary::default());
    assert!(metrics.contains("tallymq_account_unreadable_receipts_total 3"), "{metrics}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_commit_says_nothing_either() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut member = read_ten(&broker).await;
    member.generation += 1;
    let refused = member.commit_with("t", 0, 10, Some("tally1;handled=0+10;dead=0")).await;
    assert_eq!(refused, ErrorCode::IllegalGeneration);
    member.generation -= 1;
    assert_eq!(member.commit("t", 0, 1).await, ErrorCode::None);
    assert_eq!(account(&broker), (vec![("in flight", 9), ("processed", 1)], 0));
    // Beyond the log, and far too many: what is there counts, and a small request makes no large journal.
    let many = format!("tally1;handled=0+{}", i64::MAX);
    assert_eq!(member.commit_with("t", 0, 9, Some(&many)).await, ErrorCode::None);
    let many = format!("tally1;dead=11{}", ",1".repeat(2000));
    assert_eq!(member.commit_with("t", 0, 10, Some(&many)).await, ErrorCode::None);
    assert_eq!(account(&broker), (vec![("processed", 10)], 10));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_stand_in_the_journal_before_their_commit_and_survive_a_restart() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut member = read_ten(&broker).await;
    assert_eq!(member.commit_with("t", 0, 10, Some("tally1;handled=0+9;dead=9")).await, ErrorCode::None);
    let events = journal(&broker);
    let place =
        |wanted: &dyn Fn(&Happening) -> bool| events.iter().position(|event| wanted(&event.what)).unwrap();
    let receipt = |outcome| {
        place(&move |what| matches!(what, Happening::Receipt { outcome: said, .. } if *said == outcome))
    };
    let commit = place(&|what| matches!(what, Happening::Committed { .. }));
    assert!(receipt(ReceiptOutcome::Handled) < commit && receipt(ReceiptOutcome::DeadLettered) < commit);
    let before = account(&broker);
    broker.stop().await;
    let broker = start_on(&disk, &[]).await;
    assert_eq!(account(&broker), before);
    assert_eq!(before, (vec![("processed", 9), ("dead-lettered", 1)], 9));
    broker.stop().await;
}

fn journal(broker: &Broker) -> Vec<JournalEvent> {
    let mut events = Vec::new();
    for log in broker.0.node().data_groups().filter_map(|handle| handle.view.journal()) {
        let mut next = log.log_start();
        while next < log.log_end() {
            let fetched = log.read(next, 1 << 20, true).unwrap();
            let decoded = journal::decode(&fetched.pieces.concat()).unwrap();
            next = fetched.next;
            events.extend(decoded.into_iter().map(|(_, event)| event));
        }
    }
    events
}
