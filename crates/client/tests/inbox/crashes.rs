//! A consumer that is killed between any two of its steps, while its database is restarted now and then.

use std::{fs::File, io::Write, path::Path};

use sqlx::Transaction;
use tallymq_client::inbox::{Inbox, Once};

use super::{effect, id, inbox};
use crate::support::{
    child::{self, die},
    database::{Db, on_every_database, open, open_alone},
};

on_every_database!(every_effect_is_there_once_whatever_is_killed);

const MESSAGES: u64 = 60;

/// `consume`: database, place, file of the acknowledgements, the step at which to die (0: never). Works through all
/// messages that are not acknowledged.
pub async fn child(arguments: &[&str]) {
    let [database, place, file, die_at] = arguments else { panic!("{arguments:?}") };
    let die_at: usize = die_at.parse().unwrap();
    match *database {
        "postgres" => consume::<sqlx::Postgres>(place, Path::new(file), die_at).await,
        "mariadb" => consume::<sqlx::MySql>(place, Path::new(file), die_at).await,
        _ => consume::<sqlx::Sqlite>(place, Path::new(file), die_at).await,
    }
}

async fn consume<DB: Db>(place: &str, file: &Path, die_at: usize) {
    let pool = DB::connect(place).await;
    let inbox = Inbox::new(pool.clone(), "tests");
    let mut steps = 0;
    let mut step = || {
        steps += 1;
        if steps == die_at {
            die();
        }
    };
    let acknowledged = std::fs::read(file).unwrap_or_default().len() as u64;
    let mut acknowledge = File::options().append(true).create(true).open(file).unwrap();
    for message in acknowledged..MESSAGES {
        let message = message.to_string();
        let mut tx = pool.begin_with(DB::WRITE).await.unwrap();
        step();
        let work = async |tx: &mut Transaction<'_, DB>| {
            step();
            DB::execute(tx, effect(&message)).await?;
            step();
            Ok(())
        };
        let outcome = inbox.once(&mut tx, &id(&message), work).await.unwrap();
        assert_ne!(outcome, Once::Busy);
        step();
        tx.commit().await.unwrap();
        step();
        acknowledge.write_all(b".").unwrap();
        step();
    }
}

async fn every_effect_is_there_once_whatever_is_killed<DB: Db>() {
    // SQLite has no server to crash; the others have one for this test alone.
    let db = if DB::SERVER.is_some() { open_alone::<DB>().await } else { open::<DB>().await };
    inbox(&db).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acknowledged");
    let mut kills = 0;
    loop {
        // 1 to 12: each of the six steps, of the first message and of the second.
        let die_at = (kills % 12 + 1).to_string();
        let mut consumer = child::start(&["consume", DB::LABEL, &db.place, file.to_str().unwrap(), &die_at]);
        if consumer.wait() {
            break;
        }
        kills += 1;
        if let Some(server) = db.server.clone().filter(|_| kills % 8 == 0) {
            tokio::task::spawn_blocking(move || {
                server.crash();
                server.resume();
            })
            .await
            .unwrap();
        }
        assert!(kills < 1000, "it does not come forward");
    }
    assert!(kills >= 20, "only {kills} consumers died");
    let pool = DB::connect(&db.place).await;
    let one = |sql: &'static str| DB::number(&pool, sql);
    assert_eq!(
        one("SELECT COUNT(DISTINCT message) FROM effects").await.unwrap(),
        MESSAGES as i64,
        "work is missing"
    );
    assert_eq!(one("SELECT COUNT(*) FROM effects").await.unwrap(), MESSAGES as i64, "work was done twice");
    let inbox = Inbox::new(pool.clone(), "tests");
    assert!(inbox.progress().await.unwrap().repeats > 0, "nothing came twice");
}
