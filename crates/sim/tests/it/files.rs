//! The file form: what is written is read back, what is no history is refused with its line, a torn last line is not.

use std::process::Command;

use tallymq_sim::history::{
    self, Allowances, Class, Event, History, IndexError, Kind, Op, ReadError, Report, Writer,
};

use crate::valid::Run;

const SEND: &str = r#"{"process":1,"time_ns":5,"op":"send","type":"ok","topic":"t","partition":0,"offset":3,"value":"a","more":[1]}"#;

fn written(history: &History) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for event in &history.events {
        writer.write(event).expect("memory takes it");
    }
    writer.into_inner()
}

#[test]
fn a_written_history_reads_back_the_same() {
    let history = Run::new(3).history;
    assert_eq!(history::read(&written(&history)[..]).expect("a history"), history);
}

#[test]
fn unknown_fields_and_empty_lines_are_passed_over() {
    let history = history::read(format!("\n{SEND}\n\n").as_bytes()).expect("a history");
    let wanted = Event::new(1, 5, Op::Send, Kind::Ok).topic("t").partition(0).offset(3).value("a");
    assert_eq!(history.events, [wanted]);
}

#[test]
fn a_torn_last_line_is_an_unknown_outcome_and_any_other_torn_line_an_error() {
    let torn = &SEND[..SEND.len() - 9];
    let history = history::read(format!("{SEND}\n{torn}").as_bytes()).expect("a history");
    assert_eq!(history.events.len(), 1);
    let refused = history::read(format!("{SEND}\n{torn}\n{SEND}\n").as_bytes());
    assert!(matches!(refused, Err(ReadError::Malformed { line: 2, .. })), "{refused:?}");
}

#[test]
fn an_unknown_operation_is_refused_not_ignored() {
    let refused = history::read(SEND.replace("send", "sned").as_bytes());
    assert!(
        refused.is_ok_and(|history| history.events.is_empty()),
        "without a line end it is taken for torn"
    );
    let refused = history::read(format!("{}\n", SEND.replace("send", "sned")).as_bytes());
    assert!(matches!(refused, Err(ReadError::Malformed { line: 1, .. })), "{refused:?}");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let twice = history::read(format!("{SEND}\n{SEND}\n").as_bytes()).expect("events");
    let refused = history::check(&twice, Allowances::default());
    assert_eq!(refused, Err(IndexError::SentTwice { event: 2, value: "a".to_owned() }));
    let mut poll = Event::new(1, 0, Op::Poll, Kind::Ok).topic("t").record(0, 0, "a");
    poll.records[0].offset = None;
    let refused = history::check(&History { events: vec![poll] }, Allowances::default());
    assert_eq!(refused, Err(IndexError::Incomplete { event: 1, op: Op::Poll, field: "offset" }));
}

#[test]
fn histories_of_several_clients_merge_by_time() {
    let whole = Run::new(4).history;
    let (odd, even) = whole.events.iter().cloned().partition(|event| event.process % 2 == 1);
    let merged = history::merge(vec![History { events: odd }, History { events: even }]);
    assert_eq!(merged, whole);
}

#[test]
fn the_command_says_by_its_exit_code_whether_a_history_is_clean() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");
    let run = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_tallymq-check")).args(arguments).output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let good = format!("{folder}lost-write.good.jsonl");
    let bad = format!("{folder}lost-write.bad.jsonl");
    assert_eq!(run(&[&good]).0, Some(0));
    let (code, text) = run(&[&bad]);
    assert_eq!(code, Some(1));
    assert!(text.contains("lost-write: process 1 t-0 @1 [a1]"), "{text}");
    let report: Report = serde_json::from_str(&run(&["--json", &bad]).1).expect("a report");
    assert_eq!(report.anomalies[0].class, Class::LostWrite);
    assert_eq!(run(&["/dev/null"]).0, Some(2), "an empty history proves nothing");
    assert_eq!(run(&[&good, "--acknowledged-min", "4"]).0, Some(2));
    assert_eq!(run(&[&good, "/nonexistent"]).0, Some(2));
}
