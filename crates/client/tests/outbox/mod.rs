//! The outbox: what is committed is sent, in order per key, whatever dies meanwhile.

mod basics;
pub mod check_back;
mod circle;
pub mod crashes;
mod failures;
mod parallel;
mod restart;

use std::time::Duration;

use sqlx::Transaction;
use tallymq_client::{
    Record,
    outbox::{Outbox, RelaySettings},
};

use crate::support::database::{Db, Opened};

/// Much longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(300);

/// Settings for impatient tests. What a round begins does not end with its lease or its time, however slow the machine is.
pub fn quick() -> RelaySettings {
    RelaySettings::default()
        .lease(Duration::from_secs(60))
        .round_max(Duration::from_secs(60))
        .poll(Duration::from_millis(5))
        .back_off_first(Duration::from_millis(1))
        .back_off_max(Duration::from_millis(50))
}

pub async fn outbox<DB: Db>(opened: &Opened<DB>) -> Outbox<DB> {
    let outbox = Outbox::new(opened.pool.clone());
    outbox.create_schema().await.unwrap();
    outbox
}

pub async fn begin<DB: Db>(outbox: &Opened<DB>) -> Transaction<'static, DB> {
    outbox.pool.begin().await.unwrap()
}

/// Commits one message per transaction: for each key the numbers of the range.
pub async fn commit_numbers<DB: Db>(
    opened: &Opened<DB>,
    outbox: &Outbox<DB>,
    keys: &[&str],
    numbers: std::ops::Range<u64>,
) {
    for number in numbers {
        for key in keys {
            let mut tx = begin(opened).await;
            let record = Record::to("orders").key(key.to_string()).value(number.to_string());
            outbox.put(&mut tx, record).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}

/// Rounds until nothing is pending.
pub async fn drain<DB: Db, D: tallymq_client::outbox::Destination>(
    outbox: &Outbox<DB>,
    relay: &mut tallymq_client::outbox::Relay<DB, D>,
) {
    let all_sent = async {
        while outbox.progress().await.unwrap().pending > 0 {
            let _ = relay.round().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, all_sent).await.expect("the outbox is not drained");
}
