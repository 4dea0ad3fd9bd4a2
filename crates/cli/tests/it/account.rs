//! The account from outside: `account`, `alarms` and `trace` against a real broker, and `verify` on what it leaves behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tallymq_broker::account::{
    Happening,
    journal::{self, JOURNAL_TOPIC, JournalAppend},
};
use tallymq_model::BatchHeader;

use crate::broker::{Broker, code, json_lines, run, stderr, stdout};
use crate::openapi;

/// A group's account of a topic.
fn account(broker: &Broker, group: &str) -> Value {
    let output = broker.books(&["account", "--group", group, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let report = json_lines(&output).remove(0);
    openapi::check("get", "/v1/account", &report);
    assert_eq!(report["balanced"], json!(true), "{report}");
    report["accounts"].as_array().unwrap().first().cloned().unwrap_or_default()
}

/// The classes that are not empty.
fn classes(account: &Value) -> Vec<(String, u64)> {
    let classes = account["classes"].as_object().unwrap().iter();
    let classes = classes.map(|(name, count)| (name.clone(), count.as_u64().unwrap()));
    classes.filter(|(_, count)| *count > 0).collect()
}

fn of(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Records `keyN` and `value N` to topic t, each with the header h=v.
pub fn produce(broker: &Broker, lines: std::ops::Range<u32>) {
    let input: String = lines.map(|number| format!("key{number}:value {number}\n")).collect();
    let produced = broker.run_with_input(&["produce", "t", "-q", "-k", ":", "-H", "h=v"], input.as_bytes());
    assert_eq!(code(&produced), 0, "{}", stderr(&produced));
}

fn verify(dir: &Path) -> (i32, Value) {
    let output = run(&["verify", "--data-dir", dir.to_str().unwrap(), "--json"]);
    let report = json_lines(&output).into_iter().next();
    (code(&output), report.unwrap_or_else(|| panic!("{}", stderr(&output))))
}

fn reasons(report: &Value) -> Vec<String> {
    let damages = report["damages"].as_array().unwrap().iter();
    damages.map(|damage| damage["reason"].as_str().unwrap().to_owned()).collect()
}

/// The first segment of the journal or of another topic that has records.
fn segment(dir: &Path, of_journal: bool) -> PathBuf {
    let mut found = Vec::new();
    for topic in fs::read_dir(dir.join("topics")).unwrap().map(|entry| entry.unwrap().path()) {
        if topic.ends_with(JOURNAL_TOPIC.to_string()) == of_journal {
            for partition in fs::read_dir(&topic).unwrap().map(|entry| entry.unwrap().path()) {
                found.extend(fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    found.retain(|path| is_log(path) && fs::metadata(path).unwrap().len() > 0);
    found.sort();
    found.remove(0)
}

#[test]
fn a_group_that_reads_all_has_a_balanced_account_and_no_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "2"]);
    let nothing = broker.books(&["account"]);
    assert_eq!(code(&nothing), 0, "{}", stderr(&nothing));
    assert!(stdout(&nothing).starts_with("no account"), "{}", stdout(&nothing));

    produce(&broker, 0..50);
    broker.ok(&["consume", "t", "-g", "g"]);
    assert_eq!(classes(&account(&broker, "g")), of(&[("processed", 50)]));
    produce(&broker, 50..60);
    assert_eq!(classes(&account(&broker, "g")), of(&[("pending", 10), ("processed", 50)]));

    let table = stdout(&broker.books(&["account"]));
    assert!(table.contains("60 stored = 10 pending + 50 processed + 0 lost   balanced"), "{table}");
    let alarms = broker.books(&["alarms", "list", "--fail"]);
    assert_eq!((code(&alarms), stdout(&alarms).as_str()), (0, "no alarms\n"));
    let metrics = broker.metrics();
    let line = r#"tallymq_account_records{group="g",topic="t",class="processed"} 50"#;
    assert!(metrics.contains(line), "{metrics}");
    broker.stop();
    let (code, report) = verify(dir.path());
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["checked"]["accounts"], json!(2), "{report}");
    assert!(report["checked"]["journal_events"].as_u64().unwrap() >= 6, "{report}");
}

#[test]
fn what_was_not_stored_stands_below_the_groups() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1", "--config", "max.message.bytes=200"]);
    let large = "v".repeat(1000);
    let refused = broker.run_with_input(&["produce", "t", "-q"], large.as_bytes());
    assert_ne!(code(&refused), 0, "{}", stdout(&refused));
    let report = json_lines(&broker.books(&["account", "--json"])).remove(0);
    openapi::check("get", "/v1/account", &report);
    let row = &report["not_stored"][0];
    let refused = row["refused_since_start"].as_u64().unwrap();
    assert!(
        refused > 0 && row["topic"] == json!("t") && row["duplicates"]["batches"] == json!(0),
        "{report}"
    );
    assert_eq!(row["partitions"][0]["refused_since_start"], json!(refused), "{report}");
    let shown = stdout(&broker.books(&["account"]));
    assert!(shown.starts_with("no account") && shown.contains("that were not stored:"), "{shown}");
    let line =
        format!(r#"tallymq_account_not_stored_batches{{topic="t",why="refused_since_start"}} {refused}"#);
    assert!(broker.metrics().contains(&line), "{}", broker.metrics());
}

#[test]
fn a_position_set_past_unread_records_is_a_loss_with_names() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    produce(&broker, 0..10);
    broker.ok(&["consume", "t", "-g", "g"]);
    produce(&broker, 10..25);
    broker.ok(&["group", "reset", "g", "--topic", "t", "--to", "latest", "--execute"]);

    let skipped = account(&broker, "g");
    assert_eq!(classes(&skipped), of(&[("processed", 10), ("skipped", 15)]));
    let intervals = &skipped["partitions"][0]["intervals"];
    assert_eq!(*intervals, json!([{ "from": 10, "to": 25, "class": "skipped" }]));
    let table = stdout(&broker.books(&["account"]));
    assert!(table.contains("skipped: t-0 offsets 10 to 24 (15), group g"), "{table}");

    let alarms = json_lines(&broker.books(&["alarms", "list", "--json"])).remove(0);
    openapi::check("get", "/v1/alarms", &alarms);
    let alarm = &alarms["alarms"][0];
    let named = ["class", "group", "topic", "from", "to", "client_id"].map(|name| alarm[name].clone());
    let by = json!("tallymq-cli-group-reset");
    let expected = [json!("skipped"), json!("g"), json!("t"), json!(10), json!(25), by];
    assert_eq!(named, expected, "{alarms}");
    assert!(alarm["address"].as_str().unwrap().starts_with("127.0.0.1"), "{alarms}");
    assert_eq!(code(&broker.books(&["alarms", "list", "--fail"])), 5);
    let wrong = broker.books(&["alarms", "acknowledge", "--id", "x"]);
    assert_eq!(code(&wrong), 2, "{}", stderr(&wrong));

    let story = json_lines(&broker.books(&["trace", "-t", "t", "-o", "0:12", "--json"])).remove(0);
    openapi::check("get", "/v1/trace", &story);
    let group = &story["records"][0]["groups"][0];
    assert_eq!(group["class"], json!("skipped"), "{story}");
    let events = group["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["what"] == "passed" && event["by"] == "admin"), "{story}");
    assert!(events.iter().all(|event| event["what"] != "delivered"), "{story}");

    let id = alarm["id"].as_str().unwrap();
    for other in ["9-9", "1-999"] {
        let missing = broker.books(&["alarms", "acknowledge", "--id", other]);
        assert_eq!((code(&missing), stdout(&missing).as_str()), (1, "acknowledged 0 alarms\n"));
        assert!(stderr(&missing).contains(other), "{}", stderr(&missing));
    }
    assert_eq!(code(&broker.books(&["alarms", "list", "--fail"])), 5, "it is still there");
    let acknowledged = broker.books(&["alarms", "acknowledge", "--id", id, "9-9", "--json"]);
    let answer = json_lines(&acknowledged).remove(0);
    openapi::check("post", "/v1/alarms/acknowledge", &answer);
    assert_eq!((code(&acknowledged), answer), (1, json!({ "acknowledged": 1, "missing": ["9-9"] })));
    let again = broker.books(&["alarms", "acknowledge", "--id", id]);
    assert_eq!(code(&again), 1, "it was acknowledged already");
    assert_eq!(code(&broker.books(&["alarms", "acknowledge", "--all"])), 0, "none is none too few");
    assert_eq!(code(&broker.books(&["alarms", "list", "--fail"])), 0);
    assert_eq!(
        classes(&account(&broker, "g")),
        of(&[("processed", 10), ("skipped", 15)]),
        "they stay skipped"
    );
    broker.stop();
    let (code, report) = verify(dir.path());
    assert_eq!(code, 0, "{report}");
}

#[test]
fn one_message_is_found_by_place_key_header_and_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "3"]);
    produce(&broker, 0..40);
    broker.ok(&["consume", "t", "-g", "g"]);
    let trace = |arguments: &[&str]| {
        let output = broker.books(&[&["trace", "-t", "t", "--json"], arguments].concat());
        let answer = json_lines(&output).into_iter().next();
        let answer = answer.unwrap_or_else(|| panic!("{}", stderr(&output)));
        openapi::check("get", "/v1/trace", &answer);
        (code(&output), answer)
    };
    let (found, by_key) = trace(&["--key", "key17"]);
    assert_eq!(found, 0, "{by_key}");
    let record = &by_key["records"][0];
    assert_eq!(record["stored"]["key"], json!("key17"), "{by_key}");
    assert_eq!(by_key["searched"]["partitions"], json!(1), "the hash says where: {by_key}");
    let group = &record["groups"][0];
    assert_eq!((&group["group"], &group["class"]), (&json!("g"), &json!("processed")), "{by_key}");
    let events: Vec<_> = group["events"].as_array().unwrap().iter().map(|event| &event["what"]).collect();
    assert_eq!(events, ["opened", "delivered", "acknowledged"], "{by_key}");

    let place = format!("{}:{}", record["partition"], record["offset"]);
    let (_, by_place) = trace(&["--offset", &place]);
    assert_eq!(by_place["records"][0], *record);
    let stored = &record["stored"];
    let (producer, sequence) = (stored["producer_id"].to_string(), stored["sequence"].to_string());
    let (partition, by) = (record["partition"].to_string(), ["--producer", &producer, "--seq", &sequence]);
    let (_, by_sequence) = trace(&[&by[..], &["--partition", &partition]].concat());
    assert_eq!(by_sequence["records"][0], *record);
    let (_, by_header) = trace(&["--header", "h=v", "--limit", "3"]);
    assert_eq!(by_header["records"].as_array().unwrap().len(), 3, "{by_header}");
    assert_eq!(by_header["searched"]["complete"], json!(false), "there are more: {by_header}");

    for (arguments, why) in [
        (vec!["--key", "nobody"], "no record in the log matches"),
        (vec!["--offset", "0:4000"], "is not written yet"),
        (vec!["--producer", &producer, "--seq", "4000"], "outside of what its producer has"),
        (vec!["--header", "h=w"], "no record in the log matches"),
    ] {
        let (found, answer) = trace(&arguments);
        assert_eq!(found, 1, "{arguments:?}");
        assert!(answer["not_here"]["why"].as_str().unwrap().contains(why), "{answer}");
    }
    let unknown = broker.books(&["trace", "-t", "nowhere", "--key", "k"]);
    assert_eq!(code(&unknown), 1);
    assert!(stderr(&unknown).contains("there is no topic nowhere"), "{}", stderr(&unknown));
    broker.stop();
}

#[test]
fn an_account_opens_when_a_person_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "2"]);
    produce(&broker, 0..10);
    let open = ["account", "open", "--group", "later", "--from", "earliest"];
    let nowhere = broker.books(&open);
    assert_eq!(code(&nowhere), 1);
    assert!(stderr(&nowhere).contains("name the topic"), "{}", stderr(&nowhere));
    let opened = broker.books(&[&open[..], &["--topic", "t"]].concat());
    assert_eq!(stdout(&opened), "opened 2 accounts of group later\n", "{}", stderr(&opened));
    assert_eq!(classes(&account(&broker, "later")), of(&[("pending", 10)]));
    let answer =
        json_lines(&broker.books(&["account", "open", "-g", "other", "-t", "t", "--json"])).remove(0);
    openapi::check("post", "/v1/account/open", &answer);
    assert_eq!(answer["opened"], json!(2));
    assert_eq!(stdout(&broker.books(&open)), "opened 0 accounts of group later\n", "they are open");
    let wrong = broker.books(&["account", "open", "--group", "later", "--from", "soon"]);
    assert_eq!(code(&wrong), 2, "{}", stderr(&wrong));
    broker.stop();
}

#[test]
fn a_watched_account_is_shown_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    let mut watch = broker.watch(&["account", "--watch", "--interval", "1", "--group", "g", "--json"]);
    let mut until = |wanted: &[(&str, u64)]| {
        loop {
            let report: Value = serde_json::from_str(&watch.line().expect("it goes on")).unwrap();
            openapi::check("get", "/v1/account", &report);
            let shown = report["accounts"].as_array().unwrap().first().map(classes).unwrap_or_default();
            if shown == of(wanted) {
                return;
            }
        }
    };
    until(&[]);
    produce(&broker, 0..10);
    broker.ok(&["consume", "t", "-g", "g"]);
    until(&[("processed", 10)]);
    produce(&broker, 10..15);
    until(&[("pending", 5), ("processed", 10)]);
    broker.stop();
}

#[test]
fn a_deleted_group_and_a_deleted_topic_leave_their_last_statements() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "2"]);
    produce(&broker, 0..20);
    let nothing = stdout(&broker.books(&["account", "--ended"]));
    assert_eq!(nothing, "no account has ended, as far as the journals tell\n");
    broker.ok(&["consume", "t", "-g", "g"]);
    broker.ok(&["group", "delete", "g", "--yes"]);
    broker.ok(&["consume", "t", "-g", "g"]);
    produce(&broker, 20..25);
    broker.ok(&["topic", "delete", "t", "--yes"]);

    let read = |arguments: &[&str]| {
        let output = broker.books(&[&["account", "--ended", "--json"], arguments].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let report = json_lines(&output).remove(0);
        openapi::check("get", "/v1/account/ended", &report);
        report
    };
    let report = read(&[]);
    let rows = report["ended"].as_array().unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row["why"].as_str().unwrap(), classes(row))).collect();
    let gone = of(&[("processed", 20), ("purged", 5)]);
    assert_eq!(told, [("topic_deleted", gone), ("group_deleted", of(&[("processed", 20)]))], "{report}");
    assert_eq!((&report["complete"], &report["trimmed"]), (&json!(true), &json!(false)), "{report}");
    let table = stdout(&broker.books(&["account", "--ended"]));
    assert!(table.contains("45 stored = 40 processed + 5 purged + 0 lost   balanced"), "{table}");
    assert!(table.contains("t (deleted)") && table.contains("group deleted"), "{table}");
    assert_eq!(read(&["--group", "h"])["ended"], json!([]));
    let newest = read(&["--topic", "t", "--limit", "2"]);
    assert_eq!((&newest["ended"][0], &newest["more"]), (&rows[0], &json!(true)), "{newest}");
    assert_eq!(newest["known_since"], rows[0]["ended_at"], "{newest}");
    let wrong = broker.books(&["account", "--seconds", "3"]);
    assert_eq!(code(&wrong), 2, "{}", stderr(&wrong));
    broker.stop();
    assert_eq!(verify(dir.path()).0, 0);
}

#[test]
fn verify_finds_a_journal_that_tells_another_story() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    produce(&broker, 0..10);
    broker.ok(&["consume", "t", "-g", "g"]);
    broker.stop();
    assert_eq!(verify(dir.path()).0, 0);
    // One delivered record less, with checksums that hold.
    let file = segment(dir.path(), true);
    let bytes = fs::read(&file).unwrap();
    let mut changed = Vec::new();
    let (mut rest, mut changes) = (&bytes[..], 0);
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest).unwrap();
        let (batch, behind) = rest.split_at(header.size_bytes);
        rest = behind;
        let mut events: Vec<_> =
            journal::decode(batch).unwrap().into_iter().map(|(_, event)| event).collect();
        for event in &mut events {
            if let Happening::Delivered { from, to, .. } = &mut event.what
                && from < to
                && changes == 0
            {
                *to = to.plus(-1);
                changes += 1;
            }
        }
        let (base_offset, leader_epoch) = (header.base_offset, header.leader_epoch);
        let mut again =
            JournalAppend { base_offset, leader_epoch, events }.batches().remove(0).bytes.to_vec();
        again[12..16].copy_from_slice(&header.leader_epoch.0.to_be_bytes());
        assert_eq!(again.len(), batch.len());
        changed.extend_from_slice(&again);
    }
    assert_eq!(changes, 1);
    fs::write(&file, &changed).unwrap();
    let (code, report) = verify(dir.path());
    assert_eq!(code, 4, "{report}");
    let reasons = reasons(&report);
    let difference = "the balance counts 10 records as processed, the journal 9";
    assert!(reasons.iter().any(|reason| reason.contains(difference)), "{reasons:?}");
}

#[test]
fn a_record_removed_from_a_segment_is_lost_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    for batch in 0..3 {
        produce(&broker, batch * 4..batch * 4 + 4);
    }
    broker.books(&["account", "open", "--group", "g", "--topic", "t"]);
    broker.stop();
    let file = segment(dir.path(), false);
    let bytes = fs::read(&file).unwrap();
    let first = BatchHeader::parse(&bytes).unwrap();
    let second = BatchHeader::parse(&bytes[first.size_bytes..]).unwrap();
    let removed = [&bytes[..first.size_bytes], &bytes[first.size_bytes + second.size_bytes..]].concat();
    fs::write(&file, removed).unwrap();
    let (code, report) = verify(dir.path());
    assert_eq!(code, 4, "{report}");
    let (from, to) = (second.base_offset.0, second.next_offset().0);
    let lost = &report["lost"][0];
    let named = (&lost["topic"], &lost["partition"], &lost["from"], &lost["to"], &lost["groups"]);
    assert_eq!(named, (&json!("t"), &json!(0), &json!(from), &json!(to), &json!(["g"])), "{report}");
    assert_eq!(report["lost"].as_array().unwrap().len(), 1, "what is behind it is whole: {report}");
    let told = format!(" lost: offsets {from} to {}", to - 1);
    assert!(reasons(&report).iter().any(|reason| reason.contains(&told)), "{report}");
}

#[test]
fn a_reset_from_where_somebody_read_is_not_taken_for_the_readers_commit() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    produce(&broker, 0..10);
    assert_eq!(code(&broker.books(&["account", "open", "--group", "g", "--topic", "t"])), 0);
    // In nobody's name, from the same address.
    assert_eq!(stdout(&broker.ok(&["consume", "t"])).lines().count(), 10);
    broker.ok(&["group", "reset", "g", "--topic", "t", "--to", "latest", "--execute"]);
    assert_eq!(classes(&account(&broker, "g")), of(&[("skipped", 10)]));
    let alarms = json_lines(&broker.books(&["alarms", "list", "--json"])).remove(0);
    assert_eq!(alarms["alarms"][0]["client_id"], json!("tallymq-cli-group-reset"), "{alarms}");
    broker.stop();
}
