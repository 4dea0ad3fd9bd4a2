//! Outbox and inbox on real PostgreSQL, MariaDB, SQLite and Redis. The servers come from Debian's packages `postgresql`,
//! `mariadb-server` and `redis-server`; a test whose server is missing fails and says so.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared with the other tests, which use more of it")]
#[path = "../it/broker.rs"]
mod broker;
#[path = "../inbox/mod.rs"]
mod inbox;
#[path = "../outbox/mod.rs"]
mod outbox;
#[allow(dead_code, reason = "shared with the other tests, which use more of it")]
#[path = "../it/process.rs"]
mod process;
mod support;

/// What a child process of these tests runs; see `support::child`. In the tests' own process there is no task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process() {
    let Some(task) = support::child::task() else { return };
    let arguments: Vec<&str> = task.iter().map(String::as_str).collect();
    match arguments[0] {
        "relay" => outbox::crashes::child(&arguments[1..]).await,
        "consume" => inbox::crashes::child(&arguments[1..]).await,
        "halves" => outbox::check_back::child(&arguments[1..]).await,
        other => panic!("no such task: {other}"),
    }
}
