//! `serve` before it serves, what it refuses and what it leaves behind then; and the HTTP listener's own answers.

use std::{fs, net::TcpListener, path::Path};

use serde_json::{Value, json};

use crate::broker::{Broker, code, json_lines, run, stderr, stdout, tallymq};

fn serve(data_dir: &Path, listen: &str, http_listen: &str) -> (i32, String) {
    let data_dir = data_dir.to_str().unwrap();
    let output = run(&["serve", "--data-dir", data_dir, "--listen", listen, "--http-listen", http_listen]);
    (code(&output), stderr(&output))
}

#[test]
fn the_configuration_is_shown_with_every_default_and_as_json() {
    let text = stdout(&run(&["serve", "--print-config"]));
    assert!(text.lines().any(|line| line == "\"tracing.filter\" = \"info\""), "{text}");
    let shown = tallymq()
        .args(["serve", "--print-config", "--json", "--set", "num.partitions=3"])
        .env("TALLYMQ_FLUSH", "async")
        .output()
        .unwrap();
    let shown = json_lines(&shown).remove(0);
    assert_eq!(shown["num.partitions"], json!({ "value": 3, "origin": "command line" }));
    assert_eq!(shown["flush"], json!({ "value": "async", "origin": "TALLYMQ_FLUSH" }));
    assert_eq!(shown["tracing.filter"], json!({ "value": "info", "origin": null }));
    assert_eq!(shown.as_object().unwrap().len(), text.lines().count(), "both show the same keys");
}

#[test]
fn a_listener_that_is_refused_leaves_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("new/data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases = [
        (taken.as_str(), "127.0.0.1:0", taken.as_str()),
        ("127.0.0.1:0", taken.as_str(), taken.as_str()),
        ("0.0.0.0:0", "127.0.0.1:0", "insecure_listeners"),
        ("9092", "127.0.0.1:0", "`9092` is not an address to listen on: it is not HOST:PORT"),
        ("localhost:kafka", "127.0.0.1:0", "it is not HOST:PORT"),
    ];
    for (listen, http_listen, why) in cases {
        let (code, said) = serve(&data, listen, http_listen);
        assert!(code == 1 && said.contains(why), "{code}: {said}");
        assert!(!dir.path().join("new").exists(), "{listen} {http_listen}");
    }
}

#[test]
fn a_directory_of_somebody_else_is_refused_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    for name in ["lock", "letter.txt"] {
        fs::write(dir.path().join(name), "dear").unwrap();
    }
    let (refused, said) = serve(dir.path(), "127.0.0.1:0", "127.0.0.1:0");
    assert!(refused == 1 && said.contains(path) && said.contains("`letter.txt`"), "{refused}: {said}");
    assert_eq!(fs::read(dir.path().join("lock")).unwrap(), b"dear", "not even the lock was taken");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);

    let (refused, said) = serve(&dir.path().join("letter.txt"), "127.0.0.1:0", "127.0.0.1:0");
    assert!(refused == 1 && said.contains("it is not a directory"), "{refused}: {said}");

    // What a file system has in its root is nobody's.
    fs::remove_file(dir.path().join("letter.txt")).unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    Broker::start(dir.path()).stop();
    // Whatever else is put into one of ours.
    fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    Broker::start(dir.path()).stop();
    fs::remove_file(dir.path().join("identity.toml")).unwrap();
    let (refused, said) = serve(dir.path(), "127.0.0.1:0", "127.0.0.1:0");
    assert!(refused == 1 && said.contains("restore it from a backup"), "{refused}: {said}");
}

/// Status and body.
fn ask(broker: &Broker, method: &str, path: &str) -> (u16, Value, String) {
    let answer = broker.ask_http(method, path);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")), head.to_lowercase())
}

#[test]
fn the_http_listener_says_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    let (status, nothing, _) = ask(&broker, "GET", "/v1/acount");
    let error = nothing["error"].as_str().unwrap();
    assert!(status == 404 && error.contains("/v1/acount") && error.contains("GET /v1/account,"), "{error}");
    let (status, wrong, head) = ask(&broker, "DELETE", "/v1/alarms/acknowledge");
    assert_eq!((status, &wrong["error"]), (405, &json!("no DELETE here, only POST /v1/alarms/acknowledge")));
    assert!(head.contains("\nallow: post\r"), "{head}");
    let (status, health, _) = ask(&broker, "GET", "/health");
    assert_eq!((status, &health), (200, &ask(&broker, "GET", "/health/ready").1));
    crate::openapi::check("get", "/health", &health);
    broker.stop();
}
