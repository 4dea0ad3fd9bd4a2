//! `trace` from outside: what bounds a search, and how the story of a record that was put off goes on. The rest is in account.rs.

use serde_json::{Value, json};

use crate::account::produce;
use crate::broker::{Broker, code, json_lines, stdout};
use crate::openapi;

#[test]
fn a_search_is_bounded_in_time_and_a_named_place_is_told_whole() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    produce(&broker, 0..5);
    broker.ok(&["consume", "t", "-g", "g"]);
    produce(&broker, 5..10);
    let trace = |arguments: &[&str]| {
        let answer =
            json_lines(&broker.books(&[&["trace", "-t", "t", "--json"], arguments].concat())).remove(0);
        openapi::check("get", "/v1/trace", &answer);
        answer
    };
    let offsets = |answer: &Value| {
        let records = answer["records"].as_array().unwrap().iter();
        records.map(|record| record["offset"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let sent = |place: &str| trace(&["-o", place])["records"][0]["stored"]["timestamp"].as_i64().unwrap();
    let (before, from) = (sent("0:4"), sent("0:5"));
    assert!(before < from, "{before} {from}");
    let at = format!("@{from}");
    let all = ["--header", "h=v", "--limit", "50"];
    let since = trace(&[&all[..], &["--since", &at]].concat());
    assert_eq!((offsets(&since), &since["journal"]["since"]), (vec![9, 8, 7, 6, 5], &json!(from)));
    let until = trace(&[&all[..], &["--until", &at]].concat());
    assert_eq!((offsets(&until), until["journal"].get("since")), (vec![4, 3, 2, 1, 0], None));
    let both = trace(&[&all[..], &["--since", &format!("@{before}"), "--until", &at]].concat());
    assert!(offsets(&both).starts_with(&[4]) && both["searched"]["complete"] == json!(true), "{both}");

    // Over HTTP the same.
    let asked =
        broker.ask_http("GET", &format!("/v1/trace?topic=t&header=h%3Dv&since={before}&until={from}"));
    let (_, body) = asked.split_once("\r\n\r\n").unwrap();
    let answer: Value = serde_json::from_str(body).unwrap();
    openapi::check("get", "/v1/trace", &answer);
    assert_eq!(answer["records"], both["records"]);

    // A record is older than the bound, and it is told whole all the same.
    let whole = trace(&["-o", "0:2"]);
    let bounded = ["-o", "0:2", "--since", "@9999999999999", "--until", "@1"];
    assert_eq!(trace(&bounded)["records"], whole["records"]);
    let events = whole["records"][0]["groups"][0]["events"].as_array().unwrap();
    let what: Vec<_> = events.iter().map(|event| &event["what"]).collect();
    assert_eq!(what, ["opened", "delivered", "acknowledged"]);
    let shown = stdout(&broker.books(&["trace", "-t", "t", "-k", "key7", "--since", &at]));
    assert!(shown.contains("(--since) is not told"), "{shown}");
    let shown = stdout(&broker.books(&[&["trace", "-t", "t"], &bounded[..]].concat()));
    assert!(!shown.contains("--since") && !shown.contains("not known"), "{shown}");
    broker.stop();
}

#[test]
fn a_record_that_was_put_off_is_found_by_its_copy() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    produce(&broker, 0..3);
    broker.ok(&["consume", "t", "-g", "g"]);
    let trace = |topic: &str, by: &[&str]| stdout(&broker.books(&[&["trace", "-t", topic], by].concat()));
    assert!(!trace("t", &["-o", "0:2"]).contains("receipt"), "no retry topic, nothing to say");

    broker.ok(&["topic", "create", "t.g.retry-1", "-p", "1"]);
    let origin = ["tally-origin-topic=t", "tally-origin-partition=0", "tally-origin-offset=2"];
    let headers = origin.iter().flat_map(|header| ["-H", header]);
    let copy: Vec<&str> = ["produce", "t.g.retry-1", "-q"].into_iter().chain(headers).collect();
    assert_eq!(code(&broker.run_with_input(&copy, b"value 2\n")), 0);
    let original = trace("t", &["-o", "0:2"]);
    let search = original.lines().find(|line| line.contains("tally-origin-offset")).unwrap_or_default();
    assert_eq!(
        search.trim(),
        "tallymq trace --topic t.g.retry-1 --header tally-origin-offset=2",
        "{original}"
    );
    let found = trace("t.g.retry-1", &["--header", "tally-origin-offset=2"]);
    assert!(found.contains("a copy of t-0@2"), "{found}");
    let other = trace("t.g.retry-1", &["--header", "tally-origin-offset=1"]);
    assert!(other.starts_with("not here"), "{other}");
    broker.stop();
}
