//! `tallymq dlq show`: letters with payload, cause, origin, attempts.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tallymq_client::{DeadLetter, DeadLetters};

use super::filter::{Wanted, check_missing};
use crate::{bytes_text, count_text::counted, failure::Failure, output, time_text::rfc3339};

/// What the SDK's own headers begin with; they are told as what they mean.
const RESERVED: &str = "tally-";

/// Prints them, up to a number.
pub async fn run(letters: DeadLetters, wanted: Wanted, limit: u64, json: bool) -> Result<(), Failure> {
    let mut stream = letters.stream();
    let (mut shown, mut found) = (0, BTreeSet::new());
    while shown < limit
        && let Some(letter) = stream.next().await
    {
        let letter = letter?;
        if !wanted.takes_and_notes(&letter, &mut found) {
            continue;
        }
        shown += 1;
        match json {
            true => output::print_json(&as_json(&letter))?,
            false => output::print_line(&text(&letter))?,
        }
    }
    match shown < limit {
        true => check_missing(letters.topic(), &wanted.missing(&found)),
        false => Ok(()),
    }
}

fn text(letter: &DeadLetter) -> String {
    let record = letter.record();
    let failed = letter.failed_at_ms().map_or_else(|| "-".to_owned(), rfc3339);
    let group = letter.group().unwrap_or("-");
    let attempts = counted(u64::from(letter.attempts()), "attempt");
    let mut lines = vec![
        letter.position().to_string(),
        format!("  origin:   {}", letter.origin()),
        format!("  group:    {group}, {attempts}, the last at {failed}"),
        format!("  cause:    {}", letter.cause().replace('\n', "\n            ")),
    ];
    if let Some(at) = record.timestamp_ms() {
        lines.insert(2, format!("  sent:     {}", rfc3339(at)));
    }
    if letter.redriven() > 0 {
        lines.push(format!("  redriven: {} before", counted(u64::from(letter.redriven()), "time")));
    }
    if let Some(key) = record.key() {
        lines.push(format!("  key:      {}", key.escape_ascii()));
    }
    for header in record.headers().iter().filter(|header| !header.name.starts_with(RESERVED)) {
        let value = header.value.as_deref().unwrap_or_default().escape_ascii();
        lines.push(format!("  header:   {}: {value}", header.name));
    }
    lines.push(match record.value() {
        Some(value) => match std::str::from_utf8(value) {
            Ok(value) => format!("  value:    {value}"),
            Err(_) => {
                format!("  value:    {} ({})", value.escape_ascii(), counted(value.len() as u64, "byte"))
            }
        },
        None => "  value:    none".to_owned(),
    });
    lines.join("\n")
}

fn as_json(letter: &DeadLetter) -> Value {
    let (record, place, origin) = (letter.record(), letter.position(), letter.origin());
    let mut object = Map::new();
    object.insert("topic".to_owned(), json!(place.topic));
    object.insert("partition".to_owned(), json!(place.partition));
    object.insert("offset".to_owned(), json!(place.offset));
    object.insert(
        "origin".to_owned(),
        json!({ "topic": origin.topic, "partition": origin.partition, "offset": origin.offset }),
    );
    object.insert("group".to_owned(), json!(letter.group()));
    object.insert("cause".to_owned(), json!(letter.cause()));
    object.insert("attempts".to_owned(), json!(letter.attempts()));
    object.insert("failed_at".to_owned(), json!(letter.failed_at_ms()));
    object.insert("redriven".to_owned(), json!(letter.redriven()));
    object.insert("timestamp".to_owned(), json!(record.timestamp_ms()));
    bytes_text::put(&mut object, "key", record.key().map(|key| &key[..]));
    bytes_text::put(&mut object, "value", record.value().map(|value| &value[..]));
    let headers = record.headers().iter().map(|header| {
        let mut shown = Map::new();
        shown.insert("name".to_owned(), json!(header.name));
        bytes_text::put(&mut shown, "value", header.value.as_deref());
        Value::Object(shown)
    });
    object.insert("headers".to_owned(), headers.collect());
    Value::Object(object)
}
