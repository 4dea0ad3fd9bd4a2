//! `doctor` on a real broker and on clients' property files: what is planted is found, and the exit codes say it.

use std::{fs, io::Write, path::Path};

use serde_json::{Value, json};

use crate::broker::{Broker, Process, code, json_lines, run, stderr, stdout};

fn doctor(broker: &Broker, more: &[&str]) -> (i32, Value) {
    let output = broker.run(&[&["doctor", "--json"], more].concat());
    let found = json_lines(&output).pop();
    (code(&output), found.unwrap_or_else(|| panic!("{}", stderr(&output))))
}

fn rules(found: &Value) -> Vec<String> {
    let findings = found["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            format!("{} {}", finding["severity"].as_str().unwrap(), finding["rule"].as_str().unwrap())
        })
        .collect()
}

fn has_committed(broker: &Broker, group: &str) -> bool {
    let described = json_lines(&broker.run(&["group", "describe", group, "--json"])).pop();
    described.is_some_and(|described| described["positions"][0]["position"].is_i64())
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_tallymq_is_recognised_and_not_blamed_for_what_it_guarantees() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "2", "--config", "message.timestamp.type=LogAppendTime"]);
    let (exit, found) = doctor(&broker, &["--watch-seconds", "0"]);
    assert_eq!(exit, 0, "{found}");
    assert_eq!((&found["cluster"]["tallymq"], &found["cluster"]["topics"]), (&json!(true), &json!(1)));
    assert_eq!(found["unchecked"], json!([]));
    assert_eq!(rules(&found), ["advice broker-auto-create-topics", "advice cluster-single-broker"]);
    assert_eq!(doctor(&broker, &["--watch-seconds", "0", "--fail-on", "advice"]).0, 7);
    broker.stop();
}

#[test]
fn a_flush_that_comes_late_is_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start_with(dir.path(), "127.0.0.1:0", &["--set", "flush=async"]);
    let (exit, found) = doctor(&broker, &["--watch-seconds", "0"]);
    assert_eq!((exit, &rules(&found)[0]), (5, &"loss broker-flush".to_owned()));
    let setting = json!({ "name": "flush", "present": "async", "default": false, "suggested": "sync" });
    assert_eq!(found["findings"][0]["setting"], setting);
    assert_eq!(doctor(&broker, &["--watch-seconds", "0", "--fail-on", "never"]).0, 0);
    broker.stop();
}

#[test]
fn a_group_that_nobody_is_in_is_named_with_the_time_that_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1", "--config", "retention.ms=86400000"]);
    broker.run_with_input(&["produce", "t"], b"1\n2\n3\n");
    broker.ok(&["consume", "t", "-g", "g", "-n", "1"]);

    let (_, found) = doctor(&broker, &["--watch-seconds", "0"]);
    let findings = found["findings"].as_array().unwrap();
    let empty =
        findings.iter().find(|finding| finding["rule"] == "group-empty").expect("the group has no members");
    assert_eq!(empty["object"], json!({ "kind": "position", "group": "g", "topic": "t", "partition": 0 }));
    let why = empty["why"].as_str().unwrap();
    assert!(
        why.starts_with(
            "it has no members and 2 records are unread; unread records expire in about 23 h at 20"
        ),
        "{why}"
    );
    assert_eq!(empty["setting"], Value::Null, "there is time, and no setting makes a group read");

    broker.ok(&["topic", "alter", "t", "--set", "retention.ms=1"]);
    let (exit, found) = doctor(&broker, &["--watch-seconds", "0"]);
    assert_eq!(exit, 5, "they expire at any moment, or are gone: {found}");
    broker.stop();
}

#[test]
fn a_member_that_stands_still_while_records_come_is_stuck() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    broker.run_with_input(&["produce", "t"], b"first\n");
    let mut member = broker.follow(&["consume", "t", "-g", "g", "--follow"]);
    assert_eq!(member.line().unwrap(), "first");
    while !has_committed(&broker, "g") {
        std::thread::yield_now();
    }
    // A stopped process cannot commit; its session outlives this test.
    member.pause();

    let (producer, mut lines) = Process::start_with_input(&["produce", "t", "-q", "-b", &broker.address]);
    let looking = std::thread::scope(|scope| {
        // Long enough for some records to be stored in between, however slow the disk.
        let doctor = scope.spawn(|| doctor(&broker, &["--watch-seconds", "10"]));
        while !doctor.is_finished() {
            lines.write_all(b"more\n").unwrap();
            broker.metrics(); // a pause that is as long as the machine is busy
        }
        doctor.join().unwrap()
    });
    drop(lines);
    assert!(producer.wait().success());
    assert_eq!(looking.0, 5, "{}", looking.1);
    let findings = looking.1["findings"].as_array().unwrap();
    let stuck = findings.iter().find(|finding| finding["rule"] == "group-stuck").expect("it is stuck");
    assert_eq!(stuck["object"]["group"], json!("g"));
    broker.stop();
}

#[test]
fn property_files_need_no_broker() {
    let dir = tempfile::tempdir().unwrap();
    let java =
        write(dir.path(), "producer.properties", "key.serializer=x\nacks=1\nenable.idempotance=true\n");
    let rd = write(
        dir.path(),
        "consumer.conf",
        "metadata.broker.list=x\ngroup.id=g\nauto.offset.reset=earliest\n",
    );
    let output = run(&["doctor", "-c", &java, "-c", &rd, "--json"]);
    assert_eq!(code(&output), 5);
    let found = &json_lines(&output)[0];
    let expected = [
        "loss client-acks",
        "loss client-offset-store",
        "duplicate client-idempotence",
        "advice client-order",
        "advice client-checksums",
        "advice client-unknown-key",
    ];
    assert_eq!(rules(found), expected);
    assert_eq!(found["findings"][0]["object"], json!({ "kind": "client", "file": java, "line": 2 }));
    assert_eq!(found["cluster"], Value::Null);
    assert_eq!(found["findings"][5]["setting"]["suggested"], json!("enable.idempotence"));

    let safe = write(dir.path(), "safe.properties", "key.serializer=x\nacks=all\n");
    let table = run(&["doctor", "-c", &safe]);
    assert_eq!((code(&table), stdout(&table)), (0, format!("0 findings; looked at: {safe} (java)\n")));
    assert!(stdout(&run(&["doctor", "-c", &java])).contains("LOSS: records can be lost or never read (1)"));
    assert_eq!(code(&run(&["doctor", "-c", "/nowhere/at/all"])), 2);
}

#[test]
fn a_cluster_changes_what_is_said_of_clients() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(&dir.path().join("data"));
    let file = write(dir.path(), "producer.properties", "key.serializer=x\nacks=1\n");
    let (_, found) = doctor(&broker, &["--watch-seconds", "0", "-c", &file]);
    let clients: Vec<String> = rules(&found).into_iter().filter(|rule| rule.contains("client-")).collect();
    assert_eq!(
        clients,
        ["duplicate client-idempotence", "advice client-order"],
        "this broker syncs before it answers acks=1"
    );
    broker.stop();
}
