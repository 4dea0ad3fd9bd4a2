//! Dead letters from outside: counted, shown, sent again once, removed; and what a kill in the middle leaves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::broker::{Broker, code, json_lines, run, stderr, stdout};

const LETTERS: &str = "orders.billing.dead";
/// When a letter's record was first stored, which is not when the letter was.
const SENT: &str = "  sent:     1970-01-01T00:00:02Z";

/// Lines of `key:value` as letters of one partition, as the SDK writes them.
fn give_up(broker: &Broker, partition: &str, cause: &str, lines: &str) {
    let cause = format!("tally-cause={cause}");
    let headers = [
        cause.as_str(),
        "tally-origin-topic=orders",
        "tally-origin-partition=0",
        "tally-origin-offset=4",
        "tally-origin-timestamp=2000",
        "tally-attempts=5",
        "tally-group=billing",
        "tally-failed-at=1000",
        "trace=t1",
    ];
    let mut arguments = vec!["produce", LETTERS, "-q", "-k", ":", "-p", partition];
    headers.iter().for_each(|header| arguments.extend(["-H", header]));
    let produced = broker.run_with_input(&arguments, lines.as_bytes());
    assert_eq!(code(&produced), 0, "{}", stderr(&produced));
}

/// Two topics, and five letters with two causes.
fn clinic(broker: &Broker) {
    broker.ok(&["topic", "create", "orders", "-p", "1"]);
    broker.ok(&["topic", "create", LETTERS, "-p", "2"]);
    give_up(broker, "0", "no stock of 7", "a:one\nb:two\n");
    give_up(broker, "1", "no stock of 7", "c:three\n");
    give_up(broker, "1", "card refused", "d:four\ne:five\n");
}

fn values(broker: &Broker, topic: &str) -> Vec<String> {
    let mut values: Vec<String> =
        stdout(&broker.ok(&["consume", topic])).lines().map(str::to_owned).collect();
    values.sort_unstable();
    values
}

/// How many letters there are, by cause.
fn causes(broker: &Broker) -> BTreeMap<String, u64> {
    let listed = json_lines(&broker.ok(&["dlq", "list", "--json"])).remove(0);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["topic"]), (1, &json!(LETTERS)), "{listed}");
    let kinds = listed[0]["kinds"].as_array().unwrap().iter();
    let kinds = kinds.map(|kind| {
        assert_eq!((&kind["origin"], &kind["group"]), (&json!("orders"), &json!("billing")), "{kind}");
        (kind["cause"].as_str().unwrap().to_owned(), kind["letters"].as_u64().unwrap())
    });
    let kinds: BTreeMap<String, u64> = kinds.collect();
    assert_eq!(listed[0]["letters"], json!(kinds.values().sum::<u64>()), "{listed}");
    kinds
}

fn of(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(cause, letters)| ((*cause).to_owned(), *letters)).collect()
}

fn redrive(broker: &Broker, flags: &[&str]) -> Value {
    let output = broker.ok(&[&["dlq", "redrive", LETTERS, "--json"], flags].concat());
    json_lines(&output).remove(0)
}

#[test]
fn letters_are_counted_and_shown_with_their_story() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    assert_eq!(stdout(&broker.ok(&["dlq", "list"])), "no dead-letter topics\n");
    broker.ok(&["topic", "create", "idle.dead", "-p", "1"]);
    for flags in [&["dlq", "redrive", "idle.dead"][..], &["dlq", "redrive", "idle.dead", "--execute"]] {
        let nothing = broker.ok(flags);
        assert_eq!(stdout(&nothing), "nothing to send again: idle.dead has no such letter\n");
    }
    broker.ok(&["topic", "delete", "idle.dead", "--yes"]);
    clinic(&broker);
    assert_eq!(causes(&broker), of(&[("no stock of 7", 3), ("card refused", 2)]));
    let table = stdout(&broker.ok(&["dlq", "list", LETTERS]));
    let first: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(first[..4], [LETTERS, "3", "orders", "billing"], "{table}");
    assert!(table.contains("1970-01-01T00:00:01Z"), "{table}");

    let shown = json_lines(&broker.ok(&["dlq", "show", LETTERS, "--offset", "1:1", "--json"]));
    let letter = &shown[0];
    assert_eq!((shown.len(), &letter["cause"], &letter["attempts"]), (1, &json!("card refused"), &json!(5)));
    assert_eq!(letter["origin"], json!({ "topic": "orders", "partition": 0, "offset": 4 }));
    assert_eq!(letter["timestamp"], json!(2000));
    assert_eq!((&letter["key"], &letter["value"]), (&json!("d"), &json!("four")));
    assert!(letter["headers"].as_array().unwrap().contains(&json!({ "name": "trace", "value": "t1" })));
    let text = stdout(&broker.ok(&["dlq", "show", LETTERS, "--offset", "0:0"]));
    for line in [
        "orders.billing.dead-0:0",
        "  origin:   orders-0:4",
        SENT,
        "  header:   trace: t1",
        "  value:    one",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    assert!(!text.contains("tally-"), "{text}");
    broker.stop();
}

#[test]
fn a_letter_is_sent_again_once_and_only_if_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    clinic(&broker);
    let planned = redrive(&broker, &["--cause", "stock"]);
    assert_eq!(planned, json!({ "topic": LETTERS, "executed": false, "letters": 3, "to": { "orders": 3 } }));
    assert!(values(&broker, "orders").is_empty(), "nothing was said to be done");
    assert_eq!(redrive(&broker, &["--cause", "stock", "--execute"])["letters"], json!(3));
    assert_eq!(values(&broker, "orders"), ["one", "three", "two"]);
    assert_eq!(redrive(&broker, &["--cause", "stock", "--execute"])["letters"], json!(0));
    assert_eq!(causes(&broker), of(&[("card refused", 2)]));

    let sent = json_lines(&broker.ok(&["consume", "orders", "--json"]));
    let header = |record: &Value, name: &str| {
        let headers = record["headers"].as_array().unwrap().iter();
        headers.filter(|header| header["name"] == name).map(|header| header["value"].clone()).next_back()
    };
    for record in &sent {
        assert_eq!(header(record, "tally-redriven"), Some(json!("1")));
        assert_eq!(header(record, "tally-origin-offset"), Some(json!("4")));
        assert_eq!((header(record, "tally-attempts"), header(record, "tally-cause")), (None, None));
    }
    broker.ok(&["topic", "create", "repaired", "-p", "1"]);
    let one = redrive(&broker, &["--offset", "1:2", "--to", "repaired", "--execute"]);
    assert_eq!(one, json!({ "topic": LETTERS, "executed": true, "letters": 1, "to": { "repaired": 1 } }));
    assert_eq!(values(&broker, "repaired"), ["five"]);
    let again = broker.run(&["dlq", "redrive", LETTERS, "--offset", "1:2", "--execute"]);
    assert_eq!(code(&again), 1);
    assert!(stderr(&again).contains("no dead letter at 1:2, or it is settled already"), "{}", stderr(&again));
    broker.stop();
}

#[test]
fn purged_letters_are_gone_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    clinic(&broker);
    let purge = |flags: &[&str]| {
        let output = broker.ok(&[&["dlq", "purge", LETTERS, "--json"], flags].concat());
        json_lines(&output).remove(0)["letters"].clone()
    };
    assert_eq!(purge(&[]), json!(5), "it says what it would do");
    assert_eq!(purge(&["--offset", "0:1", "--execute"]), json!(1));
    assert_eq!(causes(&broker), of(&[("no stock of 7", 2), ("card refused", 2)]));
    assert_eq!(purge(&["--below", "1:1", "--execute"]), json!(1));
    assert_eq!(causes(&broker), of(&[("no stock of 7", 1), ("card refused", 2)]));
    assert_eq!(redrive(&broker, &["--execute"])["letters"], json!(3), "what was purged does not come back");
    assert_eq!(values(&broker, "orders"), ["five", "four", "one"]);
    give_up(&broker, "0", "again", "f:six\n");
    assert_eq!(purge(&["--execute"]), json!(1));
    assert!(causes(&broker).is_empty());
    assert!(values(&broker, LETTERS).is_empty(), "the records are deleted");
    broker.stop();
}

#[test]
fn what_makes_no_sense_or_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    clinic(&broker);
    assert_eq!(code(&broker.run_with_input(&["produce", "orders", "-q"], b"zero\n")), 0);
    for (arguments, expected, said) in [
        (&["dlq", "show", LETTERS, "--offset", "17"][..], 2, "--offset: 17 is not PARTITION:OFFSET"),
        (&["dlq", "show", LETTERS, "--offset", "0:17"], 1, "no dead letter at 0:17"),
        (&["dlq", "redrive", "no.such.dead", "--execute"], 1, "no.such.dead does not exist"),
        (&["dlq", "purge", LETTERS, "--below", "0:1", "--cause", "x"], 2, "cannot be used with"),
        (&["dlq", "purge", "orders", "--execute"], 2, "orders is no dead-letter topic"),
        (&["dlq", "purge", "orders", "--below", "0:1", "--execute"], 2, "orders is no dead-letter topic"),
        (&["dlq", "redrive", "orders", "--to", "copy", "--execute"], 2, "orders is no dead-letter topic"),
    ] {
        let output = broker.run(arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(values(&broker, "orders"), ["zero"], "records that nobody gave up on stay");
    let other = broker.ok(&["dlq", "show", LETTERS, "--offset", "0:1", "--cause", "card refused"]);
    assert_eq!(stdout(&other), "", "it is there, and is not like that");
    let plain = ["produce", LETTERS, "-q", "-p", "0"];
    assert_eq!(code(&broker.run_with_input(&plain, b"a record of somebody else\n")), 0);
    let lost = broker.run(&["dlq", "redrive", LETTERS, "--execute"]);
    assert_eq!(code(&lost), 1);
    assert!(stderr(&lost).contains("the letter at 0:2 does not say where it came from"), "{}", stderr(&lost));
    broker.stop();
    assert_eq!(code(&run(&["dlq", "list", "-b", "127.0.0.1:1", "--timeout", "5"])), 3);
}

#[test]
fn a_redrive_killed_in_the_middle_loses_nothing_and_doubles_few() {
    const ALL: usize = 6_000;
    let dir = tempfile::tempdir().unwrap();
    // With syncs that take their time, so that the middle lasts.
    let broker = Broker::start_with(dir.path(), "127.0.0.1:0", &["--set", "wal.sync.delay.ms=20"]);
    broker.ok(&["topic", "create", "orders", "-p", "1"]);
    broker.ok(&["topic", "create", LETTERS, "-p", "1"]);
    for some in 0..ALL / 2000 {
        let numbers = some * 2000..(some + 1) * 2000;
        let lines: String = numbers.map(|number| format!("k{number}:{number}\n")).collect();
        give_up(&broker, "0", "no stock", &lines);
    }
    for _ in 0..2 {
        let enough = values(&broker, "orders").len() + 300;
        let running = broker.follow(&["dlq", "redrive", LETTERS, "--execute"]);
        loop {
            let sent = values(&broker, "orders").len();
            assert!(sent < ALL, "it was not killed in the middle");
            if sent >= enough {
                break;
            }
        }
        running.kill();
    }
    let before = values(&broker, "orders").len();
    assert!(before < ALL, "it was not killed in the middle");
    broker.ok(&["dlq", "redrive", LETTERS, "--execute"]);
    let sent = values(&broker, "orders");
    let distinct: BTreeSet<&String> = sent.iter().collect();
    assert_eq!(distinct.len(), ALL, "none is missing");
    assert!(sent.len() <= ALL + 2 * 30, "{} were sent twice", sent.len() - ALL);
    assert!(causes(&broker).is_empty());
    broker.stop();
}
