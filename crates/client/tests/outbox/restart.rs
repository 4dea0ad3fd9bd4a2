//! The database crashes and comes back while messages are put and sent.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use tallymq_client::{
    Record, headers,
    outbox::{Outbox, PutError},
};

use super::{LIMIT, outbox, quick};
use crate::support::{
    database::{Db, Opened, open_alone},
    destination::{Memory, check_order},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    the_relay_goes_on_after_the_database_crashed::<sqlx::Postgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb() {
    the_relay_goes_on_after_the_database_crashed::<sqlx::MySql>().await;
}

async fn the_relay_goes_on_after_the_database_crashed<DB: Db>() {
    let db = Arc::new(open_alone::<DB>().await);
    let server = db.server.clone().unwrap();
    let outbox = outbox(&db).await;
    let memory = Memory::new();
    let settings = quick().batch_rows_max(16);
    let relay = outbox.relay(memory.clone()).settings(settings);
    let mut status = relay.status();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async move { drop(stopped.await) }));
    let written = Arc::new(AtomicU64::new(0));
    let writer = tokio::spawn(write(db.clone(), outbox.clone(), written.clone()));
    for crash in 1..=3 {
        let sent = status.borrow_and_update().sent;
        status.wait_for(|status| status.sent >= sent + 30).await.unwrap();
        let server = server.clone();
        tokio::task::spawn_blocking(move || {
            server.crash();
            server.resume();
        })
        .await
        .unwrap();
        assert!(!writer.is_finished(), "crash {crash} came too late");
    }
    written.fetch_add(LAST, SeqCst);
    let total = writer.await.unwrap();
    let all = async {
        while !outbox.progress().await.is_ok_and(|progress| progress.pending == 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, all).await.expect("the outbox is not drained");
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(check_order(&memory.arrived()), total as usize);
}

/// Added to the count of what is written to have the writer end.
const LAST: u64 = 1 << 40;

/// Puts numbers one after the other; after an error it cannot know whether the commit was done, and puts the same id again.
async fn write<DB: Db>(db: Arc<Opened<DB>>, outbox: Outbox<DB>, written: Arc<AtomicU64>) -> u64 {
    let mut number = 0;
    while written.load(SeqCst) < LAST {
        let record = Record::to("orders").key("a").value(number.to_string());
        let record = record.header(headers::ID, format!("number-{number}"));
        let put = async {
            let mut tx = db.pool.begin().await.ok()?;
            match outbox.put(&mut tx, record).await {
                Ok(_) => tx.commit().await.ok(),
                Err(PutError::IdTaken(_)) => Some(()),
                Err(_) => None,
            }
        };
        number += u64::from(put.await.is_some());
        tokio::task::yield_now().await;
    }
    number
}
