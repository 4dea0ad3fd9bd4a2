//! Topics, records and groups through the binary alone, and the exit codes that scripts rely on.

use std::io::Write;

use serde_json::json;

use crate::broker::{Broker, PATIENT_S, Process, code, json_lines, run, stderr, stdout};

#[test]
fn a_topic_lives_from_create_to_delete() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    let created = &json_lines(&broker.ok(&["topic", "create", "t", "-p", "3", "--json"]))[0];
    assert_eq!((&created["topic"], &created["partitions"]), (&json!("t"), &json!(3)));

    let one = broker.ok(&["topic", "create", "one", "-p", "1"]);
    assert_eq!(stdout(&one), "created one with 1 partition\n");
    broker.ok(&["topic", "delete", "one", "--yes"]);

    let again = broker.run(&["topic", "create", "t"]);
    assert_eq!(code(&again), 1);
    assert!(stderr(&again).contains("TOPIC_ALREADY_EXISTS"), "{}", stderr(&again));
    broker.ok(&["topic", "create", "t", "--if-not-exists"]);

    let refused = broker.run(&["topic", "create", "u", "--config", "cleanup.policy=compact"]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("INVALID_CONFIG"), "{}", stderr(&refused));

    broker.ok(&["topic", "alter", "t", "--set", "retention.ms=1234", "--partitions", "4"]);
    let described = &json_lines(&broker.ok(&["topic", "describe", "t", "--json"]))[0];
    assert_eq!(described["partitions"].as_array().unwrap().len(), 4);
    let configs = described["configs"].as_array().unwrap();
    assert!(configs.contains(&json!({ "name": "retention.ms", "value": "1234", "source": "topic" })));

    let listed = json_lines(&broker.ok(&["topic", "list", "--json"]));
    assert_eq!(listed[0][0]["topic"], json!("t"));
    assert_eq!(code(&broker.run(&["topic", "delete", "t"])), 2, "nobody was there to say yes");
    broker.ok(&["topic", "delete", "t", "--yes"]);
    let gone = broker.run(&["topic", "describe", "t"]);
    assert_eq!(code(&gone), 1);
    assert!(stderr(&gone).contains("UNKNOWN_TOPIC_OR_PARTITION"), "{}", stderr(&gone));
    broker.stop();
}

#[test]
fn what_was_acknowledged_is_where_it_was_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "3"]);
    let mut input: Vec<u8> = Vec::new();
    for number in 0..1000 {
        input.extend_from_slice(format!("key{}:value {number}\n", number % 17).as_bytes());
    }
    input.extend_from_slice(b"raw:\xff\xfe\n");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let produce = ["produce", "t", "-k", ":", "-H", "codec=x", "--compression", codec, "--json"];
        let produced = broker.run_with_input(&produce, &input);
        assert_eq!(code(&produced), 0, "{}", stderr(&produced));
        let mut acknowledged = json_lines(&produced);
        assert_eq!(acknowledged.pop().unwrap()["acknowledged"], json!(1001));

        let consumed = json_lines(&broker.ok(&["consume", "t", "--json"]));
        assert_eq!(acknowledged.len(), 1001);
        for ack in &acknowledged {
            let line: usize = ack["input"].as_str().unwrap().parse().unwrap();
            let place = (&ack["partition"], &ack["offset"]);
            let record =
                consumed.iter().find(|record| (&record["partition"], &record["offset"]) == place).unwrap();
            assert_eq!(record["headers"], json!([{ "name": "codec", "value": "x" }]));
            if line == 1001 {
                assert_eq!(record["value_base64"], json!("//4="));
            } else {
                assert_eq!(record["value"], json!(format!("value {}", line - 1)));
                assert_eq!(record["key"], json!(format!("key{}", (line - 1) % 17)));
            }
        }
    }
    let some = broker.ok(&["consume", "t", "-p", "1", "-o", "3", "-n", "2", "--json"]);
    let offsets: Vec<_> = json_lines(&some).iter().map(|record| record["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, [3, 4]);
    assert_eq!(stdout(&broker.ok(&["consume", "t", "-o", "latest"])), "");
    broker.stop();
}

#[test]
fn a_record_that_is_too_large_is_named_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "--set", "max.message.bytes=1000"]);
    let produced = broker.run_with_input(&["produce", "t"], &[b'x'; 2000]);
    assert_eq!(code(&produced), 1);
    let said = stderr(&produced);
    assert!(said.contains("MESSAGE_TOO_LARGE") && said.contains("input 1"), "{said}");
    assert_eq!(stdout(&produced), "");
    broker.stop();
}

#[test]
fn a_broker_that_is_not_there_is_exit_code_3_and_nonsense_is_2() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = run(&["topic", "list", "-b", &free]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("is the broker running?"), "{}", stderr(&output));
    assert_eq!(code(&run(&["topic", "fly"])), 2);
    for offset in ["soon", "+5"] {
        let refused = run(&["consume", "t", "-o", offset, "-b", &free]);
        assert_eq!(code(&refused), 2);
        assert!(!stderr(&refused).contains("+N"), "what is not taken is not offered: {}", stderr(&refused));
    }
    let no_port = run(&["alarms", "list", "--http", "here"]);
    assert_eq!((code(&no_port), stderr(&no_port).contains("HOST:PORT")), (2, true), "{}", stderr(&no_port));
    assert_eq!(code(&run(&["verify", "--data-dir", "/nowhere/at/all"])), 2);
    assert!(stdout(&run(&["completions", "bash"])).contains("_tallymq"));
    assert!(stdout(&run(&["--help"])).contains("Exit codes"));
}

#[test]
fn a_group_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "2"]);
    broker.run_with_input(&["produce", "t"], b"1\n2\n3\n4\n");
    let mut lines: Vec<_> =
        stdout(&broker.ok(&["consume", "t", "-g", "g"])).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3", "4"]);
    assert_eq!(stdout(&broker.ok(&["consume", "t", "-g", "g"])), "", "all is committed");

    broker.run_with_input(&["produce", "t"], b"5\n6\n");
    let described = &json_lines(&broker.ok(&["group", "describe", "g", "--json"]))[0];
    let lags = described["positions"].as_array().unwrap().iter();
    assert_eq!(lags.map(|line| line["lag"].as_i64().unwrap()).sum::<i64>(), 2);
    assert_eq!(described["members"], json!([]), "the member has left");

    broker.ok(&["group", "reset", "g", "-t", "t", "--to", "earliest"]);
    assert_eq!(
        stdout(&broker.ok(&["consume", "t", "-g", "g", "-n", "2"])).lines().count(),
        2,
        "a dry run moved nothing"
    );
    assert_eq!(stdout(&broker.ok(&["consume", "t", "-g", "g"])), "");
    broker.ok(&["group", "reset", "g", "-t", "t", "--to", "-1", "--execute"]);
    assert_eq!(stdout(&broker.ok(&["consume", "t", "-g", "g"])).lines().count(), 2);

    let listed = json_lines(&broker.ok(&["group", "list", "--json"]));
    assert_eq!(listed[0][0]["group"], json!("g"));
    broker.ok(&["group", "delete", "g", "--yes"]);
    assert_eq!(code(&broker.run(&["group", "describe", "g"])), 1);
    broker.stop();
}

#[test]
fn a_follower_survives_a_kill_of_the_broker_and_members_share() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "4"]);
    let mut first = broker.follow(&["consume", "t", "-g", "g", "--follow", "--timeout", PATIENT_S]);
    broker.run_with_input(&["produce", "t"], b"before\n");
    assert_eq!(first.line().unwrap(), "before");

    let address = broker.kill();
    let broker = Broker::start_on(dir.path(), &address);
    assert_eq!(code(&broker.run_with_input(&["produce", "t"], b"after\n")), 0);
    assert_eq!(first.line().unwrap(), "after", "the same member goes on");

    let refused = broker.run(&["group", "reset", "g", "-t", "t", "--to", "earliest", "--execute"]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("has members"), "{}", stderr(&refused));

    // The second one reads only once the first has let go of something, and begins where that stopped.
    let mut second = broker.follow(&["consume", "t", "-g", "g", "--follow"]);
    let mut said_by_second = None;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| second.line());
        while !waiting.is_finished() {
            assert_eq!(
                code(&broker.run_with_input(&["produce", "t", "-q"], b"shared\nshared\nshared\nshared\n")),
                0
            );
        }
        said_by_second = waiting.join().unwrap();
    });
    assert_eq!(said_by_second.as_deref(), Some("shared"));
    assert!(first.terminate().success(), "a follower that is asked to end ends well");
    assert!(second.terminate().success());
    broker.stop();
}

#[test]
fn a_bench_counts_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    let bench = [
        "bench",
        "--topic",
        "b",
        "--partitions",
        "4",
        "--seconds",
        "1",
        "--rate",
        "1000",
        "--batch-records",
        "10",
        "--json",
    ];
    let measured = &json_lines(&broker.ok(&bench))[0];
    assert_eq!(measured["errors"], json!(0));
    assert_eq!(measured["records"], json!(1000), "open loop: a second's worth, however slow the machine");
    let latency = &measured["latency_ms"];
    let [p50, max] = ["p50", "max"].map(|name| latency[name].as_f64().unwrap());
    assert!(p50 > 0.01 && max >= p50, "{latency}");
    let described = &json_lines(&broker.ok(&["topic", "describe", "b", "--json"]))[0];
    let ends = described["partitions"].as_array().unwrap().iter();
    assert_eq!(ends.map(|partition| partition["log_end"].as_i64().unwrap()).sum::<i64>(), 1000);
    broker.stop();
}

#[test]
fn a_producer_goes_on_after_a_kill_and_stores_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "2"]);
    let address = broker.address.clone();
    let (mut producer, mut input) =
        Process::start_with_input(&["produce", "t", "-b", &address, "--timeout", PATIENT_S]);
    let mut acknowledged = Vec::new();
    let mut lines = 0..;
    for _ in 0..3 {
        // Many more than are waited for, so that the kill comes into the middle of them.
        let text: String = lines.by_ref().take(500).map(|line| format!("{line}\n")).collect();
        input.write_all(text.as_bytes()).unwrap();
        acknowledged.push(producer.line().unwrap());
        broker = Broker::start_on(dir.path(), &broker.kill());
    }
    drop(input);
    while let Some(line) = producer.line() {
        acknowledged.push(line);
    }
    assert!(producer.wait().success());
    assert_eq!(acknowledged.len(), 1500);
    acknowledged.sort();
    acknowledged.dedup();
    assert_eq!(acknowledged.len(), 1500, "each record has a place of its own");

    let consumed = stdout(&broker.ok(&["consume", "t"]));
    let mut stored: Vec<u32> = consumed.lines().map(|line| line.parse().unwrap()).collect();
    stored.sort();
    assert_eq!(stored, (0..1500).collect::<Vec<u32>>());
    broker.stop();
}
