//! The inbox: each message is done once, whoever has it at the same time and whatever dies meanwhile.

mod change;
pub mod crashes;
mod once;
mod passing;
mod race;
mod redis;

use tallymq_client::inbox::{Inbox, MessageId};

use crate::support::database::{Db, Opened};

pub async fn inbox<DB: Db>(opened: &Opened<DB>) -> Inbox<DB> {
    let inbox = Inbox::new(opened.pool.clone(), "tests");
    inbox.create_schema().await.unwrap();
    let mut conn = opened.pool.acquire().await.unwrap();
    DB::execute(&mut conn, "CREATE TABLE effects (message VARCHAR(100) NOT NULL)".into()).await.unwrap();
    inbox
}

pub fn id(text: &str) -> MessageId {
    MessageId::new(text).unwrap()
}

/// The work of the tests: a row per time that it is done.
pub fn effect(message: &str) -> String {
    format!("INSERT INTO effects VALUES ('{message}')")
}

pub async fn effects<DB: Db>(opened: &Opened<DB>) -> i64 {
    DB::number(&opened.pool, "SELECT COUNT(*) FROM effects").await.unwrap()
}
