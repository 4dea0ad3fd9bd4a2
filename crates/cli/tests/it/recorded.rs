//! Recorded data directories still open: every record of them is there, where it was, and the books are whole.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::broker::{Broker, code, json_lines, run, stdout};

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(name)
}

/// A copy of a recorded directory, with the zeros that were left out.
fn unpacked(name: &str, into: &Path) -> PathBuf {
    let recorded = recorded(name);
    let data = into.join("data");
    let sizes = fs::read_to_string(recorded.join("sizes.txt")).unwrap();
    for line in sizes.lines() {
        let (size, path) = line.split_once(' ').unwrap();
        let target = data.join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(recorded.join(path), &target).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&target).unwrap();
        file.set_len(size.parse().unwrap()).unwrap();
    }
    data
}

/// Key and value of what both directories hold first: four records of each codec.
fn of_each_codec() -> BTreeSet<(String, String)> {
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let records = |codec| (1..=4).map(move |n| (format!("key{n}"), format!("{codec}-{n}")));
    codecs.into_iter().flat_map(records).collect()
}

/// Records that were sent together, numbered from 1.
fn numbered(key: &str, value: &str, count: u32) -> BTreeSet<(String, String)> {
    (1..=count).map(|n| (format!("{key}{n}"), format!("{value}-{n}"))).collect()
}

/// Reads all records of `orders`, each once: their keys and values.
fn orders(broker: &Broker) -> BTreeSet<(String, String)> {
    let records = json_lines(&broker.ok(&["consume", "orders", "--json"]));
    let text = |record: &Value, field: &str| record[field].as_str().unwrap().to_owned();
    let read = records.iter().map(|record| (text(record, "key"), text(record, "value")));
    let read: BTreeSet<(String, String)> = read.collect();
    assert_eq!(records.len(), read.len(), "each of them once");
    read
}

/// What `verify` says of a directory that must be whole.
fn verified(data: &Path) -> Value {
    let output = run(&["verify", "--data-dir", data.to_str().unwrap(), "--json"]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    json_lines(&output).remove(0)
}

#[test]
fn format_1_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let data = unpacked("format-1", directory.path());
    verified(&data);
}

#[test]
fn format_1_opens_with_every_record_and_position() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(&unpacked("format-1", directory.path()));
    assert_eq!(orders(&broker), &of_each_codec() | &numbered("late", "tail", 5));
    // The group had read all but the last five, which came after the clean stop.
    let group = stdout(&broker.ok(&["group", "describe", "readers"]));
    assert!(group.contains("lag 5"), "{group}");
    let empty = stdout(&broker.ok(&["topic", "describe", "empty"]));
    assert!(empty.contains("2 partitions"), "{empty}");
    broker.stop();
}

/// How many recorded files end so.
fn files(name: &str, ending: &str) -> usize {
    let sizes = fs::read_to_string(recorded(name).join("sizes.txt")).unwrap();
    sizes.lines().filter(|line| line.ends_with(ending)).count()
}

#[test]
fn state_3_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let data = unpacked("state-3", directory.path());
    let report = verified(&data);
    assert_eq!(report["notes"], json!([]), "nothing of it is damaged, indexes neither");
    let checked =
        ["checkpoints", "segments", "accounts", "alarms"].map(|what| report["checked"][what].clone());
    assert_eq!(json!(checked), json!([6, 16, 4, 2]), "{report}");
    assert!(report["checked"]["journal_events"].as_u64().unwrap() > 30, "{report}");
    assert!(files("state-3", ".keys") == 11 && files("state-3", ".index") == 1);
}

#[test]
fn state_3_opens_with_its_records_books_and_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(&unpacked("state-3", directory.path()));
    let skipped = numbered("skipped", "unread", 4);
    let all = &(&of_each_codec() | &skipped) | &numbered("late", "tail", 5);
    assert_eq!(orders(&broker), all);
    assert_eq!(json_lines(&broker.ok(&["consume", "bulk", "--json"])).len(), 5);
    let group = stdout(&broker.ok(&["group", "describe", "readers"]));
    assert!(group.contains("lag 3"), "{group}");

    let account = stdout(&broker.books(&["account"]));
    assert!(
        account.contains("58 stored = 8 pending + 46 processed + 4 skipped + 0 lost   balanced"),
        "{account}"
    );
    let alarms = stdout(&broker.books(&["alarms", "list"]));
    assert!(alarms.contains("orders-0  5 ") && alarms.contains("orders-1  15..17"), "{alarms}");
    let traced = json_lines(&broker.books(&["trace", "-t", "orders", "-k", "key1", "--json"])).remove(0);
    assert_eq!(traced["records"].as_array().unwrap().len(), 5, "one of each codec: {traced}");
    assert!(traced["searched"]["indexed_records"].as_u64().unwrap() > 0, "by the indexes: {traced}");
    broker.stop();
}
