//! What a relay sends, in which order, in which portions, and what it leaves.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tallymq_client::{
    Header, Record, headers,
    inbox::{Inbox, MessageId},
    outbox::{Destination, DestinationError, Outbox, PutError, Step},
};

use super::{LIMIT, begin, commit_numbers, drain, outbox, quick};
use crate::support::{
    database::{Db, on_every_database, open},
    destination::{Memory, check_order},
};

on_every_database!(
    sent_if_and_only_if_committed,
    a_record_arrives_as_it_was_put,
    a_key_keeps_its_order_whatever_fails,
    a_batch_is_bounded_in_rows_and_bytes,
    only_old_and_sent_messages_are_cleaned,
    what_cannot_be_sent_is_refused_at_once,
    a_running_relay_is_woken_and_ends_when_told,
    the_schema_can_be_created_by_many_at_once,
);

async fn sent_if_and_only_if_committed<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    let mut ids = Vec::new();
    for (number, end) in ["commit", "rollback", "drop", "commit"].into_iter().enumerate() {
        let mut tx = begin(&db).await;
        let record = Record::to("orders").key("a").value(format!("{end} {number}"));
        let id = outbox.put(&mut tx, record).await.unwrap();
        match end {
            "commit" => {
                tx.commit().await.unwrap();
                ids.push(id);
            }
            "rollback" => tx.rollback().await.unwrap(),
            _ => drop(tx),
        }
    }
    let memory = Memory::new();
    let mut relay = outbox.relay(memory.clone()).settings(quick());
    drain(&outbox, &mut relay).await;
    assert_eq!(memory.values(), ["commit 0", "commit 3"]);
    let arrived: Vec<String> = memory.arrived().into_iter().map(|arrived| arrived.id).collect();
    assert_eq!(arrived, ids.iter().map(MessageId::to_string).collect::<Vec<_>>());
    let _ = relay.round().await.unwrap();
    assert_eq!(memory.arrived().len(), 2, "sent again");
    let progress = outbox.progress().await.unwrap();
    assert_eq!((progress.pending, progress.sent, progress.oldest_pending), (0, 2, None));
}

struct Keep(Arc<Mutex<Vec<Record>>>);
impl Destination for Keep {
    async fn send(&self, record: Record) -> Result<(), DestinationError> {
        self.0.lock().unwrap().push(record);
        Ok(())
    }
}

async fn a_record_arrives_as_it_was_put<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    let bytes: Vec<u8> = (0..=255).collect();
    let records = [
        Record::to("orders").key(bytes.clone()).value(bytes.clone()).header("h", bytes).header("h", ""),
        Record::to("tombstones").key("gone"),
        Record::to("logs").value("no key").partition(7).timestamp_ms(1_234_567),
        Record::to("orders").key("").value(""),
    ];
    let mut tx = begin(&db).await;
    for record in &records {
        outbox.put(&mut tx, record.clone()).await.unwrap();
    }
    tx.commit().await.unwrap();
    let kept = Arc::new(Mutex::new(Vec::new()));
    drain(&outbox, &mut outbox.relay(Keep(kept.clone()))).await;
    let kept = kept.lock().unwrap();
    for record in &records {
        let without_id = |kept: &Record| {
            let headers: Vec<Header> =
                kept.headers().iter().filter(|h| h.name != headers::ID).cloned().collect();
            assert_eq!(headers.len() + 1, kept.headers().len(), "one id");
            headers == record.headers()
                && (kept.topic(), kept.key_bytes(), kept.value_bytes())
                    == (record.topic(), record.key_bytes(), record.value_bytes())
        };
        assert_eq!(kept.iter().filter(|kept| without_id(kept)).count(), 1, "{record:?} in {kept:?}");
    }
    // Partition and time have no getters: their record is the one whose debug text names them.
    let logs = kept.iter().find(|record| record.topic() == "logs").unwrap();
    let text = format!("{logs:?}");
    assert!(text.contains("Some(7)") && text.contains("Some(1234567)"), "{text}");
}

async fn a_key_keeps_its_order_whatever_fails<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    commit_numbers(&db, &outbox, &["a", "b", "c", "d"], 0..25).await;
    let calls = Mutex::new(0_u64);
    let memory = Memory::failing(move |_, _| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        if calls.is_multiple_of(7) { Err(DestinationError::retry("a seventh")) } else { Ok(()) }
    });
    let mut relay = outbox.relay(memory.clone()).settings(quick());
    drain(&outbox, &mut relay).await;
    assert_eq!(check_order(&memory.arrived()), 100);
    assert_eq!(memory.arrived().len(), 100, "without a crash nothing is sent twice");
    assert!(relay.status().borrow().failed_attempts >= 14);
    assert_eq!(outbox.progress().await.unwrap().held_keys, 0);
}

async fn a_batch_is_bounded_in_rows_and_bytes<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    let mut tx = begin(&db).await;
    for number in 0..60 {
        let record = Record::to("orders").key("one").value(format!("{number:0>1000}"));
        outbox.put(&mut tx, record).await.unwrap();
    }
    tx.commit().await.unwrap();
    for (settings, read_max) in [
        (quick().batch_rows_max(5), 5),
        (quick().batch_bytes_max(10_000), 10),
        // A message that is larger than a batch is a batch of its own.
        (quick().batch_bytes_max(10), 1),
    ] {
        let reads = Arc::new(Mutex::new(Vec::new()));
        let memory = Memory::new();
        let mut relay = outbox.relay(memory.clone()).settings(settings).on_step({
            let reads = reads.clone();
            move |step| {
                if let Step::Read(rows) = step {
                    reads.lock().unwrap().push(*rows);
                }
            }
        });
        for _ in 0..2 {
            assert!(relay.round().await.unwrap().sent > 0);
        }
        let reads = reads.lock().unwrap();
        assert!(reads.len() == 2 && reads.iter().all(|rows| (1..=read_max).contains(rows)), "{reads:?}");
    }
}

async fn only_old_and_sent_messages_are_cleaned<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    commit_numbers(&db, &outbox, &["a"], 0..5).await;
    assert_eq!(outbox.clean(Duration::ZERO, 100).await.unwrap(), 0, "pending messages were removed");
    drain(&outbox, &mut outbox.relay(Memory::new()).settings(quick())).await;
    commit_numbers(&db, &outbox, &["a"], 5..7).await;
    assert_eq!(outbox.clean(Duration::from_secs(3600), 100).await.unwrap(), 0, "young messages were removed");
    assert_eq!(outbox.clean(Duration::ZERO, 3).await.unwrap(), 3, "the bound");
    assert_eq!(outbox.clean(Duration::ZERO, 100).await.unwrap(), 2);
    let progress = outbox.progress().await.unwrap();
    assert_eq!((progress.pending, progress.sent), (2, 0));

    // The relay does it by itself.
    let settings = quick().keep_sent(Duration::ZERO).clean_every(Duration::ZERO);
    let mut relay = outbox.relay(Memory::new()).settings(settings);
    drain(&outbox, &mut relay).await;
    let _ = relay.round().await.unwrap();
    assert_eq!(outbox.progress().await.unwrap().sent, 0);
    assert_eq!(relay.status().borrow().cleaned, 2);
}

async fn what_cannot_be_sent_is_refused_at_once<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await.record_bytes_max(1000);
    let mut tx = begin(&db).await;
    let large = outbox.put(&mut tx, Record::to("orders").value(vec![0; 1000])).await;
    assert!(matches!(large, Err(PutError::TooLarge { bytes_max: 1000, .. })), "{large:?}");
    for topic in ["", ".", "a b", "ä", &"x".repeat(250)] {
        let named = outbox.put(&mut tx, Record::to(topic)).await;
        assert!(matches!(named, Err(PutError::Topic(_))), "{named:?}");
    }
    let id = outbox.put(&mut tx, Record::to("orders").header(headers::ID, "order-42")).await.unwrap();
    assert_eq!(id.as_str(), "order-42");
    tx.commit().await.unwrap();
    let mut tx = begin(&db).await;
    let again = outbox.put(&mut tx, Record::to("orders").header(headers::ID, "order-42")).await;
    assert!(matches!(&again, Err(PutError::IdTaken(id)) if id == "order-42"), "{again:?}");
    drop(tx);
    assert_eq!(outbox.progress().await.unwrap().pending, 1);
}

async fn a_running_relay_is_woken_and_ends_when_told<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    let memory = Memory::new();
    let settings = quick().poll(Duration::from_secs(3600));
    let relay = outbox.relay(memory.clone()).settings(settings);
    let mut status = relay.status();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async move { drop(stopped.await) }));
    let sent = async {
        commit_numbers(&db, &outbox, &["a"], 0..1).await;
        // A wake that comes before the relay listens would be missed for an hour.
        loop {
            outbox.wake();
            let seen = status.wait_for(|status| status.sent == 1);
            if tokio::time::timeout(Duration::from_millis(20), seen).await.is_ok() {
                break;
            }
        }
    };
    tokio::time::timeout(LIMIT, sent).await.expect("the relay was not woken");
    stop.send(()).unwrap();
    tokio::time::timeout(LIMIT, running).await.expect("the relay did not end").unwrap();
}

async fn the_schema_can_be_created_by_many_at_once<DB: Db>() {
    let db = open::<DB>().await;
    let mut creating = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let outbox = Outbox::new(db.pool.clone());
        let inbox = Inbox::new(db.pool.clone(), "tests");
        creating.spawn(async move {
            outbox.create_schema().await.unwrap();
            inbox.create_schema().await.unwrap();
        });
    }
    while let Some(created) = creating.join_next().await {
        created.unwrap();
    }
    assert_eq!(DB::number(&db.pool, "SELECT COUNT(*) FROM tally_outbox_lane").await.unwrap(), 64);
}
