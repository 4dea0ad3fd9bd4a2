//! Data directories of earlier formats still open: every record of them is there, where it was, and the books are whole.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::broker::{Broker, code, json_lines, run, stdout};

/// A copy of a recorded directory, with the zeros that were left out.
fn unpacked(name: &str, into: &Path) -> PathBuf {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(name);
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

/// What was recorded: key and value of each record of `orders`.
fn orders() -> BTreeSet<(String, String)> {
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let early = codecs
        .into_iter()
        .flat_map(|codec| (1..=4).map(move |n| (format!("key{n}"), format!("{codec}-{n}"))));
    let late = (1..=5).map(|n| (format!("late{n}"), format!("tail-{n}")));
    early.chain(late).collect()
}

#[test]
fn format_1_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let data = unpacked("format-1", directory.path());
    let verified = run(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code(&verified), 0, "{}", stdout(&verified));
}

#[test]
fn format_1_opens_with_every_record_and_position() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(&unpacked("format-1", directory.path()));
    let records = json_lines(&broker.ok(&["consume", "orders", "--json"]));
    let read: BTreeSet<(String, String)> = records
        .iter()
        .map(|record| {
            (record["key"].as_str().unwrap().to_owned(), record["value"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(read, orders());
    assert_eq!(records.len(), 25, "each of them once");
    // The group had read all but the last five, which came after the clean stop.
    let group = stdout(&broker.ok(&["group", "describe", "readers"]));
    assert!(group.contains("lag 5"), "{group}");
    let empty = stdout(&broker.ok(&["topic", "describe", "empty"]));
    assert!(empty.contains("2 partitions"), "{empty}");
    broker.stop();
}
