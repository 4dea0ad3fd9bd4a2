//! `verify` on data directories that a real broker wrote: whole ones are whole, and no damaged byte goes unnoticed.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::broker::{Broker, code, json_lines, run, stderr, stdout, tallymq};

fn verify(dir: &Path) -> (i32, Value) {
    let output = run(&["verify", "--data-dir", dir.to_str().unwrap(), "--json"]);
    let report = json_lines(&output).into_iter().next();
    (code(&output), report.unwrap_or_else(|| panic!("{}", stderr(&output))))
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn find(dir: &Path, below: &str, wanted: impl Fn(&Path) -> bool) -> PathBuf {
    let mut found = Vec::new();
    files(&dir.join(below), &mut found);
    found.sort();
    found.into_iter().find(|path| wanted(path) && fs::metadata(path).unwrap().len() > 0).unwrap()
}

fn fill(broker: &Broker) {
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    for _ in 0..3 {
        let produced =
            broker.run_with_input(&["produce", "t", "-q"], "a line of text\n".repeat(50).as_bytes());
        assert_eq!(code(&produced), 0, "{}", stderr(&produced));
    }
    broker.ok(&["consume", "t", "-g", "g"]);
}

/// Changes one byte, verifies, and puts it back. Whether the damage was found, in this file.
fn is_found(dir: &Path, file: &Path, position: usize) -> bool {
    let whole = fs::read(file).unwrap();
    let mut damaged = whole.clone();
    damaged[position] ^= 0x10;
    fs::write(file, &damaged).unwrap();
    let (code, report) = verify(dir);
    fs::write(file, whole).unwrap();
    let name = file.strip_prefix(dir).unwrap().to_str().unwrap();
    let damages = report["damages"].as_array().unwrap();
    code == 4 && damages.iter().any(|damage| damage["file"].as_str() == Some(name))
}

#[test]
fn a_directory_is_whole_after_a_stop_and_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    fill(&broker);
    let locked = run(&["verify", "--data-dir", dir.path().to_str().unwrap()]);
    assert_eq!(code(&locked), 1);
    assert!(stderr(&locked).contains("in use by"), "{}", stderr(&locked));
    broker.kill();
    let (code, report) = verify(dir.path());
    assert_eq!((code, report["whole"].as_bool()), (0, Some(true)), "{report}");
    assert!(report["checked"]["wal_entries"].as_u64().unwrap() > 5, "{report}");

    Broker::start(dir.path()).stop();
    let (code, report) = verify(dir.path());
    assert_eq!((code, report["whole"].as_bool()), (0, Some(true)), "{report}");
    assert!(report["checked"]["checkpoints"].as_u64().unwrap() > 0, "{report}");
    assert!(report["checked"]["batches"].as_u64().unwrap() >= 3, "{report}");
    assert!(report["checked"]["compared"].as_u64().unwrap() >= 3, "{report}");
}

#[test]
fn it_says_which_directory_it_checked() {
    let dir = tempfile::tempdir().unwrap();
    Broker::start(dir.path()).stop();
    let path = dir.path().to_str().unwrap();
    let by_variable = |flags: &[&str]| {
        tallymq().args(flags).env("TALLYMQ_DATA_DIR", path).current_dir("/").output().unwrap()
    };
    let text = by_variable(&["verify"]);
    assert_eq!(code(&text), 0, "{}", stderr(&text));
    assert_eq!(stdout(&text).lines().next(), Some(format!("data directory {path}").as_str()));
    let report = json_lines(&by_variable(&["verify", "--json"])).remove(0);
    assert_eq!(report["data_dir"].as_str(), Some(path), "{report}");
    let elsewhere = by_variable(&["verify", "--data-dir", "nowhere"]);
    assert_eq!(
        (code(&elsewhere), stderr(&elsewhere).contains("/nowhere")),
        (2, true),
        "the flag is stronger"
    );
    let identity = dir.path().join("identity.toml");
    let file = run(&["verify", "--data-dir", identity.to_str().unwrap()]);
    assert_eq!((code(&file), stderr(&file).contains("is not a directory")), (2, true), "{}", stderr(&file));
}

/// Verifies as somebody who may not write there.
fn verify_as_reader(dir: &Path) -> (i32, String, Value) {
    let mut command = tallymq();
    command.args(["verify", "--json", "--data-dir"]).arg(dir);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Permissions do not stop root.
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    let report = json_lines(&output).into_iter().next().unwrap_or_default();
    (code(&output), stderr(&output), report)
}

#[test]
fn a_directory_that_may_only_be_read_is_checked_and_a_broker_on_it_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    fill(&broker);
    let lock = dir.path().join("lock");
    fs::set_permissions(&lock, Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o555)).unwrap();
    let (refused, said, _) = verify_as_reader(dir.path());
    assert!(refused == 1 && said.contains("in use by process"), "{refused}: {said}");
    broker.kill();

    let notes_of_lock = |report: &Value| {
        report["notes"].as_array().unwrap().iter().filter(|note| note["file"] == "lock").count()
    };
    let holder = fs::read(&lock).unwrap();
    let (whole, said, report) = verify_as_reader(dir.path());
    assert_eq!((whole, notes_of_lock(&report)), (0, 0), "{said} {report}");
    assert_eq!(fs::read(&lock).unwrap(), holder);

    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(&lock).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o555)).unwrap();
    let (whole, said, report) = verify_as_reader(dir.path());
    assert_eq!((whole, notes_of_lock(&report)), (0, 1), "{said} {report}");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn no_damaged_byte_goes_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    fill(&broker);
    broker.stop();
    assert_eq!(verify(dir.path()).0, 0);

    let segment =
        find(dir.path(), "topics", |path| path.extension().is_some_and(|extension| extension == "log"));
    let bytes = fs::metadata(&segment).unwrap().len() as usize;
    // Each field of the first batch's header that the CRC does not cover, then all over the file.
    let places = [0, 7, 11, 15, 16, 20].into_iter().chain((0..bytes).step_by(bytes / 10)).chain([bytes - 1]);
    for position in places {
        assert!(is_found(dir.path(), &segment, position), "{} at byte {position}", segment.display());
    }
    let checkpoint = find(dir.path(), "groups", |_| true);
    let bytes = fs::metadata(&checkpoint).unwrap().len() as usize;
    for position in (0..bytes).step_by(bytes.div_ceil(8)).chain([bytes - 1]) {
        assert!(is_found(dir.path(), &checkpoint, position), "{} at byte {position}", checkpoint.display());
    }
    let identity = dir.path().join("identity.toml");
    assert!(is_found(dir.path(), &identity, 0));

    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(verify(dir.path()).0, 4, "a segment that is cut short");
    fs::remove_file(&segment).unwrap();
    assert_eq!(verify(dir.path()).0, 4, "a segment that is gone");
}

#[test]
fn a_damaged_entry_of_the_log_is_found_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    fill(&broker);
    broker.stop();
    let wal = find(dir.path(), "wal", |path| path.extension().is_some_and(|extension| extension == "wal"));
    let text = b"a line of text";
    let bytes = fs::read(&wal).unwrap();
    let position = bytes.windows(text.len()).position(|window| window == text).unwrap();
    assert!(is_found(dir.path(), &wal, position), "byte {position} of {}", wal.display());
}

#[test]
fn a_batch_with_a_good_checksum_that_is_not_the_one_in_the_log_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    fill(&broker);
    broker.stop();
    let segment =
        find(dir.path(), "topics", |path| path.extension().is_some_and(|extension| extension == "log"));
    // Base sequence and CRC changed together: only the sequences and the WAL know better.
    let mut bytes = fs::read(&segment).unwrap();
    let size = 12 + u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    bytes[53..57].copy_from_slice(&7_i32.to_be_bytes());
    let crc = tallymq_model::batch::crc32c(&bytes[21..size]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    fs::write(&segment, bytes).unwrap();
    let (code, report) = verify(dir.path());
    assert_eq!(code, 4);
    let reasons: Vec<_> = report["damages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|damage| damage["reason"].as_str().unwrap())
        .collect();
    assert!(reasons.iter().any(|reason| reason.contains("is not the one in wal/")), "{reasons:?}");
}

/// A directory with indexes of keys; the path of one.
fn indexed(dir: &Path) -> PathBuf {
    let flags = ["--set", "log.segment.bytes=1048576", "--set", "checkpoint.interval.ms=1000"];
    let broker = Broker::start_with(dir, "127.0.0.1:0", &flags);
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    for round in 0..4 {
        let line = |number: u32| format!("key{}:{}\n", round * 1000 + number, "x".repeat(800));
        let lines: String = (0..1000).map(line).collect();
        let produced = broker.run_with_input(&["produce", "t", "-q", "-k", ":"], lines.as_bytes());
        assert_eq!(code(&produced), 0, "{}", stderr(&produced));
    }
    // It is built beside everything else.
    while !broker.metrics().lines().any(|line| line.starts_with("tallymq_key_index_files 3")) {
        std::thread::yield_now();
    }
    let (_, absent) = trace(&broker, "nobody");
    assert!(absent["searched"]["indexed_records"].as_u64().unwrap() > 2000, "{absent}");
    let (found, present) = trace(&broker, "key17");
    assert_eq!((found, present["records"][0]["offset"].as_i64()), (0, Some(17)), "{present}");
    let stored = present["records"][0]["log"].as_array().unwrap();
    assert!(
        stored.iter().any(|event| event["what"] == "stored" && event["address"].is_string()),
        "{present}"
    );
    broker.stop();
    find(dir, "keys", |path| path.extension().is_some_and(|extension| extension == "keys"))
}

fn trace(broker: &Broker, key: &str) -> (i32, Value) {
    let output = broker.books(&["trace", "-t", "t", "--key", key, "--json"]);
    let answer = json_lines(&output).into_iter().next();
    let answer = answer.unwrap_or_else(|| panic!("{}", stderr(&output)));
    crate::openapi::check("get", "/v1/trace", &answer);
    (code(&output), answer)
}

#[test]
fn an_index_of_keys_that_would_hide_records_is_damage_and_a_torn_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let index = indexed(dir.path());
    let (good, report) = verify(dir.path());
    assert_eq!(good, 0, "{report}");
    let name = index.strip_prefix(dir.path()).unwrap().to_str().unwrap();
    assert!(!report["notes"].to_string().contains("keys/"), "{report}");

    let whole = fs::read(&index).unwrap();
    let mut flipped = whole.clone();
    flipped[5000] ^= 1;
    let zeroed = |range: std::ops::Range<usize>| {
        let mut bytes = whole.clone();
        bytes[range].fill(0);
        bytes
    };
    let size = whole.len();
    // As a power cut leaves what was never synced: pages that were not written, or the end of the file.
    let torn = [zeroed(0..4096), zeroed(4096..8192), zeroed(4096..size), whole[..4096].to_vec(), Vec::new()];
    for torn in torn.into_iter().chain([flipped]) {
        fs::write(&index, &torn).unwrap();
        let (harmless, report) = verify(dir.path());
        assert_eq!(harmless, 0, "{report}");
        assert!(report["notes"].to_string().contains(name), "{report}");
    }

    // Whole by its checksums, and of one key more than the log has.
    let mut lying = whole;
    lying[79] ^= 1;
    let crc = tallymq_model::batch::crc32c(&lying[..88]);
    lying[88..92].copy_from_slice(&crc.to_be_bytes());
    fs::write(&index, &lying).unwrap();
    let (code, report) = verify(dir.path());
    assert_eq!(code, 4, "{report}");
    assert_eq!(report["damages"][0]["file"].as_str(), Some(name), "{report}");
}
