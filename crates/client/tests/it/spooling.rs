//! The spool across kill -9 of the process that sends.

use std::{fs::OpenOptions, io::Write, time::Duration};

use tallymq_client::{
    OpenError, Producer, Record, Refusal, SendError, SpoolError, SpoolSettings, StartError,
};

use crate::{broker::Broker, process::Process, spooler, topic, waiting::until};

/// Sends lines one after the other and gives what became of them.
fn send(process: &mut Process, lines: std::ops::Range<usize>) -> Vec<String> {
    lines
        .map(|line| {
            process.say(&line.to_string());
            process.line()
        })
        .collect()
}

fn wait_until_empty(process: &mut Process) -> String {
    for _ in 0..15_000 {
        process.say("");
        let status = process.line();
        if status.starts_with("waiting 0 ") {
            return status;
        }
    }
    panic!("the spool does not get empty");
}

#[test]
fn what_was_spooled_survives_kill_nine_and_a_torn_end_and_is_sent_in_order() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    broker.kill();
    let spool = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut process = spooler::start(broker.address(), spool.path());
        let outcomes = send(&mut process, round * 20..round * 20 + 20);
        assert!(outcomes.iter().all(|outcome| outcome.starts_with("spooled ")), "{outcomes:?}");
        process.kill();
        let files = std::fs::read_dir(spool.path()).unwrap().map(|entry| entry.unwrap().path());
        let newest =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "spool")).max();
        // What a write that was cut short leaves.
        let mut file = OpenOptions::new().append(true).open(newest.unwrap()).unwrap();
        file.write_all(b"\x9btQ1\x40\0\0\0half a frame").unwrap();
    }
    broker.start_again();
    let mut process = spooler::start(broker.address(), spool.path());
    let status = wait_until_empty(&mut process);
    assert!(status.starts_with("waiting 0 resent 60 torn "), "{status}");
    // Stored, or behind others that still wait.
    send(&mut process, 60..62);
    wait_until_empty(&mut process);
    let values: Vec<usize> =
        topic::read(broker.address(), "t").iter().map(|record| record.value.parse().unwrap()).collect();
    assert_eq!(values, (0..62).collect::<Vec<_>>());
}

#[test]
fn a_process_killed_while_it_resends_loses_nothing_and_marks_what_it_doubles() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    let spool = tempfile::tempdir().unwrap();
    // This one knows the topic, so its records have their numbers before they enter the spool.
    let mut process = spooler::start(broker.address(), spool.path());
    assert_eq!(send(&mut process, 0..1), ["stored 0"]);
    broker.kill();
    send(&mut process, 1..401);
    broker.start_again();
    process.say("");
    process.line();
    process.kill();
    for _ in 0..3 {
        let process = spooler::start(broker.address(), spool.path());
        process.kill();
    }
    let mut process = spooler::start(broker.address(), spool.path());
    wait_until_empty(&mut process);
    let records = topic::read(broker.address(), "t");
    let counts = topic::check(&records).counts();
    assert_eq!((counts.missing, counts.checked - counts.duplicates), (0, 401), "{counts:?}");
    let mut values: Vec<usize> = records.iter().map(|record| record.value.parse().unwrap()).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values, (0..401).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_belongs_to_one_producer() {
    let broker = Broker::start();
    let spool = tempfile::tempdir().unwrap();
    let builder = Producer::builder(broker.cluster()).spool(SpoolSettings::at(spool.path()));
    let _first = builder.clone().start().await.unwrap();
    let second = builder.start().await.unwrap_err();
    assert!(matches!(second, StartError::Spool(OpenError::InUse(_))), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_producers_spool_is_the_next_ones() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    broker.kill();
    let spool = tempfile::tempdir().unwrap();
    let builder = Producer::builder(broker.cluster())
        .deadline(Duration::from_millis(300))
        .spool(SpoolSettings::at(spool.path()).bytes_max(3000));
    for round in 1..4 {
        let producer = builder.clone().start().await.unwrap();
        assert!(!producer.send(Record::to("t").value("x")).await.unwrap().by_broker());
        producer.close(Duration::from_secs(300)).await.unwrap();
        assert_eq!(producer.spool().unwrap().status().waiting, round);
    }
    // Full, it refuses and loses nothing of what it has. The deadline bounds resends too, and after it they are stored twice.
    let producer = builder.deadline(Duration::from_secs(60)).start().await.unwrap();
    let error = producer.send(Record::to("t").value(vec![0; 3000])).await.unwrap_err();
    assert!(
        matches!(error, SendError::Refused { cause: Refusal::Spool(SpoolError::Full { .. }), .. }),
        "{error}"
    );
    broker.start_again();
    until("it is empty", || producer.spool().unwrap().status().waiting == 0).await;
    assert_eq!(topic::read(broker.address(), "t").len(), 3);
    let counts: u64 = producer.counts().metrics().iter().map(|(_, value)| value).sum();
    assert_eq!(counts, 2, "one sent, one refused");
}
