//! A process that sends the lines of its input, with a spool for outages: this test program itself, started again by
//! [`start`], so that it can be killed with -9. It prints what became of each line; for an empty line, how the spool stands.

use std::{
    io::{BufRead, stdin},
    path::Path,
    process::Command,
    time::Duration,
};

use tallymq_client::{Cluster, Producer, Record, SpoolSettings, SpoolStatus, Stored};

use crate::{process::Process, waiting::pass};

const ADDRESS: &str = "SPOOLER_ADDRESS";
const DIRECTORY: &str = "SPOOLER_DIRECTORY";
/// A broker that has just started syncs twice before it answers the first record; a test waits for so long once the broker is killed.
const DEADLINE: Duration = Duration::from_secs(12);

/// Starts it.
pub fn start(address: &str, spool: &Path) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // With two threads, the test harness prints the test's name only in the end.
    command.args(["--exact", "spooler::sends_its_input_and_ends", "--nocapture", "--test-threads", "2"]);
    let mut process = Process::start(command.env(ADDRESS, address).env(DIRECTORY, spool));
    process.line_after("ready");
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_its_input_and_ends() {
    if let (Ok(address), Some(directory)) = (std::env::var(ADDRESS), std::env::var_os(DIRECTORY)) {
        run(&address, directory.as_ref(), DEADLINE, stdin().lock()).await;
        return;
    }
    // Nobody started this process as a spooler: without a broker, all of a short input is in the spool.
    let directory = tempfile::tempdir().unwrap();
    let deadline = Duration::from_secs(1);
    let status = run("127.0.0.1:1", directory.path(), deadline, b"a\nb\n\nc".as_slice()).await;
    assert_eq!((status.waiting, status.taken), (3, 3));
}

async fn run(address: &str, directory: &Path, deadline: Duration, input: impl BufRead) -> SpoolStatus {
    let producer = Producer::builder(Cluster::at(address).set("reconnect.backoff.ms", "20"))
        .deadline(deadline)
        .spool(SpoolSettings::at(directory))
        .start()
        .await
        .unwrap();
    let spool = producer.spool().unwrap();
    println!("\nready");
    for line in input.lines() {
        let line = line.unwrap();
        if line.is_empty() {
            pass(Duration::from_millis(20)).await;
            let status = spool.status();
            println!("waiting {} resent {} torn {}", status.waiting, status.resent, status.torn_bytes);
            continue;
        }
        match producer.send(Record::to("t").value(line.clone())).await {
            Ok(Stored::InSpool) => println!("spooled {line}"),
            Ok(_) => println!("stored {line}"),
            Err(error) => println!("failed {line}: {error}"),
        }
    }
    spool.status()
}
