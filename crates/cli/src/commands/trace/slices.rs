//! One answer out of those to the slices of a search, each of which goes on where the one before has ended. Pure.

use serde_json::{Value, json};

use crate::count_text::counted;

/// Counts of what was looked at, which add up.
const COUNTED: [&str; 4] = ["batches", "records", "bytes", "indexed_records"];
/// What could not be read, at most.
const UNREADABLE_MAX: usize = 20;

/// Where the search goes on; None if it is over.
pub fn resume(answer: &Value) -> Option<&str> {
    let searched = &answer["searched"];
    let is_over = searched["complete"].as_bool() == Some(true);
    searched["resume"].as_str().filter(|_| !is_over)
}

/// Bytes that were looked at and bytes in all, as far as it is known.
pub fn progress(answer: &Value) -> (u64, u64) {
    let bytes = |name: &str| answer["searched"][name].as_u64().unwrap_or(0);
    (bytes("bytes"), bytes("bytes") + bytes("left_bytes"))
}

/// How many records were found.
pub fn found(answer: &Value) -> u64 {
    answer["records"].as_array().map_or(0, |records| records.len() as u64)
}

/// The answer so far, and what the next slice found.
pub fn joined(mut before: Value, mut next: Value) -> Value {
    let mut records = taken(&mut before["records"]);
    records.extend(taken(&mut next["records"]));
    records.sort_by_key(|record| std::cmp::Reverse(record["stored"]["timestamp"].as_i64()));

    let (old, new) = (&before["searched"], &mut next["searched"]);
    for name in COUNTED {
        new[name] = json!(old[name].as_u64().unwrap_or(0) + new[name].as_u64().unwrap_or(0));
    }
    new["partitions"] = json!(old["partitions"].as_u64().max(new["partitions"].as_u64()));
    if let Some(oldest) = [&old["back_to"], &new["back_to"]].into_iter().filter_map(Value::as_i64).min() {
        new["back_to"] = json!(oldest);
    }
    append(new, old, "unreadable");

    let (old, new) = (&before["journal"], &mut next["journal"]);
    new["events"] = json!(old["events"].as_u64().unwrap_or(0) + new["events"].as_u64().unwrap_or(0));
    new["complete"] = json!(old["complete"] == json!(true) && new["complete"] == json!(true));
    new["trimmed"] = json!(old["trimmed"] == json!(true) || new["trimmed"] == json!(true));
    append(new, old, "unreadable");

    if records.is_empty() {
        join_not_here(&before["not_here"], &mut next);
    } else if let Some(fields) = next.as_object_mut() {
        fields.remove("not_here");
    }
    next["records"] = Value::Array(records);
    next
}

fn taken(value: &mut Value) -> Vec<Value> {
    match value.take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn append(new: &mut Value, old: &Value, name: &str) {
    let mut all: Vec<Value> = old[name].as_array().cloned().unwrap_or_default();
    all.extend(new[name].as_array().cloned().unwrap_or_default());
    all.truncate(UNREADABLE_MAX);
    if !all.is_empty() {
        new[name] = Value::Array(all);
    }
}

/// The nearest neighbours of all slices, and what they say.
fn join_not_here(before: &Value, next: &mut Value) {
    let mut is_known = false;
    let mut is_between = false;
    let old = before["partitions"].as_array().cloned().unwrap_or_default();
    for bounds in next["not_here"]["partitions"].as_array_mut().into_iter().flatten() {
        let same = old.iter().find(|one| one["partition"] == bounds["partition"]);
        for (name, is_nearer) in [("before", u64::gt as fn(&u64, &u64) -> bool), ("after", u64::lt)] {
            let Some(known) = same.and_then(|same| same.get(name)) else { continue };
            let sequence = |neighbour: &Value| neighbour["sequence"].as_u64();
            let nearer = match (sequence(known), bounds.get(name).and_then(sequence)) {
                (Some(known), Some(found)) => is_nearer(&known, &found),
                _ => true,
            };
            if nearer {
                bounds[name] = known.clone();
            }
        }
        let has = |name: &str| bounds.get(name).is_some();
        is_known |= has("before") || has("after");
        is_between |= has("before") && has("after");
    }
    let is_complete = next["searched"]["complete"].as_bool() == Some(true);
    let why = match (is_complete, is_between, is_known) {
        (false, ..) => {
            let count = |name: &str| next["searched"][name].as_u64().unwrap_or(0);
            let records = count("records") + count("indexed_records");
            format!("the search was cut short after {}: not found so far", counted(records, "record"))
        }
        (true, true, _) => "missing: its producer has lower and higher sequences in the log".to_owned(),
        (true, false, true) => "outside of what its producer has in the log".to_owned(),
        (true, false, false) => return,
    };
    next["not_here"]["why"] = json!(why);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(records: &[i64], searched: Value, not_here: Value) -> Value {
        let records: Vec<Value> =
            records.iter().map(|at| json!({ "offset": at, "stored": { "timestamp": at } })).collect();
        let journal = json!({ "events": 2, "complete": true, "trimmed": false });
        let mut slice = json!({ "topic": "t", "records": records, "searched": searched, "journal": journal });
        if !not_here.is_null() {
            slice["not_here"] = not_here;
        }
        slice
    }

    fn searched(bytes: u64, complete: bool) -> Value {
        json!({ "partitions": 1, "batches": 1, "records": 10, "bytes": bytes, "indexed_records": 5,
            "complete": complete, "back_to": 100 - bytes, "left_bytes": 30, "resume": "0:7" })
    }

    #[test]
    fn slices_add_up() {
        let first = slice(&[5], searched(10, false), Value::Null);
        assert_eq!((resume(&first), progress(&first), found(&first)), (Some("0:7"), (10, 40), 1));
        let second = slice(&[9, 2], searched(20, true), json!({ "why": "nothing", "partitions": [] }));
        let both = joined(first, second);
        let offsets: Vec<_> = both["records"].as_array().unwrap().iter().map(|one| &one["offset"]).collect();
        assert_eq!(offsets, [9, 5, 2]);
        let counted: Vec<_> = COUNTED.iter().map(|name| both["searched"][name].as_u64().unwrap()).collect();
        assert_eq!(counted, [2, 20, 30, 10]);
        assert_eq!(both["searched"]["back_to"], 80);
        assert_eq!(both["journal"]["events"], 4);
        assert!(both.get("not_here").is_none());
        assert_eq!(resume(&both), None);
    }

    #[test]
    fn neighbours_of_all_slices_tell_a_gap() {
        let neighbour = |sequence: u64| json!({ "sequence": sequence, "offset": 1, "timestamp": 1 });
        let not_here = |bounds: Value| json!({ "why": "?", "partitions": [bounds] });
        let after = json!({ "partition": 0, "after": neighbour(9) });
        let before = json!({ "partition": 0, "before": neighbour(4), "after": neighbour(12) });
        let first = slice(&[], searched(10, false), not_here(after));
        let both = joined(first.clone(), slice(&[], searched(1, true), not_here(before.clone())));
        let bounds = &both["not_here"]["partitions"][0];
        assert_eq!((&bounds["before"]["sequence"], &bounds["after"]["sequence"]), (&json!(4), &json!(9)));
        assert!(both["not_here"]["why"].as_str().unwrap().starts_with("missing"), "{both}");
        let cut = joined(first, slice(&[], searched(1, false), not_here(before)));
        assert!(cut["not_here"]["why"].as_str().unwrap().contains("cut short after 30 records"), "{cut}");
    }
}
