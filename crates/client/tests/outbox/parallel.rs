//! Several relays at once.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

use tallymq_client::outbox::Outbox;

use super::{LIMIT, commit_numbers, outbox, quick};
use crate::support::{
    database::{Db, Opened, on_every_database, open},
    destination::{Memory, check_order},
};

on_every_database!(relays_share_the_work_and_keep_the_order);

const KEYS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

async fn relays_share_the_work_and_keep_the_order<DB: Db>() {
    let db = Arc::new(open::<DB>().await);
    let outbox = outbox(&db).await;
    let memory = Memory::new();
    let (stop, stopped) = watch::channel(false);
    let mut relays = JoinSet::new();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let settings = quick().lanes_max(2).batch_rows_max(8);
        let relay = outbox.relay(memory.clone()).settings(settings);
        statuses.push(relay.status());
        let mut stopped = stopped.clone();
        relays.spawn(relay.run(async move { drop(stopped.wait_for(|stopped| *stopped).await) }));
    }
    write_from_two_tasks(&db, &outbox).await;
    let drained = async {
        while outbox.progress().await.unwrap().pending > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, drained).await.expect("the relays do not come to an end");
    stop.send(true).unwrap();
    while let Some(ended) = relays.join_next().await {
        ended.unwrap();
    }
    assert_eq!(check_order(&memory.arrived()), KEYS.len() * 40);
    assert_eq!(memory.arrived().len(), KEYS.len() * 40, "without a crash nothing is sent twice");
    let at_work = statuses.iter().filter(|status| status.borrow().sent > 0).count();
    assert!(at_work >= 2, "the work was not shared");
}

async fn write_from_two_tasks<DB: Db>(db: &Arc<Opened<DB>>, outbox: &Outbox<DB>) {
    let mut writers = JoinSet::new();
    for half in KEYS.chunks(KEYS.len() / 2) {
        let (db, outbox) = (db.clone(), outbox.clone());
        writers.spawn(async move { commit_numbers(&db, &outbox, half, 0..40).await });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
}
