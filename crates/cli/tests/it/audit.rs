//! `audit` against a real broker: what is planted is found and named, and nothing else is.

use serde_json::{Value, json};

use crate::broker::{Broker, code, json_lines, stderr, stdout};

/// Sends a record with the two headers, or with what is given of them.
fn send(broker: &Broker, topic: &str, headers: &[String]) {
    let mut produce = vec!["produce", topic, "-p", "0", "-q"];
    headers.iter().for_each(|header| produce.extend(["-H", header]));
    let sent = broker.run_with_input(&produce, b"x\n");
    assert_eq!(code(&sent), 0, "{}", stderr(&sent));
}

fn number(broker: &Broker, topic: &str, producer: &str, number: u64) {
    send(broker, topic, &[format!("tally-producer={producer}"), format!("tally-seq={number}")]);
}

fn audit(broker: &Broker, more: &[&str]) -> (i32, Value) {
    let output = broker.run(&[&["audit", "--json"], more].concat());
    let found = json_lines(&output).pop();
    (code(&output), found.unwrap_or_else(|| panic!("{}", stderr(&output))))
}

#[test]
fn what_is_missing_twice_or_late_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "2"]);
    for (producer, numbers) in [("b", &[0, 1, 2][..]), ("a", &[0, 1, 2, 5, 6, 1, 3, 8])] {
        numbers.iter().for_each(|one| number(&broker, "t", producer, *one));
    }
    send(&broker, "t", &[]);
    send(&broker, "t", &["tally-producer=a".to_owned()]);

    let (exit, found) = audit(&broker, &["--topic", "t"]);
    assert_eq!(exit, 5, "something is missing: {found}");
    let partitions = found["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 2);
    let first = &partitions[0];
    assert_eq!(
        [&first["records"], &first["without_headers"], &first["malformed_headers"]],
        [13, 1, 1].map(|n| json!(n)).each_ref()
    );
    let a = &first["producers"][0];
    assert_eq!(a["gaps"], json!([{ "from": 4, "to": 4 }, { "from": 7, "to": 7 }]));
    assert_eq!(a["duplicates"], json!([{ "number": 1, "offset": 8, "first_offset": 4 }]));
    assert_eq!(a["out_of_order"], json!([{ "number": 3, "offset": 9, "after": 6 }]));
    assert_eq!((&a["unknown_before"], &a["last"]), (&Value::Null, &json!(8)));
    let b = &first["producers"][1];
    assert_eq!((&b["producer"], &b["missing"], &b["duplicate_count"]), (&json!("b"), &json!(0), &json!(0)));

    let text = broker.run(&["audit", "--topic", "t"]);
    let said = stdout(&text);
    for line in [
        "MISSING: a in partition 0: 4 (1)",
        "TWICE: a in partition 0: 1 at offset 4 and at offset 8",
        "OUT OF ORDER: a in partition 0: 3 after 6 at offset 9",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    broker.stop();
}

#[test]
fn the_exit_code_is_that_of_the_worst() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    for (topic, numbers, expected) in [
        ("whole", &[0, 1, 2][..], 0),
        ("missing", &[0, 2, 2], 5),
        ("twice", &[0, 1, 0], 6),
        ("late", &[0, 2, 1], 7),
    ] {
        broker.ok(&["topic", "create", topic, "-p", "1"]);
        numbers.iter().for_each(|one| number(&broker, topic, "a", *one));
        let (exit, found) = audit(&broker, &["--topic", topic]);
        assert_eq!(exit, expected, "{topic}: {found}");
    }
    broker.ok(&["topic", "create", "unlabelled", "-p", "1"]);
    assert_eq!(audit(&broker, &["--topic", "unlabelled"]).0, 0, "empty");
    send(&broker, "unlabelled", &[]);
    assert_eq!(audit(&broker, &["--topic", "unlabelled"]).0, 1, "nothing to go by");
    assert_eq!(code(&broker.run(&["audit", "--topic", "whole", "--since", "5"])), 2);
    assert_eq!(code(&broker.run(&["audit", "--topic", "nowhere"])), 1);
    broker.stop();
}

#[test]
fn what_was_not_looked_at_is_unknown_not_missing() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    (0..4).for_each(|one| number(&broker, "t", "a", one));
    let records = json_lines(&broker.ok(&["consume", "t", "--json"]));
    let since = format!("@{}", records[2]["timestamp"]);
    let first_of_that_time =
        records.iter().find(|record| record["timestamp"] == records[2]["timestamp"]).unwrap()["offset"]
            .clone();

    let (exit, found) = audit(&broker, &["--topic", "t", "--since", &since]);
    assert_eq!(exit, 0, "{found}");
    let partition = &found["partitions"][0];
    assert_eq!((&partition["from"], &partition["to"]), (&first_of_that_time, &json!(4)));
    assert_eq!(partition["producers"][0]["unknown_before"], first_of_that_time);
    let (exit, found) = audit(&broker, &["--topic", "t", "--until", &since]);
    assert_eq!((exit, &found["partitions"][0]["to"]), (0, &first_of_that_time));
    broker.stop();
}
