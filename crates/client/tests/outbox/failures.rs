//! Destinations that fail, refuse, or do not answer.

use std::time::Duration;

use tallymq_client::{
    inbox::MessageId,
    outbox::{DestinationError, OnRefused},
};

use super::{LIMIT, commit_numbers, drain, outbox, quick};
use crate::support::{
    database::{Db, on_every_database, open},
    destination::Memory,
};

on_every_database!(
    a_key_that_fails_holds_only_itself,
    a_refused_message_is_parked_where_that_is_asked_for,
    a_send_without_an_answer_is_a_failure,
    what_was_acknowledged_is_marked_when_the_round_is_cut_short,
);

async fn a_key_that_fails_holds_only_itself<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    commit_numbers(&db, &outbox, &["bad", "good", "fine"], 0..10).await;
    let memory = Memory::failing(|record, _| match record.key_bytes().unwrap().as_ref() {
        b"bad" => Err(DestinationError::refused("not \0 today")),
        _ => Ok(()),
    });
    let mut relay = outbox.relay(memory.clone()).settings(quick());
    let failed_often =
        async || outbox.held_keys(10).await.unwrap().first().is_some_and(|held| held.attempts >= 3);
    while memory.arrived().len() < 20 || !failed_often().await {
        let _ = relay.round().await.unwrap();
    }
    assert!(memory.arrived().iter().all(|arrived| arrived.key != "bad"));
    let progress = outbox.progress().await.unwrap();
    assert_eq!((progress.pending, progress.sent, progress.held_keys, progress.parked), (10, 20, 1, 0));
    assert!(progress.oldest_pending.is_some());
    let held = outbox.held_keys(10).await.unwrap();
    assert!(held[0].reason.contains("not  today"), "{held:?}");
}

async fn a_refused_message_is_parked_where_that_is_asked_for<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    commit_numbers(&db, &outbox, &["a"], 0..5).await;
    let refuse = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let memory = Memory::failing({
        let refuse = refuse.clone();
        move |record, _| match record.value_bytes().unwrap().as_ref() {
            b"2" if refuse.load(std::sync::atomic::Ordering::SeqCst) => {
                Err(DestinationError::refused("no twos"))
            }
            _ => Ok(()),
        }
    });
    let on_refused = OnRefused::Park { after_attempts: 3 };
    let mut relay = outbox.relay(memory.clone()).settings(quick().on_refused(on_refused));
    drain(&outbox, &mut relay).await;
    assert_eq!(memory.values(), ["0", "1", "3", "4"]);
    assert_eq!(relay.status().borrow().failed_attempts, 3);
    let progress = outbox.progress().await.unwrap();
    assert_eq!((progress.parked, progress.held_keys), (1, 0));
    assert_eq!(outbox.clean(Duration::ZERO, 100).await.unwrap(), 4);
    let parked = outbox.parked(10).await.unwrap();
    assert!(parked.len() == 1 && parked[0].reason.contains("no twos"), "{parked:?}");

    refuse.store(false, std::sync::atomic::Ordering::SeqCst);
    let id = MessageId::new(parked[0].message_id.clone()).unwrap();
    assert!(outbox.unpark(&id).await.unwrap());
    assert!(!outbox.unpark(&id).await.unwrap());
    drain(&outbox, &mut relay).await;
    assert_eq!(memory.values(), ["0", "1", "3", "4", "2"]);
}

async fn a_send_without_an_answer_is_a_failure<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    commit_numbers(&db, &outbox, &["a"], 0..3).await;
    let memory = Memory::new().gated();
    let settings = quick().send_timeout(Duration::from_millis(20));
    let mut relay = outbox.relay(memory.clone()).settings(settings);
    let round = relay.round().await.unwrap();
    assert_eq!((round.read, round.sent, round.failed), (3, 0, 1), "only the first of a key is tried");
    memory.gate.add_permits(1000);
    drain(&outbox, &mut relay).await;
    assert_eq!(memory.values(), ["0", "1", "2"]);
}

/// Whoever is stopped for two thirds of it may lose it; the test waits for it three times.
const LEASE: Duration = Duration::from_secs(3);

/// A slow destination: the lease is renewed, acknowledgements are noted on the way, and the round ends in time.
async fn what_was_acknowledged_is_marked_when_the_round_is_cut_short<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    commit_numbers(&db, &outbox, &["a"], 0..4).await;
    let memory = Memory::new().gated();
    memory.gate.add_permits(2);
    let settings = quick().lease(LEASE).send_timeout(LIMIT);
    let mut relay = outbox.relay(memory.clone()).settings(settings.clone());
    {
        let round = relay.round();
        tokio::pin!(round);
        // It hangs in the third send; meanwhile the first two are marked by renewals.
        let marked = async {
            while outbox.progress().await.unwrap().sent < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            round = &mut round => panic!("the third send was not waited for: {round:?}"),
            () = marked => {}
        }
        // Longer than the lease: nobody else gets the lane while the first one lives.
        let other = Memory::new();
        let mut second = outbox.relay(other.clone()).settings(settings.clone());
        let others = async {
            loop {
                let _ = second.round().await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let two_leases = tokio::time::timeout(2 * LEASE, others);
        tokio::select! {
            round = &mut round => panic!("the third send was not waited for: {round:?}"),
            _ = two_leases => {}
        }
        assert_eq!(other.values(), Vec::<String>::new(), "two relays at one lane");
    } // The round is dropped: this relay is dead, and its lease runs out.
    let other = Memory::new();
    drain(&outbox, &mut outbox.relay(other.clone()).settings(settings)).await;
    assert_eq!(other.values(), ["2", "3"]);
}
