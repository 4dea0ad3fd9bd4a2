//! Each class with histories that keep its promise and histories that break it, by hand: `../golden/CLASS[.CASE].good.jsonl`
//! is clean, `….bad.jsonl` shows that class and no other. The table names what must be accused.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use tallymq_sim::history::{self, Allowances, Class, Event, History, Kind, Op, Report};

/// File, then value accused first (none where the class accuses a position) and offset.
const BAD: [(&str, Option<&str>, Option<i64>); 29] = [
    ("lost-write", Some("a1"), Some(1)),
    ("lost-write.read-once", Some("a1"), Some(1)),
    ("unseen", Some("a2"), Some(2)),
    ("unseen.nobody-reads", Some("a0"), Some(0)),
    ("duplicate", Some("a1"), Some(1)),
    ("inconsistent-offsets.two-values", Some("a0"), Some(0)),
    ("inconsistent-offsets.idempotent", Some("a1"), Some(1)),
    ("inconsistent-offsets.moved", Some("a1"), Some(3)),
    ("unwritten-read", Some("garbage"), Some(1)),
    ("unwritten-read.astray", Some("b0"), Some(1)),
    ("aborted-read", Some("a1"), Some(1)),
    ("aborted-read.transaction", Some("a1"), Some(1)),
    ("precommitted-read.transaction", Some("a1"), Some(1)),
    ("precommitted-read.before-send", Some("a0"), Some(0)),
    ("precommitted-read.vanished", Some("a1"), Some(1)),
    ("poll-skip.inside", Some("a2"), Some(2)),
    ("poll-skip.across", Some("a2"), Some(2)),
    ("poll-skip.first", Some("a1"), Some(1)),
    ("nonmonotonic-poll.inside", Some("a1"), Some(1)),
    ("nonmonotonic-poll.across", Some("a2"), Some(2)),
    ("nonmonotonic-poll.below-assigned", Some("a0"), Some(0)),
    ("nonmonotonic-send.sequential", Some("a1"), Some(0)),
    ("nonmonotonic-send.in-flight", Some("a1"), Some(0)),
    ("commit-skip", Some("a2"), Some(3)),
    ("commit-lost", None, Some(2)),
    ("redelivered-after-ack", Some("a1"), Some(1)),
    ("two-holders", Some("a1"), Some(1)),
    ("two-holders.renewed", Some("a1"), Some(1)),
    ("two-holders.without-length", Some("a0"), Some(0)),
];

/// As above, for the account, whose cases differ in number.
const UNBALANCED: [(&str, &[&str]); 3] =
    [("unbalanced.missing", &["a1"]), ("unbalanced.doubled", &["a0"]), ("unbalanced.all-gone", &["a2"])];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn judge(name: &str) -> Report {
    let text = fs::read(folder().join(format!("{name}.jsonl"))).expect(name);
    let history = history::read(&text[..]).expect(name);
    history::check(&history, Allowances::default()).expect(name)
}

fn class_of(name: &str) -> Class {
    let class = name.split('.').next().unwrap_or_default();
    Class::ALL.into_iter().find(|c| c.name() == class).expect("a golden history is named after its class")
}

#[test]
fn a_broken_promise_is_found_and_nothing_else_is() {
    for (name, value, offset) in BAD {
        let report = judge(&format!("{name}.bad"));
        let found: BTreeSet<Class> = report.by_class().into_keys().collect();
        assert_eq!(found, BTreeSet::from([class_of(name)]), "{name}: {report}");
        let first = &report.anomalies[0];
        assert_eq!(
            (first.values.first().map(String::as_str), first.offset),
            (value, offset),
            "{name}: {report}"
        );
        assert_eq!((first.topic.as_deref(), first.partition), (Some("t"), Some(0)), "{name}: {report}");
    }
}

#[test]
fn an_account_that_does_not_balance_names_each_record() {
    for (name, values) in UNBALANCED {
        let report = judge(&format!("{name}.bad"));
        assert!(report.anomalies.iter().all(|a| a.class == Class::Unbalanced), "{name}: {report}");
        let named: Vec<_> = report.anomalies.iter().map(|a| a.values[0].as_str()).collect();
        assert_eq!(named, values, "{name}: {report}");
    }
}

#[test]
fn kept_promises_are_clean() {
    for class in Class::ALL {
        let report = judge(&format!("{class}.good"));
        assert!(report.is_clean() && report.counts.acknowledged > 0, "{class}: {report}");
    }
    let report = judge("lost-write.excused.good");
    assert!(report.is_clean(), "{report}");
}

#[test]
fn every_golden_file_is_judged_and_every_class_has_a_bad_one() {
    let listed: BTreeSet<&str> =
        BAD.iter().map(|bad| bad.0).chain(UNBALANCED.iter().map(|bad| bad.0)).collect();
    let files = fs::read_dir(folder()).expect("the folder of golden histories");
    let names = files.map(|file| file.expect("an entry").file_name().to_string_lossy().into_owned());
    let bad: BTreeSet<String> =
        names.filter_map(|name| Some(name.strip_suffix(".bad.jsonl")?.to_owned())).collect();
    assert_eq!(bad, listed.iter().map(|&name| name.to_owned()).collect());
    let classes: BTreeSet<Class> = listed.into_iter().map(class_of).collect();
    assert_eq!(classes.len(), Class::ALL.len());
}

#[test]
fn a_duplicate_can_be_allowed() {
    let text = fs::read(folder().join("duplicate.bad.jsonl")).expect("duplicate.bad");
    let history = history::read(&text[..]).expect("duplicate.bad");
    assert!(history::check(&history, Allowances { duplicates: true }).expect("a history").is_clean());
}

#[test]
fn where_the_acknowledged_copy_was_deleted_only_the_copy_of_a_retry_is_read() {
    let event = |op, kind| Event::new(1, 0, op, kind).topic("t").partition(0);
    let sent = |kind| event(Op::Send, kind).value("v");
    let trim = event(Op::Trim, Kind::Ok).offset(5);
    let events = |trimmed: bool| {
        let mut events = vec![sent(Kind::Invoke), sent(Kind::Ok).offset(0)];
        events.extend(trimmed.then(|| trim.clone()));
        events.push(event(Op::Final, Kind::Ok));
        events.push(Event::new(2, 0, Op::Poll, Kind::Ok).topic("t").record(0, 7, "v"));
        History { events }
    };
    let judge = |history| history::check(&history, Allowances { duplicates: true }).expect("a history");
    assert!(judge(events(true)).is_clean(), "{}", judge(events(true)));
    let found: Vec<Class> = judge(events(false)).anomalies.iter().map(|anomaly| anomaly.class).collect();
    assert!(found.contains(&Class::InconsistentOffsets), "{found:?}");
}

/// As the SDK's services record it: a send into a spool is acknowledged without a place; handlers work side by side, each a
/// process of its own.
#[test]
fn a_spooled_record_has_no_place_and_must_be_read_all_the_same() {
    let sent = |kind, value: &str| Event::new(1, 0, Op::Send, kind).topic("t").value(value);
    let read = |process, op, offset, value: &str| {
        Event::new(process, 0, op, Kind::Ok).topic("t").group("g").record(0, offset, value)
    };
    let history = |resent: bool| {
        let mut events = vec![sent(Kind::Invoke, "a"), sent(Kind::Ok, "a").partition(0).offset(0)];
        events.extend([sent(Kind::Invoke, "spooled"), sent(Kind::Ok, "spooled")]);
        events.extend([sent(Kind::Invoke, "refused"), sent(Kind::Fail, "refused")]);
        events.extend(resent.then(|| read(7, Op::Poll, 1, "spooled")));
        events.extend([read(8, Op::Poll, 0, "a"), Event::new(9, 0, Op::Final, Kind::Ok)]);
        events.push(read(9, Op::Poll, 0, "a"));
        events.extend(resent.then(|| read(9, Op::Poll, 1, "spooled")));
        History { events }
    };
    let judge = |history| history::check(&history, Allowances { duplicates: true }).expect("a history");
    assert!(judge(history(true)).is_clean(), "{}", judge(history(true)));
    let lost = judge(history(false)).anomalies;
    assert_eq!(lost.iter().map(|anomaly| anomaly.class).collect::<Vec<_>>(), [Class::Unseen]);
    assert_eq!(lost[0].values, ["spooled"]);
    let mut late = history(true);
    late.events.push(read(9, Op::Poll, 2, "refused"));
    let found: Vec<Class> = judge(late).anomalies.iter().map(|anomaly| anomaly.class).collect();
    assert_eq!(found, [Class::AbortedRead]);
}
