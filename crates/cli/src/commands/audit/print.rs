//! How an audit is shown: a line per producer and partition, then what was found, named; or all of it as JSON.

use serde_json::{Value, json};

use super::Totals;
use crate::{
    audit::{Book, Ledger, PartitionBook, Place, Range},
    count_text::counted,
    failure::Failure,
    output,
};

/// Ranges and records that are named per producer in JSON, and in all in text.
const NAMED_JSON_MAX: usize = 1000;
const NAMED_TEXT_MAX: usize = 20;

/// What there is to show.
pub struct Report<'a> {
    pub topic: &'a str,
    pub compacted: bool,
    pub book: &'a Book,
    pub totals: Totals,
}

/// As one JSON value; the names stand in docs/audit.md.
pub fn json(report: &Report<'_>) -> Result<(), Failure> {
    let partitions: Vec<Value> =
        report.book.partitions.iter().map(|(index, found)| partition(*index, found)).collect();
    let totals = report.totals;
    Ok(output::print_json(&json!({
        "topic": report.topic,
        "compacted": report.compacted,
        "records": totals.records,
        "labelled": totals.labelled,
        "without_headers": totals.unlabelled,
        "malformed_headers": totals.malformed,
        "unjudged": totals.unjudged,
        "missing": totals.missing,
        "duplicates": totals.repeated,
        "out_of_order": totals.late,
        "partitions": partitions,
    }))?)
}

fn partition(index: i32, found: &PartitionBook) -> Value {
    let producers = found.producers.iter();
    let producers: Vec<Value> = producers
        .map(|(name, ledger)| {
            let gaps = ledger.gaps().take(NAMED_JSON_MAX);
            let named = |places: &[Place], show: fn(&Place) -> Value| -> Vec<Value> {
                let places = places.iter().filter(|place| place.producer == *name);
                places.take(NAMED_JSON_MAX).map(show).collect()
            };
            json!({
                "producer": name,
                "records": ledger.records,
                "unknown_before": ledger.unknown_before(),
                "last": ledger.highest(),
                "missing": ledger.missing(),
                "gaps": gaps.map(|gap| json!({ "from": gap.from, "to": gap.to })).collect::<Vec<_>>(),
                "duplicate_count": ledger.repeated,
                "duplicates": named(&found.repeated, |place| {
                    json!({ "number": place.number, "offset": place.offset, "first_offset": place.first_offset })
                }),
                "out_of_order_count": ledger.late,
                "out_of_order": named(&found.late, |place| {
                    json!({ "number": place.number, "offset": place.offset, "after": place.after })
                }),
                "unjudged": ledger.forgotten,
            })
        })
        .collect();
    json!({
        "partition": index, "from": found.from, "to": found.to, "records": found.records,
        "without_headers": found.unlabelled, "malformed_headers": found.malformed,
        "unjudged": found.unjudged, "removed_while_reading": found.jumped, "producers": producers,
    })
}

/// As text.
pub fn tables(report: &Report<'_>) -> Result<(), Failure> {
    let columns = ["partition", "producer", "records", "numbers", "missing", "duplicates", "out of order"];
    let mut table = output::table(&columns);
    for (index, found) in &report.book.partitions {
        for (name, ledger) in &found.producers {
            table.add_row([
                index.to_string(),
                name.clone(),
                ledger.records.to_string(),
                numbers(ledger),
                ledger.missing().to_string(),
                ledger.repeated.to_string(),
                ledger.late.to_string(),
            ]);
        }
    }
    output::print_table(&table)?;
    let mut lines = Vec::new();
    for (index, found) in &report.book.partitions {
        say(&mut lines, *index, found);
    }
    let more = lines.len().saturating_sub(NAMED_TEXT_MAX);
    for line in lines.iter().take(NAMED_TEXT_MAX) {
        output::print_line(line)?;
    }
    if more > 0 {
        output::print_line(&format!("and {more} more: --json names them"))?;
    }
    summary(report)
}

fn numbers(ledger: &Ledger) -> String {
    let from = ledger.unknown_before();
    let last = ledger.highest().map_or_else(|| "-".to_owned(), |last| last.to_string());
    match from {
        Some(first) => format!("{first}–{last}, unknown before {first}"),
        None => format!("0–{last}"),
    }
}

fn range(gap: Range) -> String {
    if gap.from == gap.to { gap.from.to_string() } else { format!("{}–{}", gap.from, gap.to) }
}

fn say(lines: &mut Vec<String>, index: i32, found: &PartitionBook) {
    for (name, ledger) in &found.producers {
        let gaps = ledger.gaps().take(NAMED_TEXT_MAX + 1);
        lines.extend(
            gaps.map(|gap| format!("MISSING: {name} in partition {index}: {} ({})", range(gap), gap.count())),
        );
    }
    for place in found.repeated.iter().take(NAMED_TEXT_MAX + 1) {
        let first = place
            .first_offset
            .map_or_else(|| "an earlier offset".to_owned(), |first| format!("offset {first}"));
        let Place { producer, number, offset, .. } = place;
        lines.push(format!(
            "TWICE: {producer} in partition {index}: {number} at {first} and at offset {offset}"
        ));
    }
    for place in found.late.iter().take(NAMED_TEXT_MAX + 1) {
        let Place { producer, number, offset, after, .. } = place;
        let after = after.unwrap_or_default();
        lines.push(format!(
            "OUT OF ORDER: {producer} in partition {index}: {number} after {after} at offset {offset}"
        ));
    }
    if found.jumped {
        lines.push(format!("note: partition {index}: retention removed records before they were read"));
    }
}

fn summary(report: &Report<'_>) -> Result<(), Failure> {
    let totals = report.totals;
    output::print_line(&format!(
        "{}: {}, {} without headers, {} with headers that make no sense; {} missing, {} twice, {} out of order",
        report.topic,
        counted(totals.records, "record"),
        totals.unlabelled,
        totals.malformed,
        totals.missing,
        totals.repeated,
        totals.late
    ))?;
    if totals.unjudged > 0 {
        output::print_line(&format!(
            "note: {} could not be judged: there is too much to remember",
            counted(totals.unjudged, "record")
        ))?;
    }
    if report.compacted && totals.missing > 0 {
        output::print_line("note: the topic is compacted: what is missing may have been removed on purpose")?;
    }
    Ok(())
}
