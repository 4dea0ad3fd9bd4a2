//! What an operator sees of a broker: start-up lines, health, the log, metrics, and what the settings weaken.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{ChildStderr, Stdio},
};

use serde_json::{Value, json};

use crate::broker::{Broker, Process, code, json_lines, run, stderr, stdout, tallymq};

const ASYNC: &str = "flush = async: a power cut loses acknowledged records";
const INSECURE: &str = "insecure_listeners = true: anyone on the network can read and write";

/// The flags of a broker whose settings take all promises back.
fn weak(data_dir: &Path) -> Vec<&str> {
    let mut flags = vec!["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    flags.extend(["--data-dir", data_dir.to_str().unwrap()]);
    for setting in ["flush=async", "insecure_listeners=true", "tracing.format=json"] {
        flags.extend(["--set", setting]);
    }
    flags
}

/// A log that is JSON.
struct Log(BufReader<ChildStderr>);

impl Log {
    /// The next line with this message.
    fn line(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the log ended before `{message}`");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if line["message"] == message {
                return line;
            }
        }
    }
}

/// Starts one, and gives what it says until it is ready.
fn start_weak(data_dir: &Path) -> (Broker, Log, Vec<String>) {
    let mut command = tallymq();
    let command = command.args(weak(data_dir)).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = Log(BufReader::new(child.stderr.take().unwrap()));
    let mut process = Process::of(child);
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != "ready") {
        lines.push(process.line().expect("it starts"));
    }
    (Broker::of(process, &lines), log, lines)
}

#[test]
fn settings_that_weaken_the_promise_are_told_wherever_somebody_looks() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, mut log, lines) = start_weak(dir.path());
    assert!(lines.iter().any(|line| line.starts_with("durability async: acknowledged before fdatasync")));
    for warning in [ASYNC, INSECURE] {
        assert!(lines.contains(&format!("WARNING {warning}")), "{lines:?}");
        let health = broker.ask_http("GET", "/health");
        assert!(health.contains(warning), "{health}");
    }
    let info = broker.metrics();
    let info = info.lines().find(|line| line.starts_with("tallymq_broker_info{")).unwrap().to_owned();
    assert!(info.contains("flush=\"async\"") && info.contains("insecure_listeners=\"true\""), "{info}");

    broker.ok(&["topic", "create", "t", "-p", "1"]);
    broker.run_with_input(&["produce", "t"], b"1\n2\n3\n");
    broker.ok(&["consume", "t", "-g", "g"]);
    let expected = [ASYNC, INSECURE].map(|warning| format!("broker 1: {warning}"));
    for described in [["topic", "describe", "t"], ["group", "describe", "g"]] {
        let text = stdout(&broker.ok(&described));
        for warning in &expected {
            assert!(text.lines().any(|line| line == format!("WARNING {warning}")), "{text}");
        }
        let shown = &json_lines(&broker.ok(&[&described[..], &["--json"]].concat()))[0];
        assert_eq!(shown["warnings"], json!(expected));
    }
    a_loss_is_told(&broker, &mut log);
    broker.stop();
    assert_eq!(log.line("stopped")["level"], json!("INFO"));
}

/// Somebody commits past what nobody read: one line in the log, and one more in the metrics.
fn a_loss_is_told(broker: &Broker, log: &mut Log) {
    const ONE: &str = "tallymq_account_alarms_total{class=\"skipped\"} 1";
    let is_counted = || broker.metrics().lines().any(|line| line == ONE);
    assert!(!is_counted());
    broker.run_with_input(&["produce", "t"], b"4\n5\n");
    broker.ok(&["group", "reset", "g", "-t", "t", "--to", "latest", "--execute"]);
    let told = log.line("records were lost to a consumer group");
    let named = ["level", "group", "topic", "from", "to", "class"].map(|name| told[name].clone());
    assert_eq!(json!(named), json!(["ERROR", "g", "t", 3, 5, "skipped"]), "{told}");
    assert!(is_counted(), "before it is told");
}

#[test]
fn nothing_is_said_of_a_broker_that_promises_everything() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t"]);
    assert!(!stdout(&broker.ok(&["topic", "describe", "t"])).contains("WARNING"));
    let shown = &json_lines(&broker.ok(&["topic", "describe", "t", "--json"]))[0];
    assert_eq!(shown["warnings"], json!([]));
    broker.stop();
}

#[test]
fn the_facts_of_a_start_are_one_line_of_json() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(&[&weak(dir.path())[..], &["--json"]].concat());
    let facts: Value = serde_json::from_str(&process.line().unwrap()).unwrap();
    assert_eq!(facts["ready"], json!(true));
    assert_eq!(facts["node_id"], json!(1));
    assert_eq!(facts["warnings"], json!([ASYNC, INSECURE]));
    assert_eq!(facts["data_dir"], json!(dir.path()));
    let address = facts["kafka"][0].as_str().unwrap();
    assert_eq!(code(&run(&["topic", "list", "-b", address])), 0);
    assert!(process.terminate().success());
}

#[test]
fn settings_that_contradict_each_other_are_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for (setting, why) in [
        ("request.buffer.bytes=16777216", "socket.request.max.bytes"),
        ("advertised.listeners=nowhere", "`nowhere` is not HOST:PORT"),
        ("transaction.max.timeout.ms=1", "not served yet"),
    ] {
        for more in [&[][..], &["--print-config"]] {
            let serve = ["serve", "--data-dir", data.to_str().unwrap(), "--set", setting];
            let refused = run(&[&serve[..], more].concat());
            let said = stderr(&refused);
            assert!(code(&refused) == 2 && said.contains(why), "{setting} {more:?}: {said}");
        }
    }
    assert!(!data.exists());
}

#[test]
fn what_is_set_by_key_is_the_strongest() {
    let shown = run(&["serve", "--data-dir", "a", "--print-config", "--json", "--set", "data.dir=b"]);
    assert_eq!(json_lines(&shown)[0]["data.dir"]["value"], json!("b"));
}

/// The names in the table of docs/operations.md.
fn documented() -> BTreeSet<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("| metric | |").unwrap();
    let rows = table.lines().take_while(|line| line.is_empty() || line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').filter(|name| name.starts_with("tallymq_")));
    names.map(|name| name.split('{').next().unwrap().to_owned()).collect()
}

/// The names of an exposition: those of all samples, and of histograms that of the whole.
fn exposed(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| line.starts_with("tallymq_"));
    let mut names: BTreeSet<String> =
        samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect();
    let histograms = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram"));
    for histogram in histograms.map(str::to_owned).collect::<Vec<_>>() {
        for part in ["_bucket", "_sum", "_count"] {
            names.remove(&format!("{histogram}{part}"));
        }
        names.insert(histogram);
    }
    names
}

#[test]
fn the_metrics_are_those_of_the_documentation() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    broker.run_with_input(&["produce", "t"], b"1\n2\n3\n");
    broker.ok(&["consume", "t", "-g", "g", "-n", "1"]);
    assert_eq!(code(&broker.run(&["topic", "create", "t"])), 1);
    let metrics = broker.metrics();
    let (documented, exposed) = (documented(), exposed(&metrics));
    assert!(documented.len() > 30, "{documented:?}");
    // Nothing was sent twice or refused here, so that these have no series.
    let unseen: BTreeSet<&str> = ["tallymq_account_not_stored_batches", "tallymq_account_handled"].into();
    let missing: Vec<_> =
        documented.difference(&exposed).filter(|name| !unseen.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "documented and not there: {missing:?}\n{metrics}");
    let unknown: Vec<_> = exposed.difference(&documented).collect();
    assert!(unknown.is_empty(), "there and not documented: {unknown:?}");
    for line in [
        "tallymq_group_lag{group=\"g\",topic=\"t\"} 2",
        "tallymq_request_errors_total{api=\"CreateTopics\",error=\"TOPIC_ALREADY_EXISTS\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    for histogram in
        ["tallymq_request_latency_seconds_count{api=\"Produce\"}", "tallymq_commit_sync_seconds_count"]
    {
        let found = metrics.lines().find_map(|line| line.strip_prefix(histogram)).unwrap_or("absent");
        assert_ne!(found.trim(), "0", "{histogram}");
        assert_ne!(found, "absent", "{histogram}");
    }
    broker.stop();
}
