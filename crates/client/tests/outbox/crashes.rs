//! A relay that is killed between any two of its steps, and one that is stopped for longer than its lease.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use tallymq_client::{
    Record,
    outbox::{Outbox, RelaySettings},
};

use super::{begin, commit_numbers, outbox, quick};
use crate::support::{
    child::{self, Killable, die, freeze},
    database::{Db, Opened, on_every_database, open},
    destination::{Lines, check_order},
};

on_every_database!(nothing_is_lost_between_any_two_steps, a_relay_that_wakes_up_late_breaks_no_order);

/// `relay`: database, place, file of the destination, lease, what to do (die, freeze or nothing), at which step. Ends when all is
/// sent.
pub async fn child(arguments: &[&str]) {
    let [database, place, file, lease_ms, what, at] = arguments else { panic!("{arguments:?}") };
    let fault: fn() = match *what {
        "die" => || die(),
        "freeze" => freeze,
        _ => || {},
    };
    let at = at.parse().unwrap();
    let settings = quick().lease(Duration::from_millis(lease_ms.parse().unwrap()));
    match *database {
        "postgres" => relay::<sqlx::Postgres>(place, Path::new(file), settings, (fault, at)).await,
        "mariadb" => relay::<sqlx::MySql>(place, Path::new(file), settings, (fault, at)).await,
        _ => relay::<sqlx::Sqlite>(place, Path::new(file), settings, (fault, at)).await,
    }
}

async fn relay<DB: Db>(place: &str, file: &Path, settings: RelaySettings, (fault, at): (fn(), usize)) {
    let outbox = Outbox::new(DB::connect(place).await);
    let steps = AtomicUsize::new(0);
    let mut relay = outbox.relay(Lines::append_to(file)).settings(settings).on_step(move |_| {
        if steps.fetch_add(1, SeqCst) + 1 == at {
            fault();
        }
    });
    while outbox.progress().await.unwrap().pending > 0 {
        let _ = relay.round().await.unwrap();
        tokio::task::yield_now().await;
    }
}

fn start<DB: Db>(db: &Opened<DB>, file: &Path, what: &str, at: usize) -> Killable {
    // Who is frozen must not be in the middle of a renewal, whose locks nobody could take over, so that the first one
    // comes late.
    let lease_ms = if what == "freeze" { "1500" } else { "200" };
    child::start(&["relay", DB::LABEL, &db.place, file.to_str().unwrap(), lease_ms, what, &at.to_string()])
}

async fn nothing_is_lost_between_any_two_steps<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("arrived");
    let keys = ["a", "b", "c"];
    let (mut kills, mut committed) = (0, 0);
    for die_at in 1..=24 {
        commit_numbers(&db, &outbox, &keys, committed..committed + 2).await;
        committed += 2;
        let mut rolled_back = begin(&db).await;
        outbox.put(&mut rolled_back, Record::to("orders").key("never").value("0")).await.unwrap();
        rolled_back.rollback().await.unwrap();
        // Six messages make at least nine steps: claimed, read, six times sent, marked. The later ones of these are reached
        // because the children before left something to do.
        kills += usize::from(!start(&db, &file, "die", die_at % 9 + 1).wait());
        assert_eq!(marked_without_arrival(&db, &file).await, 0, "after child {die_at}");
    }
    assert!(kills >= 20, "only {kills} relays died");
    assert!(start(&db, &file, "nothing", 0).wait(), "the last relay failed");
    let arrived = Lines::read(&file);
    assert_eq!(check_order(&arrived), keys.len() * committed as usize, "something is missing");
    assert!(arrived.len() > keys.len() * committed as usize, "no repetition: no kill came after a send");
    assert!(arrived.iter().all(|arrived| arrived.key != "never"));
}

/// How many messages are marked as sent that never arrived.
async fn marked_without_arrival<DB: Db>(db: &Opened<DB>, file: &Path) -> i64 {
    let arrived: Vec<String> = Lines::read(file).into_iter().map(|arrived| arrived.id).collect();
    let others = format!("message_id NOT IN ('{}')", arrived.join("', '"));
    let marked = format!("SELECT COUNT(*) FROM tally_outbox WHERE state = 1 AND {others}");
    DB::number(&db.pool, &marked).await.unwrap()
}

async fn a_relay_that_wakes_up_late_breaks_no_order<DB: Db>() {
    let db = open::<DB>().await;
    let outbox = outbox(&db).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("arrived");
    let mut committed = 0;
    for at in [3, 60] {
        commit_numbers(&db, &outbox, &["a", "b"], committed..committed + 60).await;
        committed += 60;
        let mut first = start(&db, &file, "freeze", at);
        first.wait_until_frozen();
        // The second takes over when the lease is gone.
        assert!(start(&db, &file, "nothing", 0).wait(), "the second relay failed");
        commit_numbers(&db, &outbox, &["a", "b"], committed..committed + 10).await;
        committed += 10;
        first.thaw();
        assert!(first.wait(), "the first relay failed");
    }
    assert_eq!(check_order(&Lines::read(&file)), 2 * committed as usize);
}
