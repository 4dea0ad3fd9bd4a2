//! A trace as a person reads it. Pure.

use std::iter;

use serde_json::Value;

use crate::count_text::{counted, counted_are};
use crate::time_text::rfc3339;

/// Everything, without a newline at the end.
pub fn text(trace: &Value) -> String {
    let topic = trace["topic"].as_str().unwrap_or_default();
    let mut lines = Vec::new();
    for record in items(&trace["records"]) {
        lines.push(stored(topic, record));
        if items(&record["log"]).all(|event| event["what"] != "stored") {
            lines.push("  the client that stored it is not known (any more)".to_owned());
        }
        lines.extend(happened(record));
        lines.extend(items(&record["groups"]).flat_map(|group| tried_again(group, &record["offset"])));
    }
    let not_here = &trace["not_here"];
    if let Some(why) = not_here["why"].as_str() {
        lines.push(format!("not here: {why}"));
        lines.extend(items(&not_here["partitions"]).filter_map(|bounds| neighbours(topic, bounds)));
        lines.extend(happened(not_here));
    }
    lines.push(searched(&trace["searched"]));
    lines.extend(journal(&trace["journal"]));
    lines.join("\n")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// To the millisecond.
fn time(value: &Value) -> String {
    let ms = value.as_i64().unwrap_or(0);
    let seconds = rfc3339(ms);
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms.rem_euclid(1000))
}

fn stored(topic: &str, record: &Value) -> String {
    let stored = &record["stored"];
    let clock = match stored["timestamp_type"].as_str() {
        Some("log_append_time") => "stored at",
        _ => "sent at",
    };
    let mut parts = vec![format!("{clock} {}", time(&stored["timestamp"]))];
    if let Some(key) = stored["key"].as_str() {
        parts.push(format!("key {key:?}"));
    }
    parts.push(match stored["value_bytes"].as_u64() {
        Some(bytes) => format!("value of {}", counted(bytes, "byte")),
        None => "no value".to_owned(),
    });
    if let Some(producer) = stored["producer_id"].as_i64() {
        let (epoch, sequence) = (&stored["producer_epoch"], &stored["sequence"]);
        parts.push(format!("producer {producer} epoch {epoch} sequence {sequence}"));
    }
    if let Some(producer) = stored["label_producer"].as_str() {
        parts.push(format!("tally-producer {producer} tally-seq {}", stored["label_sequence"]));
    }
    if let Some(original) = stored["copy_of"].as_str() {
        parts.push(format!("a copy of {original}"));
    }
    let headers: Vec<&str> = items(&stored["headers"]).filter_map(Value::as_str).collect();
    if !headers.is_empty() {
        parts.push(format!("headers {}", headers.join(", ")));
    }
    if stored["is_control"].as_bool() == Some(true) {
        parts.push("a control record".to_owned());
    }
    format!("{topic}-{}@{}  {}", record["partition"], record["offset"], parts.join(" · "))
}

/// For all groups, then group by group.
fn happened(record: &Value) -> Vec<String> {
    let mut lines: Vec<String> = items(&record["log"]).map(|found| format!("  {}", event(found))).collect();
    for group in items(&record["groups"]) {
        let class =
            group["class"].as_str().map_or_else(|| "no account".to_owned(), |class| class.replace('_', " "));
        lines.push(format!("  group {}: {class}", group["group"].as_str().unwrap_or_default()));
        lines.extend(items(&group["events"]).map(|found| format!("    {}", event(found))));
        if let Some(more @ 1..) = group["more"].as_u64() {
            lines.push(format!("    and {more} more"));
        }
    }
    lines
}

/// Where the story of a record goes on that was put off to be tried again.
fn tried_again(group: &Value, offset: &Value) -> Vec<String> {
    let name = group["group"].as_str().unwrap_or_default();
    let topics: Vec<&str> = items(&group["retry_topics"]).filter_map(Value::as_str).collect();
    let search =
        |topic: &&str| format!("    tallymq trace --topic {topic} --header tally-origin-offset={offset}");
    let head = format!(
        "  acknowledged by group {name} without a receipt of its handler; if it was put off, its copy is found by"
    );
    if topics.is_empty() { Vec::new() } else { iter::once(head).chain(topics.iter().map(search)).collect() }
}

fn event(event: &Value) -> String {
    let what = match event["what"].as_str().unwrap_or_default() {
        "settled" => "became".to_owned(),
        what => what.replace('_', " "),
    };
    let mut parts = vec![format!("{}  {what}", time(&event["at"]))];
    if let Some(class) = event["class"].as_str() {
        parts.push(class.replace('_', " "));
    }
    match (what.as_str(), event["from"].as_i64(), event["to"].as_i64()) {
        ("acknowledged" | "passed" | "reset" | "refused", _, Some(to)) => {
            parts.push(format!("position {to}"))
        }
        ("opened", Some(from), _) => parts.push(format!("at offset {from}")),
        (_, Some(from), Some(to)) => parts.push(format!("in offsets {from} to {}", to - 1)),
        (_, None, Some(to)) => parts.push(format!("everything below offset {to}")),
        _ => {}
    }
    match event["by"].as_str() {
        Some("possible") => parts.push("perhaps (several groups fit)".to_owned()),
        Some("standalone") => parts.push("by a client without membership".to_owned()),
        Some("admin") => parts.push("by a tool".to_owned()),
        _ => {}
    }
    let who = [("member", "member"), ("client_id", "client"), ("address", "from")];
    for (name, shown) in who {
        if let Some(text) = event[name].as_str() {
            parts.push(format!("{shown} {text}"));
        }
    }
    if let Some(connection) = event["connection"].as_u64() {
        parts.push(format!("connection {connection}"));
    }
    if let Some(why) = event["why"].as_str() {
        parts.push(why.to_owned());
    }
    parts.join(" · ")
}

/// What is next to the record that is missing.
fn neighbours(topic: &str, bounds: &Value) -> Option<String> {
    let next_to = |name: &str| {
        let found = bounds.get(name)?;
        Some(format!(
            "sequence {} at offset {} ({})",
            found["sequence"],
            found["offset"],
            time(&found["timestamp"])
        ))
    };
    let known = match (next_to("before"), next_to("after")) {
        (None, None) => return None,
        (Some(before), Some(after)) => format!("before it {before}, after it {after}"),
        (Some(before), None) => format!("the last one before it is {before}"),
        (None, Some(after)) => format!("the first one after it is {after}"),
    };
    Some(format!("  {topic}-{}: {known}", bounds["partition"]))
}

fn searched(searched: &Value) -> String {
    let units = [("partitions", "partition"), ("batches", "batch"), ("records", "record"), ("bytes", "byte")];
    let sizes = units.map(|(name, unit)| counted(searched[name].as_u64().unwrap_or(0), unit));
    let mut text = format!("searched {}", sizes.join(", "));
    if let Some(indexed @ 1..) = searched["indexed_records"].as_u64() {
        text.push_str(&format!("; looked {} up in indexes of keys", counted(indexed, "record")));
    }
    let mut lines = vec![match searched["complete"].as_bool() {
        Some(true) => text,
        _ => format!(
            "{text}, back to {}; {}stopped at the limit: --limit and --seconds move it",
            time(&searched["back_to"]),
            left(&searched["left_bytes"])
        ),
    }];
    lines.extend(
        items(&searched["unreadable"]).filter_map(Value::as_str).map(|one| format!("UNREADABLE: {one}")),
    );
    lines.join("\n")
}

/// What was not looked at.
fn left(bytes: &Value) -> String {
    bytes.as_u64().map(|bytes| format!("about {} left; ", counted_are(bytes, "byte"))).unwrap_or_default()
}

fn journal(journal: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let is_damaged = items(&journal["unreadable"]).next().is_some();
    let is_complete = journal["complete"].as_bool() == Some(true);
    let remark = match (is_complete, is_damaged) {
        (true, false) => None,
        (true, true) => Some("a part of the journal cannot be read: what it told is missing here"),
        (false, true) => Some("the journal was not read to its end"),
        (false, false) => Some("the journal was not read to its end: --seconds gives it more time"),
    };
    lines.extend(remark.map(str::to_owned));
    if journal["since"].is_i64() {
        let since = time(&journal["since"]);
        lines.push(format!(
            "what the broker's clock has before {since} (--since) is not told: --offset tells a record whole"
        ));
    }
    if journal["trimmed"].as_bool() == Some(true) {
        lines.push(
            "older events were trimmed from the journal: what is older than it is not shown".to_owned(),
        );
    }
    lines.extend(
        items(&journal["unreadable"]).filter_map(Value::as_str).map(|one| format!("UNREADABLE: {one}")),
    );
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_told_from_its_sending_to_its_acknowledgement() {
        let stored = json!({
            "timestamp": 1_700_000_000_123_i64, "timestamp_type": "create_time", "key": "k", "value_bytes": 5,
            "producer_id": 9, "producer_epoch": 0, "sequence": 3, "headers": ["a"], "is_control": false
        });
        let delivered = json!({
            "at": 1_700_000_001_000_i64, "what": "delivered", "from": 0, "to": 10, "by": "exact", "member": "m",
            "client_id": "c", "address": "127.0.0.1", "connection": 4
        });
        let passed = json!({ "at": 1_700_000_002_000_i64, "what": "acknowledged", "to": 10, "by": "member", "member": "m" });
        let group = json!({ "group": "g", "class": "processed", "events": [delivered, passed], "more": 0 });
        let by = json!({ "at": 1_700_000_000_500_i64, "what": "stored", "from": 5, "to": 9, "client_id": "p",
            "address": "127.0.0.1:9", "connection": 2 });
        let record = json!({ "partition": 1, "offset": 7, "stored": stored, "log": [by], "groups": [group] });
        let searched = json!({ "partitions": 1, "batches": 2, "records": 3, "bytes": 4, "complete": true });
        let journal = json!({ "events": 2, "complete": true, "trimmed": false });
        let trace = json!({ "topic": "t", "records": [record], "searched": searched, "journal": journal });
        let expected = "\
t-1@7  sent at 2023-11-14T22:13:20.123Z · key \"k\" · value of 5 bytes · producer 9 epoch 0 sequence 3 · headers a
  2023-11-14T22:13:20.500Z  stored · in offsets 5 to 8 · client p · from 127.0.0.1:9 · connection 2
  group g: processed
    2023-11-14T22:13:21.000Z  delivered · in offsets 0 to 9 · member m · client c · from 127.0.0.1 · connection 4
    2023-11-14T22:13:22.000Z  acknowledged · position 10 · member m
searched 1 partition, 2 batches, 3 records, 4 bytes";
        assert_eq!(text(&trace), expected);
    }

    #[test]
    fn what_is_not_here_is_told_with_its_neighbours() {
        let before = json!({ "sequence": 4, "offset": 40, "timestamp": 0 });
        let after = json!({ "sequence": 6, "offset": 41, "timestamp": 0 });
        let bounds =
            json!({ "partition": 0, "log_start": 0, "log_end": 50, "before": before, "after": after });
        let trace = json!({
            "topic": "t", "records": [], "not_here": { "why": "missing", "partitions": [bounds], "log": [], "groups": [] },
            "searched": { "partitions": 1, "batches": 0, "records": 0, "bytes": 0, "complete": false, "back_to": 0 },
            "journal": { "events": 0, "complete": false, "trimmed": true }
        });
        let text = text(&trace);
        assert!(text.starts_with("not here: missing\n  t-0: before it sequence 4 at offset 40"), "{text}");
        assert!(text.contains("stopped at the limit") && text.contains("trimmed"), "{text}");
        assert!(text.contains("not read to its end: --seconds"), "{text}");
    }

    #[test]
    fn a_damaged_journal_is_not_called_slow() {
        let cases = [
            (false, "the journal was not read to its end"),
            (true, "a part of the journal cannot be read: what it told is missing here"),
        ];
        for (complete, remark) in cases {
            let unreadable = ["a.log is damaged"];
            let damaged =
                json!({ "events": 0, "complete": complete, "trimmed": false, "unreadable": unreadable });
            assert_eq!(journal(&damaged), [remark, "UNREADABLE: a.log is damaged"]);
        }
    }
}
